//! The name servers of `/etc/resolv.conf`, for networks of which no resolver daemon tells any.
//!
//! The file names servers for the whole host. Each is given to the network through which the kernel
//! itself would reach it, or which its scope names (`fe80::1%eth0`); one on loopback is a daemon of
//! this host and belongs to no network. The file is read again when the kernel tells that it or the way
//! to it has changed, and at each whole look, for there may be nobody to tell.
//!
//! Limits: the first 64 KiB and 16 servers. Reference: resolv.conf(5).

use crate::inotify::{Inotify, WatchFlags};
use crate::network::{Aspect, Choice, NetworkSpec, State, is_link_local};
use std::collections::BTreeMap;
use std::fs::File;
use std::future::pending;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::slice;

/// The name under which it stands among an aspect's sources.
const SOURCE: &str = "resolv.conf";
const LONGEST: usize = 64 * 1024;
const SERVERS: usize = 16;

/// A name server of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    ip: IpAddr,
    /// The interface it is reached through, by name or index.
    scope: Option<String>,
}

/// Gives each server to its network, behind what others told of that network.
pub(super) fn give(servers: &[Server], all: &mut BTreeMap<u32, NetworkSpec>) {
    let mut given: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    for server in servers {
        if let Some(index) = server.network(all) {
            given.entry(index).or_default().push(server.ip);
        }
    }
    for (index, servers) in given {
        let Some(spec) = all.get_mut(&index) else {
            continue;
        };
        if !spec.notes.sources.iter().any(|(of, _)| *of == Aspect::Dns) {
            spec.dns = servers;
        }
        spec.notes.said(Aspect::Dns, SOURCE);
    }
}

impl Server {
    /// The index of the network it is reached through, if it is not this host itself.
    fn network(&self, all: &BTreeMap<u32, NetworkSpec>) -> Option<u32> {
        if let Some(scope) = &self.scope {
            let named = |(index, spec): &(&u32, &NetworkSpec)| {
                spec.name == *scope || scope.parse() == Ok(**index)
            };
            return all.iter().find(named).map(|(index, _)| *index);
        }
        let up = all.iter().filter(|(_, spec)| spec.state != State::Down);
        let reaching = up.filter_map(|(index, spec)| {
            let best = Choice::To(self.ip).best(&spec.routes)?;
            Some((best, *index))
        });
        reaching.min().map(|(_, index)| index)
    }
}

/// The file, as it was last read.
#[derive(Debug)]
pub(super) struct ResolvConf {
    path: PathBuf,
    servers: Vec<Server>,
    /// `None` where the system has no inotify left for us.
    inotify: Option<Inotify>,
}

impl ResolvConf {
    pub(super) fn new(path: &Path) -> Self {
        let mut file = ResolvConf {
            path: path.to_owned(),
            servers: Vec::new(),
            inotify: None,
        };
        file.look();
        file
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Reads the file again; true if it names other servers than before.
    pub(super) fn look(&mut self) -> bool {
        // First, so that no change after the reading goes unheard. The way to it may be another now.
        self.inotify = None;
        self.inotify = Inotify::over(slice::from_ref(&self.path), WatchFlags::CLOSE_WRITE).ok();
        let servers = read(&self.path).unwrap_or_default();
        let changed = servers != self.servers;
        self.servers = servers;
        changed
    }

    /// Waits until the file was touched.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is taken from inotify is told in the same poll.
    pub(super) async fn touched(&self) {
        let told = match &self.inotify {
            Some(inotify) => inotify.told().await.is_ok(),
            None => false,
        };
        if !told {
            // What remains is the look every 30 s.
            pending().await
        }
    }
}

/// What the file says; `None` if there is none. Never waits, as a pipe in its place would.
fn read(path: &Path) -> Option<Vec<Server>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST as u64).read_to_end(&mut bytes).ok()?;
    if bytes.len() == LONGEST {
        // The last line may be cut.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(whole);
    }
    Some(parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Vec<Server> {
    let mut servers = Vec::new();
    for server in text.lines().filter_map(server).take(SERVERS) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn server(line: &str) -> Option<Server> {
    let rest = line.strip_prefix("nameserver")?;
    let word = rest.strip_prefix([' ', '\t'])?.split_whitespace().next()?;
    let (ip, scope) = match word.split_once('%') {
        Some((ip, scope)) => (ip, Some(scope.to_owned())),
        None => (word, None),
    };
    let ip = ip.parse::<IpAddr>().ok()?.to_canonical();
    let nowhere = ip.is_unspecified() || ip.is_multicast();
    // Without a scope nobody knows on which link an IPv6 one is.
    let scopeless = ip.is_ipv6() && is_link_local(ip) && scope.is_none();
    (!ip.is_loopback() && !nowhere && !scopeless).then_some(Server { ip, scope })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Kind, Route};
    use proptest::prelude::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn ips(servers: &[Server]) -> Vec<IpAddr> {
        servers.iter().map(|server| server.ip).collect()
    }

    #[test]
    fn only_servers_of_networks_are_taken() {
        let text = "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1 # first\r\n\
            nameserver\t2001:db8::1\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 0.0.0.0\n\
            nameserver ::ffff:127.0.0.1\nnameserver fe80::1\nnameserver fe80::2%eth0\n\
            nameserver 224.0.0.251\nnameserver nonsense\nnameserver\nnameserver192.0.2.8\n \
            nameserver 192.0.2.7\nnameserver 192.0.2.1\n";
        let found = parse(text);
        assert_eq!(
            ips(&found),
            [ip("192.0.2.1"), ip("2001:db8::1"), ip("fe80::2")]
        );
        assert_eq!(found[2].scope.as_deref(), Some("eth0"));
    }

    #[test]
    fn a_file_without_end_is_read_to_its_bound_and_not_by_halves() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("resolv.conf");
        let many: String = (0..100)
            .map(|n| format!("nameserver 10.0.0.{n}\n"))
            .collect();
        std::fs::write(&path, many).expect("a file");
        assert_eq!(read(&path).expect("a file").len(), SERVERS);
        // The bound is behind `10.0.0.1`, and the line says `10.0.0.12`.
        let line = "nameserver 10.0.0.1";
        let long = format!("#{}\n{line}2\n", "x".repeat(LONGEST - line.len() - 2));
        std::fs::write(&path, long).expect("a file");
        assert_eq!(read(&path), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = format!("nameserver {}", String::from_utf8_lossy(&bytes));
            prop_assert!(parse(&text).len() <= SERVERS);
        }
    }

    #[test]
    fn what_is_no_file_says_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(read(directory.path()), None);
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
        assert_eq!(read(&pipe), None, "and nobody waits for a writer");
    }

    fn network(name: &str, to: &str, prefix: u8) -> NetworkSpec {
        NetworkSpec::new(name, Kind::Ethernet).route(Route::to((ip(to), prefix)))
    }

    #[test]
    fn a_server_belongs_to_the_network_that_the_kernel_reaches_it_through() {
        let mut down = network("down0", "10.3.0.0", 16);
        down.state = State::Down;
        let mut all: BTreeMap<u32, NetworkSpec> = [
            (2, network("eth0", "0.0.0.0", 0)),
            (3, network("tun0", "10.8.0.0", 16)),
            (4, down),
        ]
        .into();
        let servers = parse(
            "nameserver 10.8.0.1\nnameserver 192.0.2.53\nnameserver fe80::1%tun0\n\
             nameserver 10.3.0.1\nnameserver fe80::2%2\nnameserver fe80::3%gone0\n\
             nameserver 2001:db8::1\n",
        );
        give(&servers, &mut all);
        assert_eq!(
            all[&2].dns,
            [ip("192.0.2.53"), ip("10.3.0.1"), ip("fe80::2")]
        );
        assert_eq!(all[&3].dns, [ip("10.8.0.1"), ip("fe80::1")]);
        assert!(all[&4].dns.is_empty(), "and nobody has 2001:db8::1");
    }

    // behaviour: C7
    #[test]
    fn what_a_daemon_told_of_a_network_wins() {
        let mut eth0 = network("eth0", "0.0.0.0", 0).dns(ip("192.0.2.1"));
        eth0.notes.said(Aspect::Dns, "systemd-resolved");
        let mut all: BTreeMap<u32, NetworkSpec> = [(2, eth0)].into();
        give(&parse("nameserver 192.0.2.53"), &mut all);
        assert_eq!(all[&2].dns, [ip("192.0.2.1")]);
        let sources = all[&2].notes.sources.iter().map(|(_, source)| &**source);
        assert_eq!(sources.collect::<Vec<_>>(), ["systemd-resolved", SOURCE]);
    }

    async fn becomes(file: &mut ResolvConf, servers: &[&str]) {
        let expected: Vec<_> = servers.iter().map(|text| ip(text)).collect();
        let told = async {
            while ips(file.servers()) != expected {
                file.touched().await;
                file.look();
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), told).await;
        told.expect("told in time");
    }

    #[tokio::test]
    async fn is_heard_of_however_it_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let path = at("resolv.conf");
        let mut file = ResolvConf::new(&path);
        if file.inotify.is_none() {
            return;
        }
        assert!(file.servers().is_empty());
        std::fs::write(&path, "nameserver 192.0.2.1\n").expect("a file");
        becomes(&mut file, &["192.0.2.1"]).await;
        std::fs::write(at("new"), "nameserver 192.0.2.2\n").expect("a file");
        std::fs::rename(at("new"), &path).expect("a file replaced");
        becomes(&mut file, &["192.0.2.2"]).await;
        // As a link into another directory, as resolver daemons have it.
        std::fs::create_dir(at("run")).expect("a directory");
        std::fs::write(at("run/stub"), "nameserver 192.0.2.3\n").expect("a file");
        std::os::unix::fs::symlink(at("run/stub"), at("link")).expect("a link");
        std::fs::rename(at("link"), &path).expect("a file replaced");
        becomes(&mut file, &["192.0.2.3"]).await;
        std::fs::write(at("run/stub"), "nameserver 192.0.2.4\n").expect("a file");
        becomes(&mut file, &["192.0.2.4"]).await;
        std::fs::write(at("run/new"), "nameserver 192.0.2.5\n").expect("a file");
        std::fs::rename(at("run/new"), at("run/stub")).expect("a file replaced");
        becomes(&mut file, &["192.0.2.5"]).await;
        std::fs::remove_file(&path).expect("a link");
        becomes(&mut file, &[]).await;
    }
}
