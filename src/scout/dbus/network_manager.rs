//! NetworkManager (`org.freedesktop.NetworkManager`, its D-Bus reference 1.42): what a link costs,
//! how far it reaches, what it is, and whether it is about to go.

use super::bus::{Bus, Service, Trouble};
use super::objects::{Objects, Properties};
use super::{Told, is_name};
use crate::network::{Fact, Health, Kind};
use crate::scout::hearsay::Saying;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MANAGER: &str = "org.freedesktop.NetworkManager";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
const WIRELESS: &str = "org.freedesktop.NetworkManager.Device.Wireless";
const ACCESS_POINT: &str = "org.freedesktop.NetworkManager.AccessPoint";
const IP4: &str = "org.freedesktop.NetworkManager.IP4Config";
const IP6: &str = "org.freedesktop.NetworkManager.IP6Config";

pub(super) const INTERFACES: [&str; 6] = [MANAGER, DEVICE, WIRELESS, ACCESS_POINT, IP4, IP6];
pub(super) const PROPERTIES: [&str; 18] = [
    "ActiveAccessPoint",
    "ActiveConnection",
    "Connectivity",
    "ConnectivityCheckAvailable",
    "ConnectivityCheckEnabled",
    "DeviceType",
    "HwAddress",
    "Interface",
    "Ip4Config",
    "Ip4Connectivity",
    "Ip6Config",
    "Ip6Connectivity",
    "IpInterface",
    "Metered",
    "Nameservers",
    "PrimaryConnection",
    "State",
    "Strength",
];

const UNMANAGED: u32 = 10;
const ACTIVATED: u32 = 100;
const DEACTIVATING: u32 = 110;

/// Reads everything there is.
pub(super) async fn read(bus: &Bus, service: &Service) -> Result<Told, Trouble> {
    let answer = bus.objects(service, "/org/freedesktop").await?;
    let body = answer.body();
    Ok(told(&body.deserialize()?, service.is_here))
}

pub(super) fn told(objects: &Objects<'_>, is_here: Option<bool>) -> Told {
    let mut told = Told::default();
    let manager = objects.with(MANAGER).next().map(|(_, manager)| manager);
    for (path, device) in objects.with(DEVICE) {
        // An unmanaged device is none of its business, whatever its own state is then.
        if device.number("State") == Some(UNMANAGED) {
            continue;
        }
        let own = device.text("Interface");
        let name = device.text("IpInterface").or(own);
        let Some(name) = name.filter(|name| is_name(name)) else {
            told.ignored += 1;
            continue;
        };
        // A device that carries another (PPP over it) has an address that the other has not.
        let hardware = device.text("HwAddress").filter(|_| own == Some(name));
        let saying = Saying {
            hardware: hardware.and_then(hardware_address),
            kind: kind(device),
            metered: metered(device),
            health: health(device, manager),
            losing: (device.number("State") == Some(DEACTIVATING)).then_some(true),
            signal: signal(objects, path),
            dns: dns(objects, device),
            ..Saying::default()
        };
        told.say(name, saying, is_here);
    }
    told
}

/// Only what netlink may not know better.
fn kind(device: &Properties<'_>) -> Option<Kind> {
    match device.number("DeviceType")? {
        2 => Some(Kind::Wifi),
        5 => Some(Kind::Bluetooth),
        8 => Some(Kind::Cellular),
        _ => None,
    }
}

fn metered(device: &Properties<'_>) -> Option<Fact> {
    match device.number("Metered")? {
        1 => Some(Fact::Yes),
        2 => Some(Fact::No),
        3 => Some(Fact::LikelyYes),
        4 => Some(Fact::LikelyNo),
        _ => None,
    }
}

/// What its checks found; nothing where it makes none, for then it only supposes.
///
/// The better of the two families, but that a portal outdoes a limit: somebody met it.
fn health(device: &Properties<'_>, manager: Option<&Properties<'_>>) -> Option<Health> {
    let checks = |what| manager.and_then(|manager| manager.flag(what)) != Some(false);
    if device.number("State") != Some(ACTIVATED)
        || !checks("ConnectivityCheckEnabled")
        || !checks("ConnectivityCheckAvailable")
    {
        return None;
    }
    let families = ["Ip4Connectivity", "Ip6Connectivity"];
    let found = families.map(|family| device.number(family).unwrap_or(0));
    let one = |state| found.contains(&state);
    let state = [4, 2, 3, 1].into_iter().find(|state| one(*state));
    let state = state.or_else(|| {
        let manager = manager?;
        let primary = manager.text("PrimaryConnection")?;
        let is_primary = primary != "/" && device.text("ActiveConnection") == Some(primary);
        is_primary.then(|| manager.number("Connectivity"))?
    });
    match state? {
        1 => Some(Health::None),
        2 => Some(Health::Portal),
        3 => Some(Health::Limited),
        4 => Some(Health::Full),
        _ => None,
    }
}

fn signal(objects: &Objects<'_>, device: &str) -> Option<u8> {
    let radio = objects.get(WIRELESS, device)?;
    let active = radio.text("ActiveAccessPoint")?;
    super::percent(objects.get(ACCESS_POINT, active)?.number("Strength")?)
}

fn dns(objects: &Objects<'_>, device: &Properties<'_>) -> Option<Vec<IpAddr>> {
    let config = |interface, name| objects.get(interface, device.text(name)?);
    let mut servers: Vec<IpAddr> = Vec::new();
    if let Some(config) = config(IP4, "Ip4Config") {
        let all = config.numbers("Nameservers").iter();
        // In the order of the network, whatever the order of this machine.
        servers.extend(all.map(|server| IpAddr::from(Ipv4Addr::from(server.to_ne_bytes()))));
    }
    if let Some(config) = config(IP6, "Ip6Config") {
        let all = config.bytes("Nameservers").iter();
        let all = all.filter_map(|server| <[u8; 16]>::try_from(*server).ok());
        servers.extend(all.map(|server| IpAddr::from(Ipv6Addr::from(server))));
    }
    (!servers.is_empty()).then_some(servers)
}

/// `02:FC:00:00:00:01`, or 20 bytes of it for InfiniBand.
fn hardware_address(text: &str) -> Option<Vec<u8>> {
    if text.len() > 3 * 20 {
        return None;
    }
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().ok()?;
    // All interfaces without an address have this one.
    bytes.iter().any(|byte| *byte != 0).then_some(bytes)
}
