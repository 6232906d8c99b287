//! systemd-resolved (`org.freedesktop.resolve1`): the name servers of each link, by index.
//!
//! An index means something in one network namespace alone: it is believed only of a service that
//! is known to live in ours.

use super::Told;
use super::bus::{Bus, Service, Trouble};
use super::objects::List;
use crate::scout::hearsay::Saying;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use zbus::wire::{Signature, Type};

/// Reads everything there is.
pub(super) async fn read(bus: &Bus, service: &Service) -> Result<Told, Trouble> {
    let manager = "org.freedesktop.resolve1.Manager";
    let answer = bus
        .property(service, "/org/freedesktop/resolve1", manager, "DNS")
        .await?;
    let body = answer.body();
    Ok(told(&body.deserialize()?, service.is_here, name_of))
}

pub(super) fn told(
    servers: &Servers<'_>,
    is_here: Option<bool>,
    name_of: impl Fn(u32) -> Option<String>,
) -> Told {
    let mut told = Told::default();
    if is_here != Some(true) {
        return told;
    }
    let mut links: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    for (index, _, address) in &servers.0 {
        match (u32::try_from(*index), address_of(address)) {
            // Those of no link are not a network's.
            (Ok(0), Some(_)) => {}
            (Ok(index), Some(address)) => links.entry(index).or_default().push(address),
            _ => told.ignored += 1,
        }
    }
    for (index, dns) in links {
        // A link that is gone by now.
        let Some(name) = name_of(index) else {
            continue;
        };
        let saying = Saying {
            index: Some(index),
            dns: Some(dns),
            ..Saying::default()
        };
        told.say(&name, saying, is_here);
    }
    told
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let six = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| six()).ok()
}

fn name_of(index: u32) -> Option<String> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
    netdevice::index_to_name(socket, index).ok()
}

/// `a(iiay)` in a variant: index, family, address.
pub(super) struct Servers<'a>(Vec<(i32, i32, &'a [u8])>);

impl Type for Servers<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

impl<'de: 'a, 'a> Deserialize<'de> for Servers<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Servers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("name servers in a variant")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                match seq.next_element()? {
                    Some("a(iiay)") => {}
                    _ => return Err(A::Error::custom("no name servers")),
                }
                let list: Option<List<_>> = seq.next_element()?;
                Ok(Servers(list.map(|list| list.0).unwrap_or_default()))
            }
        }
        from.deserialize_any(Visit)
    }
}
