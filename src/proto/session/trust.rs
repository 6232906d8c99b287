//! Whether a path is trusted to deliver what it was given.
//!
//! A path that owes acknowledgements and shows no progress for its patience ([`schedule::patience`]) is
//! suspect: what it owes goes again by the others, which costs a duplicate if that was wrong, new payload
//! avoids it, and it is asked for an answer. Progress is an acknowledgement, by whatever path, of what it
//! carried, its answer to a PING, and, where the link tells (TCP_INFO), that the peer's kernel
//! acknowledges more. That something else arrives on it says nothing of the way out. Once it moves it is
//! trusted again; wrong suspicions that follow each other within 10 s double its patience, which is
//! halved again with each 10 s without. While little is on the way, progress does not excuse what is
//! owed for longer than that (`owing.rs`). Where nothing but words is on the way, a kernel may keep its
//! acknowledgement back for 40 ms more.
//!
//! Such patience is to be no shorter than an honest answer takes: with several paths, what acknowledges
//! interactive payload waits for company a quarter of [`Config::ack_delay`](super::Config::ack_delay).
//!
//! A link that tells nothing is asked by a PING after half its patience, for the peer may have a reason not
//! to acknowledge; it is suspect when that is not answered. Its round trips are measured by the same
//! PINGs, one a second while payload goes. A link that tells is told of before it is condemned: a timer
//! that finds it late gives the driver [`GLANCE`] to measure anew.
//!
//! The only path of a session is not suspected: there is nothing to be gained before
//! [`Config::stall`](super::Config::stall). A path's lane is no other path to it, for it goes the same
//! way: where the network pauses both are silent, and what goes again by the lane is in its own way.
//! What a lane owes goes by its path, though: it is little, and somebody waits for it.
//!
//! Who ends a path because its network went says LOST by another, so that the peer sends again at once
//! what flew there and need not find out.

use std::time::{Duration, Instant};

use super::choose::LANES;
use super::frame::{kind, put_token};
use super::owing::Owing;
use super::path::{Closing, Path};
use super::{Event, MAX_PATHS, Measure, PathId, Session, StreamId};
use crate::proto::schedule;

/// For so long a driver may measure before a link that tells is suspect.
const GLANCE: Duration = Duration::from_millis(2);
/// A second wrong suspicion within this time doubles the patience; so long without one halves it.
const WRONG_AGAIN: Duration = Duration::from_secs(10);
/// Round trips of a link that tells nothing are measured so often.
const SAMPLE: Duration = Duration::from_secs(1);
/// A kernel acknowledges what no program answers after so long.
const DELAYED: Duration = Duration::from_millis(40);
/// Answers without an acknowledgement double the time to the next question up to so often.
const MAX_ASKED: u32 = 5;

/// What is known of a path's honesty.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// It owes acknowledgements and shows no progress.
    pub(super) suspect: bool,
    /// Its link tells what it has acknowledged.
    pub(super) measured: bool,
    /// Since when it owes without progress.
    pub(super) since: Option<Instant>,
    /// What its link owes, where that tells.
    owing: Owing,
    /// A timer found it late.
    doubted: Option<Instant>,
    /// The PING that is not answered, and when it was said.
    ping: Option<(u64, Instant)>,
    pub(super) pings: u64,
    last_ping: Option<Instant>,
    /// Answers since the last acknowledgement.
    asked: u32,
    /// When it was last suspected wrongly, and how often its patience is doubled for that.
    wrong: Option<Instant>,
    doubled: u32,
}

impl Trust {
    fn doubled(&self, now: Instant) -> u32 {
        let since = self
            .wrong
            .map_or(Duration::ZERO, |wrong| now.saturating_duration_since(wrong));
        let halvings = u32::try_from(since.as_secs() / WRONG_AGAIN.as_secs()).unwrap_or(u32::MAX);
        self.doubled.saturating_sub(halvings)
    }

    /// Whether an answer is waited for.
    pub(super) fn pinged(&self) -> bool {
        self.ping.is_some()
    }

    /// It was suspected and moves.
    fn acquit(&mut self, now: Instant) {
        let doubled = self.doubled(now);
        let again = (self.wrong).is_some_and(|at| now.saturating_duration_since(at) < WRONG_AGAIN);
        self.doubled = doubled.saturating_add(u32::from(again)).min(MAX_ASKED);
        self.wrong = Some(now);
        self.suspect = false;
        self.owing.clear();
    }
}

/// A round trip was measured (RFC 6298).
pub(super) fn smooth(measure: &mut Measure, rtt: Duration) {
    let (smooth, deviation) = match (measure.rtt, measure.deviation) {
        (Some(smooth), Some(deviation)) => (
            (smooth * 7 + rtt) / 8,
            (deviation * 3 + smooth.abs_diff(rtt)) / 4,
        ),
        _ => (rtt, rtt / 2),
    };
    measure.rtt = Some(smooth);
    measure.deviation = Some(deviation);
}

impl Path {
    /// Asks for a word, unless that is asked for already.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.trust.ping.is_none() {
            self.trust.pings += 1;
            self.trust.ping = Some((self.trust.pings, now));
            self.trust.last_ping = Some(now);
            put_token(&mut self.outbox.control, kind::PING, self.trust.pings);
        }
        self.trust.since.get_or_insert(now);
        self.owes_since.get_or_insert(now);
    }

    /// The link took bytes; if some were payload, so much of that, ever.
    pub(super) fn took(&mut self, now: Instant, n: usize, payload: Option<u64>, several: bool) {
        self.handed = self.handed.saturating_add(n as u64);
        if self.trust.measured && several {
            self.trust.owing.took(now, n, payload);
        }
        let payload = payload.is_some();
        if payload && self.owes_since.is_none() {
            // Words that are on the way say nothing of it.
            (self.owes_since, self.trust.since) = (Some(now), Some(now));
        }
        if payload || (n > 0 && self.trust.measured) {
            self.trust.since.get_or_insert(now);
        }
        let due = |last: Instant| now.saturating_duration_since(last) >= SAMPLE;
        if several
            && payload
            && !self.trust.measured
            && self.closing == Closing::No
            && self.trust.last_ping.is_none_or(due)
        {
            self.ask(now);
        }
    }

    /// The system measured it; whether it moved.
    pub(super) fn measured(&mut self, measure: Measure) -> bool {
        let first = !self.trust.measured;
        let moved = !first && measure.acknowledged > self.measure.acknowledged;
        self.measure = measure;
        self.handed = 0;
        self.trust.owing.outstanding(measure.outstanding);
        self.trust.measured = true;
        if measure.outstanding == 0 && self.outbox.is_empty() && self.trust.ping.is_none() {
            self.trust.since = None;
        }
        moved
    }

    fn patience(&self, now: Instant, alone: bool) -> Duration {
        schedule::patience(&self.measure, alone, self.trust.doubled(now))
    }

    /// When to ask or to suspect it.
    fn doubt_deadline(&self, alone: bool) -> Option<Instant> {
        let watched = !self.trust.suspect && !self.stalled && self.closing == Closing::No;
        let since = self.trust.since.filter(|_| watched)?;
        let patience = self.patience(since, alone);
        if self.trust.measured {
            let way = self.measure.outstanding.saturating_add(self.handed);
            let eldest = self.trust.owing.since(way).filter(|_| !alone);
            let since = eldest.map_or(since, |eldest| eldest.min(since));
            let patience = match self.owes_since {
                Some(_) => patience,
                None => patience + DELAYED,
            };
            let glance = self.trust.doubted.map(|at| at + GLANCE);
            return glance.or_else(|| since.checked_add(patience));
        }
        match self.trust.ping {
            Some((_, at)) => since.max(at).checked_add(patience),
            None => since.checked_add(patience / 2 * (1 << self.trust.asked.min(MAX_ASKED))),
        }
    }
}

impl Session {
    /// Something that flew on a path has arrived, or it answers.
    pub(super) fn progressed_on(&mut self, now: Instant, slot: usize) {
        let flies = self.flies_on(slot);
        let waits = |path: &Path| path.trust.owing.is_waited_for();
        let told = self.paths[slot].as_deref().is_some_and(waits);
        let flying = if told { self.flying_on(slot) } else { 0 };
        let Some(path) = &mut self.paths[slot] else {
            return;
        };
        if told {
            let payload = path.stats.payload_sent + path.stats.payload_resent;
            path.trust.owing.arrived(payload.saturating_sub(flying));
        }
        let link = path.trust.measured && path.measure.outstanding > 0;
        let owes = flies || link || path.trust.ping.is_some();
        path.trust.since = owes.then_some(now);
        path.trust.doubted = None;
        path.stalled = false;
        path.owes_since = (flies || path.retiring || path.trust.ping.is_some()).then_some(now);
        if path.trust.suspect {
            path.trust.acquit(now);
            let event = Event::PathTrusted(path.id);
            self.tell_of_trust(event);
            self.rescue_all();
            self.all_ready();
        }
    }

    /// A PING was answered.
    pub(super) fn on_pong(&mut self, now: Instant, slot: usize, token: u64) {
        let Some(path) = &mut self.paths[slot] else {
            return;
        };
        if path.echoed(now, token) {
            self.progressed_on(now, slot);
            return;
        }
        let Some((_, at)) = path.trust.ping.filter(|(said, _)| *said == token) else {
            return;
        };
        path.trust.ping = None;
        path.trust.asked = path.trust.asked.saturating_add(1);
        if !path.trust.measured {
            path.took_round_trip(now.saturating_duration_since(at));
        }
        self.progressed_on(now, slot);
    }

    /// So many bytes that flew on a path were acknowledged.
    pub(super) fn arrived_on(&mut self, now: Instant, slot: usize, bytes: u64) {
        if let Some(path) = &mut self.paths[slot] {
            path.trust.asked = 0;
            if !path.trust.measured {
                path.measure.acknowledged = path.measure.acknowledged.saturating_add(bytes);
            }
        }
        self.progressed_on(now, slot);
    }

    /// Whether another path carries and is trusted, its own lane aside.
    pub(super) fn has_other(&self, slot: usize) -> bool {
        let others = self
            .paths
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != slot && *other != slot + LANES);
        let mut others = others.filter_map(|(_, path)| path.as_deref());
        others.any(|path| path.carries() && !path.trust.suspect && !path.stalled)
    }

    /// Whether there is another path, its own lane aside.
    fn is_accompanied(&self, slot: usize) -> bool {
        self.open_slots()
            .any(|other| other != slot && other != slot + LANES)
    }

    pub(super) fn trust_deadline(&self) -> Option<Instant> {
        if !self.several_open() {
            return None;
        }
        let paths = self.paths.iter().enumerate();
        let open = paths.filter_map(|(slot, path)| Some((slot, path.as_ref()?)));
        let open = open.filter(|(slot, _)| self.is_accompanied(*slot));
        open.filter_map(|(slot, path)| path.doubt_deadline(!self.has_other(slot)))
            .min()
    }

    /// Asks and suspects those that are late.
    pub(super) fn check_trust(&mut self, now: Instant) {
        if !self.several_open() {
            return;
        }
        for slot in 0..MAX_PATHS {
            if !self.is_accompanied(slot) {
                continue;
            }
            let alone = !self.has_other(slot);
            let Some(path) = &mut self.paths[slot] else {
                continue;
            };
            if path.doubt_deadline(alone).is_none_or(|at| at > now) {
                continue;
            }
            if path.trust.measured {
                if path.trust.doubted.is_none() {
                    path.trust.doubted = Some(now);
                } else {
                    self.suspect(now, slot);
                }
            } else if path.trust.ping.is_none() {
                path.ask(now);
            } else {
                self.suspect(now, slot);
            }
        }
    }

    /// A link that tells was just measured: if it is late still, it is suspect without more ado.
    pub(super) fn check_measured(&mut self, now: Instant, slot: usize) {
        let alone = !self.has_other(slot);
        let late = |path: &Path| {
            path.trust.doubted.is_some() || path.doubt_deadline(alone).is_some_and(|at| at <= now)
        };
        if self.is_accompanied(slot)
            && self.paths[slot]
                .as_deref()
                .is_some_and(|p| p.trust.since.is_some() && late(p))
        {
            self.suspect(now, slot);
        }
    }

    /// The driver knows a reason why what this path owes may not arrive: it is suspect, if another path
    /// carries.
    pub fn doubt(&mut self, now: Instant, path: PathId) {
        if let Some(slot) = self.slot(path)
            && self.has_other(slot)
        {
            self.suspect(now, slot);
        }
    }

    /// How long an acknowledgement of what came now may wait for company.
    pub(super) fn ack_delay(&self, now: Instant) -> Duration {
        match self.interactive == Some(now) && self.several_open() {
            true => self.config.ack_delay / 4,
            false => self.config.ack_delay,
        }
    }

    pub(super) fn suspect(&mut self, now: Instant, slot: usize) {
        let Some(path) = &mut self.paths[slot] else {
            return;
        };
        if path.trust.suspect || path.closing != Closing::No {
            return;
        }
        path.trust.suspect = true;
        path.trust.doubted = None;
        path.trust.owing.clear();
        path.ask(now);
        let event = Event::PathSuspect(path.id);
        self.tell_of_trust(event);
        self.rescue_all();
    }

    /// The latest word on a path's trust stands for the earlier ones that nobody took.
    fn tell_of_trust(&mut self, event: Event) {
        if let Event::PathSuspect(id) | Event::PathTrusted(id) = event {
            let stale = [Event::PathSuspect(id), Event::PathTrusted(id)];
            self.events.retain(|waiting| !stale.contains(waiting));
        }
        self.events.push_back(event);
    }

    /// What suspect paths owe goes by another, if there is one, and so does what was told on them.
    pub(super) fn rescue_all(&mut self) {
        let mut rescued = false;
        for slot in 0..MAX_PATHS {
            let suspect = self.paths[slot]
                .as_ref()
                .is_some_and(|path| path.trust.suspect);
            if suspect && self.has_other(slot) {
                rescued = true;
                self.unplan(slot);
                for stream in self.streams.values_mut() {
                    stream.send.lose(slot as u8);
                }
                self.messages.lose(slot);
            }
        }
        if rescued {
            self.tell_again();
            self.all_ready();
        }
    }

    /// All that may have been told on one path alone is told again.
    pub(super) fn tell_again(&mut self) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.streams.get_mut(&id) {
                let bits = stream.due_again();
                self.mark(id, bits);
            }
        }
        self.tell_gone();
        self.messages.tell_again();
    }
}
