//! B3: bulk over two networks at once, against what plain TCP gets of each alone.

use std::io;

use super::{Cell, Class, Done, bulk, cell, cellular, link, told, wifi};
use crate::args::Args;
use crate::peer::{MANCOM, MPTCP, NOQ, Peer, TCP_CELL, TCP_WIFI};
use crate::report::{Column, Scale, Sheet, Stat};
use crate::traffic::Side;
use crate::world::{LinkSpec, World};

const PEERS: [Peer; 5] = [TCP_WIFI, TCP_CELL, MPTCP, NOQ, MANCOM];
const COLUMNS: [Column; 2] = [
    Column::new("goodput", "Mbit/s", Stat::Median),
    Column::new("over wlan0", "%", Stat::Median),
];
/// Slow start is not counted, in milliseconds.
const SETTLING: u64 = 3000;

pub(super) fn run(args: &Args, done: &mut Done<'_>) -> io::Result<()> {
    // Queues of as much as is under way.
    let fast = |second: u64| {
        let queue = second as usize * 2500;
        [
            link("wlan0", 100, 20, 250_000),
            link("wwan0", second, 20, queue),
        ]
    };
    let worlds = [
        ("20 + 2 Mbit/s", [wifi(), cellular()]),
        ("100 + 100 Mbit/s", fast(100)),
        ("100 + 20 Mbit/s", fast(20)),
    ];
    for (name, links) in if args.quick { &worlds[..1] } else { &worlds } {
        let world = World::new(links)?;
        let lab = *name == worlds[0].0;
        for congestion in args.congestions() {
            // The faster links, and the other way, with what is more usual.
            let usual = congestion == args.congestions()[0];
            if lab || usual {
                done(sheet(args, &world, name, links, congestion, Side::Client)?)?;
            }
            if lab && usual && !args.quick {
                done(sheet(args, &world, name, links, congestion, Side::Server)?)?;
            }
        }
    }
    Ok(())
}

fn sheet(
    args: &Args,
    world: &World,
    name: &str,
    links: &[LinkSpec],
    congestion: &str,
    from: Side,
) -> io::Result<Sheet> {
    let end = args.time(13_000, 7000);
    let way = if from == Side::Client { "up" } else { "down" };
    let conditions = format!(
        "{}. {congestion}. Payload that arrived from second {} to {}; median of {}.",
        told(links),
        SETTLING / 1000,
        end / 1000,
        args.runs,
    );
    let title = format!("bulk {way} over two networks, {name}, {congestion}");
    let mut columns = COLUMNS;
    if from == Side::Client {
        columns[0] = columns[0].drawn(Scale::Linear);
    }
    let mut sheet = Sheet::new("B3", title, conditions, &columns);
    for _ in 0..args.runs {
        for peer in args.peers(&PEERS, &PEERS) {
            let one = Cell {
                peer,
                classes: &[Class::Bulk],
                congestion,
                links,
                flows: vec![bulk(from, end)],
                end,
            };
            cell(&mut sheet, &peer.to_string(), world, &one, |outcome| {
                let far = if from == Side::Client {
                    Side::Server
                } else {
                    Side::Client
                };
                let goodput = outcome.report(far).flows[0].mbit(SETTLING, end);
                vec![goodput, outcome.share(0)]
            });
        }
    }
    judge(&mut sheet);
    Ok(sheet)
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
