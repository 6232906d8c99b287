//! B8: recorded networks: wifi as a car meets it over steady cellular, and LTE while driving.
//!
//! Over the car's cellular network a full packet takes 6 ms, and an ask of mancom's finds one of bulk's ahead in the
//! median and two at p95; so the latency of `tcp-split`, which leaves that network empty and moves a third of the
//! bytes, is out of reach of who fills it. On LTE the bytes are lost where the rate grows manyfold, at first and after
//! outages, for what was acknowledged until then does not tell what the network takes now; who keeps more waiting to be
//! ready for it (simulated over the recording, a window of 60 kB carries 86 % of what it can and one of 250 kB all)
//! makes asks wait (0.24 s and 1.2 s in the median).

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{BOTH, Cell, Load, Outcome, Study, ask, both, bulk, link, told};
use crate::args::Args;
use crate::clock;
use crate::peer::{
    MANCOM, MPTCP, MPTCP_BACKUP, MPTCP_TWO, NOQ, NOQ_FAST, Peer, RECONNECT, TCP_CELL, TCP_SPLIT,
    TCP_TWO,
};
use crate::report::{Column, Scale, Sheet, Stat, percentiles};
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
const COLUMNS: [Column; 7] = [
    Column::new("p50", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("p95", "ms", Stat::Median).drawn(Scale::Log),
    Column::new("p99", "ms", Stat::Median),
    Column::new("moved", "MB", Stat::Median).drawn(Scale::Linear),
    Column::new("unanswered", "", Stat::Sum),
    Column::new("broken", "", Stat::Sum),
    Column::new("over wlan0", "%", Stat::Median),
];
/// How long the air is silent before the interface says that it is gone.
const FADING: Duration = Duration::from_secs(1);
/// How long a network that was met takes until it has an address.
const JOINING: Duration = Duration::from_millis(300);

/// # Errors
///
/// If a recorded network cannot be read.
pub(super) fn studies(args: &Args) -> io::Result<Vec<Study>> {
    let Some(traces) = &args.traces else {
        println!("B8: skipped, for it needs --traces DIR with recorded networks\n");
        return Ok(Vec::new());
    };
    let mut studies = vec![vehicle(args, traces)?];
    if !args.quick {
        studies.push(driving(args, traces)?);
    }
    Ok(studies)
}

fn vehicle(args: &Args, traces: &Path) -> io::Result<Study> {
    let links = both();
    let end = args.time(90_000, 14_000);
    let conditions = format!(
        "{}. cubic. wlan0 comes and goes as recorded from a car, silent for {} ms before the host is told; 1 KiB \
         request and response every 500 ms beside one bulk upload, {} s; MPTCP's endpoints are kept by a network \
         manager; median of {}, each run another drive.",
        told(&links),
        FADING.as_millis(),
        end / 1000,
        args.runs,
    );
    let title = "vehicle wifi over steady cellular";
    let sheet = Sheet::new("B8", title, conditions, &COLUMNS);
    let mut study = Study::new(sheet, Load::Light, judge);
    for run in 0..args.runs {
        let reach = Trace::on_off_from_cdf(
            &traces.join("wifi-encounter-duration.cdf"),
            &traces.join("wifi-disconnect-duration.cdf"),
            run as u64 + 1,
        )?;
        let drive: Arc<[(Duration, Duration)]> = reach.take(64).collect();
        for peer in args.peers(&ROAMING, &QUICK) {
            let one = plan(peer, end);
            let drive = Arc::clone(&drive);
            study.add(&peer.to_string(), &links, move |world| {
                let along = |zero| travel(world, zero, end, peer, &drive);
                let driven = one.measure_during(world, along);
                world.mend("wlan0")?;
                let (outcome, ()) = driven?;
                Ok(figures(&one, &outcome))
            });
        }
    }
    Ok(study)
}

fn driving(args: &Args, traces: &Path) -> io::Result<Study> {
    let end = 60_000;
    let up = Trace::mahimahi(&traces.join("att-lte-driving-2016.up"))?;
    let down = Trace::mahimahi(&traces.join("att-lte-driving-2016.down"))?;
    // All peers of a run meet the same stretch of the road, those of the next another.
    let links = |run: usize| -> Arc<[LinkSpec]> {
        let rate = |trace: &Trace| {
            let at = trace.length().mul_f64(run as f64 / args.runs as f64);
            Rate::Trace(Arc::new(trace.from(at)))
        };
        Arc::new([LinkSpec {
            up: rate(&up),
            down: rate(&down),
            ..link("wwan0", 1, 80, 500_000)
        }])
    };
    let conditions = format!(
        "{}. cubic. 1 KiB request and response every 500 ms beside one bulk upload, {} s; median of {}, each run \
         another part of the recording.",
        told(&links(0)),
        end / 1000,
        args.runs,
    );
    let sheet = Sheet::new("B8", "LTE while driving", conditions, &COLUMNS);
    let mut study = Study::new(sheet, Load::Light, judge);
    for run in 0..args.runs {
        let links = links(run);
        for peer in args.peers(&ALONE, &ALONE) {
            let one = plan(peer, end);
            study.add(&peer.to_string(), &links, move |world| {
                Ok(figures(&one, &one.measure(world)?))
            });
        }
    }
    Ok(study)
}

fn plan(peer: Peer, end: u64) -> Cell {
    Cell {
        bar: "B8",
        peer,
        classes: &BOTH,
        congestion: "cubic",
        flows: vec![bulk(Side::Client, end), ask(1024, 500, 0, end)],
        end,
    }
}

fn figures(one: &Cell, outcome: &Outcome) -> Vec<f64> {
    let [p50, p95, p99] = percentiles(&outcome.latencies(1));
    let moved = outcome.server.flows[0].bytes(0, one.end) as f64 / 1e6;
    let broken = outcome.client.astray + outcome.server.astray;
    let broken = broken + outcome.failures().len() as u64;
    let share = if outcome.crossed.len() > 1 {
        outcome.share(0)
    } else {
        f64::NAN
    };
    let unanswered = outcome.client.flows[1].unanswered as f64;
    vec![p50, p95, p99, moved, unanswered, broken as f64, share]
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
