//! A far end that says anything, by packets that get lost.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::incoming::{PIECES, WINDOW};
use super::message::Message;
use super::outgoing::OUTBOX;
use super::{Airhook, Airstream, PACKET, Settings};
use crate::proto::script::Script;

/// Things done for one script; what is beyond is not.
const STEPS: usize = 1_000;
/// How long a stream that was closed may stay: it lingers, resets, and parts.
const STAYS: Duration = Duration::from_secs(100);
/// What happens in that time at the very most.
const TURNS: usize = 50_000;

/// Follows a script of steps.
///
/// # Panics
/// If a stream keeps more than it says it may or does not end, or a message says something else once it is
/// written again.
pub(crate) fn airstream(bytes: &[u8], now: Instant) {
    let mut script = Script::new(bytes);
    let dials = script.flag();
    let mut stage = Stage {
        now,
        near: match dials {
            true => Airstream::dial(now, number(1), 0x0403_0201),
            false => Airstream::listen(now, number(1)),
        },
        far: fresh(now, 2),
        instances: 2,
    };
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        stage.step(step, &mut script);
        stage.check();
    }
    stage.part();
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(0x0202_0000 | number).expect("not zero")
}

fn fresh(now: Instant, instance: u32) -> Airhook {
    Airhook::new(now, number(instance), Settings::default())
}

struct Stage {
    now: Instant,
    near: Airstream,
    /// What the far end speaks by.
    far: Airhook,
    instances: u32,
}

impl Stage {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let now = self.now;
        match step {
            0x00 => {
                let mut message = vec![script.byte()];
                message.extend(self.tag(script));
                message.extend(script.some());
                self.say(message);
            }
            0x01 => self.near.receive(now, script.some()),
            // A piece, or an end, near to where one is expected.
            0x02 | 0x03 => {
                let front = self.near.incoming.front() as u32;
                let offset = front.wrapping_add(u32::from(script.short()).wrapping_sub(8));
                let mut message = vec![step + 1];
                message.extend(self.near.tag.to_be_bytes());
                message.extend(offset.to_be_bytes());
                if step == 0x02 {
                    message.extend(script.some());
                }
                self.say(message);
            }
            // As a dialler begins, or a listener answers.
            0x04 => {
                let mut message = vec![1 + (script.byte() & 1)];
                message.extend(0x0403_0201_u32.to_be_bytes());
                message.push(1);
                message.extend([0, 0]);
                message.extend(script.short().to_be_bytes());
                self.say(message);
            }
            0x08 => self.exchange(script.byte()),
            0x09 => self.pass(Duration::from_millis(script.short().into())),
            0x0a => {
                self.instances += 1;
                self.far = fresh(now, self.instances);
            }
            0x10 => {
                let bytes = vec![5; script.short().into()];
                // It may be over, or shut.
                let _ = self.near.write(now, &bytes);
            }
            0x11 => {
                let mut bytes = vec![0; script.short().into()];
                let _ = self.near.read(now, &mut bytes);
            }
            0x12 => self.near.shutdown(now),
            0x13 => self.near.close(now),
            0x14 => self.near.limit_unsent(script.short().into()),
            _ => {}
        }
    }

    fn tag(&self, script: &mut Script<'_>) -> [u8; 4] {
        match script.byte() {
            0 => u32::from(script.short()).to_be_bytes(),
            _ => self.near.tag.to_be_bytes(),
        }
    }

    fn say(&mut self, mut message: Vec<u8>) {
        message.truncate(255);
        if let Some(known) = Message::decode(&message) {
            assert_eq!(known.encode(), message);
        }
        // The queue may be full.
        let _ = self.far.send(self.now, message);
    }

    /// Everything that is due goes to and fro; of eight turns those with their bit set lose it.
    fn exchange(&mut self, lost: u8) {
        let mut buffer = [0; PACKET];
        for turn in 0..8 {
            let arrives = lost >> turn & 1 == 0;
            for _ in 0..600 {
                let Some(length) = self.near.transmit(self.now, &mut buffer) else {
                    break;
                };
                if arrives {
                    // Whatever it is.
                    let _ = self.far.receive(self.now, &buffer[..length]);
                }
            }
            for _ in 0..600 {
                let made = self.far.transmit(self.now, &mut buffer);
                let Some(length) = made.expect("it fits") else {
                    break;
                };
                if arrives {
                    self.near.receive(self.now, &buffer[..length]);
                }
            }
            while let Some(event) = self.far.poll_event() {
                if let super::Event::Message(bytes) = event {
                    let known = Message::decode(&bytes).expect("it speaks so");
                    assert_eq!(known.encode(), bytes);
                }
            }
        }
    }

    /// Time passes, and nothing arrives.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut buffer = [0; PACKET];
        for _ in 0..TURNS {
            while self.near.transmit(self.now, &mut buffer).is_some() {}
            self.near.handle_timeout(self.now);
            match self.near.poll_timeout().filter(|at| *at <= until) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("{TURNS} turns are not enough for {time:?}");
    }

    fn part(&mut self) {
        self.near.close(self.now);
        self.pass(STAYS);
        assert!(self.near.is_over(), "{:?}", self.near);
        let mut left = vec![0; WINDOW as usize + 1];
        // What came before the end may still be read.
        let _ = self.near.read(self.now, &mut left);
    }

    fn check(&self) {
        let (bytes, pieces) = self.near.incoming.kept();
        assert!(bytes as u64 <= WINDOW && pieces <= PIECES);
        let (bytes, pieces) = self.near.outgoing.kept();
        assert!(bytes <= OUTBOX && pieces <= PIECES);
        let _ = (self.near.is_readable(), self.near.is_writable());
    }
}
