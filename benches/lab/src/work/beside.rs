//! B6: interactive requests beside one bulk upload.

use std::sync::Arc;

use super::{BOTH, Cell, Class, Load, Outcome, Study, ask, both, bulk, told, wifi};
use crate::args::Args;
use crate::peer::{MANCOM, MPTCP, MPTCP_TWO, NOQ, Peer, TCP_LOWAT, TCP_SPLIT, TCP_TWO, TCP_WIFI};
use crate::report::{Column, Scale, Sheet, Stat, percentiles};
use crate::traffic::{Flow, Side};
use crate::world::LinkSpec;

const ONE: [Peer; 5] = [TCP_TWO, TCP_WIFI, TCP_LOWAT, NOQ, MANCOM];
const TWO: [Peer; 6] = [TCP_TWO, TCP_SPLIT, MPTCP_TWO, MPTCP, NOQ, MANCOM];
pub(super) const COLUMNS: [Column; 5] = [
    Column::new("p50", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("p95", "ms", Stat::Median),
    Column::new("p99", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("bulk", "Mbit/s", Stat::Median).drawn(Scale::Linear),
    Column::new("over wlan0", "%", Stat::Median),
];
const QUICK_ONE: [Peer; 2] = [TCP_TWO, MANCOM];
const QUICK_TWO: [Peer; 2] = [MPTCP, MANCOM];
/// When the interactive requests begin, in milliseconds; the bulk is at full speed by then.
const START: u64 = 3000;
const EVERY: u64 = 500;

pub(super) fn studies(args: &Args) -> Vec<Study> {
    let networks: [(_, Arc<[LinkSpec]>, _); 2] = [
        (
            "one network",
            Arc::new([wifi()]),
            args.peers(&ONE, &QUICK_ONE),
        ),
        ("both networks", both(), args.peers(&TWO, &QUICK_TWO)),
    ];
    let alone: &[Peer] = if args.quick {
        &[TCP_TWO]
    } else {
        &[TCP_TWO, MANCOM]
    };
    let mut studies = Vec::new();
    for congestion in args.congestions() {
        for (name, links, peers) in &networks {
            let title = format!("interactive beside bulk, {name}, {congestion}");
            let sheet = sheet(args, "B6", &title, links, congestion);
            let mut study = Study::new(sheet, Load::Filled, judge);
            rounds(&mut study, args, links, congestion, alone, peers);
            studies.push(study);
        }
    }
    studies
}

/// When both flows stop, in milliseconds.
fn stop(args: &Args) -> u64 {
    args.time(17_000, 6500)
}

/// The table of this workload, empty.
pub(super) fn sheet(
    args: &Args,
    bar: &'static str,
    title: &str,
    links: &[LinkSpec],
    congestion: &str,
) -> Sheet {
    let stop = stop(args) as f64 / 1e3;
    let conditions = format!(
        "{}. {congestion}. 1 KiB request and response every {EVERY} ms from second {} to {stop}, beside one bulk \
         upload; bulk: payload that arrived in order from second 0 to {stop}; median of {}.",
        told(links),
        START / 1000,
        args.runs,
    );
    Sheet::new(bar, title, conditions, &COLUMNS)
}

/// All runs: with peers alone, the idle network and their bulk come first.
pub(super) fn rounds(
    study: &mut Study,
    args: &Args,
    links: &Arc<[LinkSpec]>,
    congestion: &'static str,
    alone: &[Peer],
    peers: &[Peer],
) {
    let stop = stop(args);
    let bar = study.sheet.bar;
    let mut add = |row: &str, peer, classes: &'static [Class], flows: Vec<Flow>| {
        let one = Cell {
            bar,
            peer,
            classes,
            congestion,
            flows,
            end: stop + 1000,
        };
        study.add(row, links, move |world| {
            Ok(figures(&one.measure(world)?, stop))
        });
    };
    for _ in 0..args.runs {
        if !alone.is_empty() {
            let flows = vec![ask(1024, EVERY, START, stop)];
            add("idle", TCP_WIFI, &[Class::Interactive], flows);
        }
        for &peer in alone {
            let row = format!("{peer}, bulk alone");
            let flows = vec![bulk(Side::Client, stop)];
            add(&row, peer, &[Class::Bulk], flows);
        }
        for &peer in peers {
            let flows = vec![bulk(Side::Client, stop), ask(1024, EVERY, START, stop)];
            add(&peer.to_string(), peer, &BOTH, flows);
        }
    }
}

/// Of the bulk, if any, and of the requests, if any.
fn figures(outcome: &Outcome, stop: u64) -> Vec<f64> {
    let mut latencies = Vec::new();
    let mut bulk = f64::NAN;
    for flow in 0..outcome.client.flows.len() {
        latencies.extend(outcome.latencies(flow));
        if latencies.is_empty() {
            bulk = outcome.up(flow, 0, stop);
        }
    }
    let [p50, p95, p99] = percentiles(&latencies);
    vec![p50, p95, p99, bulk, outcome.share(0)]
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
