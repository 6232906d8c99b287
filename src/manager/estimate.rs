//! What sending so many bytes would take by the networks of this moment, without a session.

use super::{BuildError, Manager};
use crate::label::Label;
use crate::label::matching::{Destination, PathFacts, path_class};
use crate::network::Network;
use crate::proto::schedule::estimate::{self, Energy, Estimate, Way};
use crate::proto::schedule::{Candidate, Measure, PATHS};

impl Manager {
    /// What sending so many bytes of this label would take over the networks that admit it now: the time
    /// until the last of them is there, how many go over metered networks, and what `energy` makes of
    /// them. A session of the label would have a path on each of the best of them, up to four.
    ///
    /// It rests on what was measured of the networks, else on what the configuration says (`rtt`, `up`); that
    /// sessions already use them is not taken into account:
    /// [`Session::estimate`](crate::Session::estimate) knows more. `None` where no network admits the
    /// label ([`explain`](Self::explain) says why), nobody knows a bandwidth, or it would take more than 13 days.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use mancom::network::Kind;
    /// use mancom::{Label, Manager, Network, Scout};
    ///
    /// let phone = Network::cellular("wwan0").metered(true).up(8_000_000).rtt(Duration::from_millis(60));
    /// let manager = Manager::builder().scout(Scout::fixed([phone])).build().await?;
    ///
    /// // What this device's radios take: so much a byte, and so much a second awake.
    /// let radios = |kind: Kind, bytes: u64, time: Duration| match kind {
    ///     Kind::Cellular => 8e-6 * bytes as f64 + 1.2 * time.as_secs_f64(),
    ///     _ => 1e-6 * bytes as f64,
    /// };
    /// let upload = manager.estimate(Label::ANY, 1_000_000, Some(&radios)).expect("a network");
    /// assert_eq!(upload.time, Duration::from_millis(1_030));
    /// assert_eq!(upload.metered, 1_000_000);
    /// assert!(upload.joules > 9.2 && upload.joules < 9.3);
    /// # Ok::<_, mancom::Error>(()) }).unwrap();
    /// ```
    pub fn estimate(
        &self,
        label: Label,
        bytes: u64,
        energy: Option<&dyn Energy>,
    ) -> Option<Estimate> {
        let admitted = self.explain(&label, &Destination::Unnamed).ok()?;
        let policy = self.policy();
        let told = PathFacts::default();
        // Ids from the half on are lanes of the others.
        let networks = admitted.iter().take(PATHS / 2).enumerate();
        let ways = networks.map(|(slot, network)| {
            let class = path_class(&label, Some(network), &told, true, &policy);
            way(slot, network, class)
        });
        estimate::estimate(bytes, &ways.collect::<Vec<_>>(), energy)
    }
}

fn way(slot: usize, network: &Network, class: u16) -> Way {
    Way {
        path: Candidate {
            slot,
            network: u8::try_from(slot).unwrap_or(u8::MAX),
            class,
            measure: Measure {
                rtt: network.rtt(),
                bandwidth: network.up().map(|bits| bits / 8),
                ..Measure::default()
            },
            ..Candidate::default()
        },
        kind: network.kind(),
        metered: network.metered().known() == Some(true),
    }
}

/// [`mancom::estimate`](crate::estimate).
pub(crate) fn estimate(
    label: Label,
    bytes: u64,
    energy: Option<&dyn Energy>,
) -> Result<Option<Estimate>, BuildError> {
    Ok(Manager::current()?.estimate(label, bytes, energy))
}
