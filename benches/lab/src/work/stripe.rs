//! B3: bulk over two networks at once, against what plain TCP gets of each alone.
//!
//! Goodput is the payload that arrived in order from second 0 until the end, over that time: all of it crossed the
//! links within it, so that nobody can be above them. (From a later second on, a peer would be credited with what
//! it had received before and released only then.)

use std::sync::Arc;

use super::{Cell, Class, Load, Study, both, bulk, link, told};
use crate::args::Args;
use crate::peer::{MANCOM, MPTCP, NOQ, Peer, TCP_CELL, TCP_WIFI};
use crate::report::{Column, Scale, Sheet, Stat};
use crate::traffic::Side;
use crate::world::LinkSpec;

const PEERS: [Peer; 5] = [TCP_WIFI, TCP_CELL, MPTCP, NOQ, MANCOM];
const COLUMNS: [Column; 2] = [
    Column::new("goodput", "Mbit/s", Stat::Median),
    Column::new("over wlan0", "%", Stat::Median),
];

/// Two networks of 100 Mbit/s and so many, with queues of as much as is under way.
fn fast(second: u64) -> Arc<[LinkSpec]> {
    let queue = second as usize * 2500;
    Arc::new([
        link("wlan0", 100, 20, 250_000),
        link("wwan0", second, 20, queue),
    ])
}

pub(super) fn studies(args: &Args) -> Vec<Study> {
    let congestions = args.congestions();
    let mut studies = Vec::new();
    for &congestion in &congestions {
        studies.push(study(args, "20 + 2", &both(), congestion, Side::Client));
    }
    if args.quick {
        return studies;
    }
    // The other way, and faster links, with what is more usual.
    let usual = congestions[0];
    studies.push(study(args, "20 + 2", &both(), usual, Side::Server));
    studies.push(study(args, "100 + 100", &fast(100), usual, Side::Client));
    studies.push(study(args, "100 + 20", &fast(20), usual, Side::Client));
    studies
}

fn study(
    args: &Args,
    name: &str,
    links: &Arc<[LinkSpec]>,
    congestion: &'static str,
    from: Side,
) -> Study {
    let lab = links[0] == super::wifi();
    let end = if lab { args.time(16_000, 7000) } else { 8000 };
    let way = if from == Side::Client { "up" } else { "down" };
    let conditions = format!(
        "{}. {congestion}. Goodput: payload that arrived in order from second 0 to {}, over that time; median of {}.",
        told(links),
        end / 1000,
        args.runs,
    );
    let title = format!("bulk {way} over two networks, {name} Mbit/s, {congestion}");
    let mut columns = COLUMNS;
    if from == Side::Client {
        columns[0] = columns[0].drawn(Scale::Linear);
    }
    let sheet = Sheet::new("B3", title, conditions, &columns);
    let load = if lab { Load::Filled } else { Load::Whole };
    let mut study = Study::new(sheet, load, judge);
    for _ in 0..args.runs {
        for peer in args.peers(&PEERS, &PEERS) {
            let one = Cell {
                bar: "B3",
                peer,
                classes: &[Class::Bulk],
                congestion,
                flows: vec![bulk(from, end)],
                end,
            };
            study.add(&peer.to_string(), links, move |world| {
                let outcome = one.measure(world)?;
                let goodput = outcome.report(from.other()).flows[0].mbit(0, end);
                Ok(vec![goodput, outcome.share(0)])
            });
        }
    }
    study
}

fn judge(sheet: &mut Sheet) {
    let goodput = |sheet: &Sheet, peer: Peer| sheet.figure(&peer.to_string(), "goodput");
    let alone = goodput(sheet, TCP_WIFI).zip(goodput(sheet, TCP_CELL));
    let sum = alone.map(|(wifi, cell)| 0.95 * (wifi + cell));
    sheet.at_least("0.95 of the sum of plain TCP on each alone", "goodput", sum);
    for peer in [MPTCP, NOQ] {
        let theirs = goodput(sheet, peer);
        sheet.at_least(&format!("ahead of {peer}"), "goodput", theirs);
    }
}
