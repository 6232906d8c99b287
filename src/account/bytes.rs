//! Bytes by network, by whether it is metered, by urgency and by direction.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Accounts;
use crate::label::Urgency;
use crate::network::Network;
use crate::proto::session::Tally;

/// Networks that are told apart, as metered and as not: what goes on more counts as of `other`.
const ROWS: usize = 256;
/// What stands for the networks beyond those.
const OTHER: &str = "other";

/// Bytes of one sort that sessions and plain connections moved since the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NetworkTraffic {
    /// The network's name; `None` where no network is used or none is known. `other` of more than 256.
    pub network: Option<Arc<str>>,
    /// Its bytes cost money, as far as that was known when they went.
    pub metered: bool,
    /// How urgent the payload was, by its own label; `None` for everything but payload: headers,
    /// acknowledgements, handshakes not included.
    #[cfg_attr(feature = "serde", serde(serialize_with = "word"))]
    pub urgency: Option<Urgency>,
    /// Bytes sent, repetitions included.
    pub sent: u64,
    /// Bytes received, repetitions included.
    pub received: u64,
}

#[cfg(feature = "serde")]
fn word<S: serde::Serializer>(urgency: &Option<Urgency>, out: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&urgency.map(|urgency| urgency.word()), out)
}

/// By network and whether it is metered.
type Key = (Option<Arc<str>>, bool);

#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<BTreeMap<Key, Arc<Row>>>);

/// The bytes of one network; in the order of a [`Tally`].
#[derive(Debug)]
pub(crate) struct Row {
    sent: [AtomicU64; 4],
    received: [AtomicU64; 4],
    #[cfg(feature = "metrics")]
    key: Key,
    /// Sent and received, as told.
    #[cfg(feature = "metrics")]
    told: [[AtomicU64; 4]; 2],
}

impl Row {
    fn new(key: &Key) -> Arc<Self> {
        #[cfg(not(feature = "metrics"))]
        let _ = key;
        Arc::new(Self {
            sent: Default::default(),
            received: Default::default(),
            #[cfg(feature = "metrics")]
            key: key.clone(),
            #[cfg(feature = "metrics")]
            told: Default::default(),
        })
    }

    /// Adds what came to a tally since it was `before`.
    pub(crate) fn add(&self, before: &Tally, now: &Tally) {
        for sort in 0..4 {
            let sent = now.sent[sort].saturating_sub(before.sent[sort]);
            let received = now.received[sort].saturating_sub(before.received[sort]);
            count(&self.sent, sort, sent);
            count(&self.received, sort, received);
        }
    }

    /// Payload went or came.
    pub(crate) fn payload(&self, urgency: Urgency, sent: u64, received: u64) {
        count(&self.sent, urgency as usize, sent);
        count(&self.received, urgency as usize, received);
    }

    /// Tells the `metrics` facade what came since the last time. A recorder is a program's code: no lock
    /// is held for it. Without that feature nothing is told.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish(&self) {
        const SORTS: [&str; 4] = ["interactive", "default", "background", "control"];
        let (network, metered) = &self.key;
        let ways = [("sent", &self.sent), ("received", &self.received)];
        for ((way, bytes), told) in ways.into_iter().zip(&self.told) {
            for (sort, urgency) in SORTS.into_iter().enumerate() {
                let now = bytes[sort].load(Ordering::Relaxed);
                let news = now.saturating_sub(told[sort].fetch_max(now, Ordering::Relaxed));
                if news > 0 {
                    ::metrics::counter!(
                        "mancom_bytes_total",
                        "network" => network.as_deref().unwrap_or_default().to_owned(),
                        "metered" => if *metered { "yes" } else { "no" },
                        "urgency" => urgency,
                        "direction" => way,
                    )
                    .increment(news);
                }
            }
        }
    }

    #[cfg(not(feature = "metrics"))]
    pub(crate) fn publish(&self) {}
}

fn count(place: &[AtomicU64; 4], sort: usize, bytes: u64) {
    if bytes > 0 {
        place[sort].fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Row>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// Where the bytes of this network are counted.
    pub(crate) fn row(&self, network: Option<&Network>) -> Arc<Row> {
        let metered = network.is_some_and(|network| network.metered().known() == Some(true));
        let mut key: Key = (network.map(|network| network.name().into()), metered);
        let mut rows = self.counters.lock();
        if rows.len() >= ROWS && !rows.contains_key(&key) {
            key = (Some(OTHER.into()), metered);
        }
        let make = || Row::new(&key);
        rows.entry(key.clone()).or_insert_with(make).clone()
    }

    /// All that was counted, in order of network, metered and urgency; what never moved is left out.
    pub(crate) fn traffic(&self) -> Vec<NetworkTraffic> {
        const SORTS: [Option<Urgency>; 4] = [
            Some(Urgency::Interactive),
            Some(Urgency::Default),
            Some(Urgency::Background),
            None,
        ];
        let rows = self.counters.lock();
        let mut all = Vec::new();
        for ((network, metered), row) in rows.iter() {
            for (sort, urgency) in SORTS.into_iter().enumerate() {
                let counted = NetworkTraffic {
                    network: network.clone(),
                    metered: *metered,
                    urgency,
                    sent: row.sent[sort].load(Ordering::Relaxed),
                    received: row.received[sort].load(Ordering::Relaxed),
                };
                if counted.sent > 0 || counted.received > 0 {
                    all.push(counted);
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "metrics")]
    mod metrics {
        use super::*;
        use ::metrics::{
            Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
        };

        /// Keeps what is counted, by name and the words of its labels.
        #[derive(Debug, Default)]
        struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

        impl Kept {
            fn all(&self) -> Vec<(String, u64)> {
                let kept = self.0.lock().unwrap();
                let read = |(name, cell): (&String, &Arc<AtomicU64>)| {
                    (name.clone(), cell.load(Ordering::Relaxed))
                };
                kept.iter().map(read).collect()
            }
        }

        impl Recorder for Kept {
            fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
            fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
            fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

            fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
                let labels = key.labels();
                let labels = labels.map(|label| format!(" {}={}", label.key(), label.value()));
                let name = format!("{}{}", key.name(), labels.collect::<String>());
                Counter::from_arc(self.0.lock().unwrap().entry(name).or_default().clone())
            }

            fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
                panic!("bytes are counted")
            }

            fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
                panic!("bytes are counted")
            }
        }

        #[test]
        fn the_counter_is_told_each_byte_once() {
            let kept = Kept::default();
            let _local = ::metrics::set_default_local_recorder(&kept);
            let accounts = Accounts::default();
            let id = crate::network::NetworkId::new(1, 0);
            let phone = Network::new(id, Network::cellular("wwan0").metered(true));
            let row = accounts.row(Some(&phone));
            row.publish();
            assert_eq!(kept.all(), [], "nothing went");
            row.payload(Urgency::Interactive, 5, 0);
            row.publish();
            row.payload(Urgency::Interactive, 2, 0);
            row.publish();
            row.publish();
            let now = Tally {
                received: [0, 0, 0, 9],
                ..Tally::default()
            };
            accounts.row(None).add(&Tally::default(), &now);
            accounts.row(None).publish();
            let named = |of: &str| format!("mancom_bytes_total {of}");
            assert_eq!(
                kept.all(),
                [
                    (
                        named("network= metered=no urgency=control direction=received"),
                        9
                    ),
                    (
                        named("network=wwan0 metered=yes urgency=interactive direction=sent"),
                        7
                    ),
                ]
            );
        }
    }

    #[test]
    fn bytes_are_told_apart_by_sort_and_direction() {
        let accounts = Accounts::default();
        let (mut before, mut now) = (Tally::default(), Tally::default());
        before.sent = [1, 1, 1, 1];
        now.sent = [1, 3, 1, 6];
        now.received = [0, 0, 9, 0];
        accounts.row(None).add(&before, &now);
        accounts.row(None).payload(Urgency::Default, 1, 0);
        let told: Vec<_> = accounts.traffic();
        let told = told.iter().map(|row| (row.urgency, row.sent, row.received));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (Some(Urgency::Default), 3, 0),
                (Some(Urgency::Background), 0, 9),
                (None, 5, 0)
            ]
        );
    }

    #[test]
    fn networks_beyond_the_bound_count_together() {
        let accounts = Accounts::default();
        for n in 0..2 * ROWS {
            let id = crate::network::NetworkId::new(n as u32, 0);
            let network = Network::new(id, Network::wifi(format!("w{n}")));
            accounts.row(Some(&network)).payload(Urgency::Default, 1, 0);
        }
        let told = accounts.traffic();
        assert_eq!(told.len(), ROWS + 1);
        let other = told
            .iter()
            .find(|row| row.network.as_deref() == Some(OTHER));
        assert_eq!(other.unwrap().sent, ROWS as u64);
        assert_eq!(
            told.iter().map(|row| row.sent).sum::<u64>(),
            2 * ROWS as u64
        );
    }
}
