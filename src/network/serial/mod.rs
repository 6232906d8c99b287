//! The serialized form of a snapshot: stable names, durations in milliseconds, bandwidth in bits
//! a second, loss in packets of a thousand.
//!
//! What is written can be [read](read) back and is the same: a snapshot travels from one process
//! to another. Ages are written as they are at that moment, and count on from when they are read.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{
    Address, Aspect, Binding, Fact, Health, Kind, Kinds, Network, NetworkId, NetworkSpec, Route,
    Snapshot, State,
};

macro_rules! by_word {
    ($($type:ty),*) => { $(
        /// Its word.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    )* };
}
by_word!(Kind, Fact, Health, State, Binding, Aspect);

macro_rules! by_text {
    ($($type:ty),*) => { $(
        /// Its text form.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )* };
}
by_text!(NetworkId, Address);

/// A list of words.
impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// `{"to", "connected", "metric", "table", "rank"}`.
impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Route", 5)?;
        out.serialize_field("to", &format_args!("{self}"))?;
        out.serialize_field("connected", &self.connected)?;
        out.serialize_field("metric", &self.metric)?;
        out.serialize_field("table", &self.table)?;
        out.serialize_field("rank", &self.rank)?;
        out.end()
    }
}

/// The fields of a description; the rest of a struct's are the caller's.
const FIELDS: usize = 25;

fn describe<S: SerializeStruct>(spec: &NetworkSpec, out: &mut S) -> Result<(), S::Error> {
    let why_refused = match &spec.binding {
        Binding::Refused(why) => Some(&**why),
        _ => None,
    };
    let mut sources: BTreeMap<Aspect, Vec<&str>> = BTreeMap::new();
    for (aspect, source) in &spec.notes.sources {
        sources.entry(*aspect).or_default().push(source);
    }
    out.serialize_field("name", &spec.name)?;
    out.serialize_field("kinds", &spec.kinds)?;
    out.serialize_field("state", &spec.state)?;
    out.serialize_field("why_down", &spec.notes.down)?;
    out.serialize_field("carrier", &spec.carrier)?;
    out.serialize_field("operstate", &spec.operstate)?;
    out.serialize_field("health", &spec.health)?;
    out.serialize_field("metered", &spec.metered)?;
    out.serialize_field("roaming", &spec.roaming)?;
    out.serialize_field("constrained", &spec.constrained)?;
    out.serialize_field("losing", &spec.losing)?;
    out.serialize_field("bypass_vpn", &spec.bypass_vpn)?;
    out.serialize_field("rtt_ms", &spec.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0))?;
    out.serialize_field("up_bps", &spec.up)?;
    out.serialize_field("down_bps", &spec.down)?;
    out.serialize_field("loss_permille", &spec.loss)?;
    out.serialize_field("signal_percent", &spec.signal)?;
    out.serialize_field("mtu", &spec.mtu)?;
    out.serialize_field("binding", &spec.binding)?;
    out.serialize_field("why_unbound", &spec.notes.unbound)?;
    out.serialize_field("why_refused", &why_refused)?;
    out.serialize_field("addresses", &spec.addresses)?;
    out.serialize_field("routes", &spec.routes)?;
    out.serialize_field("dns", &spec.dns)?;
    out.serialize_field("sources", &sources)
}

/// `{"name", "kinds", "state", "why_down", "carrier", "operstate", "health", "metered", "roaming",
/// "constrained", "losing", "bypass_vpn", "rtt_ms", "up_bps", "down_bps", "loss_permille",
/// "signal_percent", "mtu", "binding", "why_unbound", "why_refused", "addresses", "routes", "dns",
/// "sources"}`; `null` for what nobody knows, and in `sources` a list for each aspect that somebody
/// told, who won first.
impl Serialize for NetworkSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("NetworkSpec", FIELDS)?;
        describe(self, &mut out)?;
        out.end()
    }
}

/// `"id"`, the fields of a [`NetworkSpec`], and `"age_ms"`: for how long each aspect has been so, for a
/// network that a scout published.
impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ages: BTreeMap<Aspect, u64> = Aspect::ALL
            .into_iter()
            .filter_map(|aspect| Some((aspect, milliseconds(self.age(aspect)?))))
            .collect();
        let mut out = serializer.serialize_struct("Network", FIELDS + 2)?;
        out.serialize_field("id", &self.id())?;
        describe(self.spec(), &mut out)?;
        out.serialize_field("age_ms", &ages)?;
        out.end()
    }
}

fn milliseconds(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// `{"generation", "complete", "networks"}`.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Snapshot", 3)?;
        out.serialize_field("generation", &self.generation())?;
        out.serialize_field("complete", &self.is_complete())?;
        out.serialize_field("networks", self.networks())?;
        out.end()
    }
}
