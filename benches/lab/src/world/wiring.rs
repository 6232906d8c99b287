//! How hosts and links are wired: addresses, tables and rules, as scripts of `ip`. A script puts
//! in order whatever is missing, so that the same one makes an end and mends it.

use crate::control::{Monitor, says_running};
use crate::namespace::Namespace;
use crate::system;
use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The longest the kernel may take to find a carrier again.
const CARRIER: Duration = Duration::from_secs(3);
/// More than the emulator ever leaves unread: drops are its own.
const DEVICE_QUEUE: u32 = 10_000;

/// A host of which each run begins without what an earlier one has learned.
pub(super) fn host(name: &str, reverse_path_filter: &str) -> io::Result<Namespace> {
    let host = Namespace::new(name)?;
    host.set("net/ipv4/tcp_no_metrics_save", "1")?;
    host.set("net/ipv4/conf/all/rp_filter", "0")?;
    host.set("net/ipv4/conf/default/rp_filter", reverse_path_filter)?;
    // Absent where there is no IPv6 at all.
    let _ = host.set("net/ipv6/conf/default/disable_ipv6", "1");
    Ok(host)
}

/// The index of an interface.
pub(super) fn index(host: &Namespace, name: &str) -> io::Result<u32> {
    use rustix::net::{AddressFamily, SocketType, netdevice, socket};
    host.within(|| {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        Ok(netdevice::name_to_index(any, name)?)
    })
}

/// Sets an interface up, plugs it in, and waits until the kernel uses it.
pub(super) fn raise(host: &Namespace, name: &str, device: &OwnedFd) -> io::Result<()> {
    // Until its carrier has come once, its state is unknown, which no real network's is.
    system::set_carrier(device.as_fd(), false)?;
    host.ip(&format!(
        "link set {name} up mtu 1500 txqueuelen {DEVICE_QUEUE}\n"
    ))?;
    let index = index(host, name)?;
    let monitor = Monitor::new(host)?;
    system::set_carrier(device.as_fd(), true)?;
    let heard = monitor.wait(CARRIER, |said| says_running(said, index, true))?;
    heard
        .map(drop)
        .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, format!("no carrier on {name}")))
}

fn congctl(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(" congctl {name}"))
}

/// There are at most 100 links.
fn octet(link: usize) -> u8 {
    link as u8 + 1
}

pub(super) fn client_address(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, octet(link), 2)
}

fn server_address(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, octet(link), 1)
}

/// The routing table of the client's address on a link, and its metric in the main table.
pub(super) fn table(link: usize) -> u8 {
    100 + octet(link)
}

/// What each address of the client needs once.
pub(super) fn client_rule(link: usize) -> String {
    let (address, table) = (client_address(link), table(link));
    format!(
        "rule add from {address} lookup {table} pref 1{table}\n\
         route add unreachable default table {table} metric 4278198272\n"
    )
}

/// The client's end of a link: its address, and the routes over it.
pub(super) fn client_end(name: &str, link: usize, congestion: Option<&str>) -> String {
    let (address, server, table) = (client_address(link), server_address(link), table(link));
    let mut script = format!("address replace {address}/24 dev {name}\n");
    for place in [format!("metric {table}"), format!("table {table}")] {
        let route = format!("default via {server} dev {name} src {address} {place}");
        let _ = writeln!(script, "route replace {route}{}", congctl(congestion));
    }
    script
}

/// The server's end of a link, and the way back over it.
pub(super) fn server_end(name: &str, link: usize, congestion: Option<&str>) -> String {
    let (client, server) = (client_address(link), server_address(link));
    format!(
        "address replace {server}/24 dev {name}\n\
         route replace {client}/32 dev {name}{}\n",
        congctl(congestion)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_links_share_an_address_or_a_table() {
        let all = 0..100;
        let addresses = all
            .clone()
            .flat_map(|link| [client_address(link), server_address(link)]);
        let mut addresses: Vec<_> = addresses.collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 200);
        let mut tables: Vec<_> = all.map(table).collect();
        tables.dedup();
        assert_eq!(tables.len(), 100);
        // From 253 on are the kernel's own.
        assert!(tables.iter().all(|table| (101..253).contains(table)));
    }

    #[test]
    fn a_congestion_control_is_on_every_route_that_carries() {
        let script = client_end("wlan0", 0, Some("cubic")) + &server_end("wlan0", 0, Some("cubic"));
        let routes: Vec<_> = script
            .lines()
            .filter(|line| line.starts_with("route"))
            .collect();
        assert_eq!(routes.len(), 3);
        assert!(routes.iter().all(|route| route.ends_with(" congctl cubic")));
        assert!(!client_end("wlan0", 0, None).contains("congctl"));
    }
}
