//! Airhook 2, without I/O: messages over a link that loses, repeats, delays and reorders datagrams.
//!
//! # The problem
//!
//! Two programs have nothing but datagrams: a radio, a pager, UDP over a bad network. Either may be
//! switched off and on again, the link may be dark for minutes, packets of an hour ago may turn up, and
//! anybody may send some. Every message must reach the program at the other end exactly once while that
//! lives, its sender must know which did, and nothing may be said while there is nothing to say.
//!
//! ```text
//!   send --> sender --+                                    +--> receiver --> poll_event: Message
//!            (queue,  |      a packet: acknowledgement,    |    (missed
//!             packets +----> missed numbers, messages -----+     numbers)
//!             under   |      [and who we are, at first]    |
//!   Status <-- way) <-+                                    +--> session ---> poll_event: Session
//! ```
//!
//! # The rules
//!
//! | of | in short | where |
//! | --- | --- | --- |
//! | the bytes | as other Airhook 2 programs have them | `packet.rs` |
//! | sending | whole messages, in their order, as many as fit; what was missed goes again | `sender.rs` |
//! | receiving | at once, each at most once; what a gap shows is asked for | `receiver.rs` |
//! | sessions | a peer is known when it has seen a packet of ours; another instance replaces it | `session.rs` |
//! | when a packet goes | at once with news; else a *probe* each [`Settings::retransmit`](Settings#structfield.retransmit) while something is open; else never | `output.rs` |
//!
//! A packet that says something new has a sequence of its own. A probe repeats the last packet's sequence
//! without its messages but with the number that follows them, so that whoever lost it learns what it
//! lacks. What is new needs an answer; what merely acknowledges needs none, so silence falls; but so many
//! that the peer might run out of sequences are answered too. A repeated packet is answered while a packet
//! of ours is not known to have come: its acknowledgement may be what the peer waits for.
//!
//! Sequences run out where each message goes in a packet of its own and none is heard of for long, as when
//! both ends call. So the last one is kept for what acknowledges more than the packet before: two ends
//! that both wait for an acknowledgement can give it. And as an end that has none left repeats one for
//! long, what comes in it may be old: an acknowledgement there counts only if it cannot mean a packet 256
//! before, and never tells less than the one sent before it.
//!
//! Nothing here closes a link or gives one up: liveness is its user's policy, for which
//! [`Airhook::status`] has what is needed.
//!
//! # What differs from the original
//!
//! A packet that would make the list of missed numbers overflow is rejected. Until the peer is known, a
//! packet without a session is rejected. A session number alone resets nothing: it is asked whether it
//! knows us, and what is true of it changes with its echo.
//!
//! What remains is of the wire, whose packets tell no session once both are confirmed. One of an earlier
//! instance that comes later than that is taken for its successor's if its sequence is among the next 255
//! *and* it acknowledges what is under way just then. And where both ends start anew while packets of
//! before are still under way, one that happens to acknowledge the introduction confirms it.
//!
//! And whoever forges the peer's address, seeing nothing of the link, can wedge it. A packet of 4 bytes is
//! taken if its sequence is the last one or among the next 255, and it acknowledges one of ours under way
//! or the one before those: one such packet of 65,536 on a quiet link, one of 257 on a full one. What it
//! acknowledges counts as come, though it may be lost; what the peer says next may count as old. Then
//! neither end takes anything of the other, and the link is silent until its users give it up and begin
//! anew. The wire has no remedy: such a packet looks like the peer's, and only a new session number brings
//! two ends together again. None is drawn here when packets do not fit, for with a handful of those
//! anybody could reset any link, and what had come unconfirmed would come twice. Two ends of this module
//! shut all of this out with [`Settings::guarded`], as [airstream](super::airstream) always does.
//!
//! # The limits
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | a message | 1 to [`MAX_MESSAGE`] bytes | `send` fails |
//! | messages unconfirmed, or of which the end was not taken | [`Settings::queue`] | `send` fails |
//! | numbers under way | 255 | messages wait |
//! | packets under way | 253, one more that acknowledges more than the last, one more for a stranger | messages wait; answers repeat the last sequence |
//! | packets that merely acknowledge, not answered | 64 sequences | one is answered |
//! | numbers missed | 255 | the packet is rejected |
//! | messages not taken | [`MAX_INCOMING`] before a packet, 255 more with it | the packet is rejected, so it is sent again |
//! | sessions that were replaced | the last 16 | an older one could come back |
//!
//! # For a driver
//!
//! Send [`Airhook::transmit`] until it is `None` after every other call, arm [`Airhook::poll_timeout`],
//! drain [`Airhook::poll_event`]. Give [`Airhook::receive`] everything the socket has. A packet that the
//! socket does not take may be dropped: it is a lost one.
//!
//! # Examples
//!
//! ```
//! use mancom::proto::airhook::{Airhook, Event, Settings};
//! use std::num::NonZeroU32;
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let session = |number| NonZeroU32::new(number).expect("not zero");
//! let mut ends = [1, 2].map(|number| Airhook::new(now, session(number), Settings::default()));
//! let id = ends[0].send(now, "hello".as_bytes()).expect("room");
//! let mut buffer = [0; 1500];
//! let mut heard = Vec::new();
//! for turn in 0..20 {
//!     let from = turn % 2;
//!     while let Some(length) = ends[from].transmit(now, &mut buffer).expect("it fits") {
//!         ends[1 - from].receive(now, &buffer[..length]).expect("a good packet");
//!     }
//!     heard.extend(std::iter::from_fn(|| ends[1].poll_event()));
//! }
//! assert_eq!(heard, [Event::Session(session(1)), Event::Message("hello".into())]);
//! assert!(ends.iter().all(|end| end.poll_timeout().is_none()), "silence");
//! ```

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Instant;

use bytes::Bytes;

mod error;
#[cfg(feature = "test-util")]
pub(crate) mod fuzz;
mod input;
mod output;
mod packet;
mod receiver;
mod sender;
mod session;
#[cfg(test)]
mod tests;
mod types;

pub use error::{BufferTooSmall, ReceiveError, SendError};
pub use types::{
    Event, MAX_MESSAGE, MIN_BUFFER, MessageId, MessageStatus, Received, Settings, State, Status,
};

use receiver::Receiver;
use sender::Sender;
use session::Peer;

/// Messages and sessions not taken by [`Airhook::poll_event`], beyond which packets are rejected.
pub const MAX_INCOMING: usize = 4_096;

/// One end of a link.
#[derive(Debug)]
pub struct Airhook {
    session: NonZeroU32,
    settings: Settings,
    /// The latest time told.
    now: Instant,
    sender: Sender,
    receiver: Receiver,
    peer: Peer,
    incoming: VecDeque<Event>,
    /// Something came that a packet of its own sequence must acknowledge.
    news: bool,
    /// Something came that must be answered at once.
    answer: bool,
    last_transmit: Option<Instant>,
    last_response: Option<Instant>,
    last_received: Option<Instant>,
}

impl Airhook {
    /// A link whose peer is not known yet.
    ///
    /// `session` must differ from every earlier one of this end of the same link: 32 bits of the
    /// operating system's entropy do. Who can guess it can also speak for the peer.
    pub fn new(now: Instant, session: NonZeroU32, settings: Settings) -> Self {
        Self {
            session,
            settings,
            now,
            sender: Sender::new(),
            receiver: Receiver::default(),
            peer: Peer::default(),
            incoming: VecDeque::new(),
            news: false,
            answer: false,
            last_transmit: None,
            last_response: None,
            last_received: None,
        }
    }

    /// Takes a message of 1 to [`MAX_MESSAGE`] bytes, to be sent after all before it. It is taken too
    /// where [`wanted`](Self::wanted) is not above 0.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing changes.
    pub fn send(
        &mut self,
        now: Instant,
        message: impl Into<Bytes>,
    ) -> Result<MessageId, SendError> {
        self.advance(now);
        self.sender
            .push(self.now, message.into(), self.settings.queue)
    }

    /// Gives a message up: it is not sent again, nor at all if it was not sent. False if it was
    /// confirmed or given up before.
    pub fn discard(&mut self, now: Instant, id: MessageId) -> bool {
        self.advance(now);
        self.sender.discard(self.now, id)
    }

    /// What is known of a message; `None` once [`poll_event`](Self::poll_event) told its end.
    pub fn message_status(&self, id: MessageId) -> Option<MessageStatus> {
        self.sender.status(id)
    }

    /// What there is to pass on: what came, in its order, then what became of messages of ours.
    pub fn poll_event(&mut self) -> Option<Event> {
        let incoming = self.incoming.pop_front();
        incoming.or_else(|| {
            let (id, status) = self.sender.poll_changed()?;
            Some(Event::Status(id, status))
        })
    }

    /// How many more bytes of messages fill the link: the window less the unconfirmed bytes. Below 0 if
    /// there are more than that.
    pub fn wanted(&self) -> i64 {
        let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        signed(self.settings.window) - signed(self.sender.queued())
    }

    /// What is known of the link.
    pub fn status(&self) -> Status {
        Status {
            session: self.session,
            remote_session: self.peer.session(),
            state: match (self.peer.session(), self.peer.observed()) {
                (Some(_), _) => State::Confirmed,
                (None, Some(_)) => State::Sent,
                (None, None) => State::Pending,
            },
            remote_state: self.remote_state(),
            wanted: self.wanted(),
            last_transmit: self.last_transmit,
            last_response: self.last_response,
            last_received: self.last_received,
        }
    }

    /// What is in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes what is in force, at once.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Time never goes backwards.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
