//! What is said to the peer, and how often it is asked.

use std::time::Instant;

use bytes::Bytes;

use super::message::{Body, Message};
use super::{Airstream, Fault, Owed, Phase, Said, Settings, WAITING};

impl Airstream {
    pub(super) fn say_open(&mut self, now: Instant) {
        let limit = self.incoming.tell();
        self.say(now, Said::Open, Body::Open { limit });
    }

    pub(super) fn say(&mut self, now: Instant, said: Said, body: Body<'_>) {
        let message = Message {
            tag: self.tag,
            body,
        };
        self.send(now, said, message.encode());
    }

    pub(super) fn send(&mut self, now: Instant, said: Said, message: Bytes) {
        match self.hook.send(now, message) {
            Ok(id) => {
                self.count += 1;
                let number = self.count;
                self.owed.insert(id, Owed { number, said });
            }
            // The bounds of what is under way are far below those of the queue.
            Err(_) => self.fail(Fault::Nonsense),
        }
    }

    pub(super) fn keep_pace(&mut self) {
        let retransmit = match self.phase {
            Phase::Waiting => WAITING,
            _ => self.pace.interval(),
        };
        if self.hook.settings().retransmit != retransmit {
            let settings = Settings {
                retransmit,
                ..self.hook.settings().clone()
            };
            self.hook.set_settings(settings);
        }
    }
}
