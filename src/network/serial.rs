//! The serialized form of a snapshot: stable names, durations in milliseconds, bandwidth in bits
//! a second, loss in packets of a thousand.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{
    Address, Binding, Fact, Health, Kind, Kinds, Network, NetworkId, Route, Snapshot, State,
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
by_word!(Kind, Fact, Health, State, Binding);

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

/// `{"id", "name", "kinds", "state", "health", "metered", "roaming", "constrained", "losing",
/// "bypass_vpn", "rtt_ms", "up_bps", "down_bps", "loss_permille", "mtu", "binding", "addresses",
/// "routes", "dns"}`; `null` for a figure that nobody knows.
impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Network", 19)?;
        out.serialize_field("id", &self.id())?;
        out.serialize_field("name", self.name())?;
        out.serialize_field("kinds", &self.kinds())?;
        out.serialize_field("state", &self.state())?;
        out.serialize_field("health", &self.health())?;
        out.serialize_field("metered", &self.metered())?;
        out.serialize_field("roaming", &self.roaming())?;
        out.serialize_field("constrained", &self.constrained())?;
        out.serialize_field("losing", &self.is_losing())?;
        out.serialize_field("bypass_vpn", &self.bypasses_vpn())?;
        out.serialize_field("rtt_ms", &self.rtt().map(|rtt| rtt.as_secs_f64() * 1000.0))?;
        out.serialize_field("up_bps", &self.up())?;
        out.serialize_field("down_bps", &self.down())?;
        out.serialize_field("loss_permille", &self.loss())?;
        out.serialize_field("mtu", &self.mtu())?;
        out.serialize_field("binding", self.binding())?;
        out.serialize_field("addresses", self.addresses())?;
        out.serialize_field("routes", self.routes())?;
        out.serialize_field("dns", self.dns())?;
        out.end()
    }
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
