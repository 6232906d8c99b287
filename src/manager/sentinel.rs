//! Keeps tests with paused time away from real sockets, whose bytes take time that never passes.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::endpoint::Endpoint;
use crate::transport::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport};

/// The first offence of a test, and whoever waits for it; clones share both.
///
/// The transport panics where the socket would have been opened. A driver's task may be what runs there,
/// so the test's own task is told too.
#[derive(Debug, Clone, Default)]
pub(super) struct Sentinel(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    offence: Option<String>,
    waiting: Option<Waker>,
}

impl Sentinel {
    /// A transport to stand in the place of a real one.
    pub(super) fn guard(&self, real: Arc<dyn Transport>) -> Arc<dyn Transport> {
        let sentinel = self.clone();
        Arc::new(Guarded { real, sentinel })
    }

    /// Resolves with the first offence.
    pub(super) async fn offence(&self) -> String {
        poll_fn(|cx| {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match seen.offence.clone() {
                Some(offence) => Poll::Ready(offence),
                None => {
                    seen.waiting = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The first offence so far.
    pub(super) fn seen(&self) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.offence.clone()
    }

    fn report(&self, scheme: &str) -> String {
        let offence = format!(
            "`{scheme}:` opens a real socket, which paused time and scripted networks know nothing of: \
             use a `mem:` endpoint, or `#[mancom::test(real)]`"
        );
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.offence.get_or_insert_with(|| offence.clone());
        let waiting = seen.waiting.take();
        drop(seen);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        offence
    }
}

/// A real transport that panics before it opens anything.
#[derive(Debug)]
struct Guarded {
    real: Arc<dyn Transport>,
    sentinel: Sentinel,
}

impl Guarded {
    fn refuse<T>(&self) -> BoxFuture<'_, T> {
        Box::pin(async move { panic!("{}", self.sentinel.report(self.real.scheme())) })
    }
}

impl Transport for Guarded {
    fn scheme(&self) -> &'static str {
        self.real.scheme()
    }

    fn characteristics(&self) -> Characteristics {
        self.real.characteristics()
    }

    fn characteristics_at(&self, at: &Endpoint) -> Characteristics {
        self.real.characteristics_at(at)
    }

    fn connect<'a>(
        &'a self,
        _to: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        self.refuse()
    }

    fn listen<'a>(
        &'a self,
        _at: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        self.refuse()
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        self.real.is_self(contact)
    }

    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        self.real.same_peer(contact, link)
    }
}
