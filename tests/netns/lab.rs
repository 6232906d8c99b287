//! Hosts and links: a small internet inside one test.
//!
//! A [`Host`] is a named network namespace, a [`Link`] a veth pair between two of
//! them, seen from its first end as the network that comes and goes. All changes
//! are made with iproute2 and have happened when the call returns; a failing
//! command is a panic with what it said.

use std::future::Future;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// An address that belongs to nobody, so frames sent to it are dropped on arrival.
const NOBODY: &str = "02:00:00:00:00:99";

/// The command of this project, to be run on that host.
pub(crate) fn mancom(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command(env!("CARGO_BIN_EXE_mancom"));
    command.args(arguments);
    command
}

/// The hosts of one test.
pub(crate) struct Lab {
    tables: AtomicU32,
}

impl Lab {
    /// Inside a test only: the namespaces are those of the whole process.
    pub(crate) fn new() -> Self {
        Lab {
            tables: AtomicU32::new(100),
        }
    }

    /// A new host with nothing but loopback.
    pub(crate) fn host(&self, name: &str) -> Host {
        run(Command::new("ip").args(["netns", "add", name]));
        let host = Host {
            name: name.to_owned(),
        };
        host.ip("link set lo up");
        for (setting, value) in [
            // Answers may leave by another interface than questions came in by.
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
            ("net/ipv4/ip_forward", "0"),
            // A test must not inherit the round-trip times of an earlier cut.
            ("net/ipv4/tcp_no_metrics_save", "1"),
        ] {
            host.set(setting, value);
        }
        host
    }

    /// Ends a host, with the links that have an end on it.
    pub(crate) fn end(&self, name: &str) {
        run(Command::new("ip").args(["netns", "delete", name]));
    }

    /// Joins two hosts, both ends up and with their addresses (`10.1.0.2/24`).
    pub(crate) fn link(
        &self,
        near: &Host,
        near_interface: &str,
        near_address: &str,
        far: &Host,
        far_interface: &str,
        far_address: &str,
    ) -> Link {
        let link = Link {
            near: End::new(near, near_interface, near_address),
            far: End::new(far, far_interface, far_address),
            table: self.tables.fetch_add(1, Ordering::Relaxed),
            default_metric: Mutex::new(None),
            rate: Mutex::new(None),
        };
        link.make();
        link
    }
}

/// One network namespace.
#[derive(Clone)]
pub(crate) struct Host {
    name: String,
}

impl Host {
    /// Runs `ip ARGUMENTS` on this host and returns what it printed.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split_whitespace()))
    }

    /// A command that will run on this host, with a /sys of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `f` on this host, in a thread of its own; so do the threads it starts.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let host = self.clone();
        std::thread::spawn(move || {
            host.enter();
            f()
        })
    }

    /// As [`Host::spawn`], and waits for the result.
    pub(crate) fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        join(self.spawn(f))
    }

    /// Runs a future on this host, in a thread and tokio runtime of its own.
    pub(crate) fn spawn_async<T, F>(&self, f: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        self.spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(f())
        })
    }

    /// Gives loopback an address that is reached whichever link the packets take.
    pub(crate) fn reachable_at(&self, address: &str) {
        // Else an IPv6 address is tentative for a moment, and nothing binds to it.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address replace {address} dev lo {nodad}"));
    }

    /// The index of an interface, `None` if there is no such interface.
    pub(crate) fn index(&self, interface: &str) -> Option<u32> {
        let output = Command::new("ip")
            .args(["-n", &self.name, "-o", "link", "show", "dev", interface])
            .output()
            .expect("ip");
        let text = String::from_utf8_lossy(&output.stdout);
        text.split(':').next()?.trim().parse().ok()
    }

    /// Whether an interface has its carrier and is up.
    pub(crate) fn is_running(&self, interface: &str) -> bool {
        let flags = self.ip(&format!("-o link show dev {interface}"));
        flags.contains("LOWER_UP") && flags.contains(",UP")
    }

    /// Bytes an interface has sent.
    pub(crate) fn bytes_sent(&self, interface: &str) -> u64 {
        let text = run(self
            .command("cat")
            .arg(format!("/sys/class/net/{interface}/statistics/tx_bytes")));
        text.trim().parse().expect("a number of bytes")
    }

    /// Sets a value below /proc/sys where this machine allows it.
    fn set(&self, setting: &'static str, value: &'static str) {
        // The tests hold without these; a container may have /proc read-only.
        let _ = self.run(move || std::fs::write(format!("/proc/sys/{setting}"), value));
    }

    fn enter(&self) {
        let file = std::fs::File::open(format!("/run/netns/{}", self.name)).expect("a host");
        rustix::thread::move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&file),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )
        .expect("a namespace this process owns");
    }
}

/// One end of a link.
struct End {
    host: Host,
    interface: String,
    /// With its prefix length.
    address: String,
}

impl End {
    fn new(host: &Host, interface: &str, address: &str) -> Self {
        End {
            host: host.clone(),
            interface: interface.to_owned(),
            address: address.to_owned(),
        }
    }

    fn ip(&self) -> IpAddr {
        let address = self.address.split('/').next().expect("a first part");
        address.parse().expect("an address")
    }

    /// What `ip` must be told where it cannot guess it.
    fn family(&self) -> &'static str {
        if self.ip().is_ipv6() { "-6" } else { "-4" }
    }

    fn set(&self, what: &str) {
        self.host
            .ip(&format!("link set dev {} {what}", self.interface));
    }

    fn add_address(&self) {
        let nodad = if self.ip().is_ipv6() { "nodad" } else { "" };
        self.host.ip(&format!(
            "address replace {} dev {} {nodad}",
            self.address, self.interface
        ));
    }

    fn configure(&self) {
        self.set("up");
        self.add_address();
    }

    /// Swallows all that this end sends to `other`, without an error to anybody.
    fn swallow(&self, other: &End) {
        self.host.ip(&format!(
            "neighbour replace {} lladdr {NOBODY} nud permanent dev {}",
            other.ip(),
            self.interface
        ));
    }

    fn stop_swallowing(&self) {
        self.host.ip(&format!(
            "neighbour flush dev {} nud permanent",
            self.interface
        ));
    }
}

/// As the near end of a link sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Outgoing,
    Incoming,
    Both,
}

/// A veth pair; what is said of it is seen from its near end.
pub(crate) struct Link {
    near: End,
    far: End,
    table: u32,
    default_metric: Mutex<Option<u32>>,
    rate: Mutex<Option<String>>,
}

impl Link {
    /// Routes everything over this link, as a network manager does: a default
    /// route with this metric, and a table of its own for its source address.
    pub(crate) fn default_route(&self, metric: u32) {
        *self.default_metric.lock().expect("no panic under it") = Some(metric);
        self.near.host.ip(&format!(
            "{} rule add from {} lookup {} priority {}",
            self.near.family(),
            self.near.ip(),
            self.table,
            1000 + self.table
        ));
        self.add_routes();
    }

    /// Limits both directions (`100mbit`), with a queue of at most 50 ms.
    pub(crate) fn limit(&self, rate: &str) {
        *self.rate.lock().expect("no panic under it") = Some(rate.to_owned());
        self.add_rate();
    }

    /// Administratively down: addresses stay, routes go.
    pub(crate) fn down(&self) {
        self.near.set("down");
    }

    /// Up again, with address and routes.
    pub(crate) fn up(&self) {
        self.near.configure();
        self.add_routes();
    }

    /// The carrier goes: addresses and routes stay.
    pub(crate) fn lose_carrier(&self) {
        self.far.set("down");
    }

    /// The carrier comes back.
    pub(crate) fn regain_carrier(&self) {
        self.far.configure();
    }

    /// Takes the near address away; its routes go with it.
    pub(crate) fn remove_address(&self) {
        self.near.host.ip(&format!(
            "address delete {} dev {}",
            self.near.address, self.near.interface
        ));
    }

    /// Gives the near address and its routes back.
    pub(crate) fn restore_address(&self) {
        self.near.add_address();
        self.add_routes();
    }

    /// Deletes both interfaces.
    pub(crate) fn delete(&self) {
        self.near
            .host
            .ip(&format!("link delete dev {}", self.near.interface));
    }

    /// Makes both interfaces, again after [`Link::delete`]: same names, new indexes.
    pub(crate) fn make(&self) {
        run(Command::new("ip")
            .args(["link", "add", &self.near.interface])
            .args(["netns", &self.near.host.name])
            .args(["type", "veth", "peer", "name", &self.far.interface])
            .args(["netns", &self.far.host.name]));
        self.far.configure();
        self.near.configure();
        self.add_rate();
        self.add_routes();
    }

    /// Silently swallows everything in this direction: link up, no error anywhere.
    pub(crate) fn silence(&self, direction: Direction) {
        if direction != Direction::Incoming {
            self.near.swallow(&self.far);
        }
        if direction != Direction::Outgoing {
            self.far.swallow(&self.near);
        }
    }

    /// Ends every silence.
    pub(crate) fn heal(&self) {
        self.near.stop_swallowing();
        self.far.stop_swallowing();
    }

    fn add_routes(&self) {
        let Some(metric) = *self.default_metric.lock().expect("no panic under it") else {
            return;
        };
        let (gateway, interface) = (self.far.ip(), &self.near.interface);
        let family = self.near.family();
        let route = format!("{family} route replace default via {gateway} dev {interface}");
        self.near.host.ip(&format!("{route} metric {metric}"));
        self.near.host.ip(&format!("{route} table {}", self.table));
    }

    fn add_rate(&self) {
        let Some(rate) = self.rate.lock().expect("no panic under it").clone() else {
            return;
        };
        for end in [&self.near, &self.far] {
            run(Command::new("tc")
                .args(["-n", &end.host.name, "qdisc", "replace", "dev"])
                .args([&end.interface, "root", "tbf", "rate", &rate])
                .args(["burst", "128kb", "latency", "50ms"]));
        }
    }
}

/// Waits for a thread and passes its panic on.
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program the probe has run");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
