//! Settings of a session; each bounds something.

use std::time::Duration;

use super::chunks::CHUNK;
use super::frame::MAX_PAYLOAD;
use super::labels::MAX_ASKED;
use super::messages::worst_case_memory;
use super::{MAX_PATHS, MAX_RUNS, MAX_SEGMENTS};

/// Settings of one session; each bounds something.
///
/// What a session keeps is bounded by [`worst_case_memory`](Config::worst_case_memory), whatever the
/// peer does. A hostile peer reaches the receiving half of it; the sending half is filled only by this
/// side's own program.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of unacknowledged and unsent data a stream may hold (the replay buffer). Default 4 MiB.
    pub send_buffer: usize,
    /// Bytes a stream's peer may have in flight or unread here (credit). Default 4 MiB. What the
    /// handshake offered counts; this is what a driver offers.
    pub receive_window: usize,
    /// Streams alive at once, both sides' together. Default 128. A side opens none beyond it; should
    /// both open at the same moment, there may be twice as many.
    pub max_streams: u16,
    /// An acknowledgement goes out after this many received bytes. Default 256 KiB; never more than a
    /// quarter of the window.
    pub ack_bytes: usize,
    /// Or this long after the first unacknowledged one, or with the next data. Default 20 ms. While
    /// several paths are open, a quarter of it after interactive payload, so that its loss is known soon.
    pub ack_delay: Duration,
    /// The largest payload of a data frame, bytes. Default 256 KiB, at most 1 MiB.
    pub max_frame: usize,
    /// How long a finished session stays to answer after its last path closed. Default 3 s.
    pub linger: Duration,
    /// How long a path may owe an answer in silence, if that is more than three of its round trips, before
    /// it ends, or is told as stalled where no other carries. Default 1 s.
    pub stall: Duration,
    /// Bytes of data frames, headers and repetitions included, that this end sends in any second, over
    /// all paths together. Default none. At least 1; 5 % of it is kept back for what a path took late.
    pub rate_limit: Option<u64>,
    /// An open path on which nothing was heard for so long is asked for a word, so that a silent loss is
    /// known before there is something to send. Default never: it costs a radio its sleep, and bytes.
    /// At least 100 ms. After payload came, a receiver asks some eight times within 30 times `stall` all
    /// the same.
    pub probe_idle: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            send_buffer: 4 << 20,
            receive_window: 4 << 20,
            max_streams: 128,
            ack_bytes: 256 << 10,
            ack_delay: Duration::from_millis(20),
            max_frame: 256 << 10,
            linger: Duration::from_secs(3),
            stall: Duration::from_secs(1),
            rate_limit: None,
            probe_idle: None,
        }
    }
}

impl Config {
    /// The most bytes a session of these settings keeps, whatever its peer does.
    ///
    /// `2 x streams x (send buffer + 2 x receive window + 3 chunks of 64 KiB + bookkeeping)` and, for
    /// each of 8 paths, one frame in the making, 64 KiB of control frames and where it stands for 1,024
    /// labels; the bookkeeping of a
    /// stream is that of 1,024 label changes each way, 2,048 pieces out of order and as many ranges.
    /// As many streams again may have come whole, and be stopped, before the program took them: a receive
    /// window and a chunk each. What messages may take is added: see [`messages`](super::messages).
    /// The window counts twice because what arrives out of order grows in buffers that double.
    ///
    /// It is the bound, not the use: an idle stream keeps under 2 KiB.
    pub fn worst_case_memory(&self) -> usize {
        let bookkeeping = MAX_RUNS * 4 * 64 + MAX_SEGMENTS * 160;
        let stream = self.send_buffer + 2 * self.receive_window + 3 * CHUNK + bookkeeping + 1024;
        let path = self.frame_limit() + (128 << 10) + 16 * 1024 + MAX_ASKED * 96;
        let messages = worst_case_memory(self.send_buffer, self.receive_window);
        let whole = usize::from(self.max_streams) * (self.receive_window + CHUNK);
        2 * usize::from(self.max_streams) * stream + whole + MAX_PATHS * path + messages
    }

    pub(super) fn frame_limit(&self) -> usize {
        self.max_frame.clamp(1, MAX_PAYLOAD)
    }

    /// Received bytes that are acknowledged at once.
    pub(super) fn ack_threshold(&self, window: u64) -> u64 {
        (self.ack_bytes as u64).min(window / 4).max(1)
    }
}
