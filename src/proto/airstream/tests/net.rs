//! Two streams and a link between them that loses, doubles and delays, in virtual time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::super::*;
use crate::proto::pair::Seeded;

/// How the link behaves; chances are in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Air {
    pub(super) loss: u64,
    pub(super) twice: u64,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// Nothing arrives.
    pub(super) dark: bool,
}

impl Air {
    pub(super) const CLEAR: Self = Self {
        loss: 0,
        twice: 0,
        delay: Duration::from_millis(5),
        jitter: Duration::ZERO,
        dark: false,
    };
}

pub(super) struct Net {
    pub(super) now: Instant,
    pub(super) ends: [Airstream; 2],
    pub(super) air: Air,
    /// By when they arrive, and in which order they were sent: where to, and what.
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    pub(super) sent: u64,
    pub(super) chance: Seeded,
}

/// The only look at a clock: virtual time has to begin somewhere.
#[allow(clippy::disallowed_methods, reason = "a test is told no time")]
fn start() -> Instant {
    Instant::now()
}

pub(super) fn session(chance: &mut Seeded) -> NonZeroU32 {
    NonZeroU32::new(chance.draw() as u32 | 1).expect("it is odd")
}

impl Net {
    pub(super) fn new(seed: u64, air: Air) -> Self {
        let now = start();
        let mut chance = Seeded::new(seed);
        let tag = chance.draw() as u32;
        let near = Airstream::dial(now, session(&mut chance), tag);
        let far = Airstream::listen(now, session(&mut chance));
        Self {
            now,
            ends: [near, far],
            air,
            under_way: BTreeMap::new(),
            sent: 0,
            chance,
        }
    }

    /// Both ends are open.
    pub(super) fn open(seed: u64, air: Air) -> Self {
        let mut net = Self::new(seed, air);
        net.run_until(Duration::from_secs(60), |net| {
            net.ends.iter().all(Airstream::is_open)
        });
        net
    }

    pub(super) fn flush(&mut self) {
        let mut buf = [0; PACKET];
        for end in 0..2 {
            while let Some(n) = self.ends[end].transmit(self.now, &mut buf) {
                let copies = 1 + u64::from(self.chance.below(100) < self.air.twice);
                for _ in 0..copies {
                    self.sent += 1;
                    if self.air.dark || self.chance.below(100) < self.air.loss {
                        continue;
                    }
                    let jitter = self.chance.below(self.air.jitter.as_nanos() as u64 + 1);
                    let at = self.now + self.air.delay + Duration::from_nanos(jitter);
                    let packet = (1 - end, buf[..n].to_vec());
                    self.under_way.insert((at, self.sent), packet);
                }
            }
        }
    }

    /// Goes on to the next thing that happens before `until`; false if nothing does.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let timeouts = self.ends.iter().filter_map(Airstream::poll_timeout);
        let next = timeouts.chain(arrival).min().filter(|next| *next <= until);
        let Some(next) = next else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        while let Some((key, _)) = self.under_way.first_key_value()
            && key.0 <= self.now
        {
            let (_, (to, packet)) = self.under_way.pop_first().expect("it is there");
            self.ends[to].receive(self.now, &packet);
        }
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
        self.flush();
        true
    }

    pub(super) fn run(&mut self, limit: Duration) {
        let until = self.now + limit;
        while self.step(until) {}
    }

    pub(super) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let until = self.now + limit;
        while !done(self) {
            assert!(self.step(until), "not within {limit:?}");
        }
    }

    /// Moves all of these bytes each way at once, then ends both ways; how long it took.
    pub(super) fn carry(&mut self, loads: [&[u8]; 2], limit: Duration) -> Duration {
        let begin = self.now;
        let until = begin + limit;
        let mut written = [0, 0];
        let mut read = [Vec::new(), Vec::new()];
        let mut ended = [false, false];
        let mut buf = vec![0; 16 << 10];
        while ended != [true, true] {
            for end in 0..2 {
                let rest = &loads[end][written[end]..];
                if !rest.is_empty() {
                    let n = self.ends[end].write(self.now, rest).expect("it is open");
                    written[end] += n;
                } else {
                    self.ends[end].shutdown(self.now);
                }
                while !ended[end]
                    && let Some(n) = self.ends[end].read(self.now, &mut buf).expect("no fault")
                {
                    ended[end] = n == 0;
                    read[end].extend_from_slice(&buf[..n]);
                }
            }
            let [there, back] = [read[1].len(), read[0].len()];
            assert!(
                self.step(until) || ended == [true, true],
                "{there} there and {back} back of {written:?} within {limit:?}"
            );
        }
        assert!(read[0] == loads[1] && read[1] == loads[0], "bytes differ");
        self.now - begin
    }
}

pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut chance = Seeded::new(seed);
    (0..length).map(|_| chance.draw() as u8).collect()
}
