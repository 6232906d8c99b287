//! B8: recorded networks: wifi as a car meets it over steady cellular, and LTE while driving.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{BOTH, Cell, Done, Outcome, ask, bulk, cellular, failed, link, note, told, wifi};
use crate::args::Args;
use crate::clock;
use crate::peer::{
    MANCOM, MPTCP, MPTCP_BACKUP, MPTCP_TWO, NOQ, NOQ_FAST, Peer, RECONNECT, TCP_CELL, TCP_SPLIT,
    TCP_TWO,
};
use crate::report::{Column, Scale, Sheet, Stat, percentile};
use crate::traffic::Side;
use crate::world::{Fault, LinkSpec, Rate, Trace, Way, World};

const ROAMING: [Peer; 8] = [
    TCP_CELL,
    TCP_SPLIT,
    RECONNECT,
    MPTCP,
    MPTCP_TWO,
    MPTCP_BACKUP,
    NOQ_FAST,
    MANCOM,
];
const ALONE: [Peer; 5] = [TCP_TWO, RECONNECT, MPTCP_TWO, NOQ, MANCOM];
const QUICK: [Peer; 2] = [MPTCP, MANCOM];
const COLUMNS: [Column; 6] = [
    Column::new("p50", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("p95", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("moved", "MB", Stat::Median).drawn(Scale::Linear),
    Column::new("unanswered", "", Stat::Sum),
    Column::new("broken", "", Stat::Sum),
    Column::new("over wlan0", "%", Stat::Median),
];
/// How long the air is silent before the interface says that it is gone.
const FADING: Duration = Duration::from_secs(1);
/// How long a network that was met takes until it has an address.
const JOINING: Duration = Duration::from_millis(300);

pub(super) fn run(args: &Args, done: &mut Done<'_>) -> io::Result<()> {
    let Some(traces) = &args.traces else {
        println!("B8: skipped, for it needs --traces DIR with recorded networks\n");
        return Ok(());
    };
    let links = [wifi(), cellular()];
    done(vehicle(args, traces, &links)?)?;
    if args.quick {
        return Ok(());
    }
    let lte = Trace::mahimahi(&traces.join("att-lte-driving-2016.up"))?;
    let down = Trace::mahimahi(&traces.join("att-lte-driving-2016.down"))?;
    let links = [LinkSpec {
        up: Rate::Trace(Arc::new(lte)),
        down: Rate::Trace(Arc::new(down)),
        ..link("wwan0", 1, 80, 500_000)
    }];
    done(driving(args, &links)?)
}

fn vehicle(args: &Args, traces: &Path, links: &[LinkSpec]) -> io::Result<Sheet> {
    let end = args.time(90_000, 14_000);
    let conditions = format!(
        "{}. cubic. wlan0 comes and goes as recorded from a car, silent for {} ms before the host is told; 1 KiB \
         request and response every 500 ms beside one bulk upload, {} s; MPTCP's endpoints are kept by a network \
         manager; median of {}, each run another drive.",
        told(links),
        FADING.as_millis(),
        end / 1000,
        args.runs,
    );
    let mut sheet = Sheet::new(
        "B8",
        "vehicle wifi over steady cellular",
        conditions,
        &COLUMNS,
    );
    let world = World::new(links)?;
    for run in 0..args.runs {
        let reach = Trace::on_off_from_cdf(
            &traces.join("wifi-encounter-duration.cdf"),
            &traces.join("wifi-disconnect-duration.cdf"),
            run as u64 + 1,
        )?;
        let drive: Vec<(Duration, Duration)> = reach.take(64).collect();
        for peer in args.peers(&ROAMING, &QUICK) {
            let one = plan(peer, links, end);
            let driven = one.measure_during(&world, |zero| travel(&world, zero, end, peer, &drive));
            world.mend("wlan0")?;
            let driven = driven.map(|(outcome, ())| outcome);
            add(&mut sheet, peer, &one, driven);
        }
    }
    judge(&mut sheet);
    Ok(sheet)
}

fn driving(args: &Args, links: &[LinkSpec]) -> io::Result<Sheet> {
    let end = 60_000;
    let conditions = format!(
        "{}. cubic. 1 KiB request and response every 500 ms beside one bulk upload, {} s; median of {}.",
        told(links),
        end / 1000,
        args.runs,
    );
    let mut sheet = Sheet::new("B8", "LTE while driving", conditions, &COLUMNS);
    let world = World::new(links)?;
    for _ in 0..args.runs {
        for peer in args.peers(&ALONE, &ALONE) {
            let one = plan(peer, links, end);
            let driven = one.measure(&world);
            add(&mut sheet, peer, &one, driven);
        }
    }
    judge(&mut sheet);
    Ok(sheet)
}

fn plan(peer: Peer, links: &[LinkSpec], end: u64) -> Cell<'_> {
    Cell {
        peer,
        classes: &BOTH,
        congestion: "cubic",
        links,
        flows: vec![bulk(Side::Client, end), ask(1024, 500, 0, end)],
        end,
    }
}

fn add(sheet: &mut Sheet, peer: Peer, one: &Cell<'_>, driven: io::Result<Outcome>) {
    let row = peer.to_string();
    match driven {
        Ok(outcome) => {
            let latencies = outcome.latencies(1);
            let of = |percent| percentile(&latencies, percent).unwrap_or(f64::NAN);
            let moved = outcome.server.flows[0].bytes(0, one.end) as f64 / 1e6;
            let broken = outcome.client.astray + outcome.server.astray;
            let broken = broken + outcome.failures().len() as u64;
            let figures = vec![
                of(50.0),
                of(95.0),
                moved,
                outcome.client.flows[1].unanswered as f64,
                broken as f64,
                if one.links.len() > 1 {
                    outcome.share(0)
                } else {
                    f64::NAN
                },
            ];
            note(sheet, &row, one, &outcome, figures);
        }
        Err(error) => failed(sheet, &row, &error),
    }
}

/// Loses and mends wlan0 as the drive says, until the plan's end.
fn travel(
    world: &World,
    zero: u64,
    end: u64,
    peer: Peer,
    drive: &[(Duration, Duration)],
) -> io::Result<()> {
    let end = zero + end * 1_000_000;
    let mut next = zero;
    let mut pass = |time: Duration| {
        next += time.as_nanos() as u64;
        clock::sleep_until(next.min(end));
        next < end
    };
    for &(within, without) in drive {
        if !pass(within) {
            break;
        }
        world.fault("wlan0", Fault::Silent(Way::Both))?;
        if !pass(FADING.min(without)) {
            break;
        }
        world.mend("wlan0")?;
        world.fault("wlan0", Fault::Carrier)?;
        endpoint(world, peer, false)?;
        if !pass(without.saturating_sub(FADING)) {
            break;
        }
        world.mend("wlan0")?;
        endpoint(world, peer, true)?;
        if !pass(JOINING) {
            break;
        }
    }
    Ok(())
}

/// What NetworkManager does for MPTCP where a network goes and comes.
fn endpoint(world: &World, peer: Peer, here: bool) -> io::Result<()> {
    if !matches!(peer, Peer::Mptcp { .. }) {
        return Ok(());
    }
    let address = world.client_address("wlan0");
    let mut command = Command::new("ip");
    // The first endpoint that a node adds has the number 1.
    if here {
        command.args([
            "mptcp",
            "endpoint",
            "add",
            &address.to_string(),
            "dev",
            "wlan0",
            "id",
            "1",
            "subflow",
        ]);
    } else {
        command.args(["mptcp", "endpoint", "delete", "id", "1"]);
    }
    world.in_client(&mut command);
    command.output().map(drop)
}

fn judge(sheet: &mut Sheet) {
    let best = |sheet: &Sheet, column, least: bool| {
        let others = sheet.rows.iter().filter(|row| row.name != "mancom");
        let figures = others.filter_map(|row| sheet.figure(&row.name, column));
        figures.reduce(|a, b| if (a < b) == least { a } else { b })
    };
    for (column, what) in [
        ("p50", "ahead of every peer on interactive p50"),
        ("p95", "ahead of every peer on interactive p95"),
    ] {
        let limit = best(sheet, column, true);
        sheet.at_most(what, column, limit);
    }
    let limit = best(sheet, "moved", false);
    sheet.at_least("ahead of every peer on bytes moved", "moved", limit);
    sheet.at_most("nothing lost", "broken", Some(0.0));
}
