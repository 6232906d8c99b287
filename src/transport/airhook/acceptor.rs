//! Accepting: peers that were heard of, and links that were opened.

use super::driver::Driver;
use super::{AirhookLink, OPENING};
use crate::endpoint::Endpoint;
use crate::transport::{Acceptor, Link};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// Peers that were heard of and opened nothing yet.
pub(super) const HALF_OPEN: usize = 256;
/// Links that wait to be accepted.
pub(super) const BACKLOG: usize = 1_024;
/// After a failure of the acceptor beneath.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct AirhookAcceptor {
    shared: Arc<Shared>,
    contact: Endpoint,
    task: tokio::task::AbortHandle,
}

struct Shared(Mutex<State>);

struct State {
    /// Taken out when nobody accepts any more, so that the place is free at once.
    beneath: Option<Box<dyn Acceptor>>,
    queue: VecDeque<io::Result<Link>>,
    waker: Option<Waker>,
    /// Peers that opened nothing yet.
    half_open: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Into the queue; one too many is dropped, which closes it.
    fn show(&self, next: io::Result<Link>) {
        let mut state = self.lock();
        let room = state.queue.len() < BACKLOG;
        let (left, waker) = match room {
            true => {
                state.queue.push_back(next);
                (None, state.waker.take())
            }
            false => (Some(next), None),
        };
        drop(state);
        drop(left);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_beneath(&self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        match &mut self.lock().beneath {
            Some(beneath) => beneath.poll_accept(cx),
            None => Poll::Pending,
        }
    }
}

impl AirhookAcceptor {
    pub(super) fn new(beneath: Box<dyn Acceptor>, at: &Endpoint) -> Self {
        let contact = beneath.contact();
        let shared = Arc::new(Shared(Mutex::new(State {
            beneath: Some(beneath),
            queue: VecDeque::new(),
            waker: None,
            half_open: 0,
        })));
        let serve = serve(Arc::clone(&shared), at.clone());
        let task = tokio::spawn(serve).abort_handle();
        Self {
            shared,
            contact,
            task,
        }
    }

    #[cfg(test)]
    pub(super) fn half_open(&self) -> usize {
        self.shared.lock().half_open
    }
}

impl Drop for AirhookAcceptor {
    fn drop(&mut self) {
        self.task.abort();
        let mut state = self.shared.lock();
        let left = (state.beneath.take(), std::mem::take(&mut state.queue));
        drop(state);
        drop(left);
    }
}

impl Acceptor for AirhookAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let mut state = self.shared.lock();
        match state.queue.pop_front() {
            Some(next) => Poll::Ready(next),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}

/// What the task of an acceptor sees.
enum Seen {
    Peer(io::Result<Link>),
    /// A peer opened a link, or was given up; by its number.
    Opened(u64, Option<Box<(AirhookLink, Driver)>>),
    Dropped,
}

async fn serve(shared: Arc<Shared>, at: Endpoint) {
    let mut opening = FuturesUnordered::new();
    let mut order: VecDeque<(u64, AbortHandle)> = VecDeque::new();
    let mut count = 0;
    let mut pause: Option<std::pin::Pin<Box<Sleep>>> = None;
    loop {
        let seen = poll_fn(|cx| {
            if let Poll::Ready(Some(ended)) = opening.poll_next_unpin(cx) {
                return Poll::Ready(match ended {
                    Ok((number, opened)) => Seen::Opened(number, opened),
                    Err(_) => Seen::Dropped,
                });
            }
            if let Some(waiting) = &mut pause {
                std::task::ready!(waiting.as_mut().poll(cx));
                pause = None;
            }
            shared.poll_beneath(cx).map(Seen::Peer)
        });
        match seen.await {
            Seen::Peer(Ok(link)) => match Driver::listen(link, &at) {
                Ok(parts) => {
                    count += 1;
                    let (handle, registration) = AbortHandle::new_pair();
                    opening.push(Abortable::new(open(count, parts), registration));
                    order.push_back((count, handle));
                    if order.len() > HALF_OPEN
                        && let Some((_, oldest)) = order.pop_front()
                    {
                        oldest.abort();
                    }
                }
                Err(e) => shared.show(Err(e)),
            },
            Seen::Peer(Err(e)) => {
                pause = Some(Box::pin(sleep(PAUSE)));
                shared.show(Err(e));
            }
            Seen::Opened(number, opened) => {
                order.retain(|(other, _)| *other != number);
                if let Some((link, driver)) = opened.map(|opened| *opened) {
                    tokio::spawn(driver);
                    shared.show(Ok(Link::Bytes(Box::new(link))));
                }
            }
            Seen::Dropped => {}
        }
        shared.lock().half_open = order.len();
    }
}

async fn open(
    number: u64,
    (link, mut driver): (AirhookLink, Driver),
) -> (u64, Option<Box<(AirhookLink, Driver)>>) {
    let opened = timeout(OPENING, poll_fn(|cx| driver.poll_open(cx))).await;
    let opened = matches!(opened, Ok(Ok(())));
    (number, opened.then(|| Box::new((link, driver))))
}
