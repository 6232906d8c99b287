//! The scout: keeps a true picture of this host's networks and publishes it by value.
//!
//! Everything above asks one question, "which networks are there, and what are they", and must
//! never learn the answer by trying. The scout watches the operating system and publishes
//! [`Snapshot`]s through a [`watch`] channel.
//!
//! ```text
//!  kernel ──netlink──▶ tables ──derive──▶ set of networks ──ledger──▶ snapshot ──watch──▶ all
//!  /sys ────kind facts────────▲                  ▲            ids, generations,  above
//!  configuration ──overrides──┘       fixed, scripted         log, pace
//! ```
//!
//! # Sources, and which of them wins
//!
//! 1. Overrides of the configuration ([`Overrides`]).
//! 2. What others say, over the system bus (Linux, feature `dbus`; absent gracefully): ModemManager,
//!    then NetworkManager, then systemd-resolved. Metered, roaming, connectivity, portals, signal,
//!    name servers, and the kind of a radio.
//! 3. Netlink (Linux): links, addresses, routes and rules, from one socket of our own.
//! 4. sysfs (Linux): wireless, cellular, Bluetooth. Believed only where its index and hardware
//!    address are netlink's, for a fresh namespace may still show its parent's.
//! 5. Without netlink: one network `default` of which nothing is known, so that nothing is stricter
//!    than a plain `TcpStream`. if-watch, else a look every 2 s, tells when its addresses changed.
//!
//! Instead of 2 to 5, one process may do it for all: a scout at a Unix socket, the `daemon` module,
//! which is believed like netlink.
//!
//! [`Scout::fixed`] and the scripted scout (feature `test-util`) are sources of their own and mix
//! with none. Each network's notes name the source of its facts, losers after the winner.
//!
//! # Rules
//!
//! - A network is one interface, by index, at one epoch. It is up when it is administratively up,
//!   running, operationally up or unknown, and has a usable address and a route. Interfaces that
//!   are not up are listed too, as down and with every reason.
//! - An up is published at once. Losses wait 20 ms for company, 50 ms at most. At most 20 snapshots
//!   a second, and the last state is always out within 100 ms.
//! - A watch hides what happens between two looks: ids and generations tell of it, and
//!   [`Scout::changes`] has the last 256 events.
//! - A scout that dies is an error for every watcher, never silence.
//!
//! # Limits
//!
//! 4,096 routes are kept whole, beyond that only the default-like and the connected ones (another
//! 4,096), and what was left out counts as a last resort default, for the scout does not know
//! better. Bonds of bridges of VLANs are followed eight deep.

mod binding;
#[cfg(all(unix, feature = "daemon"))]
pub mod daemon;
#[cfg(all(target_os = "linux", feature = "dbus"))]
mod dbus;
mod estimates;
mod fixed;
#[cfg_attr(
    not(all(target_os = "linux", feature = "dbus")),
    expect(dead_code, reason = "tellers are features")
)]
mod hearsay;
#[cfg(target_os = "linux")]
mod netlink;
mod os;
mod overrides;
mod publish;
#[cfg(any(test, feature = "test-util"))]
mod scripted;
#[cfg(target_os = "linux")]
mod sysfs;
mod system;
#[cfg(test)]
mod tests;

pub use estimates::Sample;
pub use overrides::{Facts, Overrides};
pub use publish::{Change, Happened};
#[cfg(any(test, feature = "test-util"))]
pub use scripted::{Networks, scripted};

use crate::clock::Clock;
use crate::network::{NetworkId, NetworkSpec, Snapshot};
use publish::Ledger;
use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
#[cfg(target_os = "linux")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
#[cfg(all(unix, feature = "daemon"))]
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::watch;

/// Knows the networks of this host; a cheap clone of a handle.
///
/// The system's scout is one task on the runtime of the first [`snapshots`](Scout::snapshots) call.
/// It ends when the last handle is dropped, and takes its sockets with it.
#[derive(Clone)]
pub struct Scout {
    world: Arc<World>,
}

struct World {
    source: Source,
    stalls: watch::Sender<Arc<BTreeSet<String>>>,
    slots: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

enum Source {
    System(system::System),
    Fixed(watch::Sender<Arc<Snapshot>>, Ledger),
    #[cfg(any(test, feature = "test-util"))]
    Scripted(Arc<scripted::Script>),
}

impl Scout {
    /// The networks of this host, as the operating system tells them.
    ///
    /// Needs no privilege and no daemon. Nothing is opened before the first
    /// [`snapshots`](Scout::snapshots).
    pub fn system() -> Self {
        Self::system_with(Overrides::new())
    }

    /// The networks of this host, with facts that a configuration states of some of them.
    pub fn system_with(overrides: Overrides) -> Self {
        Self::over_system(system::Settings::new(overrides))
    }

    /// The networks of this host as the scout at this socket tells them; see [`daemon`].
    ///
    /// While it cannot be reached, this process looks for itself.
    #[cfg(all(unix, feature = "daemon"))]
    pub fn daemon(socket: impl Into<PathBuf>) -> Self {
        Self::daemon_with(socket, Overrides::new(), daemon::Fallback::default())
    }

    /// The same, with facts that a configuration states of some of them, which win over what the
    /// daemon says, and what to do while it cannot be reached.
    #[cfg(all(unix, feature = "daemon"))]
    pub fn daemon_with(
        socket: impl Into<PathBuf>,
        overrides: Overrides,
        fallback: daemon::Fallback,
    ) -> Self {
        let mut settings = system::Settings::new(overrides);
        settings.daemon = Some(daemon::Subscription::new(socket.into(), fallback));
        Self::over_system(settings)
    }

    /// These networks and no others, always up: the source is what the caller knows.
    ///
    /// Sockets are real but are not bound to a device, for the names need not be interfaces: a
    /// description that leaves binding as it is becomes [detached](NetworkSpec::detached).
    ///
    /// ```
    /// let scout = mancom::Scout::fixed([]);
    /// assert!(scout.snapshots().borrow().networks().is_empty());
    /// ```
    pub fn fixed(networks: impl IntoIterator<Item = NetworkSpec>) -> Self {
        let mut ledger = Ledger::new();
        ledger.see(Clock::now(), fixed::seen(networks), true);
        ledger.publish();
        let (out, _) = watch::channel(ledger.published());
        Self::over(Source::Fixed(out, ledger))
    }

    /// The snapshots: the newest now, and a wake-up for each that follows.
    ///
    /// The first call starts the system's scout. Before its first whole scan the snapshot is not
    /// complete and its generation is 0. `changed()` fails when the scout has ended: because every
    /// handle is gone, its runtime has shut down, or its task died. A later call then starts
    /// another one, whose generations and ids continue.
    ///
    /// Outside a runtime the system's scout cannot run, and the receiver says at once that it
    /// ended.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        match &self.world.source {
            Source::System(system) => system.snapshots(),
            Source::Fixed(out, _) => out.subscribe(),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(script) => script.snapshots(),
        }
    }

    /// The last 256 events, oldest first: what a look at the snapshots may have missed.
    pub fn changes(&self) -> Vec<Change> {
        let copy = |ledger: &Ledger| ledger.changes().cloned().collect();
        match &self.world.source {
            Source::System(system) => system.with_ledger(copy),
            Source::Fixed(_, ledger) => copy(ledger),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(script) => script.with_ledger(copy),
        }
    }

    /// The last 64 snapshots and when each was seen to hold, by the clock that counts time asleep;
    /// oldest first.
    pub(crate) fn history(&self) -> Vec<(Instant, Arc<Snapshot>)> {
        let copy = |ledger: &Ledger| ledger.history().cloned().collect();
        match &self.world.source {
            Source::System(system) => system.with_ledger(copy),
            Source::Fixed(_, ledger) => copy(ledger),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(script) => script.with_ledger(copy),
        }
    }

    /// Where the networks come from now, in words: `netlink`, `daemon PATH`, `fixed`, `scripted`, or
    /// what is left and why, such as `polling (netlink: Operation not permitted)` or
    /// `daemon /run/mancom/scout.sock (reconnecting: it closed the connection)`.
    pub fn source(&self) -> String {
        match &self.world.source {
            Source::System(system) => system.source(),
            Source::Fixed(..) => "fixed".to_owned(),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(_) => "scripted".to_owned(),
        }
    }

    /// What the configuration states of networks from now on; who waits is told once.
    ///
    /// It concerns the system's scout alone: a fixed or scripted one says what it was told.
    pub fn set_overrides(&self, overrides: Overrides) {
        if let Source::System(system) = &self.world.source {
            system.set_overrides(overrides);
        }
    }

    /// What a session measured of a network; published where it differs by a fifth from what is.
    ///
    /// For the networks of the system's scout alone.
    pub(crate) fn report(&self, network: NetworkId, sample: Sample) {
        if let Source::System(system) = &self.world.source {
            system.report(network, sample);
        }
    }

    /// True if the networks are named, not observed: `mem:` names then travel on them.
    pub fn is_simulated(&self) -> bool {
        !matches!(self.world.source, Source::System(_))
    }

    /// The one `T` that belongs to this scout's world, made on first use and shared by all its
    /// clones: what two managers over one scout have in common, and two tests have not.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a slot holds the type it is filed under"
    )]
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut slots = self
            .world
            .slots
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let slot = slots.entry(TypeId::of::<T>());
        let slot = slot.or_insert_with(|| Arc::new(T::default())).clone();
        slot.downcast()
            .expect("a slot holds the type it is filed under")
    }

    /// The names of the networks that a test stalls silently; never any but of a scripted scout.
    pub(crate) fn stalls(&self) -> watch::Receiver<Arc<BTreeSet<String>>> {
        match &self.world.source {
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(script) => script.stalls(),
            _ => self.world.stalls.subscribe(),
        }
    }

    /// Asks the system's source to look at everything again, and returns when it has.
    ///
    /// What it found is published by then, unless there were ten snapshots in this second already.
    /// Returns at once where there is nothing to look at; after 1 s in any case.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing; the look takes place.
    pub(crate) async fn look_again(&self) {
        if let Source::System(system) = &self.world.source {
            system.look_again().await;
        }
    }

    fn over_system(settings: system::Settings) -> Self {
        Self::over(Source::System(system::System::new(settings)))
    }

    #[cfg(any(test, feature = "test-util"))]
    fn over_script(script: Arc<scripted::Script>) -> Self {
        Self::over(Source::Scripted(script))
    }

    fn over(source: Source) -> Self {
        let world = World {
            source,
            stalls: watch::Sender::default(),
            slots: Mutex::default(),
        };
        Scout {
            world: Arc::new(world),
        }
    }
}

impl fmt::Debug for Scout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scout")
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

/// The network part of an address.
#[cfg(target_os = "linux")]
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}
