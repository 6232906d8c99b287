//! What is to go, what is under way, and what became of it.
//!
//! ```text
//!   send --> pending --packet--> sent --acknowledged, not missed--> confirmed --told--> forgotten
//!               ^                 |
//!               +--missed, or a new peer: back to its old place in the queue
//!
//!   discard, from pending or sent --> discarded --told--> forgotten
//! ```
//!
//! Packets have sequences, messages have numbers, and a message sent again has a new number. Both count
//! modulo what the wire has room for, so at most [`MAX_PACKETS`] packets and [`MAX_NUMBERS`] numbers are
//! under way. An acknowledgement of a packet decides on every message of the packets up to it: those of
//! which it says that they were missed are pending again, all others are confirmed. A list of missed
//! numbers never means packets after the acknowledged one, whose numbers may be the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::error::SendError;
use super::packet::Cursor;
use super::receiver::MAX_NUMBERS;
use super::types::{MAX_MESSAGE, MessageId, MessageStatus, State};

/// Packets that the peer is not known to have; one more would leave 8 bits of its acknowledgements
/// without a meaning. The last is for asking a stranger whether it is there.
pub(super) const MAX_PACKETS: usize = 255;
/// With so many under way none goes that merely acknowledges.
const MAX_NEWS_PACKETS: usize = 254;
/// With so many under way none goes with messages, nor with anything else but an acknowledgement: two ends
/// that wait for each other's would have no sequence left to give it in.
pub(super) const MAX_DATA_PACKETS: usize = 253;

#[derive(Debug)]
struct Outgoing {
    bytes: Bytes,
    status: MessageStatus,
    /// It waits in `changed`.
    changed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    messages: usize,
    /// When it was made.
    at: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Sender {
    /// Every message of which the driver does not know the end.
    messages: BTreeMap<MessageId, Outgoing>,
    pending: BTreeSet<MessageId>,
    changed: VecDeque<MessageId>,
    next: u64,
    /// Bytes of those that are pending or sent.
    queued: usize,
    /// The sequence of the last packet.
    last: u16,
    /// The packets after the acknowledged one, up to the last.
    log: VecDeque<Record>,
    /// The sequence acknowledged before the peer's latest sequence: no packet of that means an earlier one.
    floor: u16,
    /// The messages of those packets, by number; discarded ones included.
    numbers: VecDeque<MessageId>,
    next_number: u8,
    /// The first number to every peer but the first.
    base: u8,
}

/// Which numbers a packet says were missed.
#[derive(Debug, Default)]
struct Numbers([u64; 4]);

impl Numbers {
    fn of(list: &[u8]) -> Self {
        let mut set = Self::default();
        for number in list {
            set.0[usize::from(number >> 6)] |= 1 << (number & 63);
        }
        set
    }

    fn contains(&self, number: u8) -> bool {
        self.0[usize::from(number >> 6)] & 1 << (number & 63) != 0
    }
}

impl Sender {
    /// Sequence 1 is used: what has nothing to say repeats it.
    pub(super) fn new() -> Self {
        Self {
            messages: BTreeMap::new(),
            pending: BTreeSet::new(),
            changed: VecDeque::new(),
            next: 0,
            queued: 0,
            last: 1,
            log: VecDeque::from([Record::default()]),
            floor: 0,
            numbers: VecDeque::new(),
            next_number: 0,
            base: 0,
        }
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        bytes: Bytes,
        limit: usize,
    ) -> Result<MessageId, SendError> {
        match bytes.len() {
            0 => return Err(SendError::Empty),
            1..=MAX_MESSAGE => {}
            length => return Err(SendError::TooLong(length)),
        }
        if self.messages.len() >= limit {
            return Err(SendError::QueueFull);
        }
        let id = MessageId(self.next);
        self.next += 1;
        self.queued += bytes.len();
        self.pending.insert(id);
        let status = MessageStatus {
            state: State::Pending,
            transmit_count: 0,
            last_change: now,
        };
        let outgoing = Outgoing {
            bytes,
            status,
            changed: false,
        };
        self.messages.insert(id, outgoing);
        Ok(id)
    }

    /// Whether it was pending or sent.
    pub(super) fn discard(&mut self, now: Instant, id: MessageId) -> bool {
        self.pending.remove(&id);
        self.end(now, id, State::Discarded)
    }

    /// A pending or sent message has come to its end.
    fn end(&mut self, now: Instant, id: MessageId, state: State) -> bool {
        let Some(outgoing) = self.messages.get_mut(&id) else {
            return false;
        };
        if matches!(outgoing.status.state, State::Confirmed | State::Discarded) {
            return false;
        }
        self.queued -= std::mem::take(&mut outgoing.bytes).len();
        self.change(now, id, state);
        true
    }

    fn change(&mut self, now: Instant, id: MessageId, state: State) {
        if let Some(outgoing) = self.messages.get_mut(&id) {
            outgoing.status.state = state;
            outgoing.status.last_change = now;
            if !std::mem::replace(&mut outgoing.changed, true) {
                self.changed.push_back(id);
            }
        }
    }

    pub(super) fn status(&self, id: MessageId) -> Option<MessageStatus> {
        self.messages.get(&id).map(|outgoing| outgoing.status)
    }

    /// A message whose state is another than when it was last told.
    pub(super) fn poll_changed(&mut self) -> Option<(MessageId, MessageStatus)> {
        let id = self.changed.pop_front()?;
        let outgoing = self.messages.get_mut(&id)?;
        outgoing.changed = false;
        let status = outgoing.status;
        if matches!(status.state, State::Confirmed | State::Discarded) {
            self.messages.remove(&id);
        }
        Some((id, status))
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn last(&self) -> u16 {
        self.last
    }

    pub(super) fn next_number(&self) -> u8 {
        self.next_number
    }

    /// The sequence up to which the peer has everything, after `newly` more packets.
    pub(super) fn acknowledged(&self, newly: usize) -> u16 {
        let open = self.log.len() - newly;
        self.last
            .wrapping_sub(u16::try_from(open).unwrap_or(u16::MAX))
    }

    /// Packets that the peer is not known to have.
    pub(super) fn open(&self) -> usize {
        self.log.len()
    }

    /// Whether a message that was sent is neither known to have come nor to be missed.
    pub(super) fn is_waiting(&self) -> bool {
        !self.numbers.is_empty() || !self.pending.is_empty()
    }

    /// The first number to every peer but the first.
    pub(super) fn base(&self) -> u8 {
        self.base
    }

    /// A peer is known. What was sent before, any stranger may count as missed.
    pub(super) fn found(&mut self) {
        self.base = self.next_number;
    }

    /// Whether there is a number for a message. A peer that is told of numbers from `base` on counts
    /// those below as missed: until it is known that it has said so, none of them may be used.
    fn has_number(&self, cautious: bool) -> bool {
        self.numbers.len() < MAX_NUMBERS && !(cautious && self.next_number == u8::MAX)
    }

    /// Whether a packet may have messages and there are some; `flight` bounds the packets under way.
    pub(super) fn has_data(&self, flight: usize, cautious: bool) -> bool {
        !self.pending.is_empty()
            && self.has_number(cautious)
            && self.log.len() < flight.min(MAX_DATA_PACKETS)
    }

    /// Whether there may be one more packet without messages, which may acknowledge more than the last.
    pub(super) fn has_room(&self, acknowledges: bool) -> bool {
        let most = match acknowledges {
            true => MAX_NEWS_PACKETS,
            false => MAX_DATA_PACKETS,
        };
        self.log.len() < most
    }

    /// How many packets more an acknowledgement covers; `None` if it means one never sent.
    pub(super) fn newly(&self, observed: u8) -> Option<usize> {
        let low = self.acknowledged(0).to_be_bytes()[1];
        let newly = usize::from(observed.wrapping_sub(low));
        (newly <= self.log.len()).then_some(newly)
    }

    /// As [`newly`](Self::newly), of a packet whose sequence came before. It may be as old as that, and
    /// what it acknowledges too: that counts only if it cannot be one of 256 before.
    pub(super) fn newly_of_repeated(&self, observed: u8) -> Option<usize> {
        let since = usize::from(self.acknowledged(0).wrapping_sub(self.floor));
        let newly = self.newly(observed)?;
        (newly == 0 || since + newly < 256).then_some(newly)
    }

    /// A packet with a new sequence of the peer's came.
    pub(super) fn advance(&mut self) {
        self.floor = self.acknowledged(0);
    }

    /// The latest sequence with these low bits.
    pub(super) fn seen(&self, observed: u8) -> u16 {
        let unseen = self.last.to_be_bytes()[1].wrapping_sub(observed);
        self.last.wrapping_sub(unseen.into())
    }

    /// A sequence of which the peer has no packet, if there is room for one.
    pub(super) fn skip(&mut self, now: Instant) {
        if self.log.len() < MAX_PACKETS {
            self.record(now, 0);
        }
    }

    /// The peer has `newly` packets more, but of their messages not those `missed`. When the last of
    /// them was made.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        newly: usize,
        missed: &[u8],
    ) -> Option<Instant> {
        if newly == 0 {
            return None;
        }
        let missed = Numbers::of(missed);
        let mut made = None;
        for _ in 0..newly {
            let Some(record) = self.log.pop_front() else {
                break;
            };
            made = record.at.or(made);
            for _ in 0..record.messages {
                let number = self.next_number;
                let number = number.wrapping_sub(self.numbers.len().to_le_bytes()[0]);
                let Some(id) = self.numbers.pop_front() else {
                    break;
                };
                if missed.contains(number) {
                    self.again(now, id);
                } else {
                    self.end(now, id, State::Confirmed);
                }
            }
        }
        made
    }

    /// A sent message did not come.
    fn again(&mut self, now: Instant, id: MessageId) {
        let outgoing = self.messages.get(&id);
        if outgoing.is_some_and(|outgoing| outgoing.status.state == State::Sent) {
            self.pending.insert(id);
            self.change(now, id, State::Pending);
        }
    }

    /// The peer is a new one that has seen nothing before the packet it observed: what was sent is
    /// pending again, and numbers begin at `base`. Sequences go on, so that packets to the old peer that are
    /// still under way are old to the new one.
    pub(super) fn restart(&mut self, now: Instant, observed: u8) {
        for id in std::mem::take(&mut self.numbers) {
            self.again(now, id);
        }
        self.next_number = self.base;
        self.log.clear();
        let unseen = self.last.wrapping_sub(self.seen(observed));
        self.log.resize(unseen.into(), Record::default());
    }

    /// The first message that would go.
    pub(super) fn first(&self) -> Option<&Bytes> {
        let id = self.pending.first()?;
        self.messages.get(id).map(|outgoing| &outgoing.bytes)
    }

    /// A new packet, with as many messages as fit if it may have any.
    pub(super) fn fill(&mut self, now: Instant, data: bool, cautious: bool, out: &mut Cursor<'_>) {
        let mut messages = 0;
        while data && self.has_number(cautious) {
            let Some(&id) = self.pending.first() else {
                break;
            };
            let Some(outgoing) = self.messages.get_mut(&id) else {
                break;
            };
            if !out.fits(&outgoing.bytes) {
                break;
            }
            out.put_message(&outgoing.bytes);
            outgoing.status.transmit_count = outgoing.status.transmit_count.saturating_add(1);
            self.pending.pop_first();
            self.numbers.push_back(id);
            self.next_number = self.next_number.wrapping_add(1);
            messages += 1;
            self.change(now, id, State::Sent);
        }
        self.record(now, messages);
    }

    fn record(&mut self, now: Instant, messages: usize) {
        self.last = self.last.wrapping_add(1);
        self.log.push_back(Record {
            messages,
            at: Some(now),
        });
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Sender {
    /// Whether nothing here is more than `queue` messages make it.
    pub(super) fn is_bounded(&self, queue: usize) -> bool {
        self.messages.len() <= queue
            && self.pending.len() <= self.messages.len()
            && self.changed.len() <= self.messages.len()
            && self.numbers.len() <= MAX_NUMBERS
            && self.log.len() <= MAX_PACKETS
            && self.queued <= self.messages.len() * MAX_MESSAGE
    }
}
