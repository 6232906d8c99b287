//! The sessions of a manager that another `connect` may share, by who is at their far end.
//!
//! Who that is, is what can be proved of it. In TLS it is the key that the far end holds, whoever dialled;
//! and where this end dialled, also where. In clear it is where this end dialled, for what somebody
//! who dials says of itself is nobody's proof.
//!
//! And on which terms: what a `connect` was promised of every byte it sends (that the far end learns
//! nothing of its networks, that it keeps to one of them, that no more go than so many a second) is kept by
//! the session, so it shares one that was begun with the same promises or none. What is only asked for, its
//! grace or its priority, is as the session has it.
//!
//! One entry for each such far end, of the latest session with it; what ended is swept out before the
//! table is twice as large as what lives, and 64.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::asked::Asks;
use super::driver::Driver;
use super::secure::Secure;
use crate::endpoint::Endpoint;

#[cfg(feature = "tls")]
pub(super) use crate::tls::PublicKey as Key;
/// Without TLS nobody proves one.
#[cfg(not(feature = "tls"))]
pub(super) type Key = std::convert::Infallible;

/// Entries beyond twice the living ones.
const SPARE: usize = 64;

/// What a session promises of every byte on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Terms {
    /// The far end is told nothing of the networks.
    anonymous: bool,
    /// They go over the network of this name alone.
    only: Option<Arc<str>>,
    /// No more of them a second.
    rate_limit: Option<u64>,
}

impl Terms {
    /// What was asked of a session, and on which network alone.
    pub(super) fn of(asks: &Asks, only: Option<&Arc<str>>) -> Self {
        Self {
            anonymous: asks.anonymous,
            only: only.cloned(),
            rate_limit: asks.rate_limit,
        }
    }
}

/// Who is at the far end of a session, who this end is to it, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    /// Where it was dialled; `None` for a session that was accepted.
    pub(super) at: Option<String>,
    /// The key it proved, and the one that this end proved to it; `None` in clear.
    pub(super) keys: Option<(Key, Option<Key>)>,
    pub(super) terms: Terms,
}

impl Who {
    /// The far end of a session that runs, if that can be known.
    pub(super) fn of(
        driver: &Driver,
        dialled: Option<&Endpoint>,
        (asks, only): (&Asks, Option<&Arc<str>>),
    ) -> Option<Self> {
        let (secure, terms) = (&asks.secure, Terms::of(asks, only));
        let at = dialled.map(place);
        let keys = keys(driver, secure);
        let known = at.is_some() && secure.is_clear() || keys.is_some();
        known.then_some(Self { at, keys, terms })
    }

    /// All who would do for a `connect`, best first.
    pub(super) fn wanted(
        dialled: &Endpoint,
        (asks, only): (&Asks, Option<&Arc<str>>),
    ) -> Vec<Self> {
        let (secure, terms) = (&asks.secure, Terms::of(asks, only));
        let at = Some(place(dialled));
        if secure.is_clear() {
            let keys = None;
            return vec![Self { at, keys, terms }];
        }
        let places = [at, None];
        let of = |at: Option<String>| secure.wanted().map(move |keys| (at.clone(), keys));
        let all = places.into_iter().flat_map(of);
        let all = all.map(|(at, keys)| Self {
            at,
            keys: Some(keys),
            terms: terms.clone(),
        });
        all.collect()
    }
}

/// Its attributes say how to connect, not to whom.
fn place(dialled: &Endpoint) -> String {
    dialled.clone().without_attributes().to_string()
}

fn keys(driver: &Driver, secure: &Secure) -> Option<(Key, Option<Key>)> {
    #[cfg(feature = "tls")]
    {
        let peer = driver.credentials().peer().cloned()?;
        Some((Key::of(&peer.0), secure.own()))
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = (driver, secure);
        None
    }
}

/// The sessions of a manager, by who is at their far end.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Table<Who, Driver>>);

impl Sessions {
    pub(super) fn enter(&self, who: Option<Who>, driver: &Arc<Driver>) {
        if let Some(who) = who {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.enter(who, Arc::downgrade(driver));
        }
    }

    /// The latest with one of these, if it may still be alive.
    pub(super) fn find(&self, who: &Who) -> Option<Arc<Driver>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.known.get(who)?.upgrade()
    }
}

#[derive(Debug)]
struct Table<K, V> {
    known: BTreeMap<K, Weak<V>>,
    /// It is swept when it is larger than this.
    sweep: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            sweep: SPARE,
        }
    }
}

impl<K: Ord, V> Table<K, V> {
    fn enter(&mut self, who: K, what: Weak<V>) {
        self.known.insert(who, what);
        if self.known.len() > self.sweep {
            self.known.retain(|_, what| what.strong_count() > 0);
            self.sweep = 2 * self.known.len() + SPARE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_does_not_fill_the_table() {
        let mut table = Table::default();
        let living: Vec<_> = (0..100).map(Arc::new).collect();
        for (who, what) in living.iter().enumerate() {
            table.enter(who, Arc::downgrade(what));
        }
        for who in 100..10_000 {
            table.enter(who, Arc::downgrade(&Arc::new(who)));
            // The one that was entered last lives while it is.
            assert!(table.known.len() <= 2 * (living.len() + 1) + SPARE + 1);
        }
        for (who, what) in living.iter().enumerate() {
            let known = table.known.get(&who).and_then(Weak::upgrade);
            assert_eq!(known.as_ref(), Some(what));
        }
    }
}
