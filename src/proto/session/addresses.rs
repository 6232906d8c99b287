//! Where else the listener can be dialled: told by it if its program says so, heeded by the dialler.
//!
//! What a peer says of addresses is a claim. It is kept, at most [`MAX_ADDRESSES`] of it and the last
//! word only; whether to dial there, and with what caution, is the driver's to decide.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::frame::put_addresses;
use super::path::Closing;
use super::{Event, PathId, Role, Session};

/// Addresses one listener may tell of; of more the first are kept.
pub const MAX_ADDRESSES: usize = 8;
/// An IPv6 address (IPv4 mapped into it) and a port.
const ENTRY: usize = 18;

/// The addresses in the body of a frame; what is no place to dial is left out.
pub(super) fn parse(body: &[u8]) -> Vec<SocketAddr> {
    let entries = body.chunks_exact(ENTRY).filter_map(|entry| {
        let ip: [u8; 16] = entry.first_chunk().copied()?;
        let port = u16::from_be_bytes(entry.last_chunk().copied()?);
        let ip = IpAddr::V6(Ipv6Addr::from(ip)).to_canonical();
        let nowhere = ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || port == 0;
        (!nowhere).then_some(SocketAddr::new(ip, port))
    });
    let mut all: Vec<SocketAddr> = Vec::new();
    for at in entries {
        if all.len() < MAX_ADDRESSES && !all.contains(&at) {
            all.push(at);
        }
    }
    all
}

impl Session {
    /// Listener: tells the peer on this path where else it can be dialled; the first
    /// [`MAX_ADDRESSES`]. A peer that does not know of this skips it.
    pub fn tell_addresses(&mut self, path: PathId, addresses: &[SocketAddr]) {
        if self.role == Role::Listener
            && let Some(slot) = self.slot(path)
            && let Some(state) = &mut self.paths[slot]
            && state.closing == Closing::No
        {
            let told = &addresses[..addresses.len().min(MAX_ADDRESSES)];
            put_addresses(&mut state.outbox.control, told);
        }
    }

    /// Dialler: where else the peer says it can be dialled.
    pub fn peer_addresses(&self) -> &[SocketAddr] {
        &self.peer_addresses
    }

    pub(super) fn on_addresses(&mut self, body: &[u8]) {
        let told = parse(body);
        if self.role == Role::Dialler && told != self.peer_addresses {
            self.peer_addresses = told;
            if !self.events.contains(&Event::PeerAddresses) {
                self.events.push_back(Event::PeerAddresses);
            }
        }
    }
}

/// One frame with these addresses.
pub(super) fn entries(addresses: &[SocketAddr]) -> impl Iterator<Item = [u8; ENTRY]> + '_ {
    addresses.iter().map(|at| {
        let ip = match at.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut entry = [0; ENTRY];
        entry[..16].copy_from_slice(&ip.octets());
        entry[16..].copy_from_slice(&at.port().to_be_bytes());
        entry
    })
}

/// Bytes of a frame's body with so many addresses.
pub(super) fn length(addresses: usize) -> usize {
    addresses * ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(addresses: &[SocketAddr]) -> Vec<u8> {
        entries(addresses).flatten().collect()
    }

    #[test]
    fn addresses_are_read_as_they_were_written() {
        let told = ["10.1.2.3:7001", "[2001:db8::1]:7"].map(|at| at.parse().unwrap());
        assert_eq!(parse(&body(&told)), told);
        let mut longer = body(&told);
        longer.extend([1, 2, 3]);
        assert_eq!(parse(&longer), told, "what is no whole entry is ignored");
    }

    #[test]
    fn of_what_a_peer_claims_no_more_is_kept_than_can_be_dialled() {
        let nowhere = [
            "0.0.0.0:7",
            "[::]:7",
            "127.0.0.1:7",
            "[::1]:7",
            "224.0.0.1:7",
            "10.0.0.1:0",
        ];
        assert_eq!(parse(&body(&nowhere.map(|at| at.parse().unwrap()))), []);
        let many: Vec<SocketAddr> = (0..50)
            .map(|n| SocketAddr::new([10, 0, 0, n].into(), 7))
            .collect();
        let mut twice = vec![many[0]; 3];
        twice.extend(&many);
        assert_eq!(parse(&body(&twice)), many[..MAX_ADDRESSES]);
        assert_eq!(parse(&[]), []);
    }
}
