//! The workloads, one file each: which peers they compare, over which networks, and what is made of it.

mod beside;
mod cell;
mod driving;
mod failover;
mod libcmm;
mod pool;
mod returning;
mod slot;
mod stripe;
mod study;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cell::{Cell, Outcome};
use study::{Load, Study};

use crate::args::Args;
use crate::clock;
use crate::peer::{Class, Peer};
use crate::report::{self, Sheet};
use crate::traffic::{Flow, Side, What};
use crate::world::{LinkSpec, Rate};

/// How long starting, connecting and reporting may take.
const PATIENCE: Duration = Duration::from_secs(30);
const BOTH: [Class; 2] = [Class::Interactive, Class::Bulk];

/// Runs what was asked for; every sheet is printed as it is done, and all that are done are written at once.
pub(crate) fn run(args: &Args) -> io::Result<Vec<Sheet>> {
    let mut studies = Vec::new();
    for workload in &args.wanted {
        match workload.as_str() {
            "B3" => studies.extend(stripe::studies(args)),
            "B4" => studies.extend(failover::told(args)),
            "B5" => studies.extend(failover::silent(args)),
            "B6" => studies.extend(beside::studies(args)),
            "B7" => studies.extend(libcmm::studies(args)),
            "B8" => {
                studies.extend(driving::studies(args).map_err(|error| {
                    io::Error::new(error.kind(), format!("B8, --traces: {error}"))
                })?)
            }
            _ => studies.push(returning::study(args)),
        }
    }
    let begun = clock::now();
    let mut sheets = BTreeMap::new();
    pool::run(args.jobs, studies, &mut |study, sheet| {
        report::print(&sheet);
        sheets.insert(study, sheet);
        let done: Vec<&Sheet> = sheets.values().collect();
        report::write(&args.out, args.jobs, &done)
    })?;
    eprintln!("{} s in all", (clock::now() - begun) / 1_000_000_000);
    Ok(sheets.into_values().collect())
}

/// The default networks.
fn wifi() -> LinkSpec {
    link("wlan0", 20, 20, 1_000_000)
}

fn cellular() -> LinkSpec {
    link("wwan0", 2, 120, 256_000)
}

fn both() -> Arc<[LinkSpec]> {
    Arc::new([wifi(), cellular()])
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
        let asked: Vec<Peer> = match &self.peers {
            None if self.quick => few.to_vec(),
            None => all.to_vec(),
            Some(names) => {
                let wanted = |peer: &&Peer| names.contains(&peer.to_string());
                all.iter().filter(wanted).copied().collect()
            }
        };
        asked
            .into_iter()
            .filter(|peer| self.mptcp || !matches!(peer, Peer::Mptcp { .. }))
            .collect()
    }

    pub(crate) fn congestions(&self) -> Vec<&'static str> {
        match self.congestion {
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
