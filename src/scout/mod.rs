//! The scout: keeps a true picture of this host's networks and publishes it by value.
//!
//! Everything above asks one question, "which networks are there, and what are they", and must
//! never learn the answer by trying. The scout watches the operating system and publishes
//! [`Snapshot`]s through a [`watch`] channel.
//!
//! ```text
//!  kernel ──netlink──▶ tables ──┐
//!  /sys ─────────radios─────────┤
//!  managers ─────hearsay────────┼─derive─▶ set of ─estimates─▶ ledger ──▶ snapshot ──watch──▶ all
//!  resolv.conf ──name servers───┤          networks    ▲       ids, log,    fixed, scripted    above
//!  configuration ──overrides────┘                   sessions   pace
//! ```
//!
//! # Sources, and which of them wins
//!
//! Who is listed first wins; the others are noted behind, in
//! [`Network::sources`](crate::network::Network::sources), by these names.
//!
//! | aspect | sources |
//! | --- | --- |
//! | name, state, carrier, operstate, addresses, routes, mtu | `netlink` |
//! | kind | `override`, `ModemManager`, `NetworkManager`, `sysfs`, `netlink` or `lower device`; and of a VPN, `carrier` |
//! | metered, roaming, constrained | `override`, then the worst of `ModemManager` or `NetworkManager`, and `lower device` or `carrier` |
//! | health, losing, signal | `ModemManager`, `NetworkManager` |
//! | rtt, up, down, loss | `measured`, `override` (a hint) |
//! | dns | `NetworkManager`, `systemd-resolved`, `resolv.conf` |
//! | bypass_vpn | `override` |
//! | binding | `tried`, with the reason of each refusal |
//!
//! - Netlink (Linux) is one socket of our own. No manager makes a network up or down: an interface
//!   that has an address and a route is up also where a manager calls the host offline.
//! - sysfs is believed only where its index and hardware address are netlink's, for a fresh namespace
//!   may still show its parent's.
//! - Managers and resolvers (hearsay) are heard over the system bus, with the feature `dbus` on Linux;
//!   without a bus nothing is waited for. They speak of names. What they say is believed of the
//!   interface of that name, if it also has the index and the hardware address that they tell.
//! - A bridge, bond, VLAN or macvlan costs what the worst of the devices below it costs, a VPN what
//!   the network costs that the kernel would use without it. Overrides and hearsay of the lower device
//!   are in it, an override of the upper one wins over it.
//! - Without netlink there is one network `default` of which nothing is known, so that nothing is
//!   stricter than a plain `TcpStream`; `if-watch`, else `polling` every 2 s, tells when its addresses
//!   changed.
//! - All that but overrides, `measured` and `tried` may be another process's: a scout at a Unix socket,
//!   the `daemon` module, whose words for its sources are kept.
//! - [`Scout::fixed`] and the scripted scout (feature `test-util`) are sources of their own and mix
//!   with none, but for what sessions measured.
//!
//! # Rules
//!
//! - A network is one interface, by index, at one epoch. It is up when it is administratively up,
//!   running, operationally up or unknown, and has a usable address and a route. Interfaces that
//!   are not up are listed too, as down and with every reason. The end of its last address that
//!   reaches beyond the link ends the epoch; with a link-local one left it is up again at once, for
//!   that link alone and under another id.
//! - An up is published at once, and so is a loss while something else is up. Other losses wait 20 ms
//!   for company, 50 ms at most. At most 20 snapshots a second, and the last state is always out within
//!   100 ms.
//! - Facts that change at run time (overrides, hearsay, estimates) make a snapshot, never an epoch.
//! - A watch hides what happens between two looks: ids and generations tell of it, and
//!   [`Scout::changes`] has the last 256 events.
//! - A scout that dies is an error for every watcher, never silence.
//!
//! # Limits
//!
//! | what | how much |
//! | --- | --- |
//! | interfaces | as many as there are; thousands are tested |
//! | routes | 4,096, and beyond that another 4,096 default-like or connected ones; a last resort default stands for the rest, for the scout does not know better |
//! | addresses of an interface, rules | 1,024 |
//! | devices above each other | 8 |
//! | interfaces of a manager, name servers of an interface | 1,024 and 16 |
//! | networks with estimates, their life without a sample | 256 and ten minutes |
//! | log, history | 256 events, 64 snapshots |
//! | `resolv.conf` | 64 KiB, 16 servers |

// Nothing is tried where one network stands for all.
#[cfg(any(target_os = "linux", all(unix, feature = "daemon")))]
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
mod held;
#[cfg(target_os = "linux")]
mod netlink;
mod os;
mod overrides;
mod publish;
#[cfg(target_os = "linux")]
mod resolv_conf;
#[cfg(any(test, feature = "test-util"))]
mod scripted;
#[cfg(target_os = "linux")]
mod sysfs;
mod system;
#[cfg(test)]
mod tests;

pub use estimates::{Estimate, Sample};
pub use overrides::{Facts, Overrides};
pub use publish::{Change, Happened};
#[cfg(any(test, feature = "test-util"))]
pub use scripted::{Networks, scripted};

use crate::network::{NetworkId, NetworkSpec, Snapshot};
use held::Held;
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
    Fixed(Arc<Held>),
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
        let held = Held::new(fixed::seen(networks));
        Self::over(Source::Fixed(Arc::new(held)))
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
        match self.watched() {
            Ok(system) => system.snapshots(),
            Err(held) => held.snapshots(),
        }
    }

    /// The last 256 events, oldest first: what a look at the snapshots may have missed.
    pub fn changes(&self) -> Vec<Change> {
        self.with_ledger(|ledger| ledger.changes().cloned().collect())
    }

    /// The last 64 snapshots and when each was seen to hold, by the clock that counts time asleep;
    /// oldest first.
    pub(crate) fn history(&self) -> Vec<(Instant, Arc<Snapshot>)> {
        self.with_ledger(|ledger| ledger.history().cloned().collect())
    }

    /// Where the networks come from now, in words: `netlink`, `daemon PATH`, `fixed`, `scripted`, or
    /// what is left and why, such as `polling (netlink: Operation not permitted)` or
    /// `daemon /run/mancom/scout.sock (reconnecting: it closed the connection)`.
    pub fn source(&self) -> String {
        self.sources().borrow().clone()
    }

    /// What [`source`](Scout::source) says, and a wake-up whenever it says something else; quick
    /// changes in a row are one.
    ///
    /// It starts nothing: the system's scout says `not started` before the first
    /// [`snapshots`](Scout::snapshots). `changed()` fails when every handle is gone, and at once for a
    /// fixed or scripted scout, whose source never changes.
    pub fn sources(&self) -> watch::Receiver<String> {
        let never = |word: &str| watch::channel(word.to_owned()).1;
        match &self.world.source {
            Source::System(system) => system.sources(),
            Source::Fixed(_) => never("fixed"),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(_) => never("scripted"),
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

    /// What sessions measured of the networks within the last ten minutes, in order of index.
    ///
    /// Finer than what a snapshot shows, which follows where a figure has moved by a fifth.
    #[must_use]
    pub fn estimates(&self) -> Vec<Estimate> {
        match self.watched() {
            Ok(system) => system.estimates(),
            Err(held) => held.estimates(),
        }
    }

    /// What a session measured of a network; published where it differs by a fifth from what is.
    pub(crate) fn report(&self, network: NetworkId, sample: Sample) {
        match self.watched() {
            Ok(system) => system.report(network, sample),
            Err(held) => held.report(network, sample),
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

    /// The system's networks, or those that somebody else knows.
    fn watched(&self) -> Result<&system::System, &Arc<Held>> {
        match &self.world.source {
            Source::System(system) => Ok(system),
            Source::Fixed(held) => Err(held),
            #[cfg(any(test, feature = "test-util"))]
            Source::Scripted(script) => Err(script.held()),
        }
    }

    fn with_ledger<R>(&self, f: impl FnOnce(&Ledger) -> R) -> R {
        match self.watched() {
            Ok(system) => system.with_ledger(f),
            Err(held) => held.with_ledger(f),
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
