//! One stream: both halves, and what must be told about them.

use super::frame::MAX_SACKS;
use super::frame::{self, kind};
use super::path::Path;
use super::receive::ReceiveHalf;
use super::send::SendHalf;
use super::{MAX_PATHS, StreamId};
use crate::label::{Label, Urgency};

/// What is to be told of a stream, as bits. Each tells the whole present state, so it may be told
/// twice, late, or by another path.
pub(super) mod due {
    pub(crate) const OPEN: u8 = 1;
    pub(crate) const ACK: u8 = 2;
    pub(crate) const CREDIT: u8 = 4;
    pub(crate) const RESET: u8 = 8;
    pub(crate) const STOP: u8 = 16;
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) label: Label,
    pub(super) ours: bool,
    pub(super) send: SendHalf,
    pub(super) receive: ReceiveHalf,
    /// Bits of [`due`].
    pub(super) due: u8,
    /// It stands in the session's list of streams with something due.
    pub(super) listed: bool,
    /// The queue of streams with something to send in which it stands.
    pub(super) ready: Option<Urgency>,
    /// Its acknowledgement waits for company or the delay.
    pub(super) ack_waits: bool,
    /// What our STOP says.
    pub(super) code: u32,
    /// Our RESET ends both directions.
    pub(super) reset_both: bool,
    /// Our STOP is out and the peer's end not in.
    pub(super) stopping: bool,
    /// The peer's STOP, which is answered when the program takes the stream.
    pub(super) stopped: Option<u32>,
    /// Slots of paths on which our OPEN went out.
    pub(super) opened_on: u8,
    /// The peer is known to have our OPEN, or opened it itself.
    pub(super) known: bool,
    /// The highest acknowledgement that came by each path.
    pub(super) acked_by: [u64; MAX_PATHS],
    /// No handle is left.
    pub(super) released: bool,
    /// It counts against the limit of streams.
    pub(super) counted: bool,
    /// A write came back short.
    pub(super) write_wanted: bool,
    /// `Shut` was reported.
    pub(super) shut_told: bool,
}

impl Stream {
    pub(super) fn new(
        id: StreamId,
        label: Label,
        ours: bool,
        send: SendHalf,
        receive: ReceiveHalf,
    ) -> Self {
        Self {
            id,
            label,
            ours,
            send,
            receive,
            due: 0,
            listed: false,
            ready: None,
            ack_waits: false,
            code: 0,
            reset_both: false,
            stopping: false,
            opened_on: 0,
            known: !ours,
            acked_by: [0; MAX_PATHS],
            released: false,
            counted: true,
            stopped: None,
            write_wanted: true,
            shut_told: false,
        }
    }

    /// Whether a path needs our OPEN before anything else of this stream.
    pub(super) fn must_open_on(&self, slot: usize) -> bool {
        self.ours && !self.known && self.opened_on & 1 << slot == 0
    }

    /// Says OPEN on a path.
    pub(super) fn open_on(&mut self, slot: usize, path: &mut Path) {
        let number = path.numbers.number(&self.label, &mut path.outbox.control);
        frame::put_open(&mut path.outbox.control, self.id, number);
        self.opened_on |= 1 << slot;
        self.due &= !due::OPEN;
    }

    /// Both directions ended, well or not, and the peer knows.
    pub(super) fn finished(&self) -> bool {
        self.send.done && self.receive.done()
    }

    /// Nothing about it is left to be told.
    pub(super) fn quiet(&self) -> bool {
        self.due & (due::ACK | due::RESET) == 0 && !self.ack_waits
    }

    /// Everything the peer must hear again when a path that may have carried it is gone.
    pub(super) fn due_again(&mut self) -> u8 {
        let mut bits = due::ACK | due::CREDIT;
        if !self.known {
            bits |= due::OPEN;
        }
        if self.send.reset.is_some() {
            bits |= due::RESET;
        }
        if self.stopping && !self.receive.done() {
            bits |= due::STOP;
        }
        bits
    }

    /// Tells what is due on one path. The OPEN must stand in `out` already where the path needs it.
    pub(super) fn tell(&mut self, out: &mut Vec<u8>) {
        let bits = std::mem::take(&mut self.due);
        if bits & due::ACK != 0 {
            let mut ranges = [(0, 0); MAX_SACKS];
            let count = self.receive.early_ranges(&mut ranges);
            frame::put_ack(
                out,
                self.id,
                self.receive.acknowledgeable(),
                &ranges[..count],
            );
            self.receive.acknowledged();
            self.ack_waits = false;
        }
        if bits & due::CREDIT != 0 {
            frame::put_offset(out, kind::CREDIT, self.id, self.receive.grant());
        }
        if bits & due::RESET != 0
            && let Some(code) = self.send.reset
        {
            frame::put_reset(out, self.id, self.reset_both, code);
        }
        if bits & due::STOP != 0 && !self.receive.done() {
            frame::put_stop(out, self.id, self.code);
        }
    }
}
