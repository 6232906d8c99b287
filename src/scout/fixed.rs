//! Networks that somebody else knows: a set given once that never changes.

use super::publish::Seen;
use crate::network::{Binding, NetworkSpec};

/// The set as a source sees it; the index is the place in the list, from 1.
pub(super) fn seen(networks: impl IntoIterator<Item = NetworkSpec>) -> Vec<Seen> {
    let seen = (1..).zip(networks).map(|(index, spec)| Seen {
        index,
        turn: 0,
        spec: detached(spec),
    });
    seen.collect()
}

/// A name that was described need not be an interface: sockets are not bound to it, unless the
/// description says more than nothing about binding.
pub(super) fn detached(mut spec: NetworkSpec) -> NetworkSpec {
    if spec.binding == Binding::Device {
        spec.binding = Binding::Detached;
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::scout::Scout;

    // behaviour: C1
    #[tokio::test]
    async fn is_complete_from_the_first_look() {
        let scout = Scout::fixed([Network::wifi("wifi"), Network::cellular("cell")]);
        let snapshot = scout.snapshots().borrow().clone();
        assert!(snapshot.is_complete() && snapshot.generation() == 1);
        let names: Vec<_> = snapshot.networks().iter().map(Network::name).collect();
        assert_eq!(names, ["wifi", "cell"]);
        assert!(scout.is_simulated());
        assert_eq!(scout.source(), "fixed");
    }

    #[test]
    fn binds_to_no_device_unless_told_how() {
        let by_address = Network::wifi("b").binding(Binding::Address);
        let seen = seen([Network::wifi("a"), by_address]);
        assert_eq!(seen[0].spec.binding, Binding::Detached);
        assert_eq!(seen[1].spec.binding, Binding::Address);
    }
}
