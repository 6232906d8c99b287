//! What an interface is by itself, and what lies below it.

use super::tables::{Link, Tables};
use crate::network::Kind;
use crate::scout::sysfs::Sysfs;
use netlink_packet_route::link::{InfoKind, LinkLayerType};
use std::collections::BTreeMap;

/// What an interface is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// As netlink tells it.
    Told(Kind),
    /// As sysfs tells it, which knows radios, against netlink.
    Radio(Kind),
    /// What the devices below it are; this kind if none is known.
    Below(Kind),
}

/// What a link lies over.
enum Over {
    /// Those that name it as their master.
    Ports,
    /// The one that it names.
    Lower,
}

impl Over {
    /// By its kind; a veth's "lower" is its other end, and no device below it.
    fn of(info: &InfoKind) -> Option<Self> {
        match info {
            InfoKind::Bridge | InfoKind::Bond => Some(Over::Ports),
            InfoKind::Other(name) if name == "team" => Some(Over::Ports),
            InfoKind::Vlan
            | InfoKind::MacVlan
            | InfoKind::MacVtap
            | InfoKind::IpVlan
            | InfoKind::IpVtap
            | InfoKind::MacSec => Some(Over::Lower),
            _ => None,
        }
    }
}

pub(super) fn own(sysfs: &mut Sysfs, tables: &Tables, link: &Link) -> Own {
    let facts = &link.facts;
    if link.is_loopback() {
        return Own::Told(Kind::Loopback);
    }
    let ether = facts.layer == LinkLayerType::Ether;
    match facts.info.as_ref().and_then(Over::of) {
        Some(Over::Ports) => return Own::Below(Kind::Other),
        Some(Over::Lower) => return Own::Below(Kind::Ethernet),
        None => {}
    }
    let other = match &facts.info {
        Some(InfoKind::Veth | InfoKind::Netkit | InfoKind::Hsr) => Kind::Ethernet,
        Some(InfoKind::Wireguard | InfoKind::Xfrm | InfoKind::Vti) => Kind::Vpn,
        // A TAP is a cable to a program; a TUN with routes is somebody's tunnel.
        Some(InfoKind::Tun) if ether => Kind::Ethernet,
        Some(InfoKind::Tun) if tables.routes_of(facts.index).next().is_some() => Kind::Vpn,
        Some(InfoKind::Other(name)) => match name.as_str() {
            "dsa" => Kind::Ethernet,
            "ovpn" => Kind::Vpn,
            "rmnet" | "wwan" => Kind::Cellular,
            "virt_wifi" => Kind::Wifi,
            _ => Kind::Other,
        },
        None if ether => Kind::Ethernet,
        None if facts.layer == LinkLayerType::Rawip => Kind::Cellular,
        _ => Kind::Other,
    };
    // Only what netlink knows by its hardware type alone can be a radio.
    let radio = match &facts.info {
        None | Some(InfoKind::Other(_)) => sysfs.kind(facts.index, &facts.name, &facts.hardware),
        _ => None,
    };
    radio.map_or(Own::Told(other), Own::Radio)
}

/// The devices directly below each link, as the links themselves tell.
#[derive(Debug)]
pub(super) struct Lowers<'a> {
    tables: &'a Tables,
    ports: BTreeMap<u32, Vec<u32>>,
}

impl<'a> Lowers<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        let mut ports: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (index, link) in &tables.links {
            if let Some(master) = link.facts.master {
                ports.entry(master).or_default().push(*index);
            }
        }
        Lowers { tables, ports }
    }

    pub(super) fn of(&self, index: u32) -> Vec<u32> {
        let Some(link) = self.tables.links.get(&index) else {
            return Vec::new();
        };
        let ports = || self.ports.get(&index).cloned().unwrap_or_default();
        match link.facts.info.as_ref().and_then(Over::of) {
            Some(Over::Ports) => ports(),
            Some(Over::Lower) => link.facts.lower.into_iter().collect(),
            None => Vec::new(),
        }
    }
}
