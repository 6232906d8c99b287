//! One network as `status`, `watch` and `wait` show it.
//!
//! As an object it is as [`NETWORK`] documents it.

use mancom::Network;
use mancom::network::Aspect;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A network, stable across versions.
pub(crate) const NETWORK: &str = r#"A network; a key is never left out, what is not known is null or "unknown":
  { "name": "wwan0", "id": "4.1", "kinds": ["cellular"], "state": "up", "why_down": [],
    "carrier": "yes", "operstate": "up", "health": "unknown", "addresses": ["10.2.0.2/24"],
    "default_route": true, "routes": [ { "to": "0.0.0.0/0", "connected": false, "metric": 200,
    "table": 254, "rank": 32766 } ], "dns": [], "metered": "yes", "roaming": "unknown",
    "constrained": "unknown", "losing": false, "bypass_vpn": false, "rtt_ms": 60.0,
    "up_bits": null, "down_bits": 10000000, "loss_permille": null, "signal_percent": null,
    "mtu": 1500, "binding": "device", "why_unbound": null,
    "facts": { "metered": { "value": "yes", "sources": ["override"], "age_ms": 5125 } } }
metered, roaming, constrained and carrier are "no", "likely no", "unknown", "likely yes" or "yes".
facts tells of each fact who said it, the winner first, and how long it has been so."#;

/// Why a label waits.
pub(crate) const BLOCKED: &str = r#"An explanation; history has the last 16 changes, oldest first, and relaxed is the same for the label
first asked for, where a looser one took over:
  { "label": "require=wifi", "name": null, "to": "anywhere", "generation": 7, "complete": true,
    "reasons": [], "networks": [ { "id": "2.1", "name": "eth0", "reasons": [ { "reason": "kind",
    "text": "is ethernet, not wifi", "source": "netlink", "since_ms": 5125.0 } ],
    "assumptions": [ { "property": "metered", "fact": "unknown", "taken": false } ] } ],
    "hint": "needs wifi", "waited_ms": 2000.0, "history": [ { "generation": 6, "network": "wlan0",
    "was": { "standing": "admitted", "reasons": [] }, "now": { "standing": "absent",
    "reasons": [] }, "age_ms": 900.0 } ], "relaxed": null }"#;

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
            words(network.addresses()).join(" "),
        ]
    }

    /// Everything known, a row each: the value, who said it, and since when.
    pub(crate) fn facts(&self) -> Vec<Vec<String>> {
        let header = [self.network.name(), "VALUE", "SOURCE", "FOR"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for aspect in Aspect::ALL
            .into_iter()
            .filter(|aspect| *aspect != Aspect::Name)
        {
            let value = self.network.value(aspect);
            let sources: Vec<&str> = self.network.sources(aspect).collect();
            rows.push(vec![
                aspect.to_string(),
                value.unwrap_or_else(|| "unknown".to_owned()),
                sources.join(", "),
                self.network.age(aspect).map(age).unwrap_or_default(),
            ]);
        }
        rows
    }

    pub(crate) fn object(&self) -> Value {
        let network = self.network;
        json!({
            "name": network.name(),
            "id": network.id().to_string(),
            "kinds": network.kinds().iter().map(|kind| kind.to_string()).collect::<Vec<_>>(),
            "state": network.state().to_string(),
            "why_down": network.why_down(),
            "carrier": network.carrier().to_string(),
            "operstate": network.operstate(),
            "health": network.health().to_string(),
            "addresses": words(network.addresses()),
            "default_route": self.has_default_route(),
            "routes": network.routes(),
            "dns": words(network.dns()),
            "metered": network.metered().to_string(),
            "roaming": network.roaming().to_string(),
            "constrained": network.constrained().to_string(),
            "losing": network.is_losing(),
            "bypass_vpn": network.bypasses_vpn(),
            "rtt_ms": network.rtt().map(|rtt| rtt.as_secs_f64() * 1000.0),
            "up_bits": network.up(),
            "down_bits": network.down(),
            "loss_permille": network.loss(),
            "signal_percent": network.signal(),
            "mtu": network.mtu(),
            "binding": network.binding().word(),
            "why_unbound": network.why_unbound(),
            "facts": self.sources(),
        })
    }

    /// Only what somebody said.
    fn sources(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        for aspect in Aspect::ALL {
            let sources: Vec<&str> = self.network.sources(aspect).collect();
            if sources.is_empty() {
                continue;
            }
            let fact = json!({
                "value": self.network.value(aspect),
                "sources": sources,
                "age_ms": self.network.age(aspect).map(|age| age.as_millis() as u64),
            });
            facts.insert(aspect.word().to_owned(), fact);
        }
        facts
    }

    fn has_default_route(&self) -> bool {
        let mut routes = self.network.routes().iter();
        routes.any(|route| route.is_default_like())
    }
}

fn words<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// How long something has been so, to the two largest units.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0 => format!("{} ms", age.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::age;
    use std::time::Duration;

    #[test]
    fn an_age_has_two_units() {
        for (seconds, text) in [
            (0, "0 ms"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_725, "1 h 2 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
