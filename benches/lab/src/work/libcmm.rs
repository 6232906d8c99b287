//! B7: libcmm's own workload, and B6's on both networks, against one MPTCP connection that knows no intent.

use std::io;

use super::beside::{self, COLUMNS};
use super::{BOTH, Cell, Class, Done, ask, cell, cellular, told, wifi};
use crate::args::Args;
use crate::peer::{MANCOM, MESSAGES, MPTCP, MPTCP_TWO, NOQ, Peer, TCP_SPLIT, TCP_TWO};
use crate::report::{Sheet, percentile};
use crate::traffic::{Flow, Side, What};
use crate::world::World;

const PEERS: [Peer; 7] = [TCP_TWO, TCP_SPLIT, MPTCP_TWO, MPTCP, NOQ, MANCOM, MESSAGES];
const QUICK: [Peer; 3] = [MPTCP, MANCOM, MESSAGES];
/// How many times lower the interactive latency has to be.
const TIMES: f64 = 13.0;

pub(super) fn run(args: &Args, done: &mut Done<'_>) -> io::Result<()> {
    let links = [wifi(), cellular()];
    let world = World::new(&links)?;
    let (start, end, every) = if args.quick {
        (3000, 8000, 500)
    } else {
        (20_000, 60_000, 2000)
    };
    let conditions = format!(
        "{}. cubic. 128-byte request and response every {every} ms from second {} to {}, beside background \
         messages of 256 KiB up, 4 in the pipe, each answered with 4 bytes; median of {}.",
        told(&links),
        start / 1000,
        end / 1000,
        args.runs,
    );
    let mut sheet = Sheet::new("B7", "libcmm's workload", conditions, &COLUMNS);
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
                peer,
                classes: &BOTH,
                congestion: "cubic",
                links: &links,
                flows: vec![background, ask(128, every, start, end)],
                end: end + 1000,
            };
            cell(&mut sheet, &peer.to_string(), &world, &one, |outcome| {
                let latencies = outcome.latencies(1);
                let of = |percent| percentile(&latencies, percent).unwrap_or(f64::NAN);
                let bulk = outcome.up(0, 0, end);
                vec![of(50.0), of(90.0), of(99.0), bulk, outcome.share(0)]
            });
        }
    }
    judge(&mut sheet);
    done(sheet)?;
    // Briefly it is B6's table of both networks.
    if args.quick {
        return Ok(());
    }
    let peers = args.peers(&[MPTCP, MANCOM], &[]);
    let mut sheet = beside::sheet(args, &world, &links, "cubic", &peers)?;
    sheet.bar = "B7";
    sheet.title = "one session against one MPTCP connection, interactive beside bulk".to_owned();
    sheet.verdicts.clear();
    judge(&mut sheet);
    done(sheet)
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
