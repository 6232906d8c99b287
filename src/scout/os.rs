//! What is left without netlink: one network `default`, always up, of which nothing is known.
//!
//! A scout that cannot see must not stand in the way: the network has a default route of each
//! family, is bound to nothing, and leaves every choice to the kernel. What can still be noticed
//! is that addresses went; that is a new epoch, so that paths are looked at again. if-watch tells
//! of it on any platform; where it is refused too, Linux is polled through `/proc/net`.
//!
//! if-watch is never the truth where netlink is: on Linux 6.x, version 3.2.2 is silent when a
//! carrier is lost, reports a false loss when two interfaces share an address, and stays wrong
//! after an overrun. It is opened anew every 30 s for that reason.

use super::overrides::Overrides;
use super::publish::Seen;
use super::system::{Feed, Settings};
use crate::network::{Address, Aspect, Binding, Kind, Kinds, NetworkSpec, Word};
use if_watch::IfEvent;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::Instant;

/// How often the addresses are looked at where nobody tells of changes.
pub(super) const POLL: Duration = Duration::from_secs(2);
/// More addresses than this are not kept.
const ADDRESSES: usize = 1024;

/// The addresses of this host as far as they are known, and how often one of them went.
#[derive(Debug, Default)]
pub(super) struct Host {
    addresses: BTreeSet<Address>,
    /// Who told them.
    source: &'static str,
    turn: u64,
}

impl Host {
    /// Keeps `default` published, for ever; `refused` tells why no better source does.
    pub(super) async fn watch(
        &mut self,
        settings: &Settings,
        feed: &mut Feed,
        mut refused: Vec<String>,
    ) {
        self.offer(feed);
        match (settings.watch)() {
            Ok(mut watcher) => {
                feed.tell("if-watch", &refused);
                self.source = "if-watch";
                loop {
                    let due = feed.due();
                    tokio::select! {
                        event = poll_fn(|cx| watcher.poll_if_event(cx)) => match event {
                            Ok(event) => self.heard(event),
                            Err(error) => {
                                refused.push(format!("if-watch: {error}"));
                                break;
                            }
                        },
                        _ = feed.called() => {}
                        () = until(due) => {}
                    }
                    self.offer(feed);
                }
            }
            Err(error) => refused.push(format!("if-watch: {error}")),
        }
        feed.tell("polling", &refused);
        self.source = "polling";
        loop {
            if let Some(addresses) = listed() {
                self.replace(addresses);
            }
            self.offer(feed);
            let due = feed.due();
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = feed.called() => {}
                () = until(due) => {}
            }
        }
    }

    fn heard(&mut self, event: IfEvent) {
        match event {
            IfEvent::Up(net) => {
                if self.addresses.len() < ADDRESSES {
                    self.addresses.insert((net.addr(), net.prefix_len()).into());
                }
            }
            IfEvent::Down(net) => {
                if self
                    .addresses
                    .remove(&(net.addr(), net.prefix_len()).into())
                {
                    self.turn += 1;
                }
            }
        }
    }

    fn replace(&mut self, addresses: BTreeSet<Address>) {
        if self.addresses.iter().any(|old| !addresses.contains(old)) {
            self.turn += 1;
        }
        self.addresses = addresses;
    }

    fn offer(&self, feed: &mut Feed) {
        let now = Instant::now().into_std();
        let seen = self.seen(&feed.overrides());
        feed.offer(now, vec![seen]);
        feed.looked(now);
    }

    fn seen(&self, overrides: &Overrides) -> Seen {
        let mut spec = NetworkSpec::described("default", Kind::Other)
            .kinds(Kinds::EMPTY)
            .binding(Binding::Unbound);
        // Beside the unspecified ones, which say that both families may be tried.
        spec.addresses.extend(&self.addresses);
        if !self.addresses.is_empty() {
            spec.notes.said(Aspect::Addresses, self.source);
        }
        spec.notes.unbound = Some(Word::Borrowed("no interface is known"));
        overrides.apply("default", &mut spec);
        Seen {
            index: 0,
            turn: self.turn,
            spec,
        }
    }
}

pub(super) async fn until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// The addresses that the system lists without a netlink socket.
#[cfg(target_os = "linux")]
fn listed() -> Option<BTreeSet<Address>> {
    let read = |path| {
        use std::io::Read;
        let file = std::fs::File::open(path).ok()?;
        let mut text = String::new();
        // The trie of a router with the whole internet's routes is not read to its end.
        file.take(1 << 20).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let four = read("/proc/net/fib_trie").map(|text| proc::from_trie(&text));
    let six = read("/proc/net/if_inet6").map(|text| proc::from_if_inet6(&text));
    if four.is_none() && six.is_none() {
        return None;
    }
    let addresses = four.into_iter().flatten().chain(six.into_iter().flatten());
    Some(addresses.take(ADDRESSES).collect())
}

#[cfg(not(target_os = "linux"))]
fn listed() -> Option<BTreeSet<Address>> {
    None
}

#[cfg(target_os = "linux")]
mod proc {
    use super::Address;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The leaves that are this host's own: an address line, then `/32 host LOCAL`.
    pub(super) fn from_trie(text: &str) -> Vec<Address> {
        let mut last: Option<Ipv4Addr> = None;
        let mut found = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(leaf) = line.strip_prefix("|-- ") {
                last = leaf.parse().ok();
            } else if line == "/32 host LOCAL"
                && let Some(ip) = last
                && !ip.is_loopback()
            {
                found.push(ip.into());
            }
        }
        found
    }

    /// Lines of address, index, prefix length, scope, flags (all hexadecimal) and name.
    pub(super) fn from_if_inet6(text: &str) -> Vec<Address> {
        const NOT_USABLE: u8 = 0x08 | 0x20 | 0x40;
        let parse = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let ip = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
            let prefix = u8::from_str_radix(words.nth(1)?, 16).ok()?;
            let flags = u8::from_str_radix(words.nth(1)?, 16).ok()?;
            let usable = flags & NOT_USABLE == 0 && !ip.is_loopback() && prefix <= 128;
            usable.then(|| (ip, prefix).into())
        };
        text.lines().filter_map(parse).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_this_hosts_addresses_out_of_the_trie() {
            let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                Local:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 127.0.0.1\n        /32 host LOCAL\n\
                |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.2\n        /32 host LOCAL\n\
                |-- 192.0.2.255\n        /32 link BROADCAST\n";
            let two = Ipv4Addr::new(192, 0, 2, 2).into();
            assert_eq!(from_trie(text), [two]);
            assert_eq!(from_trie("|-- nonsense\n/32 host LOCAL\n"), []);
        }

        #[test]
        fn reads_usable_ipv6_addresses_and_survives_nonsense() {
            let text = "00000000000000000000000000000001 01 80 10 80 lo\n\
                fd000000000000000000000000000002 04 40 00 80 eth0\n\
                fd000000000000000000000000000003 04 40 00 c0 tentative0\n\
                fd00\nzz 04 40 00 80 eth0\nfd000000000000000000000000000004 04 ff 00 80 eth0\n";
            let found = from_if_inet6(text);
            let ip: Ipv6Addr = "fd00::2".parse().expect("an address");
            assert_eq!(found, [(ip, 64).into()]);
        }
    }
}
