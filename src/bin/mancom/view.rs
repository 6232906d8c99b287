//! One network as `status` and `wait` show it.
//!
//! As an object; a key is never left out, what is not known is `null` or `"unknown"`:
//!
//! ```json
//! { "name": "wwan0", "id": "4.1", "kinds": ["cellular"], "state": "up", "health": "unknown",
//!   "addresses": ["10.2.0.2/24"], "default_route": true,
//!   "metered": "yes", "roaming": "unknown", "constrained": "unknown", "losing": false,
//!   "rtt_ms": 60.0, "up_bits": null, "down_bits": 10000000, "mtu": 1500, "binding": "device" }
//! ```
//!
//! `metered`, `roaming` and `constrained` are `no`, `likely no`, `unknown`, `likely yes` or `yes`.

use mancom::Network;
use serde_json::{Value, json};

/// A network in words.
#[derive(Debug)]
pub(crate) struct View<'a> {
    network: &'a Network,
}

impl<'a> View<'a> {
    pub(crate) fn of(network: &'a Network) -> Self {
        View { network }
    }

    pub(crate) fn header() -> Vec<String> {
        [
            "NAME",
            "KIND",
            "STATE",
            "HEALTH",
            "ROUTE",
            "METERED",
            "ROAMING",
            "RTT",
            "ADDRESSES",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    pub(crate) fn row(&self) -> Vec<String> {
        let network = self.network;
        vec![
            network.name().to_owned(),
            network.kinds().to_string(),
            network.state().to_string(),
            network.health().to_string(),
            if self.has_default_route() {
                "default"
            } else {
                "-"
            }
            .to_owned(),
            network.metered().to_string(),
            network.roaming().to_string(),
            network
                .rtt()
                .map_or("-".to_owned(), |rtt| format!("{rtt:?}")),
            self.addresses().join(" "),
        ]
    }

    pub(crate) fn object(&self) -> Value {
        let network = self.network;
        json!({
            "name": network.name(),
            "id": network.id().to_string(),
            "kinds": network.kinds().iter().map(|kind| kind.to_string()).collect::<Vec<_>>(),
            "state": network.state().to_string(),
            "health": network.health().to_string(),
            "addresses": self.addresses(),
            "default_route": self.has_default_route(),
            "metered": network.metered().to_string(),
            "roaming": network.roaming().to_string(),
            "constrained": network.constrained().to_string(),
            "losing": network.is_losing(),
            "rtt_ms": network.rtt().map(|rtt| rtt.as_secs_f64() * 1000.0),
            "up_bits": network.up(),
            "down_bits": network.down(),
            "mtu": network.mtu(),
            "binding": network.binding().word(),
        })
    }

    fn has_default_route(&self) -> bool {
        self.network
            .routes()
            .iter()
            .any(|route| route.is_default_like())
    }

    fn addresses(&self) -> Vec<String> {
        let addresses = self.network.addresses().iter();
        addresses.map(ToString::to_string).collect()
    }
}
