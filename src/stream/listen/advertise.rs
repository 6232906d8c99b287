//! What peers are told of a listener's addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::driver::Advertise;
use super::super::whereabouts::is_far;
use crate::deferral::Registry;
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::{Destination, admit};
use crate::network::{Network, State};
use crate::proto::session::MAX_ADDRESSES;

/// Where a listener on every address can be dialled: the port is that of its contact.
pub(super) fn addresses_of(
    registry: Arc<Registry>,
    endpoint: &Endpoint,
    contacts: watch::Receiver<Endpoint>,
    label: Option<Label>,
) -> Advertise {
    let everywhere = endpoint.ip().is_some_and(|ip| ip.is_unspecified());
    Arc::new(move |snapshot| {
        let Some(port) = contacts.borrow().port().filter(|_| everywhere) else {
            return Vec::new();
        };
        let policy = registry.policy();
        let admits = |network: &Network, label: &Label| {
            let to = Destination::Unnamed;
            let admission = admit(snapshot, network, label, &to, &policy);
            admission.reasons.is_empty()
        };
        let mut addresses = Vec::new();
        for network in snapshot.networks() {
            let listens = label.is_none_or(|label| admits(network, &label));
            if listens && network.state() == State::Up {
                let ips = network.addresses().iter().map(|address| address.ip);
                addresses.extend(ips.filter(|ip| is_far(*ip)));
            }
        }
        addresses.truncate(MAX_ADDRESSES);
        let at = |ip| SocketAddr::new(ip, port);
        addresses.into_iter().map(at).collect()
    })
}
