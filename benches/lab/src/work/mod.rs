//! The workloads, one file each, and what they have in common: a cell, which is one peer doing one thing once.

mod beside;
mod driving;
mod failover;
mod libcmm;
mod returning;
mod stripe;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::args::Args;
use crate::clock;
use crate::node::{Answer, Order, Remote};
use crate::peer::{Class, Peer, Place, Setup};
use crate::report::{self, Sheet};
use crate::traffic::{Flow, Plan, Report, Side, What};
use crate::world::{Counters, LinkSpec, Rate, World};

/// How long starting, connecting and reporting may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between both nodes being connected and the plan's zero, in nanoseconds.
const LEAD: u64 = 100_000_000;
const BOTH: [Class; 2] = [Class::Interactive, Class::Bulk];

/// Runs what was asked for; every sheet is printed as it is done and written at once.
pub(crate) fn run(args: &Args) -> io::Result<Vec<Sheet>> {
    let mut sheets = Vec::new();
    for workload in &args.wanted {
        let measure = match workload.as_str() {
            "B3" => stripe::run,
            "B4" => failover::told,
            "B5" => failover::silent,
            "B6" => beside::run,
            "B7" => libcmm::run,
            "B8" => driving::run,
            _ => returning::run,
        };
        let begun = clock::now();
        let mut done = |sheet: Sheet| {
            report::print(&sheet);
            sheets.push(sheet);
            report::write(&args.out, &sheets)
        };
        measure(args, &mut done)?;
        eprintln!("{workload}: {} s", (clock::now() - begun) / 1_000_000_000);
    }
    Ok(sheets)
}

/// Where a workload puts a sheet that is done.
type Done<'a> = dyn FnMut(Sheet) -> io::Result<()> + 'a;

/// The default networks.
fn wifi() -> LinkSpec {
    link("wlan0", 20, 20, 1_000_000)
}

fn cellular() -> LinkSpec {
    link("wwan0", 2, 120, 256_000)
}

/// Megabits a second each way, milliseconds, bytes.
fn link(name: &'static str, mbit: u64, rtt: u64, queue: usize) -> LinkSpec {
    LinkSpec {
        name,
        up: Rate::Bits(mbit * 1_000_000),
        down: Rate::Bits(mbit * 1_000_000),
        rtt: Duration::from_millis(rtt),
        queue,
        loss: 0.0,
        jitter: Duration::ZERO,
        metered: false,
    }
}

impl Args {
    /// These peers, or those of them that were asked for.
    fn peers(&self, all: &[Peer]) -> Vec<Peer> {
        let wanted = |peer: &Peer| {
            self.peers
                .as_ref()
                .is_none_or(|names| names.contains(&peer.to_string()))
        };
        all.iter().copied().filter(wanted).collect()
    }

    fn congestions(&self) -> Vec<&str> {
        match &self.congestion {
            Some(one) => vec![one],
            None if self.quick => vec!["cubic"],
            None => vec!["cubic", "bbr"],
        }
    }

    /// The longer time, or with `--quick` the shorter, in milliseconds.
    fn time(&self, long: u64, quick: u64) -> u64 {
        if self.quick { quick } else { long }
    }
}

/// One peer, what it does, and under which congestion control.
#[derive(Debug)]
struct Cell<'a> {
    peer: Peer,
    classes: &'a [Class],
    congestion: &'a str,
    /// The links of the world, best first.
    links: &'a [LinkSpec],
    flows: Vec<Flow>,
    /// Milliseconds from zero.
    end: u64,
}

/// What came of it.
struct Outcome {
    client: Report,
    server: Report,
    /// What crossed each link meanwhile.
    crossed: Vec<Counters>,
    /// Congestion control as the kernel says it was used.
    used: BTreeSet<String>,
}

impl Outcome {
    fn report(&self, side: Side) -> &Report {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// Milliseconds until each answer to a flow that the client asks.
    fn latencies(&self, flow: usize) -> Vec<f64> {
        let latencies = &self.client.flows[flow].latencies;
        latencies
            .iter()
            .map(|&micros| micros as f64 / 1e3)
            .collect()
    }

    /// Megabits a second that arrived at the server.
    fn up(&self, flow: usize, from: u64, to: u64) -> f64 {
        self.server.flows[flow].mbit(from, to)
    }

    /// The share of what crossed that crossed this link, in percent.
    fn share(&self, link: usize) -> f64 {
        let bytes = |c: &Counters| c.up.delivered_bytes + c.down.delivered_bytes;
        let all: u64 = self.crossed.iter().map(bytes).sum();
        match self.crossed.get(link) {
            Some(counters) if all > 0 => bytes(counters) as f64 / all as f64 * 100.0,
            _ => f64::NAN,
        }
    }

    fn failures(&self) -> Vec<&String> {
        self.client
            .errors
            .iter()
            .chain(&self.server.errors)
            .collect()
    }
}

impl Cell<'_> {
    fn measure(&self, world: &World) -> io::Result<Outcome> {
        self.measure_during(world, |_| Ok(()))
            .map(|(outcome, ())| outcome)
    }

    /// Runs the plan, and `during` beside it; that is told the plan's zero.
    fn measure_during<T>(
        &self,
        world: &World,
        during: impl FnOnce(u64) -> io::Result<T>,
    ) -> io::Result<(Outcome, T)> {
        world.set_default_congestion(self.congestion)?;
        settle(world, self.links);
        let (mut client, mut server) = self.connected(world)?;
        let plan = Plan {
            zero: clock::now() + LEAD,
            end: self.end,
            flows: self.flows.clone(),
        };
        let before: Vec<Counters> = self.links.iter().map(|l| world.counters(l.name)).collect();
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
            crossed: self
                .links
                .iter()
                .zip(before)
                .map(|(link, before)| since(world.counters(link.name), before))
                .collect(),
            used,
        };
        Ok((outcome, meanwhile))
    }

    fn connected(&self, world: &World) -> io::Result<(Remote, Remote)> {
        let mut server = Remote::start(world, Side::Server)?;
        let mut client = Remote::start(world, Side::Client)?;
        let mut setup = setup(world, self.peer, self.classes, self.links);
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

/// Waits until what an earlier cell left behind has crossed; not for ever.
fn settle(world: &World, links: &[LinkSpec]) {
    let queued = |link: &LinkSpec| {
        let counters = world.counters(link.name);
        counters.up.queued_bytes + counters.down.queued_bytes
    };
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(100));
        if links.iter().map(queued).sum::<u64>() == 0 {
            // What was on its way, and what it is answered with.
            std::thread::sleep(Duration::from_millis(250));
            break;
        }
    }
}

fn setup(world: &World, peer: Peer, classes: &[Class], links: &[LinkSpec]) -> Setup {
    Setup {
        peer,
        classes: classes.to_vec(),
        server: SocketAddr::new(world.server_address(), 0),
        certificate: Vec::new(),
        networks: links
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
        let mut command = Command::new("ss");
        command.args(["-tinH", "state", "established"]);
        match side {
            Side::Client => world.in_client(&mut command),
            Side::Server => world.in_server(&mut command),
        }
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let known = ["cubic", "bbr", "reno"];
        used.extend(
            said.split_whitespace()
                .filter(|w| known.contains(w))
                .map(str::to_owned),
        );
    }
    Ok(used)
}

/// Measures a cell and adds what `figures` makes of it to the sheet; a failure is told and leaves no sample.
fn cell(
    sheet: &mut Sheet,
    row: &str,
    world: &World,
    cell: &Cell<'_>,
    figures: impl FnOnce(&Outcome) -> Vec<f64>,
) {
    match cell.measure(world) {
        Ok(outcome) => note(sheet, row, cell, &outcome, figures(&outcome)),
        Err(error) => failed(sheet, row, &error),
    }
}

/// Adds figures to the sheet and tells what was strange.
fn note(sheet: &mut Sheet, row: &str, cell: &Cell<'_>, outcome: &Outcome, figures: Vec<f64>) {
    if outcome.used.iter().any(|used| used != cell.congestion) {
        eprintln!(
            "{row}: asked for {}, used {:?}",
            cell.congestion, outcome.used
        );
    }
    for error in outcome.failures() {
        eprintln!("{row}: {error}");
    }
    let shown: Vec<String> = figures
        .iter()
        .map(|figure| format!("{figure:.1}"))
        .collect();
    eprintln!("  {} {row}: {}", sheet.bar, shown.join(" "));
    sheet.add(row, &figures);
}

fn failed(sheet: &mut Sheet, row: &str, error: &io::Error) {
    eprintln!("  {} {row}: FAILED: {error}", sheet.bar);
    sheet.add(row, &vec![f64::NAN; sheet.columns.len()]);
}

/// Bulk from the client as fast as it goes, from zero on.
fn bulk(from: Side, stop: u64) -> Flow {
    Flow {
        from,
        class: Class::Bulk,
        what: What::Bulk {
            size: 64 * 1024,
            pipe: None,
        },
        start: 0,
        stop,
    }
}

fn ask(size: u32, every: u64, start: u64, stop: u64) -> Flow {
    Flow {
        from: Side::Client,
        class: Class::Interactive,
        what: What::Ask { size, every },
        start,
        stop,
    }
}

/// Which links a world has, for the conditions of a sheet.
fn told(links: &[LinkSpec]) -> String {
    let told: Vec<String> = links
        .iter()
        .map(|link| {
            let rate = match &link.up {
                Rate::Bits(bits) => format!("{} Mbit/s", bits / 1_000_000),
                Rate::Trace(_) => "a recorded rate".to_owned(),
            };
            let (rtt, queue) = (link.rtt.as_millis(), link.queue / 1000);
            format!(
                "{} {rate}, RTT {rtt} ms, drop-tail queue {queue} kB",
                link.name
            )
        })
        .collect();
    told.join("; ")
}
