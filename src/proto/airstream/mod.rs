//! A byte stream over Airhook, without I/O: order, any length, credit, and the end of a link.
//!
//! # The problem
//!
//! [Airhook](super::airhook) brings every message of at most 255 bytes exactly once, but in no order, as
//! many as it is given, and it waits for ever. A session wants bytes in order, a peer that reads slowly
//! must not cost memory, and a link that is dead must end.
//!
//! ```text
//!   write ─► outbox ─► pieces ─► Airhook ~~ datagrams ~~ Airhook ─► gaps ─► inbox ─► read
//!              │         └─ as many as the pace allows               │        │
//!              └─ up to the peer's limit <──────── Limit ────────────┴────────┘
//! ```
//!
//! # The states
//!
//! ```text
//!   dialler   opening ── Accept ──► open ── both ends, or dropped ──► closing ── all confirmed ──► over
//!   listener  waiting ── Open ────► open      │
//!                                             └─ silence, Reset, another instance, nonsense ─────► over
//! ```
//!
//! # On the wire
//!
//! Every Airhook message has a kind, and the tag that the dialler drew by chance: what carries another is
//! nobody's. Integers are big-endian; offsets and limits are the low 32 bits of counts of bytes.
//!
//! | kind | message | after kind and tag |
//! | --- | --- | --- |
//! | 1 | Open | version (1), limit u32: what the dialler may be sent |
//! | 2 | Accept | version (1), limit u32 |
//! | 3 | Data | offset u32, 1 to 246 bytes |
//! | 4 | End | offset u32: so many bytes were all |
//! | 5 | Limit | limit u32: so many bytes may be sent since the beginning |
//! | 6 | Stop | nothing more is read: what comes is thrown away |
//! | 7 | Reset | the stream is over |
//!
//! Both ends are [guarded](super::airhook::Settings#structfield.guarded): every datagram tells both
//! session numbers, 64 bits, 8 bytes of each. Of who guesses neither tag nor session no datagram is taken: it puts
//! no byte into a stream and does not stop one that is open. Before it is, a flood of forged strangers can
//! keep it from opening while it lasts. Who sees the datagrams can do both, for nothing here is secret.
//!
//! # Rules
//!
//! - A link is dead when something was owed for [`SILENCE`] and nothing at all was heard in that time.
//!   While something is owed Airhook asks; with nothing owed there is silence, and nobody is missed.
//! - Another instance of the peer is another stream: this one is over. While opening it is asked anew.
//! - Airhook's interval follows the round trip: one and a half of it and 20 ms more, doubled with each
//!   question that goes unanswered up to 1 s.
//! - What is under way follows the delay, for a loss says nothing here: fewer pieces while the round trip
//!   is over twice its least and 50 ms.
//! - A listener that was asked by nobody but a stranger says no more than 24 bytes in 5 s.
//! - A closed stream stays for [`FAREWELL`] after its last word, to answer a peer that lost it, and no
//!   longer than [`LINGER`] in all.
//!
//! # Limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | bytes written and not cut | 64 KiB, or less if asked | `write` takes none |
//! | pieces under way | 256 | they wait |
//! | pieces after the oldest unconfirmed one | 1,024 | they wait |
//! | bytes received and not read, gaps included | 256 KiB | the peer may send no more; one that does is reset |
//! | pieces that came too early | 1,024 | the same |

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::airhook::{Airhook, Event, MessageId, Received, Settings, State};

mod error;
mod figures;
#[cfg(feature = "test-util")]
pub(crate) mod fuzz;
mod incoming;
mod input;
mod life;
mod message;
mod outgoing;
mod pace;
mod say;
#[cfg(test)]
mod tests;

pub use error::{Fault, WriteError};
use figures::Counts;
pub use figures::Figures;
use incoming::Incoming;
use message::Body;
use outgoing::Outgoing;
use pace::Pace;

/// Nothing heard for so long while something is owed is the end.
pub const SILENCE: Duration = Duration::from_secs(30);
/// How long a closed stream stays after its last word.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// How long a closed stream tries to bring what was written.
pub const LINGER: Duration = Duration::from_secs(60);
/// The largest packet: what passes a tunnel or two over the least link of IPv6.
pub const PACKET: usize = 1_200;

/// Airhook's interval of a listener that knows nobody: a dialler asks often enough for both, and a forged
/// source is not to be sent much.
const WAITING: Duration = Duration::from_secs(3);
/// Messages of ours that Airhook keeps: all that may be under way, and a few of each other kind.
const QUEUE: usize = 2_048;

/// What a message of ours said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Open,
    Accept,
    Data,
    End,
    Limit,
    Stop,
    Reset,
}

/// A message that is not confirmed, by its place in the order of all.
#[derive(Debug, Clone, Copy)]
struct Owed {
    number: u64,
    said: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Waiting,
    Open,
    Over,
}

/// One end of a stream.
#[derive(Debug)]
pub struct Airstream {
    hook: Airhook,
    phase: Phase,
    /// Zero until the dialler said it.
    tag: u32,
    outgoing: Outgoing,
    incoming: Incoming,
    pace: Pace,
    counts: Counts,
    owed: BTreeMap<MessageId, Owed>,
    /// Messages sent so far.
    count: u64,
    /// Since when something has been owed without a break.
    owed_since: Option<Instant>,
    /// A limit is on its way, and the next one waits for it.
    telling: bool,
    /// Since when the program has had nothing to do with it.
    closed: Option<Instant>,
    /// Since when there has been nothing left to say.
    finished: Option<Instant>,
    /// Since when a reset has been the last word.
    resetting: Option<Instant>,
    fault: Option<Fault>,
}

impl Airstream {
    /// The end that dials; `session` and `tag` come from the system's entropy.
    pub fn dial(now: Instant, session: NonZeroU32, tag: u32) -> Self {
        let mut stream = Self::new(now, session, Phase::Opening);
        stream.tag = tag;
        stream.say_open(now);
        stream.settle(now);
        stream
    }

    /// The end that listens; `session` comes from the system's entropy.
    pub fn listen(now: Instant, session: NonZeroU32) -> Self {
        Self::new(now, session, Phase::Waiting)
    }

    fn new(now: Instant, session: NonZeroU32, phase: Phase) -> Self {
        let pace = Pace::new();
        let settings = Settings {
            retransmit: match phase {
                Phase::Waiting => WAITING,
                _ => pace.interval(),
            },
            queue: QUEUE,
            guarded: true,
            ..Settings::default()
        };
        Self {
            hook: Airhook::new(now, session, settings),
            phase,
            tag: 0,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            pace,
            counts: Counts::default(),
            owed: BTreeMap::new(),
            count: 0,
            owed_since: None,
            telling: false,
            closed: None,
            finished: None,
            resetting: None,
            fault: None,
        }
    }

    // ---- the program

    /// Whether both ends know of each other.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether there is nothing left to be done for it.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Why it ended before its time.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Takes some of these bytes; none if there is no room.
    ///
    /// # Errors
    ///
    /// [`WriteError`].
    pub fn write(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, WriteError> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        let taken = self.outgoing.write(bytes)?;
        if taken > 0 {
            self.settle(now);
        }
        Ok(taken)
    }

    /// Whether `write` would take something or fail.
    pub fn is_writable(&self) -> bool {
        self.fault.is_some() || self.outgoing.is_writable()
    }

    /// Takes no more than so many bytes before they are cut; 0 is 64 KiB.
    pub fn limit_unsent(&mut self, bytes: usize) {
        self.outgoing.limit(bytes);
    }

    /// Reads some bytes; `Some(0)` at the end of the stream, or without room; `None` if none are there.
    ///
    /// # Errors
    ///
    /// [`Fault`], once everything that came before it was read.
    pub fn read(&mut self, now: Instant, buf: &mut [u8]) -> Result<Option<usize>, Fault> {
        let n = self.incoming.read(buf);
        if n > 0 {
            self.settle(now);
            return Ok(Some(n));
        }
        match self.fault {
            _ if buf.is_empty() || self.incoming.is_ended() => Ok(Some(0)),
            Some(fault) => Err(fault),
            None => Ok(None),
        }
    }

    /// Whether `read` would give something, the end or a failure.
    pub fn is_readable(&self) -> bool {
        self.incoming.is_readable() || self.fault.is_some()
    }

    /// Bytes of ours that the peer's end has, up to the first that it may not have.
    pub fn confirmed(&self) -> u64 {
        self.outgoing.confirmed()
    }

    /// Ends our direction after what was written.
    pub fn shutdown(&mut self, now: Instant) {
        self.outgoing.end();
        self.settle(now);
    }

    /// The program has nothing more to do with it: what was written is still brought, what comes is
    /// thrown away.
    pub fn close(&mut self, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(now);
        self.outgoing.end();
        if !self.incoming.is_complete() && self.phase == Phase::Open {
            self.say(now, Said::Stop, Body::Stop);
        }
        self.incoming.stop();
        self.settle(now);
    }

    /// It is over before its time: what was written is thrown away, and the peer is told so instead.
    pub fn tear(&mut self, now: Instant) {
        self.reset(now, Fault::Torn);
        self.settle(now);
    }

    // ---- the driver

    /// A datagram came.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) {
        if self.is_over() {
            return;
        }
        match self.hook.receive(now, packet) {
            // Neither from the peer, as far as is known.
            Ok(Received::Stranger) | Err(_) => {}
            Ok(_) => self.pace.heard(now, self.hook.status().last_response),
        }
        while let Some(event) = self.hook.poll_event() {
            match event {
                Event::Session(_) => self.peer_is_new(now),
                Event::Message(bytes) => self.take(now, &bytes),
                Event::Status(id, status) => match status.state {
                    State::Confirmed => self.confirmed_by(id, status.transmit_count),
                    State::Discarded => {
                        self.owed.remove(&id);
                    }
                    State::Pending | State::Sent => {}
                },
            }
        }
        self.settle(now);
    }

    /// Writes the next datagram; how long it is, or `None` while there is nothing to be sent. A buffer of
    /// [`PACKET`] bytes is large enough.
    pub fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<usize> {
        if self.is_over() {
            return None;
        }
        let n = self.hook.transmit(now, buf).ok().flatten()?;
        if self.pace.sent(now, &buf[..n]) {
            self.keep_pace();
        }
        Some(n)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, or
    /// [`transmit`](Self::transmit) has something again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let asks = self.hook.poll_timeout();
        asks.into_iter().chain(self.ends_at()).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
    }
}
