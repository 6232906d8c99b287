//! One direction of a connection, without I/O: bytes that fly, arrive, are read.
//!
//! Times are of the connection's own clock, which stands still while its network is stalled. What
//! would have arrived during a stall therefore arrives after it, as late as if the stall had not been.

use super::store::Store;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::task::Waker;
use std::time::Duration;

/// Bytes that arrive together. Smaller than any packet train worth the name, larger than needed for
/// one-byte writes.
const SEGMENT: usize = 4096;
/// What a lane may hold beyond its buffer because it is in flight.
const MOST_IN_FLIGHT: u64 = 4 << 20;

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Course {
    /// One way.
    pub(super) delay: Duration,
    /// Bits a second; `None` is no limit.
    pub(super) rate: Option<u64>,
    /// At most this is added to the delay of each segment.
    pub(super) jitter: Duration,
}

impl Course {
    fn is_straight(&self) -> bool {
        *self == Self::default()
    }

    /// How long a segment keeps the line busy.
    fn line_time(&self, bytes: usize) -> Duration {
        match self.rate {
            Some(rate) => Duration::from_secs_f64(bytes as f64 * 8.0 / rate.max(1) as f64),
            None => Duration::ZERO,
        }
    }

    /// Bytes that fit between the ends.
    fn in_flight(&self) -> usize {
        let bytes = self
            .rate
            .map_or(0.0, |rate| rate as f64 * self.delay.as_secs_f64() / 8.0);
        (bytes as u64).min(MOST_IN_FLIGHT) as usize
    }
}

/// The connection's time, and whether it stands still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Duration,
    pub(super) stalled: bool,
}

impl Moment {
    fn reached(&self, at: Duration) -> bool {
        !self.stalled && at <= self.at
    }

    fn wait_for<T>(&self, at: Option<Duration>) -> Step<T> {
        Step::Wait(at.filter(|_| !self.stalled))
    }
}

/// What came of trying.
#[derive(Debug)]
pub(super) enum Step<T> {
    Done(T),
    /// Nothing yet: look again at that time, if there is one, or when woken.
    Wait(Option<Duration>),
}

#[derive(Debug)]
pub(super) struct Lane {
    course: Course,
    buffer: usize,
    random: u64,
    bytes: Store,
    /// Of `bytes`, how many can be read.
    arrived: usize,
    /// The rest: when, how many.
    flying: VecDeque<(Duration, usize)>,
    /// When the line has sent what it was given.
    line_free: Duration,
    /// No segment overtakes another.
    latest: Duration,
    /// When the end arrives.
    end: Option<Duration>,
    end_read: bool,
    /// The end is none that the writer said.
    torn: bool,
    /// When the writer learns that nobody reads any more.
    deserted: Option<Duration>,
    read: u64,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Owned sends, each for room, or for its buffer to be read.
    pub(super) owners: Vec<Waker>,
}

impl Lane {
    pub(super) fn new(course: Course, buffer: usize, seed: u64) -> Self {
        Self {
            course,
            buffer: buffer.max(1),
            random: seed,
            bytes: Store::default(),
            arrived: 0,
            flying: VecDeque::new(),
            line_free: Duration::ZERO,
            latest: Duration::ZERO,
            end: None,
            end_read: false,
            torn: false,
            deserted: None,
            read: 0,
            reader: None,
            writer: None,
            owners: Vec::new(),
        }
    }

    /// From now on bytes travel so.
    pub(super) fn set_course(&mut self, course: Course) {
        self.course = course;
    }

    /// How many bytes the reader took.
    pub(super) fn read_in_all(&self) -> u64 {
        self.read
    }

    pub(super) fn end_was_read(&self) -> bool {
        self.end_read
    }

    /// Whether what `read` tells as the end is an error.
    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Takes as much of `bytes` as there is room for.
    pub(super) fn write(&mut self, now: Moment, bytes: &[u8]) -> Step<io::Result<usize>> {
        match self.room(now) {
            Step::Done(Ok(room)) => {
                let taken = &bytes[..bytes.len().min(room)];
                self.bytes.push(taken);
                self.depart(now, taken.len());
                Step::Done(Ok(taken.len()))
            }
            other => other,
        }
    }

    /// Takes all of `bytes`, which are the sender's, where there is room at all; the reader has them when
    /// it read so many in all.
    pub(super) fn write_owned(&mut self, now: Moment, bytes: &Bytes) -> Step<io::Result<u64>> {
        match self.room(now) {
            Step::Done(Ok(_)) => {
                self.bytes.push_owned(bytes.clone());
                self.depart(now, bytes.len());
                Step::Done(Ok(self.read + self.bytes.len() as u64))
            }
            Step::Done(Err(error)) => Step::Done(Err(error)),
            Step::Wait(at) => Step::Wait(at),
        }
    }

    /// Whether the reader has the first so many bytes, or never will.
    pub(super) fn was_read(&self, now: Moment, position: u64) -> Step<io::Result<()>> {
        if self.read >= position {
            return Step::Done(Ok(()));
        }
        match self.deserted {
            Some(at) if now.reached(at) => Step::Done(Err(io::ErrorKind::BrokenPipe.into())),
            deserted => now.wait_for(deserted),
        }
    }

    /// How much may be written, more than nothing.
    fn room(&self, now: Moment) -> Step<io::Result<usize>> {
        if self.end.is_some() || self.deserted.is_some_and(|at| now.reached(at)) {
            return Step::Done(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = (self.buffer + self.course.in_flight()).saturating_sub(self.bytes.len());
        if self.deserted.is_some() || room == 0 {
            return now.wait_for(self.deserted);
        }
        Step::Done(Ok(room))
    }

    /// Sends on their way what was just stored.
    fn depart(&mut self, now: Moment, bytes: usize) {
        self.arrivals(now);
        if self.course.is_straight() && !now.stalled && self.flying.is_empty() {
            self.arrived += bytes;
            return;
        }
        let mut left = bytes;
        while left > 0 {
            let segment = left.min(SEGMENT);
            self.send(now, segment);
            left -= segment;
        }
    }

    fn send(&mut self, now: Moment, bytes: usize) {
        let late = self.jitter();
        self.line_free = self.line_free.max(now.at) + self.course.line_time(bytes);
        self.latest = self.latest.max(self.line_free + self.course.delay + late);
        match self.flying.back_mut() {
            Some((at, more)) if *at == self.latest => *more += bytes,
            _ => self.flying.push_back((self.latest, bytes)),
        }
    }

    /// Moves what has arrived into `into`; 0 is the end.
    pub(super) fn read(&mut self, now: Moment, into: &mut [u8]) -> Step<usize> {
        self.arrivals(now);
        if self.arrived > 0 {
            let n = self.arrived.min(into.len());
            self.bytes.take(&mut into[..n]);
            self.arrived -= n;
            self.read += n as u64;
            return Step::Done(n);
        }
        let next = self.flying.front().map(|(at, _)| *at).or(self.end);
        match next {
            Some(at) if self.flying.is_empty() && now.reached(at) => {
                self.end_read = true;
                Step::Done(0)
            }
            next => now.wait_for(next),
        }
    }

    /// The writer says that no more comes.
    pub(super) fn finish(&mut self, now: Moment) {
        let at = self
            .latest
            .max(self.line_free.max(now.at) + self.course.delay);
        self.end.get_or_insert(at);
    }

    /// The writer is gone without a word, unless it said before that no more comes.
    pub(super) fn tear(&mut self, now: Moment) {
        self.torn |= self.end.is_none();
        self.finish(now);
    }

    /// The reader is gone: what it did not read is lost, and the writer learns it when word has
    /// travelled `back`.
    pub(super) fn desert(&mut self, now: Moment, back: Duration) {
        self.clear();
        self.deserted.get_or_insert(now.at + back);
    }

    /// The delay of word sent along this lane.
    pub(super) fn delay(&self) -> Duration {
        self.course.delay
    }

    /// Loses everything that was not read.
    pub(super) fn clear(&mut self) {
        self.bytes = Store::default();
        self.flying = VecDeque::new();
        self.arrived = 0;
    }

    fn arrivals(&mut self, now: Moment) {
        while let Some((at, bytes)) = self.flying.front()
            && now.reached(*at)
        {
            self.arrived += bytes;
            self.flying.pop_front();
        }
    }

    /// Uniform below the jitter asked for; splitmix64, for it need not be good, only the same again.
    fn jitter(&mut self) -> Duration {
        if self.course.jitter.is_zero() {
            return Duration::ZERO;
        }
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let fraction = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        self.course.jitter.mul_f64(fraction)
    }
}
