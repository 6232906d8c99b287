//! B7: libcmm's own workload, and B6's on both networks, against one MPTCP connection that knows no intent.

use super::beside::{self, COLUMNS};
use super::{BOTH, Cell, Class, Load, Study, ask, both, told};
use crate::args::Args;
use crate::peer::{MANCOM, MESSAGES, MPTCP, MPTCP_TWO, NOQ, Peer, TCP_SPLIT, TCP_TWO};
use crate::report::{Sheet, percentiles};
use crate::traffic::{Flow, Side, What};

const PEERS: [Peer; 7] = [TCP_TWO, TCP_SPLIT, MPTCP_TWO, MPTCP, NOQ, MANCOM, MESSAGES];
const QUICK: [Peer; 3] = [MPTCP, MANCOM, MESSAGES];
/// How many times lower the interactive latency has to be.
const TIMES: f64 = 13.0;

pub(super) fn studies(args: &Args) -> Vec<Study> {
    let mut studies = vec![whole(args)];
    // Briefly it is B6's table of both networks.
    if !args.quick {
        let peers = args.peers(&[MPTCP, MANCOM], &[]);
        let title = "one session against one MPTCP connection, interactive beside bulk";
        let sheet = beside::sheet(args, "B7", title, &both(), "cubic");
        let mut study = Study::new(sheet, Load::Filled, judge);
        beside::rounds(&mut study, args, &both(), "cubic", &[], &peers);
        studies.push(study);
    }
    studies
}

fn whole(args: &Args) -> Study {
    let links = both();
    let (start, end, every) = if args.quick {
        (3000, 8000, 500)
    } else {
        (20_000, 60_000, 2000)
    };
    let conditions = format!(
        "{}. cubic. 128-byte request and response every {every} ms from second {} to {}, beside background \
         messages of 256 KiB up, 4 in the pipe, each answered with 4 bytes; bulk: payload that arrived in order from second 0 to \
         {}; median of {}.",
        told(&links),
        start / 1000,
        end / 1000,
        end / 1000,
        args.runs,
    );
    let sheet = Sheet::new("B7", "libcmm's workload", conditions, &COLUMNS);
    let mut study = Study::new(sheet, Load::Filled, judge);
    for _ in 0..args.runs {
        for peer in args.peers(&PEERS, &QUICK) {
            let background = Flow {
                from: Side::Client,
                class: Class::Bulk,
                what: What::Bulk {
                    size: 256 * 1024,
                    pipe: Some(4),
                },
                start: 0,
                stop: end,
            };
            let one = Cell {
                bar: "B7",
                peer,
                classes: &BOTH,
                congestion: "cubic",
                flows: vec![background, ask(128, every, start, end)],
                end: end + 1000,
            };
            study.add(&peer.to_string(), &links, move |world| {
                let outcome = one.measure(world)?;
                let [p50, p95, p99] = percentiles(&outcome.latencies(1));
                let bulk = outcome.up(0, 0, end);
                Ok(vec![p50, p95, p99, bulk, outcome.share(0)])
            });
        }
    }
    study
}

fn judge(sheet: &mut Sheet) {
    let theirs = |sheet: &Sheet, column| sheet.figure("mptcp", column);
    for (column, what) in [
        (
            "p50",
            "interactive median at least 13 times lower than one MPTCP connection's",
        ),
        (
            "p99",
            "interactive p99 at least 13 times lower than one MPTCP connection's",
        ),
    ] {
        let limit = theirs(sheet, column).map(|theirs| theirs / TIMES);
        sheet.at_most(what, column, limit);
    }
    let limit = theirs(sheet, "bulk").map(|theirs| 0.95 * theirs);
    sheet.at_least(
        "bulk at least 0.95 of one MPTCP connection's",
        "bulk",
        limit,
    );
}
