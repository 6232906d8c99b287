//! The explanation of no match, for people and for programs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reason::{Alternatives, essential};
use super::{Assumption, Destination, Reason, Shift};
use crate::clock::Clock;
use crate::label::Label;
use crate::network::Network;

/// The explanation of no match: every network with every reason.
///
/// `Display` takes several lines; [`Blocked::hint`] is the smallest change in one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Blocked {
    /// What was asked for.
    pub label: Label,
    /// The configuration's name of the label, if it has one; filled in by those who know it.
    pub name: Option<Arc<str>>,
    /// Where it was to go.
    pub destination: Destination,
    /// The snapshot it was asked of; 0 where none was.
    pub generation: u64,
    /// Whether that snapshot was whole.
    pub complete: bool,
    /// Reasons that are no network's: the scout is starting, this host is prohibited.
    pub reasons: Vec<Reason>,
    /// Every network, in order of id.
    pub networks: Vec<Refusal>,
    /// How long an operation waited; filled in by those who wait.
    pub waited: Option<Duration>,
    /// The last 16 changes of the reasons, oldest first; filled in by those who keep snapshots.
    pub history: Vec<Shift>,
    /// When it was explained, by the clock that counts time asleep; filled in by those who wait.
    pub(crate) now: Option<Instant>,
    /// The same for the label first asked for, where a looser one took its place meanwhile.
    pub relaxed: Option<Box<Blocked>>,
}

/// One network that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The network.
    pub network: Network,
    /// Everything that fails; empty only while the scout is starting.
    pub reasons: Vec<Reason>,
    /// What was taken for granted.
    pub assumptions: Vec<Assumption>,
}

impl Refusal {
    /// How much would have to change, the reasons that go with another not counted.
    fn weight(&self) -> u32 {
        self.essential().map(Reason::weight).sum()
    }

    /// Without those that follow from the network being down.
    fn essential(&self) -> impl Iterator<Item = &Reason> {
        essential(&self.reasons)
    }

    fn has(&self, wanted: fn(&Reason) -> bool) -> bool {
        self.reasons.iter().any(wanted)
    }
}

impl Blocked {
    /// The same, after an operation has waited so long.
    #[must_use]
    pub fn after(mut self, waited: Duration) -> Self {
        self.waited = Some(waited);
        self
    }

    /// The same, with the ages of its reasons as of now.
    #[must_use]
    pub fn dated(mut self) -> Self {
        self.now = Some(Clock::now());
        self
    }

    /// The smallest change that would help: `needs wifi; wlan0 exists but is down`.
    #[must_use]
    pub fn hint(&self) -> String {
        if let Some(reason) = self.reasons.first() {
            return match reason {
                Reason::Prohibited { prop, .. } => {
                    format!("this host itself is prohibited: drop prohibit={prop}")
                }
                reason => reason.to_string(),
            };
        }
        let mut hint = String::new();
        let required = self.label.required().kinds();
        if !required.is_empty() {
            hint = format!("needs {}; ", Alternatives(required));
        } else if let Some(name) = self.label.interface_name() {
            hint = format!("needs {name}; ");
        }
        let refusals = self.networks.iter();
        let Some(nearest) = refusals.min_by_key(|refusal| refusal.weight()) else {
            return hint + "there is no network";
        };
        let is_other =
            |reason: &Reason| matches!(reason, Reason::Kind { .. } | Reason::Interface { .. });
        if nearest.has(is_other) {
            return hint + "there is none";
        }
        if nearest.has(|reason| matches!(reason, Reason::Loopback)) {
            return hint + "there is no network beyond this host";
        }
        hint += nearest.network.name();
        hint += " exists but ";
        for (i, reason) in nearest.essential().enumerate() {
            let and = if i == 0 { "" } else { " and " };
            hint += &format!("{and}{reason}");
        }
        hint
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "no network matches `{name}` ({})", self.label)?,
            None => write!(f, "no network matches `{}`", self.label)?,
        }
        if self.destination != Destination::Unnamed {
            write!(f, " to {}", self.destination)?;
        }
        write!(f, " (snapshot {}", self.generation)?;
        if let Some(waited) = self.waited {
            write!(f, ", waited {:.1} s", waited.as_secs_f64())?;
        }
        f.write_str(")")?;
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        for refusal in &self.networks {
            write!(f, "\n  {}", refusal.network.name())?;
            let mut mark = ": ";
            for reason in &refusal.reasons {
                write!(f, "{mark}{reason}")?;
                mark = "; ";
            }
            for assumption in &refusal.assumptions {
                write!(f, "{mark}{assumption}")?;
                mark = "; ";
            }
        }
        write!(f, "\n  hint: {}", self.hint())?;
        match &self.relaxed {
            Some(first) => write!(f, "\nfirst asked for: {first}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Blocked {}

#[cfg(feature = "serde")]
mod serial {
    use serde::ser::SerializeStruct;
    use serde::{Serialize, Serializer};

    use super::{Blocked, Refusal};
    use crate::label::matching::{Assumption, Destination, Reason};

    /// `{"waited_ms", "label", "to", "generation", "complete", "reasons", "networks", "hint"}`.
    impl Serialize for Blocked {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut out = serializer.serialize_struct("Blocked", 8)?;
            out.serialize_field("label", &self.label)?;
            out.serialize_field("to", &self.destination)?;
            out.serialize_field("generation", &self.generation)?;
            out.serialize_field("complete", &self.complete)?;
            out.serialize_field("reasons", &self.reasons)?;
            out.serialize_field("networks", &self.networks)?;
            out.serialize_field("hint", &self.hint())?;
            let waited = self.waited.map(|waited| waited.as_secs_f64() * 1000.0);
            out.serialize_field("waited_ms", &waited)?;
            out.end()
        }
    }

    /// `{"id", "name", "reasons", "assumptions"}`.
    impl Serialize for Refusal {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut out = serializer.serialize_struct("Refusal", 4)?;
            out.serialize_field("id", &self.network.id())?;
            out.serialize_field("name", self.network.name())?;
            out.serialize_field("reasons", &self.reasons)?;
            out.serialize_field("assumptions", &self.assumptions)?;
            out.end()
        }
    }

    /// `{"reason": "no_route", "text": "has no default route"}`.
    impl Serialize for Reason {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut out = serializer.serialize_struct("Reason", 2)?;
            out.serialize_field("reason", self.word())?;
            out.serialize_field("text", &self.to_string())?;
            out.end()
        }
    }

    /// `{"property": "metered", "fact": "unknown", "taken": false}`.
    impl Serialize for Assumption {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut out = serializer.serialize_struct("Assumption", 3)?;
            out.serialize_field("property", self.prop.word())?;
            out.serialize_field("fact", self.fact.word())?;
            out.serialize_field("taken", &self.taken)?;
            out.end()
        }
    }

    /// `"anywhere"`, `"host"`, `"name"`, or a list of addresses.
    impl Serialize for Destination {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Destination::Unnamed => serializer.serialize_str("anywhere"),
                Destination::Host => serializer.serialize_str("host"),
                Destination::Name => serializer.serialize_str("name"),
                Destination::Addresses(all) => serializer.collect_seq(all.iter()),
            }
        }
    }
}
