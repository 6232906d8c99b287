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

use crate::network::{Aspect, Fact, Health, Kind, Kinds, NetworkSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

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

    /// `teller` says this now, and no longer what it said before.
    pub(crate) fn say(&self, teller: Teller, sayings: Sayings) {
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
