//! Two hosts and the links between them, for as long as a `World` lives.
//!
//! ```text
//!  namespace `client`                                            namespace `server`
//!  wlan0 10.99.1.2/24 ----------- the emulator ----------- wlan0 10.99.1.1/24
//!  wwan0 10.99.2.2/24 ----------- the emulator ----------- wwan0 10.99.2.1/24
//!                                                          lo    10.99.0.1/32, the service
//! ```
//!
//! The names of the namespaces carry a number, for there may be several worlds at once.
//! Each address of the client has a routing table of its own, in which nothing but its link leads
//! anywhere: traffic of a network that is lost gets EHOSTUNREACH and never leaks out of another.
//! The server, like a provider, drops what comes from an address that is not of that link.
//! Everything is IPv4; MTU 1500.

mod wiring;

pub(crate) use crate::control::{Fault, Way};
pub(crate) use crate::emulator::trace::Trace;
pub(crate) use crate::emulator::{Counters, PUNCTUAL, Rate, Usage};

use crate::control::Control;
use crate::emulator::{Emulator, Ends, Setting};
use crate::namespace::Namespace;
use crate::system;
use netlink_packet_route::route::RouteHeader;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use wiring::{client_address, host, raise, table};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Tells the hosts of several worlds apart.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// One link, as it is asked for.
#[derive(Clone, Debug, PartialEq)]
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
/// everything. Any number at once, in a process that has gone through
/// [`crate::namespace::isolate`].
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
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let client = host(&format!("client{world}"), "0")?;
        let server = host(&format!("server{world}"), "1")?;
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
        for (link, spec) in links.iter().enumerate() {
            world.client.ip(&wiring::client_rule(link))?;
            world
                .client
                .ip(&wiring::client_end(spec.name, link, None))?;
            world
                .server
                .ip(&wiring::server_end(spec.name, link, None))?;
        }
        Ok(world)
    }

    /// Its links, as they were asked for.
    pub(crate) fn links(&self) -> &[LinkSpec] {
        &self.links
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
        if state.congestion.as_deref() == Some(name) {
            return Ok(());
        }
        state.congestion = Some(name.to_owned());
        for (link, spec) in self.links.iter().enumerate() {
            let end = wiring::server_end(spec.name, link, Some(name));
            self.server.ip(&end)?;
            // A link with a fault gets it as it is mended.
            if state.links[link].fault.is_none() {
                let end = wiring::client_end(spec.name, link, Some(name));
                self.client.ip(&end)?;
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
    /// when that began: nothing has crossed before, and milliseconds later everything does.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or finds no carrier within 3 s.
    pub(crate) fn mend(&self, link: &str) -> io::Result<Instant> {
        let link = self.number(link);
        let mut state = self.state();
        // First of all: a program that hears of the address at once may lose nothing by it.
        let at = self.emulator.silence(link, false, false)?;
        match state.links[link].fault {
            None | Some(Fault::Silent(_)) => {}
            Some(fault) => self.restore(&mut state, link, fault)?,
        }
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
        wiring::index(&self.client, self.links[link].name)
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
        let end = wiring::client_end(name, link, state.congestion.as_deref());
        self.client.ip(&end)
    }
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
