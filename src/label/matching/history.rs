//! How the reasons changed: what was so in the snapshots before.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admit::View;
use super::{Destination, Policy, Reason};
use crate::clock::Clock;
use crate::label::Label;
use crate::network::{Network, Snapshot};

/// How many changes are told.
pub(crate) const SHIFTS: usize = 16;

/// Where a network stood for one label.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// There was no such network.
    Absent,
    /// It matched.
    Admitted,
    /// It did not, for these reasons.
    Refused(Vec<Reason>),
}

impl Standing {
    /// Why it did not match; empty where it did, and where there was none.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Standing::Refused(reasons) => reasons,
            Standing::Absent | Standing::Admitted => &[],
        }
    }

    /// `absent`, `admitted` or `refused`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Standing::Absent => "absent",
            Standing::Admitted => "admitted",
            Standing::Refused(_) => "refused",
        }
    }
}

/// What is said of a network: `matches`, `is down and is metered, which is prohibited`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Absent => f.write_str("is not there"),
            Standing::Admitted => f.write_str("matches"),
            Standing::Refused(reasons) => {
                for (i, reason) in super::reason::essential(reasons).enumerate() {
                    let and = if i == 0 { "" } else { " and " };
                    write!(f, "{and}{reason}")?;
                }
                Ok(())
            }
        }
    }
}

/// One change of the reasons of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shift {
    /// The snapshot that brought it.
    pub generation: u64,
    /// The network's name.
    pub network: String,
    /// Where it stood before.
    pub was: Standing,
    /// Where it stood from then on.
    pub now: Standing,
    /// When, by the clock that counts time asleep.
    pub(crate) at: Instant,
}

impl Shift {
    /// How long ago it was, time asleep counted.
    #[must_use]
    pub fn age(&self) -> Duration {
        Clock::now().saturating_duration_since(self.at)
    }
}

/// `wlan0: matches -> is down`.
impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.network, self.was, self.now)
    }
}

/// The last 16 changes of what stands against each network, oldest first, by snapshots and when
/// each was published, oldest first.
///
/// Networks are told apart by interface, so that a down and an up are two changes of one. What
/// came before the first whole scan is no change.
pub(crate) fn history(
    snapshots: &[(Instant, Arc<Snapshot>)],
    label: &Label,
    to: &Destination,
    policy: &Policy,
) -> Vec<Shift> {
    if to.is_host() {
        return Vec::new();
    }
    let mut shifts = Vec::new();
    let mut later: Option<(Instant, View<'_>)> = None;
    for (at, snapshot) in snapshots.iter().rev() {
        if shifts.len() >= SHIFTS || !snapshot.is_complete() {
            break;
        }
        let view = View::new(snapshot, label, to, policy);
        if let Some((at, later)) = &later {
            between(&view, later, *at, &mut shifts);
        }
        later = Some((*at, view));
    }
    shifts.truncate(SHIFTS);
    shifts.reverse();
    shifts
}

/// What changed from one snapshot to the next, last first.
fn between(before: &View<'_>, after: &View<'_>, at: Instant, shifts: &mut Vec<Shift>) {
    let pairs = Pairs::of(before.snapshot, after.snapshot);
    // The other networks decide about one through the kernel's choice alone.
    let same_choices = before.choices().eq(after.choices());
    for (old, new) in pairs.0.into_iter().rev() {
        let unchanged =
            |(old, new): (&Network, &Network)| same_choices && Arc::ptr_eq(&old.0, &new.0);
        if old.zip(new).is_some_and(unchanged) {
            continue;
        }
        let (was, now) = (before.standing(old), after.standing(new));
        if was != now {
            shifts.push(Shift {
                generation: after.snapshot.generation(),
                network: new.or(old).map_or("", Network::name).to_owned(),
                was,
                now,
                at,
            });
        }
    }
}

/// The networks of two snapshots by interface, in its order.
struct Pairs<'a>(Vec<(Option<&'a Network>, Option<&'a Network>)>);

impl<'a> Pairs<'a> {
    fn of(before: &'a Snapshot, after: &'a Snapshot) -> Self {
        let (mut before, mut after) = (
            before.networks().iter().peekable(),
            after.networks().iter().peekable(),
        );
        let mut pairs = Vec::new();
        loop {
            let index = |network: &&Network| network.id().index();
            let (old, new) = (before.peek().map(index), after.peek().map(index));
            let first = match (old, new) {
                (None, None) => return Pairs(pairs),
                (Some(old), Some(new)) => old.min(new),
                (old, new) => old.or(new).unwrap_or_default(),
            };
            let old = before.next_if(|network| network.id().index() == first);
            let new = after.next_if(|network| network.id().index() == first);
            pairs.push((old, new));
        }
    }
}
