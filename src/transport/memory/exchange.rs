//! Who listens at which name.

use super::link::MemoryLink;
use super::pull::Pulls;
use crate::transport::error::fail;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Connections that wait to be accepted.
pub(super) const BACKLOG: usize = 1024;
/// Faults asked for and not yet used.
const MOST_FAULTS: usize = 4096;

/// The names of one world: what is listened at under one scout can be dialled under it and nowhere
/// else. Found by [`Scout`](crate::Scout), one a scout.
#[derive(Debug, Default)]
pub struct Exchange {
    inner: Mutex<Inner>,
}

/// A name, listened at on every network or on that of one name.
type Place = (String, Option<String>);

#[derive(Debug, Default)]
struct Inner {
    places: BTreeMap<Place, Listening>,
    owners: u64,
    links: u64,
    faults: VecDeque<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Listening {
    pub(super) owner: u64,
    pub(super) queue: mpsc::Sender<MemoryLink>,
    pub(super) pulls: Arc<Pulls>,
    /// The endpoint listened at.
    pub(super) at: crate::Endpoint,
}

/// What the next connection is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) cut_after: Option<u64>,
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for one more transport object.
    pub(super) fn owner(&self) -> u64 {
        let mut inner = self.lock();
        inner.owners += 1;
        inner.owners
    }

    /// A number for one more connection, and the fault that was asked for it.
    pub(super) fn ticket(&self) -> Ticket {
        let mut inner = self.lock();
        inner.links += 1;
        Ticket {
            number: inner.links,
            cut_after: inner.faults.pop_front(),
        }
    }

    pub(super) fn listen(self: &Arc<Self>, place: Place, as_: Listening) -> io::Result<Listed> {
        let at = as_.at.clone();
        let mut inner = self.lock();
        if inner.places.contains_key(&place) {
            drop(inner);
            let text = format_args!("listening at {at}: the name is in use; take another");
            return Err(fail(io::ErrorKind::AddrInUse, text));
        }
        inner.places.insert(place.clone(), as_);
        drop(inner);
        Ok(Listed {
            exchange: Arc::clone(self),
            place,
        })
    }

    /// Who listens at `name` for those who come by `network`.
    pub(super) fn find(
        &self,
        name: &str,
        network: Option<&str>,
        to: &impl Display,
    ) -> io::Result<Listening> {
        let inner = self.lock();
        let at = |network: Option<&str>| {
            inner
                .places
                .get(&(name.to_owned(), network.map(str::to_owned)))
        };
        let found = network
            .and_then(|network| at(Some(network)))
            .or_else(|| at(None));
        found.cloned().ok_or_else(|| {
            fail(
                io::ErrorKind::ConnectionRefused,
                format_args!("{to}: nobody listens at that name under this scout"),
            )
        })
    }

    /// Whether `owner` listens at `name`.
    pub(super) fn listens(&self, owner: u64, name: &str) -> bool {
        let inner = self.lock();
        let from = (name.to_owned(), None);
        let mut same = inner
            .places
            .range(from..)
            .take_while(|((n, _), _)| n == name);
        same.any(|(_, listening)| listening.owner == owner)
    }
}

/// Keeps a name taken while its acceptor lives.
#[derive(Debug)]
pub(super) struct Listed {
    exchange: Arc<Exchange>,
    place: Place,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let removed = self.exchange.lock().places.remove(&self.place);
        // It holds connections, which take locks of their own when dropped.
        drop(removed);
    }
}

/// Asks for the loss of connections, to test what lives through it.
#[derive(Debug, Clone)]
pub struct Faults {
    pub(super) exchange: Arc<Exchange>,
}

impl Faults {
    /// The next connection made is lost, at both ends and without warning, when `bytes` in all, both
    /// directions counted, were read from it; what was written beyond them is lost with it. Asked
    /// several times, the second time concerns the connection after that, and so on.
    ///
    /// # Panics
    /// If 4,096 are asked for and not used.
    pub fn cut_next_after(&self, bytes: u64) {
        let mut inner = self.exchange.lock();
        let full = inner.faults.len() >= MOST_FAULTS;
        if !full {
            inner.faults.push_back(bytes);
        }
        drop(inner);
        assert!(!full, "{MOST_FAULTS} faults asked for and not used");
    }
}
