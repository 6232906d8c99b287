//! The workloads, one file each: which peers they compare, over which networks, and what is made of it.

mod beside;
mod cell;
mod driving;
mod failover;
mod libcmm;
mod returning;
mod stripe;

use std::io;
use std::time::Duration;

use cell::{Cell, Outcome};

use crate::args::Args;
use crate::clock;
use crate::peer::{Class, Peer};
use crate::report::{self, Sheet};
use crate::traffic::{Flow, Side, What};
use crate::world::{LinkSpec, Rate, World};

/// How long starting, connecting and reporting may take.
const PATIENCE: Duration = Duration::from_secs(30);
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
    /// All of these peers, or those of them that were asked for, or with `--quick` a few.
    fn peers(&self, all: &[Peer], few: &[Peer]) -> Vec<Peer> {
        match &self.peers {
            None if self.quick => few.to_vec(),
            None => all.to_vec(),
            Some(names) => {
                let wanted = |peer: &&Peer| names.contains(&peer.to_string());
                all.iter().filter(wanted).copied().collect()
            }
        }
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
