//! The scout over real interfaces: what it shows, and what it stands.

pub(crate) mod changes;
pub(crate) mod facts;
pub(crate) mod storms;

use crate::lab::{Host, Lab, Link};
use crate::process::until;
use crate::world::PATIENCE;
use mancom::network::State;
use mancom::scout::Overrides;
use mancom::{Network, Scout, Snapshot};
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A scout that runs on a host, in a thread of its own.
struct Eyes {
    host: Host,
    scout: Scout,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Eyes {
    fn open(host: &Host) -> Self {
        Self::open_with(host, Overrides::new())
    }

    fn open_with(host: &Host, overrides: Overrides) -> Self {
        let (opened, ready) = mpsc::channel();
        host.spawn_async(move || async move {
            let scout = Scout::system_with(overrides);
            let mut snapshots = scout.snapshots();
            opened.send((scout, snapshots.clone())).unwrap();
            // Until the last handle goes, with the test.
            while snapshots.changed().await.is_ok() {}
        });
        let (scout, snapshots) = ready.recv().unwrap();
        let host = host.clone();
        let eyes = Eyes {
            host,
            scout,
            snapshots,
        };
        until("a whole look", PATIENCE, || eyes.now().is_complete());
        assert_eq!(eyes.scout.source(), "netlink");
        eyes
    }

    fn now(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// What it sees under this name, as soon as `holds`.
    fn see(&self, name: &str, holds: impl Fn(&Network) -> bool) -> Network {
        let begin = Instant::now();
        while !self.now().by_name(name).is_some_and(&holds) {
            assert!(
                begin.elapsed() < PATIENCE,
                "sees {:#?}, where there is {} {} {}",
                self.now().by_name(name),
                self.host.ip("link"),
                self.host.ip("address"),
                self.host.ip("route show table all")
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        // It may have changed meanwhile, but not in the tests that ask.
        self.now().by_name(name).unwrap().clone()
    }
}

fn is_up(network: &Network) -> bool {
    network.state() == State::Up
}

fn has(network: &Network, ip: &str) -> bool {
    let ip: IpAddr = ip.parse().unwrap();
    network.addresses().iter().any(|address| address.ip == ip)
}

/// Runs these on the host as fast as one `ip` can.
fn batch(host: &Host, lines: impl IntoIterator<Item = String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    host.ip(&format!("-batch {}", file.path().display()));
}

fn two_hosts(lab: &Lab) -> (Host, Host, Link) {
    let (near, far) = (lab.host("near"), lab.host("far"));
    let link = lab.link(&near, "eth0", "10.1.0.2/24", &far, "v0", "10.1.0.1/24");
    near.ip("route add default via 10.1.0.1 dev eth0");
    (near, far, link)
}
