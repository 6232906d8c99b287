//! The two directions of a connection, its clock, and what can befall both at once.

use super::lane::{Course, Lane, Moment, Step};
use super::world::{Condition, Look};
use crate::transport::error::fail;
use bytes::Bytes;
use std::io;
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// Wakers taken under the lock, woken after it.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }

    fn add(&mut self, waker: &mut Option<Waker>) {
        self.0.extend(waker.take());
    }

    fn add_all(&mut self, wakers: &mut Vec<Waker>) {
        self.0.append(wakers);
    }
}

#[derive(Debug, Clone)]
enum Cut {
    /// The network of that name is no more.
    Network(String),
    /// A test asked for it.
    Fault,
}

impl Cut {
    fn error(&self) -> io::Error {
        match self {
            Cut::Network(name) => fail(
                io::ErrorKind::NetworkDown,
                format_args!("network {name} went down"),
            ),
            Cut::Fault => fail(
                io::ErrorKind::ConnectionReset,
                "the connection was cut on request",
            ),
        }
    }
}

/// Which end: the dialler writes lane 0, the listener lane 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Dialler = 0,
    Listener = 1,
}

impl End {
    fn out(self) -> usize {
        self as usize
    }

    fn inward(self) -> usize {
        1 - self as usize
    }
}

/// What one connection is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    pub(super) buffer: usize,
    pub(super) jitter: Duration,
    pub(super) seed: u64,
    /// Bytes that get through, both directions counted, before the connection is lost.
    pub(super) cut_after: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Pair {
    lanes: [Lane; 2],
    clock: Clock,
    jitter: Duration,
    cut: Option<Cut>,
    left: Option<u64>,
}

impl Pair {
    pub(super) fn new(making: Making, look: &Look, now: Instant) -> Self {
        let lane = |direction: u64| {
            // Two lanes of one connection differ, and so do connections of one seed.
            let seed = making.seed.wrapping_mul(2).wrapping_add(direction);
            Lane::new(Course::default(), making.buffer, seed)
        };
        let mut pair = Self {
            lanes: [lane(0), lane(1)],
            clock: Clock::starting(now),
            jitter: making.jitter,
            cut: (making.cut_after == Some(0)).then_some(Cut::Fault),
            left: making.cut_after,
        };
        // Nobody waits yet.
        pair.observe(now, look, &mut Wakers::default());
        pair
    }

    /// Takes note of what the network does.
    pub(super) fn observe(&mut self, now: Instant, look: &Look, wakers: &mut Wakers) {
        let jitter = if look.bound {
            self.jitter
        } else {
            Duration::ZERO
        };
        for (lane, rate) in self.lanes.iter_mut().zip([look.up, look.down]) {
            lane.set_course(Course {
                delay: look.delay,
                rate,
                jitter,
            });
        }
        match &look.condition {
            Condition::Open if self.clock.resume(now) => self.take_all(wakers),
            Condition::Open => {}
            Condition::Stalled => self.clock.stall(now),
            Condition::Gone(name) => self.cut(Cut::Network(name.clone()), wakers),
        }
    }

    fn cut(&mut self, cut: Cut, wakers: &mut Wakers) {
        if self.cut.is_none() {
            self.cut = Some(cut);
            self.lanes.iter_mut().for_each(Lane::clear);
            self.take_all(wakers);
        }
    }

    fn take_all(&mut self, wakers: &mut Wakers) {
        for lane in &mut self.lanes {
            wakers.add(&mut lane.reader);
            wakers.add(&mut lane.writer);
            wakers.add_all(&mut lane.owners);
        }
    }

    pub(super) fn read(
        &mut self,
        end: End,
        now: Instant,
        into: &mut [u8],
        wakers: &mut Wakers,
    ) -> Step<io::Result<usize>> {
        let moment = self.clock.moment(now);
        let lane = &mut self.lanes[end.inward()];
        if lane.end_was_read() {
            return Step::Done(told(lane));
        }
        if let Some(cut) = &self.cut {
            return Step::Done(Err(cut.error()));
        }
        let room = self
            .left
            .map_or(into.len(), |left| (into.len() as u64).min(left) as usize);
        match lane.read(moment, &mut into[..room]) {
            Step::Wait(at) => Step::Wait(at),
            Step::Done(0) if lane.end_was_read() => Step::Done(told(lane)),
            Step::Done(n) => {
                wakers.add(&mut lane.writer);
                wakers.add_all(&mut lane.owners);
                if let Some(left) = &mut self.left {
                    *left -= n as u64;
                    if *left == 0 {
                        self.cut(Cut::Fault, wakers);
                    }
                }
                Step::Done(Ok(n))
            }
        }
    }

    pub(super) fn write(
        &mut self,
        end: End,
        now: Instant,
        bytes: &[u8],
        wakers: &mut Wakers,
    ) -> Step<io::Result<usize>> {
        let moment = self.clock.moment(now);
        if let Some(cut) = &self.cut {
            return Step::Done(Err(cut.error()));
        }
        let lane = &mut self.lanes[end.out()];
        let step = lane.write(moment, bytes);
        if matches!(step, Step::Done(Ok(_))) {
            wakers.add(&mut lane.reader);
        }
        step
    }

    pub(super) fn write_owned(
        &mut self,
        end: End,
        now: Instant,
        bytes: &Bytes,
        wakers: &mut Wakers,
    ) -> Step<io::Result<u64>> {
        let moment = self.clock.moment(now);
        if let Some(cut) = &self.cut {
            return Step::Done(Err(cut.error()));
        }
        let lane = &mut self.lanes[end.out()];
        let step = lane.write_owned(moment, bytes);
        if matches!(step, Step::Done(Ok(_))) {
            wakers.add(&mut lane.reader);
        }
        step
    }

    pub(super) fn was_read(&self, end: End, now: Instant, position: u64) -> Step<io::Result<()>> {
        let moment = self.clock.moment(now);
        match (&self.cut, self.lanes[end.out()].was_read(moment, position)) {
            (_, Step::Done(Ok(()))) => Step::Done(Ok(())),
            (Some(cut), _) => Step::Done(Err(cut.error())),
            (None, step) => step,
        }
    }

    pub(super) fn finish(&mut self, end: End, now: Instant, wakers: &mut Wakers) -> io::Result<()> {
        if let Some(cut) = &self.cut {
            return Err(cut.error());
        }
        let moment = self.clock.moment(now);
        let lane = &mut self.lanes[end.out()];
        lane.finish(moment);
        wakers.add(&mut lane.reader);
        Ok(())
    }

    /// An end is about to be dropped, and the other is to know that not all was said.
    pub(super) fn tear(&mut self, end: End, now: Instant) {
        let moment = self.clock.moment(now);
        self.lanes[end.out()].tear(moment);
    }

    /// An end was dropped.
    pub(super) fn leave(&mut self, end: End, now: Instant, wakers: &mut Wakers) {
        let moment = self.clock.moment(now);
        let back = self.lanes[end.out()].delay();
        self.lanes[end.out()].finish(moment);
        self.lanes[end.inward()].desert(moment, back);
        self.take_all(wakers);
    }

    pub(super) fn wait_reading(&mut self, end: End, waker: &Waker) {
        keep(&mut self.lanes[end.inward()].reader, waker);
    }

    pub(super) fn wait_writing(&mut self, end: End, waker: &Waker) {
        keep(&mut self.lanes[end.out()].writer, waker);
    }

    pub(super) fn wait_owned(&mut self, end: End, waker: &Waker) {
        let owners = &mut self.lanes[end.out()].owners;
        if !owners.iter().any(|kept| kept.will_wake(waker)) {
            owners.push(waker.clone());
        }
    }

    /// Bytes this end wrote that the other end read.
    pub(super) fn taken(&self, end: End) -> u64 {
        self.lanes[end.out()].read_in_all()
    }

    /// When a time of this connection's clock comes, if nothing stalls until then.
    pub(super) fn when(&self, now: Instant, at: Duration) -> Instant {
        now + at.saturating_sub(self.clock.moment(now).at)
    }
}

/// What a lane's end is to its reader.
fn told(lane: &Lane) -> io::Result<usize> {
    match lane.is_torn() {
        true => Err(fail(
            io::ErrorKind::ConnectionReset,
            "the far end aborted the connection",
        )),
        false => Ok(0),
    }
}

fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) if kept.will_wake(waker) => {}
        _ => *place = Some(waker.clone()),
    }
}

/// Time since the connection was made, stalls left out.
#[derive(Debug)]
struct Clock {
    began: Instant,
    stood: Duration,
    stands_since: Option<Instant>,
}

impl Clock {
    fn starting(now: Instant) -> Self {
        Self {
            began: now,
            stood: Duration::ZERO,
            stands_since: None,
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        let at = self.stands_since.unwrap_or(now);
        Moment {
            at: at
                .saturating_duration_since(self.began)
                .saturating_sub(self.stood),
            stalled: self.stands_since.is_some(),
        }
    }

    fn stall(&mut self, now: Instant) {
        self.stands_since.get_or_insert(now);
    }

    /// Whether it stood still.
    fn resume(&mut self, now: Instant) -> bool {
        let Some(since) = self.stands_since.take() else {
            return false;
        };
        self.stood += now.saturating_duration_since(since);
        true
    }
}
