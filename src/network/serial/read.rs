//! Back from the serialized form. What is not there is unknown, what is not known is ignored, but
//! an unknown word for a fact is an error: it must not be taken for another.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::clock::Clock;
use crate::network::{
    Address, Aspect, Binding, Fact, Health, Kind, Kinds, Network, NetworkId, NetworkSpec, Notes,
    Route, Since, Snapshot, State, Word,
};

/// More networks than this are no snapshot: each costs far more memory than its text.
const NETWORKS: usize = 65_536;

macro_rules! by_word {
    ($($type:ty: $all:expr;)*) => { $(
        /// Its word.
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                let found = $all.into_iter().find(|value| value.word() == text);
                found.ok_or_else(|| D::Error::invalid_value(
                    Unexpected::Str(&text),
                    &concat!("a word for ", stringify!($type)),
                ))
            }
        }
    )* };
}
by_word! {
    Kind: Kind::ALL;
    Aspect: Aspect::ALL;
    Fact: [Fact::No, Fact::LikelyNo, Fact::Unknown, Fact::LikelyYes, Fact::Yes];
    Health: [Health::Full, Health::Unknown, Health::Limited, Health::Portal, Health::None];
    State: [State::Up, State::Suspended, State::Dormant, State::Down];
}

/// Its text form.
impl<'de> Deserialize<'de> for NetworkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an id such as 3.1";
        let text = Cow::<str>::deserialize(deserializer)?;
        let id = text.split_once('.').and_then(|(index, epoch)| {
            Some(NetworkId::new(index.parse().ok()?, epoch.parse().ok()?))
        });
        id.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &expected))
    }
}

/// Its text form.
impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A list of words.
impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Kind>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

/// `{"to", "connected", "metric", "table", "rank"}`; all but the first may be left out.
impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            to: Address,
            #[serde(default)]
            connected: bool,
            #[serde(default)]
            metric: u32,
            #[serde(default)]
            table: u32,
            #[serde(default)]
            rank: u32,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Route {
            to: fields.to.ip,
            prefix: fields.to.prefix,
            connected: fields.connected,
            metric: fields.metric,
            table: fields.table,
            rank: fields.rank,
        })
    }
}

/// A network or the description of one; the latter has no id.
#[derive(Deserialize)]
struct Fields {
    id: Option<NetworkId>,
    name: String,
    #[serde(default)]
    kinds: Kinds,
    #[serde(default)]
    state: State,
    #[serde(default)]
    why_down: Vec<Word>,
    #[serde(default)]
    carrier: Fact,
    operstate: Option<Word>,
    #[serde(default)]
    health: Health,
    #[serde(default)]
    metered: Fact,
    #[serde(default)]
    roaming: Fact,
    #[serde(default)]
    constrained: Fact,
    #[serde(default)]
    losing: bool,
    #[serde(default)]
    bypass_vpn: bool,
    rtt_ms: Option<f64>,
    up_bps: Option<u64>,
    down_bps: Option<u64>,
    loss_permille: Option<u16>,
    signal_percent: Option<u8>,
    mtu: Option<u32>,
    binding: Option<String>,
    why_unbound: Option<Word>,
    why_refused: Option<Arc<str>>,
    #[serde(default)]
    addresses: Vec<Address>,
    #[serde(default)]
    routes: Vec<Route>,
    #[serde(default)]
    dns: Vec<IpAddr>,
    /// By word, for one that is not known is ignored.
    #[serde(default)]
    sources: BTreeMap<String, Vec<Word>>,
    #[serde(default)]
    age_ms: BTreeMap<String, u64>,
}

impl Fields {
    fn spec<E: Error>(self) -> Result<NetworkSpec, E> {
        let binding = binding(self.binding.as_deref(), self.why_refused)?;
        let mut notes = Notes {
            down: self.why_down,
            sources: Vec::new(),
            unbound: self.why_unbound,
        };
        for (aspect, sources) in known(self.sources) {
            for source in sources {
                notes.said(aspect, source);
            }
        }
        Ok(NetworkSpec {
            name: self.name,
            kinds: self.kinds,
            state: self.state,
            health: self.health,
            metered: self.metered,
            roaming: self.roaming,
            constrained: self.constrained,
            losing: self.losing,
            bypass_vpn: self.bypass_vpn,
            rtt: self.rtt_ms.map(duration).transpose()?,
            up: self.up_bps,
            down: self.down_bps,
            loss: self.loss_permille,
            signal: self.signal_percent,
            carrier: self.carrier,
            operstate: self.operstate,
            addresses: self.addresses,
            routes: self.routes,
            binding,
            mtu: self.mtu,
            dns: self.dns,
            notes,
        })
    }
}

fn binding<E: Error>(word: Option<&str>, why_refused: Option<Arc<str>>) -> Result<Binding, E> {
    let plain = [
        Binding::Device,
        Binding::Address,
        Binding::Unbound,
        Binding::Detached,
    ];
    match word {
        None => Ok(Binding::default()),
        Some("refused") => Ok(Binding::Refused(why_refused.unwrap_or_default())),
        Some(word) => plain
            .into_iter()
            .find(|binding| binding.word() == word)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(word), &"a word for a binding")),
    }
}

fn duration<E: Error>(milliseconds: f64) -> Result<Duration, E> {
    Duration::try_from_secs_f64(milliseconds / 1000.0)
        .map_err(|_| E::invalid_value(Unexpected::Float(milliseconds), &"a length of time"))
}

/// Those of an aspect that is known here.
fn known<T>(by_word: BTreeMap<String, T>) -> impl Iterator<Item = (Aspect, T)> {
    let all = by_word.into_iter();
    all.filter_map(|(word, value)| Some((Aspect::from_word(&word)?, value)))
}

/// As it is written; an `id` is ignored.
impl<'de> Deserialize<'de> for NetworkSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer)?.spec()
    }
}

/// As it is written; its ages count on from now.
impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Fields::deserialize(deserializer)?;
        let id = fields.id.ok_or_else(|| D::Error::missing_field("id"))?;
        let ages = std::mem::take(&mut fields.age_ms);
        let spec = fields.spec()?;
        if ages.is_empty() {
            return Ok(Network::new(id, spec));
        }
        let now = Clock::now();
        let mut since = Since::new(now);
        for (aspect, age) in known(ages) {
            let at = now.checked_sub(Duration::from_millis(age));
            since.set(aspect, at.unwrap_or(now));
        }
        Ok(Network::aged(id, spec, since))
    }
}

/// As it is written; at most 65,536 networks.
impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            generation: u64,
            complete: bool,
            #[serde(deserialize_with = "networks")]
            networks: Vec<Network>,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Snapshot::new(
            fields.generation,
            fields.complete,
            fields.networks,
        ))
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Network>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {NETWORKS} networks")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut networks = Vec::new();
            while let Some(network) = all.next_element()? {
                if networks.len() == NETWORKS {
                    return Err(A::Error::invalid_length(NETWORKS + 1, &self));
                }
                networks.push(network);
            }
            Ok(networks)
        }
    }
    deserializer.deserialize_seq(List)
}
