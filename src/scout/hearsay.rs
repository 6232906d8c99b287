//! What others than the kernel say of interfaces: managers of networks and modems, resolvers.
//!
//! ```text
//! NetworkManager ─┐
//! ModemManager  ──┼─ whole sets, by interface name ─▶ hearsay ─▶ derive, behind the kernel's facts
//! resolvers  ─────┘                                              and before the overrides
//! ```
//!
//! Each [`Teller`] says, again and again, its whole set. It talks of names, and may mean another
//! network namespace: a saying that tells a hardware address or an index is believed only of the
//! interface that has it. Of one aspect the strongest teller wins, in the order of [`Teller`]; the
//! others are noted behind it.
//!
//! Limits: 4,096 interfaces a teller, 16 name servers an interface, and a signal of 100 percent.

use crate::network::{Aspect, Fact, Health, Kind, Kinds, NetworkSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A teller that knows of more than this is not listened to any further.
const INTERFACES: usize = 4096;
/// More name servers of one interface than this are not kept.
const SERVERS: usize = 16;

/// Who says something, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Teller {
    ModemManager,
    NetworkManager,
    Resolved,
}

impl Teller {
    /// The name under which it stands among an aspect's sources.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Teller::ModemManager => "ModemManager",
            Teller::NetworkManager => "NetworkManager",
            Teller::Resolved => "systemd-resolved",
        }
    }
}

/// What one teller says of one interface; `None` is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Saying {
    /// Believed only of an interface with this hardware address.
    pub(crate) hardware: Option<Vec<u8>>,
    /// Believed only of the interface with this index.
    pub(crate) index: Option<u32>,
    pub(crate) kind: Option<Kind>,
    pub(crate) metered: Option<Fact>,
    pub(crate) roaming: Option<Fact>,
    pub(crate) constrained: Option<Fact>,
    pub(crate) health: Option<Health>,
    pub(crate) losing: Option<bool>,
    /// Percent, in steps that keep noise from being news.
    pub(crate) signal: Option<u8>,
    pub(crate) dns: Option<Vec<IpAddr>>,
}

/// One teller's whole set, by interface name.
pub(crate) type Sayings = BTreeMap<String, Saying>;

/// All that is said now; shared by the tellers and the source that listens.
#[derive(Debug)]
pub(crate) struct Hearsay {
    said: Mutex<Said>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Said {
    by: BTreeMap<Teller, Sayings>,
    /// Those that have not said anything yet and soon will.
    awaited: BTreeSet<Teller>,
}

impl Hearsay {
    pub(crate) fn new() -> Self {
        Hearsay {
            said: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// A look is not complete before `teller` said something, within the bound of the listener.
    pub(crate) fn await_first(&self, teller: Teller) {
        self.lock().awaited.insert(teller);
    }

    /// `teller` says this now, and no longer what it said before. Of more than the limits allow the
    /// rest is not heard.
    pub(crate) fn say(&self, teller: Teller, sayings: Sayings) {
        let sayings: Sayings = sayings
            .into_iter()
            .take(INTERFACES)
            .map(|(name, saying)| (name, saying.bounded()))
            .collect();
        let mut said = self.lock();
        let first = said.awaited.remove(&teller);
        let same = said
            .by
            .get(&teller)
            .map_or(sayings.is_empty(), |old| *old == sayings);
        said.by.insert(teller, sayings);
        drop(said);
        if first || !same {
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// `teller` is gone or was never there: nothing of what it said holds.
    pub(crate) fn unsay(&self, teller: Teller) {
        self.say(teller, Sayings::new());
    }

    /// Whether somebody is still awaited.
    pub(crate) fn is_awaiting(&self) -> bool {
        !self.lock().awaited.is_empty()
    }

    /// Told at every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Adds to `spec` what is said of the interface with this index and hardware address.
    pub(crate) fn apply(&self, index: u32, hardware: &[u8], spec: &mut NetworkSpec) {
        // The strongest comes last, and stands first.
        for (teller, sayings) in self.lock().by.iter().rev() {
            let Some(saying) = sayings.get(&spec.name) else {
                continue;
            };
            let other = saying.index.is_some_and(|other| other != index);
            let known = saying.hardware.as_deref();
            if other || known.is_some_and(|other| other != hardware) {
                continue;
            }
            saying.give(teller.word(), spec);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // Each change is a whole value.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saying {
    fn bounded(mut self) -> Self {
        self.signal = self.signal.map(|percent| percent.min(100));
        if let Some(servers) = &mut self.dns {
            servers.truncate(SERVERS);
        }
        self
    }

    /// Lets what is said win over what `spec` has.
    fn give(&self, source: &'static str, spec: &mut NetworkSpec) {
        match self.kind {
            // A tunnel stays one, whatever a manager calls the device.
            Some(kind) if spec.kinds.contains(Kind::Vpn) && kind != Kind::Vpn => {
                spec.notes.said(Aspect::Kind, source);
            }
            Some(kind) => {
                spec.kinds = Kinds::of(kind);
                spec.notes.won(Aspect::Kind, source);
            }
            None => {}
        }
        let NetworkSpec { notes, .. } = spec;
        let mut won = |aspect: Aspect| notes.won(aspect, source);
        for (aspect, said, fact) in [
            (Aspect::Metered, self.metered, &mut spec.metered),
            (Aspect::Roaming, self.roaming, &mut spec.roaming),
            (Aspect::Constrained, self.constrained, &mut spec.constrained),
        ] {
            if let Some(said) = said {
                *fact = said;
                won(aspect);
            }
        }
        if let Some(health) = self.health {
            spec.health = health;
            won(Aspect::Health);
        }
        if let Some(losing) = self.losing {
            spec.losing = losing;
            won(Aspect::Losing);
        }
        if let Some(signal) = self.signal {
            spec.signal = Some(signal);
            won(Aspect::Signal);
        }
        if let Some(dns) = &self.dns {
            spec.dns.clone_from(dns);
            won(Aspect::Dns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(percent: u8) -> Saying {
        Saying {
            signal: Some(percent),
            ..Saying::default()
        }
    }

    fn heard(hearsay: &Hearsay, name: &str) -> NetworkSpec {
        let mut spec = NetworkSpec::new(name, Kind::Wifi);
        hearsay.apply(3, &[], &mut spec);
        spec
    }

    #[test]
    fn what_is_said_again_is_no_news() {
        let hearsay = Hearsay::new();
        let mut changes = hearsay.changes();
        let news = |changes: &mut watch::Receiver<u64>| {
            let news = changes.has_changed().expect("the hearsay lives");
            changes.mark_unchanged();
            news
        };
        hearsay.unsay(Teller::NetworkManager);
        assert!(!news(&mut changes), "nothing was said before");
        let wlan0 = Sayings::from([("wlan0".to_owned(), signal(40))]);
        hearsay.say(Teller::NetworkManager, wlan0.clone());
        assert!(news(&mut changes));
        hearsay.say(Teller::NetworkManager, wlan0);
        assert!(!news(&mut changes));
        assert_eq!(heard(&hearsay, "wlan0").signal, Some(40));
        hearsay.unsay(Teller::NetworkManager);
        assert!(news(&mut changes));
        assert_eq!(heard(&hearsay, "wlan0").signal, None);
    }

    #[test]
    fn who_is_awaited_is_heard_also_if_it_says_nothing() {
        let hearsay = Hearsay::new();
        hearsay.await_first(Teller::ModemManager);
        assert!(hearsay.is_awaiting());
        let changes = hearsay.changes();
        hearsay.unsay(Teller::ModemManager);
        assert!(!hearsay.is_awaiting());
        assert!(changes.has_changed().expect("the hearsay lives"));
    }

    #[test]
    fn a_teller_that_does_not_stop_is_cut_short() {
        let hearsay = Hearsay::new();
        let boundless = |n: u32| {
            let servers = (0..1000_u32).map(|n| std::net::Ipv4Addr::from_bits(n).into());
            let saying = Saying {
                dns: Some(servers.collect()),
                ..signal(200)
            };
            (format!("wlan{n:05}"), saying)
        };
        let sayings = (0..2 * INTERFACES as u32).map(boundless).collect();
        hearsay.say(Teller::NetworkManager, sayings);
        let kept = hearsay.lock().by[&Teller::NetworkManager].len();
        assert_eq!(kept, INTERFACES);
        let first = heard(&hearsay, "wlan00000");
        assert_eq!((first.signal, first.dns.len()), (Some(100), SERVERS));
    }
}
