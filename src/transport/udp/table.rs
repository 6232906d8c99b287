//! Which datagram of a shared socket belongs to which link: a table of sources, bounded in every way.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

/// Sources known at once.
pub(super) const SOURCES: usize = 4096;
/// Datagrams that wait in one link.
pub(super) const DATAGRAMS: usize = 256;
/// The same of a source that is not accepted yet.
pub(super) const UNACCEPTED: usize = 8;
/// Bytes that wait in one link.
pub(super) const BYTES: usize = 128 << 10;
/// Bytes that wait in one table.
pub(super) const TOTAL: usize = 16 << 20;

/// Tells one link from a later one of the same source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) source: SocketAddr,
    /// At which address of ours it was first heard, if there are several.
    pub(super) own: Option<IpAddr>,
    number: u64,
}

#[derive(Debug)]
struct Source {
    number: u64,
    /// When it was heard last, in datagrams of this table.
    heard: u64,
    accepted: bool,
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    waker: Option<Waker>,
}

/// What a link finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Datagram(Vec<u8>),
    Nothing,
    /// Another source took its place.
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    sources: BTreeMap<SocketAddr, Source>,
    /// Sources by when they were heard last: those not accepted yet, and those accepted.
    silent: [BTreeMap<u64, SocketAddr>; 2],
    /// To be accepted, oldest first; some may have gone meanwhile.
    waiting: VecDeque<Key>,
    bytes: usize,
    count: u64,
    /// Somebody accepts: new sources are let in.
    pub(super) open: bool,
    acceptor: Option<Waker>,
}

impl Table {
    /// One that lets sources in.
    pub(super) fn opened() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Takes a datagram in; whom to wake: who waits for it, and whose place its source took.
    pub(super) fn hear(
        &mut self,
        (from, own): (SocketAddr, Option<IpAddr>),
        datagram: &[u8],
    ) -> [Option<Waker>; 2] {
        self.count += 1;
        let heard = self.count;
        let mut gone = None;
        if !self.sources.contains_key(&from) {
            if !self.open {
                return [None, None];
            }
            gone = self.make_room();
            self.waiting.push_back(Key {
                source: from,
                own,
                number: heard,
            });
            self.sources.insert(
                from,
                Source {
                    number: heard,
                    heard,
                    accepted: false,
                    queue: VecDeque::new(),
                    bytes: 0,
                    waker: None,
                },
            );
        }
        let Some(source) = self.sources.get_mut(&from) else {
            return [None, gone];
        };
        let order = &mut self.silent[usize::from(source.accepted)];
        order.remove(&source.heard);
        order.insert(heard, from);
        source.heard = heard;
        let most = if source.accepted {
            DATAGRAMS
        } else {
            UNACCEPTED
        };
        let fits = source.queue.len() < most
            && source.bytes + datagram.len() <= BYTES
            && self.bytes + datagram.len() <= TOTAL;
        if fits {
            source.bytes += datagram.len();
            self.bytes += datagram.len();
            source.queue.push_back(datagram.to_vec());
        }
        let waiting = if source.accepted {
            source.waker.take()
        } else {
            self.acceptor.take()
        };
        [waiting, gone]
    }

    /// The next source that nobody accepted, or a waker kept for it.
    pub(super) fn accept(&mut self, waker: &Waker) -> Option<Key> {
        while let Some(key) = self.waiting.pop_front() {
            if let Some(source) = self.sources.get_mut(&key.source)
                && source.number == key.number
            {
                source.accepted = true;
                self.silent[0].remove(&source.heard);
                self.silent[1].insert(source.heard, key.source);
                return Some(key);
            }
        }
        keep(&mut self.acceptor, waker);
        None
    }

    /// The next datagram of a link, or a waker kept for it.
    pub(super) fn take(&mut self, key: Key, waker: &Waker) -> Taken {
        let source = self.sources.get_mut(&key.source);
        let Some(source) = source.filter(|source| source.number == key.number) else {
            return Taken::Gone;
        };
        match source.queue.pop_front() {
            Some(datagram) => {
                source.bytes -= datagram.len();
                self.bytes -= datagram.len();
                Taken::Datagram(datagram)
            }
            None => {
                keep(&mut source.waker, waker);
                Taken::Nothing
            }
        }
    }

    /// The link of this key is gone.
    pub(super) fn forget(&mut self, key: Key) {
        if (self.sources.get(&key.source)).is_some_and(|source| source.number == key.number) {
            self.remove(key.source);
        }
    }

    /// Nobody accepts any more: what nobody accepted goes.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.acceptor = None;
        for key in std::mem::take(&mut self.waiting) {
            self.forget(key);
        }
    }

    /// At the bound the source goes that was silent for longest, of those not accepted yet if there are.
    fn make_room(&mut self) -> Option<Waker> {
        if self.sources.len() < SOURCES {
            return None;
        }
        let oldest = self.silent.iter().find_map(|order| order.values().next());
        let gone = oldest.copied().and_then(|source| self.remove(source));
        // Keys of sources that went: seldom, and then all at once.
        let Self {
            waiting, sources, ..
        } = self;
        if waiting.len() >= 2 * SOURCES {
            waiting.retain(|key| {
                (sources.get(&key.source)).is_some_and(|source| source.number == key.number)
            });
        }
        gone
    }

    /// Takes a source out; who waits for it.
    fn remove(&mut self, source: SocketAddr) -> Option<Waker> {
        let gone = self.sources.remove(&source)?;
        self.silent[usize::from(gone.accepted)].remove(&gone.heard);
        self.bytes -= gone.bytes;
        gone.waker
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        (self.sources.len(), self.waiting.len(), self.bytes)
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) if kept.will_wake(waker) => {}
        _ => *slot = Some(waker.clone()),
    }
}
