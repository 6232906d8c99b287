//! From a host and a port to addresses.

use super::bind::{family_fits, scoped};
use super::dns::{self, MOST};
use super::error::{explain, fail};
use super::{Bind, Link, Transport};
use crate::endpoint::Endpoint;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How long one look-up may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// The addresses of `host`, those of families that the network of `on` does not have left out.
///
/// An address literal is itself, at once. `localhost` and names below it are the loopback addresses
/// (RFC 6761, section 6.3) and are asked of nobody, nor are names of the hosts file. Every other name
/// is asked of the [network's own servers](crate::network::Network::dns), through sockets bound to it,
/// or of the system's resolver (getaddrinfo), whichever network that uses:
///
/// - without a network, or where none of its servers is known;
/// - where one of them runs on this host: it knows what all of them do, and what is bound to a device
///   never gets there;
/// - a name of one label, one below `.local`, one that ends in a number (an address in an old form),
///   and one that the DNS cannot hold as it is written;
/// - a name that the search list of resolv.conf(5) completes: at once if it has fewer than `ndots`
///   dots, else when the servers do not know it.
///
/// At most 64 addresses are given, in the resolver's order. Nothing is cached.
///
/// # Errors
/// `TimedOut` after 5 s, `NotFound` for a name without addresses, `AddrNotAvailable` if no address
/// is of a family of the network, else as the resolver reports it. The text names the host.
///
/// # Cancel safety
/// Dropped while pending it leaves getaddrinfo, which cannot be stopped, to finish on tokio's
/// blocking pool; its answer is thrown away.
pub async fn resolve(host: &str, port: u16, on: Option<&Bind>) -> io::Result<Vec<SocketAddr>> {
    let mut found = lookup(host, port, on).await?;
    found.truncate(MOST);
    let Some(on) = on else { return Ok(found) };
    let all = found.len();
    found.retain(|to| family_fits(on, to.ip()));
    if found.is_empty() && all > 0 {
        let name = on.network.name();
        return Err(fail(
            io::ErrorKind::AddrNotAvailable,
            format_args!("network {name} has no address of a family of {host}"),
        ));
    }
    Ok(found
        .into_iter()
        .map(|to| scoped(to, &on.network))
        .collect())
}

/// Dials the addresses that the host of `to` has.
pub(super) async fn connect_by_name(
    transport: &dyn Transport,
    to: &Endpoint,
    on: Option<&Bind>,
) -> io::Result<Link> {
    let (Some(host), Some(port)) = (to.host(), to.port().filter(|port| *port > 0)) else {
        let text = format_args!("{to}: to dial, name a host and a port");
        return Err(fail(io::ErrorKind::InvalidInput, text));
    };
    let found = resolve(host, port, on).await.map_err(|e| explain(e, to))?;
    transport.connect_resolved(to, &found, on).await
}

/// The addresses to listen at, without a port.
pub(super) async fn own_addresses_of(
    at: &Endpoint,
    on: Option<&Bind>,
) -> io::Result<Vec<SocketAddr>> {
    let Some(host) = at.host() else {
        let text = format_args!("{at}: to listen, name an address, or 0.0.0.0 for all");
        return Err(fail(io::ErrorKind::InvalidInput, text));
    };
    resolve(host, 0, on).await.map_err(|e| explain(e, at))
}

async fn lookup(host: &str, port: u16, on: Option<&Bind>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if is_localhost(host) {
        return Ok(vec![
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
        ]);
    }
    let place = match on {
        Some(on) => format!("resolving {host} on {}", on.network.name()),
        None => format!("resolving {host}"),
    };
    let found = match tokio::time::timeout(LOOKUP, found(host, port, on)).await {
        Ok(answer) => answer.map_err(|e| explain(e, &place))?,
        Err(_) => {
            let text = format_args!("{place}: no answer within {LOOKUP:?}");
            return Err(fail(io::ErrorKind::TimedOut, text));
        }
    };
    if found.is_empty() {
        let text = format_args!("{place}: it has no address");
        return Err(fail(io::ErrorKind::NotFound, text));
    }
    Ok(found)
}

/// As the network's own servers tell, or the system's resolver.
async fn found(host: &str, port: u16, on: Option<&Bind>) -> io::Result<Vec<SocketAddr>> {
    let servers = on.map(dns::servers).unwrap_or_default();
    let at = |ip| SocketAddr::new(ip, port);
    if !servers.is_empty() && dns::is_plain_name(host) {
        let search = match host.ends_with('.') {
            true => None,
            false => Search::read().await,
        };
        let dots = host.matches('.').count();
        let listed = in_hosts_file(host).await;
        if !listed.is_empty() {
            return Ok(listed.into_iter().map(at).collect());
        }
        if search.is_none_or(|search| dots >= search.ndots) {
            let addresses = dns::ask(host, &servers, on).await?;
            if !addresses.is_empty() || search.is_none() {
                return Ok(addresses.into_iter().map(at).collect());
            }
        }
    }
    if let Some(on) = on {
        let network = on.network.name();
        tracing::debug!(target: "mancom::transport", host, network, "asked of the system's resolver");
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// That names are completed by domains of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Search {
    /// A name with so many dots is tried as it stands first.
    ndots: usize,
}

/// Bytes of resolv.conf(5) that are read.
const RESOLV_CONF: u64 = 64 << 10;

impl Search {
    /// `None` where there is no search list.
    async fn read() -> Option<Self> {
        let read = || {
            let file = File::open("/etc/resolv.conf").ok()?;
            Self::of(BufReader::new(file.take(RESOLV_CONF)))
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    fn of(file: impl BufRead) -> Option<Self> {
        let (mut listed, mut ndots) = (false, 1);
        for line in file.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split_whitespace();
            match words.next() {
                // The root alone completes nothing.
                Some("search" | "domain") => listed = words.any(|domain| domain != "."),
                Some("options") => {
                    let said = words.filter_map(|option| option.strip_prefix("ndots:"));
                    ndots = said.fold(ndots, |before, dots| dots.parse().unwrap_or(before));
                }
                _ => {}
            }
        }
        listed.then_some(Self { ndots })
    }
}

/// Bytes of a hosts file that are read; lists against advertisements run to a few megabytes.
const HOSTS: u64 = 16 << 20;

/// The addresses of `host` in the system's hosts file, in its order, at most 64; none where it is
/// not listed, or where there is no such file.
pub(crate) async fn in_hosts_file(host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host).to_owned();
    let search = move || {
        let file = File::open(hosts_file()?).ok()?;
        Some(listed(BufReader::new(file.take(HOSTS)), &host))
    };
    tokio::task::spawn_blocking(search)
        .await
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn hosts_file() -> Option<PathBuf> {
    if cfg!(windows) {
        let root = std::env::var_os("SystemRoot")?;
        return Some(PathBuf::from(root).join("System32/drivers/etc/hosts"));
    }
    Some("/etc/hosts".into())
}

/// See hosts(5): an address, then names, then perhaps a comment.
fn listed(file: impl BufRead, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in file.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(ip) = words.next().and_then(|ip| ip.parse().ok()) else {
            continue;
        };
        if words.any(|name| name.eq_ignore_ascii_case(host)) && !found.contains(&ip) {
            found.push(ip);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read_as_its_manual_says() {
        let file = b"# comment\n127.0.0.1\tlocalhost vm\n\n::1 localhost # vm2\n192.0.2.2  VM  box\r\nfe80::1%lo0 vm\n192.0.2.2 box\n\xff\xff vm\n";
        let of = |host| listed(&file[..], host);
        let ips = |list: &[&str]| {
            list.iter()
                .map(|ip| ip.parse().unwrap())
                .collect::<Vec<IpAddr>>()
        };
        assert_eq!(of("vm"), ips(&["127.0.0.1", "192.0.2.2"]));
        assert_eq!(of("Box"), ips(&["192.0.2.2"]));
        assert_eq!(of("vm2"), ips(&[]));
        assert_eq!(of("127.0.0.1"), ips(&[]));
        let many: String = (1..=100).map(|i| format!("10.0.0.{i} many\n")).collect();
        assert_eq!(listed(many.as_bytes(), "many").len(), MOST);
    }

    #[test]
    fn a_search_list_is_found_as_its_manual_says() {
        let of = |file: &str| Search::of(file.as_bytes());
        assert_eq!(of("nameserver 192.0.2.1\n"), None);
        assert_eq!(of("# search a.example\nsearch .\n"), None);
        assert_eq!(
            of("search a.example b.example\n"),
            Some(Search { ndots: 1 })
        );
        let cluster = "search svc.cluster.local\noptions timeout:1 ndots:5\n";
        assert_eq!(of(cluster), Some(Search { ndots: 5 }));
        assert_eq!(
            of("search a.example\ndomain .\n"),
            None,
            "the last one counts"
        );
    }
}
