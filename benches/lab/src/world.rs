//! Two hosts and the links between them, for as long as a `World` lives.
//!
//! ```text
//!  namespace `client`                                            namespace `server`
//!  wlan0 10.99.1.2/24 ----------- the emulator ----------- wlan0 10.99.1.1/24
//!  wwan0 10.99.2.2/24 ----------- the emulator ----------- wwan0 10.99.2.1/24
//!                                                          lo    10.99.0.1/32, the service
//! ```
//!
//! Each address of the client has a routing table of its own, in which nothing but its link leads
//! anywhere: traffic of a network that is lost gets EHOSTUNREACH and never leaks out of another.
//! The server, like a provider, drops what comes from an address that is not of that link.
//! Everything is IPv4; MTU 1500.

pub(crate) use crate::control::{Fault, Way};
pub(crate) use crate::emulator::trace::{OnOff, Trace};
pub(crate) use crate::emulator::{Counters, Rate, Usage, WayCounters};

use crate::control::{Control, Monitor, says_running};
use crate::emulator::{Emulator, Ends, Setting};
use crate::namespace::Namespace;
use crate::system;
use netlink_packet_route::route::RouteHeader;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The longest the kernel may take to find a carrier again.
const CARRIER: Duration = Duration::from_secs(3);
/// More than the emulator ever leaves unread: drops are its own.
const DEVICE_QUEUE: u32 = 10_000;

/// One link, as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct LinkSpec {
    /// The name of its interface at both ends, such as `wlan0`.
    pub(crate) name: &'static str,
    /// From the client to the server.
    pub(crate) up: Rate,
    /// From the server to the client.
    pub(crate) down: Rate,
    /// Without queueing; half of it each way.
    pub(crate) rtt: Duration,
    /// Bytes that may wait, each way; what comes beyond them is dropped.
    pub(crate) queue: usize,
    /// The share of packets lost on the way, each way, from 0 to 1.
    pub(crate) loss: f64,
    /// Added to the delay of each packet: uniform from nothing to this; order is kept.
    pub(crate) jitter: Duration,
    /// Whether traffic costs money: for the peers, nothing to the emulator.
    pub(crate) metered: bool,
}

/// Two network namespaces, `client` and `server`, and the emulator between; dropping it ends
/// everything. One at a time, in a process that has gone through [`crate::namespace::isolate`].
#[derive(Debug)]
pub(crate) struct World {
    links: Vec<LinkSpec>,
    // In this order they end: the thread, the devices, the hosts.
    emulator: Emulator,
    state: Mutex<State>,
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
}

#[derive(Debug)]
struct State {
    control: Control,
    links: Vec<LinkState>,
    congestion: Option<String>,
}

#[derive(Debug)]
struct LinkState {
    /// The client's end; `None` while it is deleted.
    device: Option<Arc<OwnedFd>>,
    fault: Option<Fault>,
}

impl World {
    /// Makes the hosts, their links and the emulator.
    ///
    /// # Errors
    ///
    /// If there are more than 100 links, or this machine refuses a namespace or a TUN device.
    pub(crate) fn new(links: &[LinkSpec]) -> io::Result<Self> {
        if links.len() > 100 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let client = host("client", "0")?;
        let server = host("server", "1")?;
        server.ip(&format!("address add {SERVER}/32 dev lo\n"))?;
        let mut settings = Vec::new();
        let mut states = Vec::new();
        for (seed, spec) in (1..).zip(links) {
            let device = Arc::new(client.within(|| system::tun(spec.name))?);
            let far = Arc::new(server.within(|| system::tun(spec.name))?);
            raise(&client, spec.name, &device)?;
            raise(&server, spec.name, &far)?;
            let ends = Ends {
                client: Some(Arc::clone(&device)),
                server: far,
            };
            states.push(LinkState {
                device: Some(device),
                fault: None,
            });
            settings.push((setting(spec, seed), ends));
        }
        let world = Self {
            emulator: Emulator::new(settings)?,
            state: Mutex::new(State {
                control: Control::new(&client)?,
                links: states,
                congestion: None,
            }),
            links: links.to_vec(),
            client,
            server,
        };
        for link in 0..links.len() {
            world.client.ip(&world.client_rule(link))?;
            world.client.ip(&world.client_end(link, None))?;
            world.server.ip(&world.server_end(link, None))?;
        }
        Ok(world)
    }

    /// The server's one address, reached over every link.
    pub(crate) fn server_address(&self) -> IpAddr {
        SERVER.into()
    }

    /// The client's address on a link.
    ///
    /// # Panics
    ///
    /// If there is no such link, here and wherever one is named.
    pub(crate) fn client_address(&self, link: &str) -> IpAddr {
        client_address(self.number(link)).into()
    }

    /// Has the command run on the client, when it is spawned.
    pub(crate) fn in_client(&self, command: &mut Command) {
        system::run_in(command, &self.client);
    }

    /// Has the command run on the server, when it is spawned.
    pub(crate) fn in_server(&self, command: &mut Command) {
        system::run_in(command, &self.server);
    }

    /// Chooses the congestion control of TCP connections opened from now on, on both hosts.
    ///
    /// The routes say it, since a namespace may only have a default that the first namespace
    /// allows; it goes before what a socket says for itself before it connects.
    ///
    /// # Errors
    ///
    /// If the kernel does not have it.
    pub(crate) fn set_default_congestion(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.congestion = Some(name.to_owned());
        for link in 0..self.links.len() {
            self.server.ip(&self.server_end(link, Some(name)))?;
            // A link with a fault gets it as it is mended.
            if state.links[link].fault.is_none() {
                self.client.ip(&self.client_end(link, Some(name)))?;
            }
        }
        Ok(())
    }

    /// Loses a link in some way and says when that took effect. A link has one fault at a time:
    /// mend it first.
    ///
    /// # Errors
    ///
    /// If it has one already, or the kernel refuses.
    pub(crate) fn fault(&self, link: &str, fault: Fault) -> io::Result<Instant> {
        let link = self.number(link);
        let mut state = self.state();
        if let Some(earlier) = state.links[link].fault {
            let what = format!("{} has {earlier:?}", self.links[link].name);
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let index = self.index(link)?;
        let address = client_address(link);
        // Set first: what is half done is mended like what is done.
        state.links[link].fault = Some(fault);
        let (up, down) = fault.silences();
        let at = self.emulator.silence(link, up, down)?;
        match fault {
            Fault::CarrierOnly => system::set_carrier(device(&state.links[link]).as_fd(), false)?,
            Fault::Carrier => {
                system::set_carrier(device(&state.links[link]).as_fd(), false)?;
                self.remove_routes(&state.control, link, index)?;
                state.control.remove_address(index, address)?;
            }
            Fault::Admin => state.control.set_up(index, false)?,
            Fault::Address => state.control.remove_address(index, address)?,
            Fault::Route => self.remove_routes(&state.control, link, index)?,
            Fault::Deleted => {
                self.emulator.set_client(link, None)?;
                // The last descriptor: the device is gone when this returns.
                drop(state.links[link].device.take());
            }
            Fault::Silent(_) => {}
        }
        Ok(at)
    }

    /// Undoes the fault of a link, addresses and routes included; nothing if it has none. Says
    /// when packets could cross again.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or finds no carrier within 3 s.
    pub(crate) fn mend(&self, link: &str) -> io::Result<Instant> {
        let link = self.number(link);
        let mut state = self.state();
        match state.links[link].fault {
            None => return Ok(Instant::now()),
            Some(Fault::Silent(_)) => {}
            Some(fault) => self.restore(&mut state, link, fault)?,
        }
        let at = self.emulator.silence(link, false, false)?;
        state.links[link].fault = None;
        Ok(at)
    }

    /// What crossed a link so far.
    pub(crate) fn counters(&self, link: &str) -> Counters {
        let counters = self.emulator.counters(self.number(link));
        counters.expect("the emulator lives as long as the world")
    }

    /// Begins the counters of a link anew.
    pub(crate) fn reset_counters(&self, link: &str) {
        let reset = self.emulator.reset_counters(self.number(link));
        reset.expect("the emulator lives as long as the world");
    }

    /// What the emulator itself takes, and how punctual it is.
    pub(crate) fn usage(&self) -> Usage {
        let usage = self.emulator.usage();
        usage.expect("the emulator lives as long as the world")
    }

    /// Time zero of every [`Trace`].
    pub(crate) fn begin(&self) -> Instant {
        self.emulator.begin()
    }

    /// The index of a link's interface on the client, another each time it is made again.
    pub(crate) fn client_index(&self, link: &str) -> io::Result<u32> {
        self.index(self.number(link))
    }

    fn number(&self, name: &str) -> usize {
        let number = self.links.iter().position(|link| link.name == name);
        number.unwrap_or_else(|| panic!("no link is named {name}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the state")
    }

    fn index(&self, link: usize) -> io::Result<u32> {
        index(&self.client, self.links[link].name)
    }

    fn remove_routes(&self, control: &Control, link: usize, index: u32) -> io::Result<()> {
        control.remove_default(index, RouteHeader::RT_TABLE_MAIN)?;
        control.remove_default(index, table(link))
    }

    /// Puts the client's end of a link in order: device, carrier, address, routes.
    fn restore(&self, state: &mut State, link: usize, fault: Fault) -> io::Result<()> {
        let name = self.links[link].name;
        match fault {
            Fault::Deleted => {
                let device = Arc::new(self.client.within(|| system::tun(name))?);
                raise(&self.client, name, &device)?;
                self.emulator.set_client(link, Some(Arc::clone(&device)))?;
                state.links[link].device = Some(device);
            }
            Fault::Carrier | Fault::CarrierOnly => {
                raise(&self.client, name, device(&state.links[link]))?
            }
            Fault::Admin => state.control.set_up(self.index(link)?, true)?,
            Fault::Address | Fault::Route | Fault::Silent(_) => {}
        }
        self.client
            .ip(&self.client_end(link, state.congestion.as_deref()))
    }

    /// What each address of the client needs once.
    fn client_rule(&self, link: usize) -> String {
        let (address, table) = (client_address(link), table(link));
        format!(
            "rule add from {address} lookup {table} pref 1{table}\n\
             route add unreachable default table {table} metric 4278198272\n"
        )
    }

    /// Puts the client's end of a link in order, whatever is missing of it.
    fn client_end(&self, link: usize, congestion: Option<&str>) -> String {
        let name = self.links[link].name;
        let (address, server, table) = (client_address(link), server_address(link), table(link));
        let mut script = format!("address replace {address}/24 dev {name}\n");
        for place in [format!("metric {table}"), format!("table {table}")] {
            let route = format!("default via {server} dev {name} src {address} {place}");
            let _ = writeln!(script, "route replace {route}{}", congctl(congestion));
        }
        script
    }

    fn server_end(&self, link: usize, congestion: Option<&str>) -> String {
        let name = self.links[link].name;
        let (client, server) = (client_address(link), server_address(link));
        format!(
            "address replace {server}/24 dev {name}\n\
             route replace {client}/32 dev {name}{}\n",
            congctl(congestion)
        )
    }
}

/// A host of which each run begins without what an earlier one has learned.
fn host(name: &'static str, reverse_path_filter: &str) -> io::Result<Namespace> {
    let host = Namespace::new(name)?;
    host.set("net/ipv4/tcp_no_metrics_save", "1")?;
    host.set("net/ipv4/conf/all/rp_filter", "0")?;
    host.set("net/ipv4/conf/default/rp_filter", reverse_path_filter)?;
    // Absent where there is no IPv6 at all.
    let _ = host.set("net/ipv6/conf/default/disable_ipv6", "1");
    Ok(host)
}

fn setting(spec: &LinkSpec, seed: u64) -> Setting {
    Setting {
        up: spec.up.clone(),
        down: spec.down.clone(),
        rtt: spec.rtt,
        queue: spec.queue,
        jitter: spec.jitter,
        loss: spec.loss,
        seed,
    }
}

fn device(link: &LinkState) -> &OwnedFd {
    let device = link.device.as_deref();
    device.expect("only a deleted link has none")
}

/// The index of an interface.
fn index(host: &Namespace, name: &str) -> io::Result<u32> {
    use rustix::net::{AddressFamily, SocketType, netdevice, socket};
    host.within(|| {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        Ok(netdevice::name_to_index(any, name)?)
    })
}

/// Sets an interface up, plugs it in, and waits until the kernel uses it.
fn raise(host: &Namespace, name: &str, device: &OwnedFd) -> io::Result<()> {
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

fn client_address(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, octet(link), 2)
}

fn server_address(link: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, octet(link), 1)
}

/// The routing table of the client's address on a link, and its metric in the main table.
fn table(link: usize) -> u8 {
    100 + octet(link)
}
