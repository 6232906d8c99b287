//! A cell: one peer doing one thing once.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::PATIENCE;
use crate::clock;
use crate::node::{Answer, Order, Remote};
use crate::peer::{Class, Peer, Place, Setup};
use crate::traffic::{Flow, Plan, Report, Side};
use crate::world::{Counters, World};

/// Between both nodes being connected and the plan's zero, in nanoseconds.
const LEAD: u64 = 100_000_000;

/// One peer, what it does, and under which congestion control.
#[derive(Debug)]
pub(super) struct Cell {
    /// Such as `B6`.
    pub(super) bar: &'static str,
    pub(super) peer: Peer,
    pub(super) classes: &'static [Class],
    pub(super) congestion: &'static str,
    pub(super) flows: Vec<Flow>,
    /// Milliseconds from zero.
    pub(super) end: u64,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) client: Report,
    pub(super) server: Report,
    /// What crossed each link meanwhile.
    pub(super) crossed: Vec<Counters>,
    /// Congestion control as the kernel says it was used.
    pub(super) used: BTreeSet<String>,
}

impl Outcome {
    pub(super) fn report(&self, side: Side) -> &Report {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// Milliseconds until each answer to a flow that the client asks.
    pub(super) fn latencies(&self, flow: usize) -> Vec<f64> {
        let latencies = &self.client.flows[flow].latencies;
        latencies
            .iter()
            .map(|&micros| micros as f64 / 1e3)
            .collect()
    }

    /// Megabits a second that arrived at the server.
    pub(super) fn up(&self, flow: usize, from: u64, to: u64) -> f64 {
        self.server.flows[flow].mbit(from, to)
    }

    /// The share of what crossed that crossed this link, in percent.
    pub(super) fn share(&self, link: usize) -> f64 {
        let bytes = |c: &Counters| c.up.delivered_bytes + c.down.delivered_bytes;
        let all: u64 = self.crossed.iter().map(bytes).sum();
        match self.crossed.get(link) {
            Some(counters) if all > 0 => bytes(counters) as f64 / all as f64 * 100.0,
            _ => f64::NAN,
        }
    }

    pub(super) fn failures(&self) -> Vec<&String> {
        self.client
            .errors
            .iter()
            .chain(&self.server.errors)
            .collect()
    }
}

impl Cell {
    pub(super) fn measure(&self, world: &World) -> io::Result<Outcome> {
        self.measure_during(world, |_| Ok(()))
            .map(|(outcome, ())| outcome)
    }

    /// Runs the plan, and `during` beside it; that is told the plan's zero.
    pub(super) fn measure_during<T>(
        &self,
        world: &World,
        during: impl FnOnce(u64) -> io::Result<T>,
    ) -> io::Result<(Outcome, T)> {
        self.measure_from(world, Ok, during)
    }

    /// The same from a zero of the caller's, who is told the earliest once both are connected.
    pub(super) fn measure_from<T>(
        &self,
        world: &World,
        zero: impl FnOnce(u64) -> io::Result<u64>,
        during: impl FnOnce(u64) -> io::Result<T>,
    ) -> io::Result<(Outcome, T)> {
        world.set_default_congestion(self.congestion)?;
        settle(world)?;
        let (mut client, mut server) = self.connected(world)?;
        let plan = Plan {
            zero: zero(clock::now() + LEAD)?,
            end: self.end,
            flows: self.flows.clone(),
        };
        let before = counters(world);
        client.order(&Order::Run(plan.clone()))?;
        server.order(&Order::Run(plan.clone()))?;
        clock::sleep_until(plan.zero + 500_000_000);
        let used = congestion_used(world)?;
        let meanwhile = during(plan.zero)?;
        let rest = (plan.zero + self.end * 1_000_000).saturating_sub(clock::now());
        let patience = Duration::from_nanos(rest) + PATIENCE;
        let outcome = Outcome {
            client: ran(client.answer(patience)?)?,
            server: ran(server.answer(patience)?)?,
            crossed: counters(world)
                .into_iter()
                .zip(before)
                .map(|(now, before)| since(now, before))
                .collect(),
            used,
        };
        self.tell(&outcome);
        Ok((outcome, meanwhile))
    }

    /// Tells what was strange.
    fn tell(&self, outcome: &Outcome) {
        if outcome.used.iter().any(|used| used != self.congestion) {
            eprintln!(
                "{self}: asked for {}, used {:?}",
                self.congestion, outcome.used
            );
        }
        for error in outcome.failures() {
            eprintln!("{self}: {error}");
        }
    }

    fn connected(&self, world: &World) -> io::Result<(Remote, Remote)> {
        let mut server = Remote::start(world, Side::Server)?;
        let mut client = Remote::start(world, Side::Client)?;
        let mut setup = setup(world, self.to_string(), self.peer, self.classes);
        setup.congestion = Some(self.congestion.to_owned());
        server.order(&Order::Listen(setup.clone()))?;
        let Answer::Listening { port, certificate } = server.answer(PATIENCE)? else {
            return Err(io::Error::other("the server does not listen"));
        };
        setup.server.set_port(port);
        setup.certificate = certificate;
        client.order(&Order::Connect(setup))?;
        for node in [&mut client, &mut server] {
            let Answer::Connected = node.answer(PATIENCE)? else {
                return Err(io::Error::other("not connected"));
            };
        }
        Ok((client, server))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.bar, self.peer, self.congestion)
    }
}

fn counters(world: &World) -> Vec<Counters> {
    let links = world.links().iter();
    links.map(|link| world.counters(link.name)).collect()
}

/// Ends the connections that an earlier cell left behind, and waits until what they had sent has crossed; not for ever.
fn settle(world: &World) -> io::Result<()> {
    for side in [Side::Client, Side::Server] {
        // A kernel without this has them end by themselves.
        ss(world, side, &["-tKH"])?;
    }
    let seen = || {
        let counters = counters(world);
        counters.iter().fold((0, 0), |(queued, crossed), c| {
            (
                queued + c.up.queued_bytes + c.down.queued_bytes,
                crossed + c.up.delivered_bytes + c.down.delivered_bytes,
            )
        })
    };
    let mut before = seen();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(250));
        let now = seen();
        // The last segments and what they are answered with.
        if now.0 == 0 && now.1 - before.1 < 4096 {
            break;
        }
        before = now;
    }
    Ok(())
}

pub(super) fn setup(world: &World, cell: String, peer: Peer, classes: &[Class]) -> Setup {
    Setup {
        cell,
        peer,
        classes: classes.to_vec(),
        server: SocketAddr::new(world.server_address(), 0),
        certificate: Vec::new(),
        networks: world
            .links()
            .iter()
            .map(|link| Place {
                name: link.name.to_owned(),
                address: world.client_address(link.name),
                metered: link.metered,
            })
            .collect(),
        congestion: None,
    }
}

fn ran(answer: Answer) -> io::Result<Report> {
    match answer {
        Answer::Ran(report) => Ok(report),
        other => Err(io::Error::other(format!("no report but {other:?}"))),
    }
}

fn since(mut now: Counters, before: Counters) -> Counters {
    now.up.delivered_bytes -= before.up.delivered_bytes;
    now.down.delivered_bytes -= before.down.delivered_bytes;
    now
}

/// What the kernel says of the client's and the server's connections.
fn congestion_used(world: &World) -> io::Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for side in [Side::Client, Side::Server] {
        let said = ss(world, side, &["-tinH", "state", "established"])?;
        let known = ["cubic", "bbr", "reno"];
        used.extend(
            said.split_whitespace()
                .filter(|w| known.contains(w))
                .map(str::to_owned),
        );
    }
    Ok(used)
}

/// What `ss` says of a host.
fn ss(world: &World, side: Side, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("ss");
    command.args(arguments);
    match side {
        Side::Client => world.in_client(&mut command),
        Side::Server => world.in_server(&mut command),
    }
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
