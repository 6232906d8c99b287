//! From a host and a port to addresses.

use super::Bind;
use super::bind::{family_fits, scoped};
use super::error::{explain, fail};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long one look-up may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// A name gives no more addresses than this; the rest is left out.
const MOST: usize = 16;

/// The addresses of `host`, those of families that the network of `on` does not have left out.
///
/// An address literal is itself, at once. `localhost` and names below it are the loopback addresses
/// (RFC 6761, section 6.3) and are asked of nobody. Every other name goes to the system's resolver
/// (getaddrinfo), whichever network that uses; asking the network's own servers comes later. At most
/// 16 addresses are given, in the resolver's order.
///
/// # Errors
/// `TimedOut` after 5 s, `NotFound` for a name without addresses, `AddrNotAvailable` if no address
/// is of a family of the network, else as the resolver reports it. The text names the host.
///
/// # Cancel safety
/// Dropped while pending it leaves getaddrinfo, which cannot be stopped, to finish on tokio's
/// blocking pool; its answer is thrown away.
pub async fn resolve(host: &str, port: u16, on: Option<&Bind>) -> io::Result<Vec<SocketAddr>> {
    let mut found = lookup(host, port).await?;
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

async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if is_localhost(host) {
        return Ok(vec![
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
        ]);
    }
    let asked = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> = match asked {
        Ok(answer) => answer
            .map_err(|e| explain(e, format_args!("resolving {host}")))?
            .collect(),
        Err(_) => {
            return Err(fail(
                io::ErrorKind::TimedOut,
                format_args!("resolving {host}: no answer within {LOOKUP:?}"),
            ));
        }
    };
    if found.is_empty() {
        return Err(fail(
            io::ErrorKind::NotFound,
            format_args!("{host} has no address"),
        ));
    }
    Ok(found)
}

pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}
