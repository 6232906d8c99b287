//! Two hosts and the links between them, for as long as a `World` lives.

pub(crate) use crate::control::{Fault, Way};
pub(crate) use crate::emulator::trace::{OnOff, Trace};
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One link, as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct LinkSpec {
    /// The name of its interface at both ends, such as `wlan0`.
    pub(crate) name: &'static str,
    /// From the client to the server.
    pub(crate) up: Rate,
    /// From the server to the client.
    pub(crate) down: Rate,
    /// Without queueing; half of it each way.
    pub(crate) rtt: Duration,
    /// Bytes that may wait, each way; what comes beyond them is dropped.
    pub(crate) queue: usize,
    /// The share of packets lost on the way, each way, from 0 to 1.
    pub(crate) loss: f64,
    /// Added to the delay of each packet: uniform from nothing to this; order is kept.
    pub(crate) jitter: Duration,
    /// Whether traffic costs money: for the peers, nothing to the emulator.
    pub(crate) metered: bool,
}

/// How fast a link is, in IP packets (their headers counted).
#[derive(Clone, Debug)]
pub(crate) enum Rate {
    /// Bits a second.
    Bits(u64),
    /// Recorded; it repeats.
    Trace(Arc<Trace>),
}

/// What crossed a link and what did not, since the world began or [`World::reset_counters`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// From the client to the server.
    pub(crate) up: WayCounters,
    /// From the server to the client.
    pub(crate) down: WayCounters,
}

/// One direction of [`Counters`]; bytes are of IP packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WayCounters {
    pub(crate) delivered_bytes: u64,
    pub(crate) delivered_packets: u64,
    /// Packets the full queue refused.
    pub(crate) dropped_queue: u64,
    /// Packets lost by `loss`.
    pub(crate) dropped_loss: u64,
    /// Packets that met a fault: silence, or an end that would not take them.
    pub(crate) dropped_fault: u64,
    /// Bytes that wait now.
    pub(crate) queued_bytes: u64,
    /// The longest a packet waited before it began to cross.
    pub(crate) queueing_max: Duration,
    /// The mean of it.
    pub(crate) queueing_mean: Duration,
}

/// Two network namespaces, `client` and `server`, and the emulator between; dropping it ends
/// everything. One at a time, in a process that has gone through [`crate::namespace::isolate`].
#[derive(Debug)]
pub(crate) struct World {}

impl World {
    /// Makes the hosts, their links and the emulator.
    pub(crate) fn new(_links: &[LinkSpec]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The server's one address, reached over every link.
    pub(crate) fn server_address(&self) -> IpAddr {
        IpAddr::from([10, 99, 0, 1])
    }

    /// The client's address on a link.
    ///
    /// # Panics
    ///
    /// If there is no such link.
    pub(crate) fn client_address(&self, _link: &str) -> IpAddr {
        IpAddr::from([10, 99, 1, 2])
    }

    /// Has the command run on the client, when it is spawned.
    pub(crate) fn in_client(&self, _command: &mut Command) {}

    /// Has the command run on the server, when it is spawned.
    pub(crate) fn in_server(&self, _command: &mut Command) {}

    /// Chooses the congestion control of TCP connections opened from now on, on both hosts.
    pub(crate) fn set_default_congestion(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Loses a link in some way and says when that took effect. A link has one fault at a time:
    /// mend it first.
    pub(crate) fn fault(&self, _link: &str, _fault: Fault) -> io::Result<Instant> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Undoes the fault of a link, addresses and routes included; nothing if it has none.
    pub(crate) fn mend(&self, _link: &str) -> io::Result<Instant> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What crossed a link so far.
    pub(crate) fn counters(&self, _link: &str) -> Counters {
        Counters::default()
    }

    /// Begins the counters of a link anew.
    pub(crate) fn reset_counters(&self, _link: &str) {}
}
