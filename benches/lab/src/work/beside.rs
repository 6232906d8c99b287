//! B6: interactive requests beside one bulk upload.

use std::io;

use super::{BOTH, Cell, Class, Done, Outcome, ask, bulk, cell, cellular, told, wifi};
use crate::args::Args;
use crate::peer::{MANCOM, MPTCP, MPTCP_TWO, NOQ, Peer, TCP_LOWAT, TCP_SPLIT, TCP_TWO, TCP_WIFI};
use crate::report::{Column, Scale, Sheet, Stat, percentile};
use crate::traffic::{Flow, Side};
use crate::world::{LinkSpec, World};

const ONE: [Peer; 5] = [TCP_TWO, TCP_WIFI, TCP_LOWAT, NOQ, MANCOM];
const TWO: [Peer; 6] = [TCP_TWO, TCP_SPLIT, MPTCP_TWO, MPTCP, NOQ, MANCOM];
pub(super) const COLUMNS: [Column; 5] = [
    Column::new("p50", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("p90", "ms", Stat::Median),
    Column::new("p99", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("bulk", "Mbit/s", Stat::Median).drawn(Scale::Linear),
    Column::new("over wlan0", "%", Stat::Median),
];
const QUICK_ONE: [Peer; 2] = [TCP_TWO, MANCOM];
const QUICK_TWO: [Peer; 2] = [MPTCP, MANCOM];
/// When the interactive requests begin, in milliseconds; the bulk is at full speed by then.
const START: u64 = 3000;
const EVERY: u64 = 500;

pub(super) fn run(args: &Args, done: &mut Done<'_>) -> io::Result<()> {
    for congestion in args.congestions() {
        let links = [wifi()];
        let world = World::new(&links)?;
        done(sheet(
            args,
            &world,
            &links,
            congestion,
            &args.peers(&ONE, &QUICK_ONE),
        )?)?;
        drop(world);
        let links = [wifi(), cellular()];
        let world = World::new(&links)?;
        done(sheet(
            args,
            &world,
            &links,
            congestion,
            &args.peers(&TWO, &QUICK_TWO),
        )?)?;
    }
    Ok(())
}

/// The table of these peers, with the idle network and each peer's bulk alone first.
pub(super) fn sheet(
    args: &Args,
    world: &World,
    links: &[LinkSpec],
    congestion: &str,
    peers: &[Peer],
) -> io::Result<Sheet> {
    let end = args.time(18_000, 7500);
    let networks = if links.len() == 1 {
        "one network"
    } else {
        "both networks"
    };
    let conditions = format!(
        "{}. {congestion}. 1 KiB request and response every {EVERY} ms from second {} to {}, beside one bulk \
         upload from second 0; median of {}.",
        told(links),
        START / 1000,
        end / 1000,
        args.runs,
    );
    let title = format!("interactive beside bulk, {networks}, {congestion}");
    let mut sheet = Sheet::new("B6", title, conditions, &COLUMNS);
    let stop = end - 1000;
    let run = |sheet: &mut Sheet, row: &str, peer, classes: &[Class], flows: Vec<Flow>| {
        let one = Cell {
            peer,
            classes,
            congestion,
            links,
            flows,
            end,
        };
        cell(sheet, row, world, &one, |outcome| figures(outcome, stop));
    };
    for _ in 0..args.runs {
        run(
            &mut sheet,
            "idle",
            TCP_WIFI,
            &[Class::Interactive],
            vec![ask(1024, EVERY, START, stop)],
        );
        let alone = if args.quick {
            &[TCP_TWO][..]
        } else {
            &[TCP_TWO, MANCOM]
        };
        for &peer in alone {
            let row = format!("{peer}, bulk alone");
            let flows = vec![bulk(Side::Client, stop)];
            run(&mut sheet, &row, peer, &[Class::Bulk], flows);
        }
        for &peer in peers {
            let flows = vec![bulk(Side::Client, stop), ask(1024, EVERY, START, stop)];
            run(&mut sheet, &peer.to_string(), peer, &BOTH, flows);
        }
    }
    judge(&mut sheet);
    Ok(sheet)
}

/// Of the bulk, if any, and of the requests, if any.
fn figures(outcome: &Outcome, stop: u64) -> Vec<f64> {
    let of = |latencies: &[f64], percent| percentile(latencies, percent).unwrap_or(f64::NAN);
    let mut latencies = Vec::new();
    let mut bulk = f64::NAN;
    for flow in 0..outcome.client.flows.len() {
        latencies.extend(outcome.latencies(flow));
        if latencies.is_empty() {
            bulk = outcome.up(flow, START, stop);
        }
    }
    vec![
        of(&latencies, 50.0),
        of(&latencies, 90.0),
        of(&latencies, 99.0),
        bulk,
        outcome.share(0),
    ]
}

fn judge(sheet: &mut Sheet) {
    for (column, what) in [
        ("p50", "interactive p50 within 1.2 of the idle network's"),
        ("p99", "interactive p99 within 1.2 of the idle network's"),
    ] {
        let limit = sheet.figure("idle", column).map(|idle| 1.2 * idle);
        sheet.at_most(what, column, limit);
    }
    // Of the better of the two, so that a bulk that is slow by itself is not excused.
    let alone = ["mancom, bulk alone", "tcp-two, bulk alone"].map(|row| sheet.figure(row, "bulk"));
    let limit = alone
        .into_iter()
        .flatten()
        .reduce(f64::max)
        .map(|alone| 0.93 * alone);
    sheet.at_least("bulk at least 0.93 of what it gets alone", "bulk", limit);
}
