//! The conversation with the kernel: which dump to ask for and when, without a socket or a clock.
//!
//! ```text
//!            start, 30 s, overrun,         request
//!            decode error, look  ┌──────────────────────────┐
//!  idle ─────────────────────────┤ links ▶ addresses ▶ rules ▶ routes ├──▶ idle, complete
//!            routes in doubt ────┴───────────────────────────▶┘
//! ```
//!
//! One dump at a time, for the kernel allows no more; events that arrive meanwhile count for both
//! what was known and what the dump shows. Looks that faults ask for are at least 100 ms apart,
//! those for messages that do not decode 1 s, and the regular ones take at most 1 % of the time.
//!
//! From an overrun until the socket has been empty the kernel drops every event, and says nothing of it:
//! only then is a dump asked for, for an earlier one would miss what happened meanwhile.
//!
//! What a dump does not show is gone, but for one that was interrupted by changes or by an overrun:
//! that is asked for again. Where the changes do not end, the third takes nothing away, so that
//! there is something to see, and the next look follows soon.

use super::tables::Tables;
use super::wire::{self, Part};
use netlink_packet_core::{
    DoneBuffer, ErrorBuffer, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, NetlinkBuffer,
};
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

/// How often everything is looked at without a reason.
const REGULAR: Duration = Duration::from_secs(30);
/// Looks that a fault asked for keep this distance.
const APART: Duration = Duration::from_millis(100);
/// And after a fault that may well be permanent, this.
const RELUCTANT: Duration = Duration::from_secs(1);
/// A dump that shows nothing for longer is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many dumps in a row may fail.
const FAILURES: u32 = 3;
/// After a look that took nothing away another one follows.
const SOON: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Talk {
    pub(super) tables: Tables,
    port: u32,
    uid: u32,
    sequence: u32,
    asked: Option<Asked>,
    wanted: BTreeSet<Part>,
    wanted_at: Instant,
    shown: BTreeSet<Part>,
    began: Instant,
    /// The look under way is at everything, not at the routes alone.
    whole: bool,
    regular: Instant,
    failures: u32,
    /// Dumps that were interrupted since the last look that was whole in every part.
    disturbed: u32,
    /// The look under way took nothing away in some part.
    partial: bool,
    ended: bool,
    /// There was an overrun, and the socket has not been empty since.
    deaf: bool,
}

#[derive(Debug)]
struct Asked {
    part: Part,
    at: Instant,
    interrupted: bool,
}

impl Talk {
    /// `port` is the socket's own number, `uid` the user whose packets the rules see.
    pub(super) fn new(now: Instant, port: u32, uid: u32) -> Self {
        Talk {
            tables: Tables::default(),
            port,
            uid,
            sequence: 0,
            asked: None,
            wanted: Part::ALL.into(),
            wanted_at: now,
            shown: BTreeSet::new(),
            began: now,
            whole: false,
            regular: now + REGULAR,
            failures: 0,
            disturbed: 0,
            partial: false,
            ended: false,
            deaf: false,
        }
    }

    /// Whether everything was seen once.
    pub(super) fn is_complete(&self) -> bool {
        self.shown.len() == Part::ALL.len()
    }

    /// Whether a look at everything ended since the last call.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// Asks for a look at everything now.
    pub(super) fn look(&mut self, now: Instant) {
        self.want(Part::ALL, now);
    }

    /// The kernel had more to say than the socket could hold, and says nothing until it is empty.
    pub(super) fn overrun(&mut self, now: Instant) {
        tracing::debug!(target: "mancom::scout", "netlink overrun");
        self.deaf = true;
        if self.asked.is_some() && self.whole && self.is_hopeless() {
            return;
        }
        self.lose();
        self.want(Part::ALL, now.max(self.began + APART));
    }

    /// Whether events are dropped without a word.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// The socket is empty.
    pub(super) fn drained(&mut self) {
        self.deaf = false;
    }

    /// A request to send, if it is time for one.
    pub(super) fn request(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.deaf || self.asked.is_some() || now < self.wanted_at {
            return None;
        }
        let part = self.wanted.pop_first()?;
        self.whole |= part == Part::Links;
        if part == Part::Links || !self.whole {
            self.began = now;
        }
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.asked = Some(Asked {
            part,
            at: now,
            interrupted: false,
        });
        self.tables.begin();
        Some(wire::dump(part, self.sequence))
    }

    /// When [`Talk::handle_timeout`] or [`Talk::request`] has something to do.
    pub(super) fn timeout(&self) -> Instant {
        match &self.asked {
            Some(asked) => asked.at + PATIENCE,
            None if self.wanted.is_empty() => self.regular,
            None => self.wanted_at,
        }
    }

    /// # Errors
    ///
    /// When this socket is of no use: no dump within 2 s at the start, or three in a row later.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> io::Result<()> {
        match &self.asked {
            Some(asked) if asked.at + PATIENCE <= now => {
                self.fail(now, io::ErrorKind::TimedOut.into())
            }
            None if self.wanted.is_empty() && self.regular <= now => {
                self.look(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One datagram of the kernel's: events, or a piece of a dump.
    ///
    /// # Errors
    ///
    /// When the kernel refuses what cannot be done without.
    pub(super) fn receive(&mut self, now: Instant, mut datagram: &[u8]) -> io::Result<()> {
        while !datagram.is_empty() {
            let Ok(message) = NetlinkBuffer::new_checked(datagram) else {
                self.garbled(now);
                return Ok(());
            };
            self.message(now, &message)?;
            let length = (message.length() as usize).next_multiple_of(4);
            datagram = datagram.get(length..).unwrap_or_default();
        }
        if self.tables.is_doubtful() {
            self.want([Part::Routes], now.max(self.began + APART));
        }
        Ok(())
    }

    fn message(&mut self, now: Instant, message: &NetlinkBuffer<&[u8]>) -> io::Result<()> {
        let kind = message.message_type();
        let answer = message.port_number() == self.port && message.sequence_number() != 0;
        if answer {
            let ours = message.sequence_number() == self.sequence;
            let Some(asked) = self.asked.as_mut().filter(|_| ours) else {
                // The rest of a dump that was given up.
                return Ok(());
            };
            asked.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
            asked.at = now;
        }
        match kind {
            NLMSG_DONE if answer => self.done(now, done_code(message.payload())),
            NLMSG_ERROR if answer => match error_code(message.payload()) {
                0 => Ok(()),
                code => self.done(now, code),
            },
            NLMSG_OVERRUN => {
                self.overrun(now);
                Ok(())
            }
            _ => {
                match wire::read(message, self.uid) {
                    Ok(Some(heard)) => self.tables.hear(heard),
                    Ok(None) => {}
                    // A dump that shows what does not decode would only be asked for again.
                    Err(error) if answer => {
                        tracing::debug!(target: "mancom::scout", %error, kind, "not understood");
                    }
                    Err(_) => self.garbled(now),
                }
                Ok(())
            }
        }
    }

    fn done(&mut self, now: Instant, code: i32) -> io::Result<()> {
        let Some(asked) = self.asked.take() else {
            return Ok(());
        };
        // A kernel without policy routing has no rules to show.
        if code != 0 && asked.part != Part::Rules {
            self.asked = Some(asked);
            return self.fail(now, io::Error::from_raw_os_error(-code));
        }
        if asked.interrupted && !self.is_hopeless() {
            self.tables.abandon();
            self.want([asked.part], now);
            return Ok(());
        }
        self.tables.end(asked.part);
        self.shown.insert(asked.part);
        self.failures = 0;
        if self.wanted.is_empty() && std::mem::take(&mut self.whole) {
            let took = now - self.began;
            self.regular = if std::mem::take(&mut self.partial) {
                now + SOON.max(took * 10)
            } else {
                self.disturbed = 0;
                now + REGULAR.max(took * 100)
            };
            self.ended = true;
        }
        Ok(())
    }

    fn fail(&mut self, now: Instant, error: io::Error) -> io::Result<()> {
        tracing::debug!(target: "mancom::scout", %error, asked = ?self.asked, "dump failed");
        self.lose();
        self.want(Part::ALL, now + RELUCTANT);
        if self.is_complete() {
            self.failures += 1;
            if self.failures < FAILURES {
                return Ok(());
            }
        }
        Err(error)
    }

    /// Counts a dump that was interrupted; true if there were so many that the changes do not end,
    /// and what the dump shows must do. What it does not show stays then.
    fn is_hopeless(&mut self) -> bool {
        self.disturbed += 1;
        let hopeless = self.disturbed >= FAILURES;
        if hopeless {
            self.partial = true;
            self.tables.abandon();
        }
        hopeless
    }

    fn garbled(&mut self, now: Instant) {
        tracing::debug!(target: "mancom::scout", "netlink message not understood");
        self.want(Part::ALL, now.max(self.began + RELUCTANT));
    }

    fn lose(&mut self) {
        self.asked = None;
        self.whole = false;
        // What is asked for instead has a time of its own.
        self.wanted.clear();
        self.tables.abandon();
    }

    fn want(&mut self, parts: impl IntoIterator<Item = Part>, at: Instant) {
        self.wanted_at = if self.wanted.is_empty() {
            at
        } else {
            at.min(self.wanted_at)
        };
        self.wanted.extend(parts);
    }
}

fn done_code(payload: &[u8]) -> i32 {
    DoneBuffer::new_checked(&payload).map_or(0, |done| done.code())
}

/// 0 for an acknowledgement.
fn error_code(payload: &[u8]) -> i32 {
    let error = ErrorBuffer::new_checked(&payload);
    error
        .ok()
        .and_then(|error| error.code())
        .map_or(0, |code| code.get())
}
