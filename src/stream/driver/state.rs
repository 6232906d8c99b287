//! What the lock guards: the core, the paths' sockets, and who waits for what.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::super::error::{SessionError, stream_error};
use super::super::events::{NetworkBytes, PathEvent, PathInfo, Subscribers};
use super::books::Books;
use super::fees::Terms;
use super::line::Line;
use super::sockets::{Link, Presence};
use super::waits::Waits;
use super::wakers::Wakers;
use crate::account::Row;
use crate::deferral::Registry;
use crate::label::Label;
use crate::label::matching::Blocked;
use crate::network::{Network, NetworkId, Snapshot};
use crate::proto::session::{
    CloseReason, MAX_PATHS, PathId, PathStats, Role, Session, StreamError, StreamId,
};
use crate::scout::Sample;
use crate::transport::ByteLink;

/// Who waits for one stream.
#[derive(Default)]
pub(super) struct Waiters {
    pub(super) read: Option<Waker>,
    pub(super) write: Option<Waker>,
    pub(super) shut: Option<Waker>,
}

/// Where a listener can be dialled by this snapshot.
pub(in crate::stream) type Advertise = Arc<dyn Fn(&Snapshot) -> Vec<SocketAddr> + Send + Sync>;

/// Told that a session has no path and keeps so many bytes, or (`None`) that it has one. The words are
/// numbered, for they may overtake each other.
pub(in crate::stream) type TellDetached = Arc<dyn Fn(u64, Option<usize>) + Send + Sync>;

pub(in crate::stream) struct State {
    pub(in crate::stream) core: Session,
    pub(super) links: Vec<Link>,
    pub(super) waiters: Vec<(StreamId, Waiters)>,
    pub(super) waits: Option<Box<Waits>>,
    pub(super) accepting: Line,
    pub(super) closing: Line,
    /// Streams and session handles that users hold.
    pub(super) handles: usize,
    /// What the driver's timer is set to.
    pub(super) armed: Option<Instant>,
    /// When the driver asks whether anybody looks at the sockets, and how often somebody had.
    pub(super) watch_at: Option<Instant>,
    pub(super) looks: u32,
    /// How often somebody read where there are several paths.
    pub(super) turn: u8,
    pub(super) wakers: Arc<Wakers>,
    /// The paths or what they must carry changed: the roamer is to look.
    pub(in crate::stream) unsettled: bool,
    pub(super) subscribers: Subscribers,
    pub(super) totals: Vec<NetworkBytes>,
    pub(super) waker: Waker,
    pub(super) wake: Vec<Waker>,
    /// What was measured, for the scout.
    pub(super) samples: Vec<(NetworkId, Sample)>,
    /// Why no network matches, as last seen.
    pub(in crate::stream) blocked: Option<Arc<Blocked>>,
    /// For the listener's bound of detached sessions; told outside the lock.
    pub(super) on_detached: Option<TellDetached>,
    /// What was told last, and the number of that word.
    pub(super) detached: (u64, Option<usize>),
    /// The networks: a newer snapshot is looked at before anything else is done,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// and so is another policy.
    pub(super) revised: watch::Receiver<()>,
    /// What it and the other sessions tell each other, until it is over.
    pub(super) books: Option<Books>,
    /// Where bytes were counted.
    pub(super) counted: Vec<Arc<Row>>,
    /// Connections of paths that ended, to be parted with once the lock is free.
    pub(super) parted: Vec<Box<dyn ByteLink>>,
    /// What its bytes count for.
    pub(super) terms: Terms,
    /// The peer is to know nothing of our networks.
    pub(super) anonymous: bool,
    /// A listener's way to tell where else it can be dialled, and what it told last.
    pub(super) advertise: Option<(Advertise, Vec<SocketAddr>)>,
    /// What a dialler's roamer has in mind, or whoever looks at what a listener's budgets hold back.
    mind: Mind,
}

/// What the roamer knew of the traffic when it last looked; it is called when that changes.
#[derive(Debug, Default)]
struct Mind {
    labels: Vec<Label>,
    /// Whether some was interactive, and when the last of it.
    interactive: (bool, Option<Instant>),
    lanes: bool,
    /// The traffic is not as it was known.
    changed: bool,
}

impl State {
    pub(super) fn new(
        core: Session,
        wakers: Arc<Wakers>,
        registry: &Registry,
        (books, terms): (Books, Terms),
        anonymous: bool,
    ) -> Self {
        Self {
            books: Some(books),
            terms,
            counted: Vec::new(),
            parted: Vec::new(),
            snapshots: registry.snapshots(),
            revised: registry.revised(),
            anonymous,
            core,
            links: Vec::new(),
            waiters: Vec::new(),
            waits: None,
            accepting: Line::default(),
            closing: Line::default(),
            handles: 0,
            armed: None,
            watch_at: None,
            looks: 0,
            turn: 0,
            waker: Waker::from(Arc::clone(&wakers)),
            wakers,
            unsettled: true,
            subscribers: Subscribers::default(),
            totals: Vec::new(),
            wake: Vec::new(),
            samples: Vec::new(),
            blocked: None,
            on_detached: None,
            detached: (0, None),
            advertise: None,
            mind: Mind::default(),
        }
    }

    /// The roamer looks, and knows of these labels.
    pub(in crate::stream) fn roamer_knows(&mut self, labels: &[Label]) {
        self.mind.labels.clear();
        self.mind.labels.extend_from_slice(labels);
        self.mind.lanes = self.core.wants_lanes();
        self.mind.changed = false;
    }

    /// Whether it takes the traffic for interactive now.
    pub(in crate::stream) fn roamer_knows_interactive(&mut self, interactive: bool) {
        self.mind.interactive = (interactive, self.core.interactive_at());
    }

    /// Something is written, or a stream opened, under this label.
    pub(super) fn note_label(&mut self, label: &Label) {
        let heeded = self.core.role() == Role::Dialler || !self.terms.limits.is_empty();
        if heeded && !self.mind.labels.contains(label) {
            self.mind.labels.push(*label);
            self.mind.changed = true;
        }
    }

    /// Whether the roamer is to look at the traffic again.
    fn traffic_changed(&mut self) -> bool {
        if self.core.role() != Role::Dialler {
            let changed = std::mem::take(&mut self.mind.changed);
            self.unsettled |= changed;
            return changed;
        }
        let last = self.core.interactive_at();
        let (known, at) = self.mind.interactive;
        let lanes = self.core.wants_lanes();
        let changed = self.mind.changed || (!known && last != at) || lanes != self.mind.lanes;
        if !changed {
            return false;
        }
        self.mind.changed = false;
        self.mind.interactive.1 = last;
        self.mind.lanes = lanes;
        self.unsettled = true;
        true
    }

    pub(super) fn waiters(&mut self, id: StreamId) -> &mut Waiters {
        let at = match self.waiters.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                // Few sessions have more than one stream.
                if self.waiters.is_empty() {
                    self.waiters.reserve_exact(1);
                }
                self.waiters.push((id, Waiters::default()));
                self.waiters.len() - 1
            }
        };
        &mut self.waiters[at].1
    }

    /// What there is to tell of the session's being detached; one that is over goes by itself.
    pub(super) fn detachment(&mut self) -> Option<(TellDetached, u64, Option<usize>)> {
        let tell = self
            .on_detached
            .as_ref()
            .filter(|_| self.core.closed().is_none())?;
        let bytes = self.links.is_empty().then(|| self.core.buffered());
        if bytes == self.detached.1 {
            return None;
        }
        self.detached = (self.detached.0 + 1, bytes);
        Some((Arc::clone(tell), self.detached.0, bytes))
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.handles -= 1;
        if self.handles == 0 {
            self.core.close(now);
        }
        self.transmit(now);
    }

    /// Takes the core's events; whether the driver's timer is too late.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let mut rearm = false;
        while let Some(event) = self.core.poll_event() {
            rearm |= self.take_event(now, event);
        }
        rearm |= self.traffic_changed();
        self.count_bytes(now);
        let due = self.due();
        rearm || due.is_some_and(|due| self.armed.is_none_or(|armed| due < armed))
    }

    /// When the task is to look again: the core's timer, what the others are to hear again, or a network
    /// that was away for too long.
    pub(super) fn due(&self) -> Option<Instant> {
        let timer = self.core.poll_timeout().map(|(at, _)| at);
        let books = self.books.as_ref().and_then(Books::due);
        let absent = self.absent_until();
        timer.into_iter().chain(books).chain(absent).min()
    }

    /// Over, and what was to be said has been said.
    pub(super) fn is_over(&self) -> bool {
        self.core.closed().is_some()
    }

    pub(in crate::stream) fn publish(&mut self, event: PathEvent) {
        self.subscribers.publish(&event, &mut self.wake);
    }

    pub(super) fn info(&self, link: &Link) -> PathInfo {
        let state = self.core.path_state(link.path);
        let measure = state.map(|state| state.measure).unwrap_or_default();
        PathInfo {
            lane: usize::from(link.path.id) >= MAX_PATHS / 2,
            carries: state.is_some_and(|state| state.carries),
            suspect: link.is_away() || state.is_some_and(|state| state.suspect),
            rtt: measure.rtt,
            bandwidth: measure.bandwidth,
            outstanding: measure.outstanding,
            path: (link.path.id, link.path.epoch),
            network: link.network.as_ref().map(Network::id),
            name: link.network.as_ref().map(|network| network.name().into()),
            kind: link.network.as_ref().map(Network::kind),
            stats: self.core.path_stats(link.path).unwrap_or_default(),
        }
    }

    /// The open paths and their networks.
    pub(in crate::stream) fn open_paths(&self) -> impl Iterator<Item = (PathId, Option<&Network>)> {
        let open = self.present_paths();
        open.map(|(path, network, _)| (path, network))
    }

    /// The open paths, their networks, and whether these are there.
    pub(in crate::stream) fn present_paths(
        &self,
    ) -> impl Iterator<Item = (PathId, Option<&Network>, Presence)> {
        let open = self.links.iter().filter(|link| link.dead.is_none());
        open.map(|link| (link.path, link.network.as_ref(), link.presence))
    }

    /// What is left of the grace; all of it while there is a path.
    pub(in crate::stream) fn grace_left(&self, now: Instant) -> Duration {
        let left = |at: Instant| at.saturating_duration_since(now);
        self.core.grace_deadline().map_or(self.core.grace(), left)
    }

    pub(super) fn impossible(&self, label: &Label) -> Option<io::Error> {
        let none = !self.links.is_empty()
            && self
                .links
                .iter()
                .all(|link| !self.core.permits(link.path, label));
        none.then(|| io::Error::new(io::ErrorKind::NetworkUnreachable, NoPath(*label)))
    }

    pub(in crate::stream) fn closed_error(&self, reason: CloseReason) -> SessionError {
        SessionError::of(reason, self.core.grace(), self.blocked.clone())
    }

    pub(super) fn session_error(&self, error: StreamError) -> SessionError {
        match error {
            StreamError::Closed(reason) => self.closed_error(reason),
            StreamError::TooMany(limit) => SessionError::TooManyStreams(limit),
            _ => SessionError::Closed,
        }
    }

    pub(super) fn io_error(&self, error: StreamError) -> io::Error {
        stream_error(error, |reason| self.closed_error(reason))
    }
}

/// `read_labelled` was given a label that no path of the session could carry.
#[derive(Debug, thiserror::Error)]
#[error("no path of the session could carry `{0}`")]
struct NoPath(Label);

pub(super) fn add(networks: &mut Vec<NetworkBytes>, link: &Link, stats: PathStats) {
    let name = link
        .network
        .as_ref()
        .map(|network| Arc::<str>::from(network.name()));
    NetworkBytes::add(networks, name, stats);
}
