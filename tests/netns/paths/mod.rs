//! A session on all its networks at once: real links, real TCP, and the kernel's own counters.

pub(crate) mod bulk;
pub(crate) mod labels;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod loss;
pub(crate) mod mixed;

use crate::transfer::Transfer;
use crate::waiting::until_task;
use crate::world::{PATIENCE, World};
use mancom::stream::{PathEvent, PathInfo};
use mancom::{McStream, Session};

/// What the client's end of each network has sent, as the kernel counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    wifi: u64,
    cellular: u64,
}

impl Sent {
    fn by_client(world: &World) -> Self {
        Sent {
            wifi: world.client.bytes_sent("wlan0"),
            cellular: world.client.bytes_sent("wwan0"),
        }
    }

    fn by_server(world: &World) -> Self {
        Sent {
            wifi: world.server.bytes_sent("s0"),
            cellular: world.server.bytes_sent("s1"),
        }
    }

    fn since(self, before: Sent) -> Self {
        Sent {
            wifi: self.wifi.saturating_sub(before.wifi),
            cellular: self.cellular.saturating_sub(before.cellular),
        }
    }
}

/// How often a network's general path was joined.
fn joined(transfer: &Transfer, name: &str) -> usize {
    let of_it = |path: &PathInfo| path.name.as_deref() == Some(name) && !path.lane;
    let events = transfer.events();
    let ups = |event: &&PathEvent| matches!(event, PathEvent::Up(path) if of_it(path));
    events.iter().filter(ups).count()
}

/// Waits until general paths on exactly these networks carry.
async fn carried_by(session: &Session, names: &[&str]) {
    until_task("paths that carry", PATIENCE, || {
        let paths = session.paths();
        let general = paths.iter().filter(|path| path.carries && !path.lane);
        let mut on: Vec<&str> = general.filter_map(|path| path.name.as_deref()).collect();
        on.sort_unstable();
        on == names
    })
    .await;
}

/// Payload that a stream's session has sent over a network, again or not.
fn payload_on(stream: &McStream, name: &str) -> u64 {
    let networks = stream.stats().networks;
    let of_it = |network: &&mancom::stream::NetworkBytes| network.name.as_deref() == Some(name);
    let sent = networks.iter().filter(of_it);
    sent.map(|network| network.bytes.payload_sent + network.bytes.payload_resent)
        .sum()
}
