//! The serialized form of an explanation: stable names, times in milliseconds, `null` for what
//! nobody knows.

use std::time::{Duration, Instant};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Assumption, Blocked, Destination, Reason, Refusal, Shift, Standing};
use crate::clock::Clock;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// `{"label", "name", "to", "generation", "complete", "reasons", "networks", "hint", "waited_ms",
/// "history", "relaxed"}`: `name` is the configuration's of the label, `reasons` are those of no
/// network, `networks` are refusals in order of id, `history` the last 16 changes, oldest first,
/// `relaxed` the same for the label first asked for.
impl Serialize for Blocked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let now = self.now.unwrap_or_else(Clock::now);
        let networks: Vec<_> = self.networks.iter().map(|r| DatedRefusal(r, now)).collect();
        let history: Vec<_> = self.history.iter().map(|s| DatedShift(s, now)).collect();
        let mut out = serializer.serialize_struct("Blocked", 11)?;
        out.serialize_field("label", &self.label)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("to", &self.destination)?;
        out.serialize_field("generation", &self.generation)?;
        out.serialize_field("complete", &self.complete)?;
        out.serialize_field("reasons", &self.reasons)?;
        out.serialize_field("networks", &networks)?;
        out.serialize_field("hint", &self.hint())?;
        out.serialize_field("waited_ms", &self.waited.map(milliseconds))?;
        out.serialize_field("history", &history)?;
        out.serialize_field("relaxed", &self.relaxed)?;
        out.end()
    }
}

/// `{"id", "name", "reasons", "assumptions"}`, each reason as `{"reason", "text", "source",
/// "since_ms"}`: where that on which it rests came from, and for how long it has been so.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DatedRefusal(self, Clock::now()).serialize(serializer)
    }
}

/// With the moment at which it was explained.
struct DatedRefusal<'a>(&'a Refusal, Instant);

impl Serialize for DatedRefusal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let DatedRefusal(refusal, now) = *self;
        let dated = |reason| DatedReason(refusal, reason, now);
        let reasons: Vec<_> = refusal.reasons.iter().map(dated).collect();
        let mut out = serializer.serialize_struct("Refusal", 4)?;
        out.serialize_field("id", &refusal.network.id())?;
        out.serialize_field("name", refusal.network.name())?;
        out.serialize_field("reasons", &reasons)?;
        out.serialize_field("assumptions", &refusal.assumptions)?;
        out.end()
    }
}

struct DatedReason<'a>(&'a Refusal, &'a Reason, Instant);

impl Serialize for DatedReason<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let DatedReason(refusal, reason, now) = *self;
        let since = refusal.age_at(reason, now).map(milliseconds);
        let mut out = serializer.serialize_struct("Reason", 4)?;
        out.serialize_field("reason", reason.word())?;
        out.serialize_field("text", &refusal.text(reason))?;
        out.serialize_field("source", &refusal.source(reason))?;
        out.serialize_field("since_ms", &since)?;
        out.end()
    }
}

/// `{"generation", "network", "was", "now", "age_ms"}`.
impl Serialize for Shift {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DatedShift(self, Clock::now()).serialize(serializer)
    }
}

struct DatedShift<'a>(&'a Shift, Instant);

impl Serialize for DatedShift<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let DatedShift(shift, now) = *self;
        let age = now.saturating_duration_since(shift.at);
        let mut out = serializer.serialize_struct("Shift", 5)?;
        out.serialize_field("generation", &shift.generation)?;
        out.serialize_field("network", &shift.network)?;
        out.serialize_field("was", &shift.was)?;
        out.serialize_field("now", &shift.now)?;
        out.serialize_field("age_ms", &milliseconds(age))?;
        out.end()
    }
}

/// `{"standing": "refused", "reasons": [...]}`; `absent` and `admitted` have no reasons.
impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Standing", 2)?;
        out.serialize_field("standing", self.word())?;
        out.serialize_field("reasons", self.reasons())?;
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
