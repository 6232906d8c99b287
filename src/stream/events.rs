//! What happens to a stream's paths, for those who want to know.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use crate::network::{Kind, NetworkId};
use crate::proto::session::PathStats;

/// Events kept for a subscriber that does not read; then the oldest goes and `missed` counts it.
const KEPT: usize = 64;

/// One path of a session as it is now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PathInfo {
    /// The path's number and epoch within the session.
    pub path: (u8, u32),
    /// The network it is bound to; `None` where no network is used.
    pub network: Option<NetworkId>,
    /// That network's name.
    pub name: Option<Arc<str>>,
    /// What that network is.
    pub kind: Option<Kind>,
    /// It is its network's lane for interactive traffic, beside the path of a number less by 4.
    pub lane: bool,
    /// It carries what its network is wanted for; not yet if the far end has not said what it has, and
    /// no more once it is given up.
    pub carries: bool,
    /// It owes acknowledgements and shows no progress: what it owes goes out on others too.
    pub suspect: bool,
    /// Its smoothed round trip, waiting behind our own bytes included, once something measured it.
    pub rtt: Option<Duration>,
    /// Bytes a second that it delivers when it has enough to do, once that was seen.
    pub bandwidth: Option<u64>,
    /// Bytes given to it that the far end's system was not seen to acknowledge, when last looked at.
    pub outstanding: u64,
    /// Its bytes so far.
    pub stats: PathStats,
}

impl fmt::Display for PathInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "path {}.{} on {name}", self.path.0, self.path.1),
            None => write!(f, "path {}.{}", self.path.0, self.path.1),
        }
    }
}

/// What happened to a session's paths.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PathEvent {
    /// A path joined; seen before any byte that came by it.
    Up(PathInfo),
    /// A path ended, and why.
    Down {
        /// The path with its final counts.
        path: PathInfo,
        /// For people.
        why: Arc<str>,
    },
    /// A path owes acknowledgements and shows no progress: what it owes goes out on others too.
    Suspect(PathInfo),
    /// A path that was suspect moved again.
    Trusted(PathInfo),
    /// No path is left, or none that a label may use; the operation waits.
    Waiting {
        /// Why: no network matches, or those that match were tried in vain.
        why: Arc<str>,
        /// How much of the grace is left; `None` while a path is open, that others may use.
        grace: Option<Duration>,
    },
    /// The session ended.
    Closed {
        /// How.
        why: Arc<str>,
    },
}

impl fmt::Display for PathEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(path) => write!(f, "{path} up"),
            Self::Down { path, why } => write!(f, "{path} down: {why}"),
            Self::Suspect(path) => write!(f, "{path} suspect: no progress"),
            Self::Trusted(path) => write!(f, "{path} moves again"),
            Self::Waiting { why, grace } => match grace {
                Some(left) => write!(f, "no path, {} s of grace left: {why}", left.as_secs()),
                None => write!(f, "waits: {why}"),
            },
            Self::Closed { why } => write!(f, "session over: {why}"),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<PathEvent>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Default)]
struct Subscriber(Arc<Mutex<Queue>>);

impl Subscriber {
    /// Whether anybody still reads.
    fn is_read(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn push(&self, event: PathEvent) -> Option<Waker> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.events.len() == KEPT {
            queue.events.pop_front();
            queue.missed += 1;
        }
        queue.events.push_back(event);
        queue.waker.take()
    }

    fn close(&self) -> Option<Waker> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        queue.waker.take()
    }
}

/// Who reads the events of a stream or a session. Wakers are given to be woken without any lock held.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: Vec<Subscriber>,
    closed: bool,
}

impl Subscribers {
    /// One more, who is told this first.
    pub(super) fn subscribe(&mut self, now: impl IntoIterator<Item = PathEvent>) -> Events {
        let subscriber = Subscriber::default();
        for event in now {
            subscriber.push(event);
        }
        self.all.retain(Subscriber::is_read);
        match self.closed {
            true => drop(subscriber.close()),
            false => self.all.push(subscriber.clone()),
        }
        Events(subscriber)
    }

    pub(super) fn publish(&mut self, event: &PathEvent, wake: &mut Vec<Waker>) {
        self.all.retain(Subscriber::is_read);
        for subscriber in &self.all {
            wake.extend(subscriber.push(event.clone()));
        }
    }

    /// There will be no more events.
    pub(super) fn close(&mut self, wake: &mut Vec<Waker>) {
        self.closed = true;
        for subscriber in self.all.drain(..) {
            wake.extend(subscriber.close());
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// A stream's path events: those from the subscription on, after one `Up` for each path open then.
///
/// At most 64 wait for a reader; then the oldest goes, and [`missed`](Events::missed) counts it.
#[derive(Debug)]
pub struct Events(Subscriber);

impl Events {
    /// The next event; `None` once the session is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<PathEvent> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// How many events went unread.
    pub fn missed(&self) -> u64 {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .missed
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<PathEvent>> {
        let mut queue = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for Events {
    type Item = PathEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PathEvent>> {
        self.poll(cx)
    }
}

/// Bytes of a stream's session, by direction and network.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StreamStats {
    /// Bytes the stream accepted from its writer.
    pub written: u64,
    /// Bytes of those that the peer's library has.
    pub acknowledged: u64,
    /// Bytes the stream gave to its reader.
    pub read: u64,
    /// The session's bytes by network, in order of first use. Of more than 64 those used first are told
    /// as one, under the name `*`.
    pub networks: Vec<NetworkBytes>,
}

impl StreamStats {
    /// Payload bytes the session sent more than once.
    pub fn resent(&self) -> u64 {
        self.networks
            .iter()
            .map(|network| network.bytes.payload_resent)
            .sum()
    }
}

/// The bytes a session moved over one network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NetworkBytes {
    /// The network's name; `None` for paths that use no network.
    pub name: Option<Arc<str>>,
    /// The counts of all its paths.
    pub bytes: PathStats,
}

/// Networks of a session that are told apart.
const TOLD_APART: usize = 64;

impl NetworkBytes {
    /// So many more of a network.
    pub(super) fn add(networks: &mut Vec<Self>, name: Option<Arc<str>>, bytes: PathStats) {
        match networks.iter_mut().find(|known| known.name == name) {
            Some(known) => known.bytes += bytes,
            None => networks.push(Self { name, bytes }),
        }
        if networks.len() > TOLD_APART {
            let first = networks.remove(0);
            networks[0].bytes += first.bytes;
            networks[0].name = Some("*".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> PathEvent {
        let why = "over".into();
        PathEvent::Closed { why }
    }

    // behaviour: R1
    #[test]
    fn nothing_stays_of_subscribers_that_came_and_went() {
        let mut subscribers = Subscribers::default();
        let reader = subscribers.subscribe([]);
        for _ in 0..100_000 {
            drop(subscribers.subscribe([closed()]));
        }
        assert!(subscribers.all.len() <= 2, "the reader, and the last");
        drop(reader);
        subscribers.publish(&closed(), &mut Vec::new());
        assert!(subscribers.all.is_empty());
        subscribers.close(&mut Vec::new());
        let late = subscribers.subscribe([closed()]);
        assert!(subscribers.all.is_empty(), "nothing more will be told");
        drop(late);
    }

    #[test]
    fn networks_beyond_the_bound_are_counted_as_one() {
        let mut networks = Vec::new();
        let one = PathStats {
            payload_sent: 1,
            ..PathStats::default()
        };
        for turn in 0..1_000 {
            NetworkBytes::add(&mut networks, Some(format!("ppp{turn}").into()), one);
            NetworkBytes::add(&mut networks, Some("wlan0".into()), one);
        }
        assert_eq!(networks.len(), TOLD_APART);
        assert_eq!(networks[0].name.as_deref(), Some("*"));
        let sent = |network: &NetworkBytes| network.bytes.payload_sent;
        assert_eq!(
            networks.iter().map(sent).sum::<u64>(),
            2_000,
            "none is lost"
        );
    }

    #[tokio::test]
    async fn who_does_not_read_keeps_the_latest_and_is_told_how_many_went() {
        let mut subscribers = Subscribers::default();
        let mut events = subscribers.subscribe([]);
        for _ in 0..KEPT + 9 {
            subscribers.publish(&closed(), &mut Vec::new());
        }
        subscribers.close(&mut Vec::new());
        assert_eq!(events.missed(), 9);
        let mut read = 0;
        while events.next().await.is_some() {
            read += 1;
        }
        assert_eq!(read, KEPT);
    }
}
