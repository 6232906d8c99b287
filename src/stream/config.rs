//! The settings of sessions, streams and listeners. Each states its default, its unit and its cost.

use std::time::Duration;

use crate::proto::session::Config;

/// The least buffer of a session, bytes, whatever is asked for: with none at all nothing would ever go.
const LEAST_BUFFER: usize = 4 << 10;

/// Defaults of every stream of a manager.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Bytes one stream may hold unsent or unacknowledged (the replay buffer). Default 4 MiB; memory
    /// is taken as bytes are written and given back as they are acknowledged. A session takes less than
    /// 4 KiB as 4 KiB.
    pub send_buffer: usize,
    /// Bytes a peer may have under way or unread on one stream. Default 4 MiB; less than 4 KiB is
    /// taken as 4 KiB.
    pub receive_window: usize,
    /// Streams of one session alive at once. Default 128; 0 is taken as 1, for a session begins with
    /// one.
    pub max_streams: u16,
    /// How long a dialler asks its sessions to live without any path. Default 10 minutes.
    pub grace: Duration,
    /// The longest grace a listener agrees to. Default 24 hours.
    pub grace_cap: Duration,
    /// How long one attempt to connect over one network may take. Default 5 s.
    pub attempt: Duration,
    /// How long a handshake may take. Default 5 s.
    pub handshake: Duration,
    /// Handshakes a listener has open at once; at the bound the oldest of the source prefix (/24,
    /// /56) with most is dropped. Default 1,024, never over a quarter of the descriptor limit.
    pub half_open: usize,
    /// Handshakes open before a listener asks new sessions for a cookie. Default 256.
    pub cookies_after: usize,
    /// Streams that wait in a listener's `accept`; beyond it new sessions wait in their handshake. As
    /// many sessions may have opened no stream yet. Default 1,024; 0 is taken as 1.
    pub backlog: usize,
    /// Sessions a listener keeps while they have no path. Default 10,000; at the bound the longest
    /// detached of the source prefix with most ends.
    pub detached: usize,
    /// Bytes these sessions may keep in all, written or unread. Default 256 MiB; at the bound the
    /// longest detached of the source prefix with most bytes ends.
    pub detached_bytes: usize,
    /// How long a finished session stays to answer after its last path closed. Default 3 s.
    pub linger: Duration,
    /// How long a path may owe an answer in silence before another is tried.
    /// Default 1 s. `Duration::MAX` is never.
    pub stall: Duration,
    /// How long nothing may be heard on an idle path before it is asked for a word, so that a silent
    /// loss is known before there is something to send. Default never: it costs a radio its sleep, and a
    /// few bytes each time. At least 100 ms. After payload came, a receiver asks some eight times within
    /// 30 times `stall` all the same.
    pub probe_idle: Option<Duration>,
    /// Networks one session uses at once: 1 to 4, default 4. Each costs a connection and its handshake;
    /// what it is used for is decided anew for every chunk. Metered and roaming networks, and such as a
    /// label avoids, are opened beside a free one only as a standby for interactive traffic, or while
    /// the free one is silent, about to go or in vain. With 1 a session has one path at a time, which
    /// is handed over when a better network stood long enough.
    pub networks: usize,
    /// How often a `connect` goes round all matching networks that refuse, 320 ms and 512 ms apart.
    /// Default 3: an error within a second where each refuses at once, after 16 s where nobody answers.
    /// Rounds in which a network was silent are not counted where there is a deadline.
    pub connect_rounds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let core = Config::default();
        Self {
            send_buffer: core.send_buffer,
            receive_window: core.receive_window,
            max_streams: core.max_streams,
            grace: Duration::from_secs(600),
            grace_cap: Duration::from_secs(24 * 3600),
            attempt: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            half_open: 1024,
            cookies_after: 256,
            backlog: 1024,
            detached: 10_000,
            detached_bytes: 256 << 20,
            linger: core.linger,
            stall: Duration::from_secs(1),
            probe_idle: core.probe_idle,
            networks: 4,
            connect_rounds: 3,
        }
    }
}

/// A rate below this is taken as this: a frame has to fit into what a moment lets go.
const LEAST_RATE: u64 = 1_000;

/// The limit as it is held, if one was asked for; `None` if that is 0.
pub(super) fn rate(asked: Option<u64>) -> Option<Option<u64>> {
    match asked {
        Some(0) => None,
        asked => Some(asked.map(|rate| rate.max(LEAST_RATE))),
    }
}

impl Settings {
    /// The receive window that is offered to a peer.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.receive_window.max(LEAST_BUFFER)).unwrap_or(u32::MAX)
    }

    /// The streams that are offered to a peer.
    pub(crate) fn streams(&self) -> u16 {
        self.max_streams.max(1)
    }

    /// How many streams may wait in a listener's `accept`.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.max(1)
    }

    /// The core's part of these settings, for a session whose bytes a second are limited to this.
    pub(crate) fn core(&self, rate_limit: Option<u64>) -> Config {
        Config {
            rate_limit,
            send_buffer: self.send_buffer.max(LEAST_BUFFER),
            receive_window: self.receive_window.max(LEAST_BUFFER),
            max_streams: self.streams(),
            linger: self.linger,
            stall: self.stall,
            probe_idle: self.probe_idle,
            ..Config::default()
        }
    }
}
