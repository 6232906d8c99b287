//! B12: many sessions whose one network goes and returns.

use std::io;
use std::process::Command;
use std::sync::Arc;

use super::cell::setup;
use super::{Load, PATIENCE, Study, told, wifi};
use crate::args::Args;
use crate::clock;
use crate::node::{Answer, Order, Remote};
use crate::peer::{Class, MANCOM};
use crate::report::{Column, Scale, Sheet, Stat, percentile};
use crate::traffic::Side;
use crate::world::{Fault, World};

const COLUMNS: [Column; 6] = [
    Column::new("first", "ms", Stat::Median),
    Column::new("half", "ms", Stat::Median),
    Column::new("last", "ms", Stat::Median).drawn(Scale::Linear),
    Column::new("resumed", "", Stat::Median),
    Column::new("connections", "", Stat::Median),
    Column::new("refused or lost", "", Stat::Median),
];
/// How long the network is gone, and how long the sessions have afterwards, in nanoseconds.
const GONE: u64 = 4_000_000_000;
const AFTER: u64 = 15_000_000_000;

const COUNT: usize = 1000;

pub(super) fn study(args: &Args) -> Study {
    let links = Arc::new([wifi()]);
    let conditions = format!(
        "{}. {COUNT} sessions of one process, each with a byte to send; wlan0's carrier is gone for {} s, times \
         are from its return until each byte was there and back; median of {}.",
        told(&*links),
        GONE / 1_000_000_000,
        args.runs,
    );
    let sheet = Sheet::new(
        "B12",
        format!("{COUNT} sessions return at once"),
        conditions,
        &COLUMNS,
    );
    let mut study = Study::new(sheet, Load::Whole, judge);
    for _ in 0..args.runs {
        study.add("mancom", &(links.clone() as _), |world| {
            let once = once(world, COUNT);
            world.mend("wlan0")?;
            once
        });
    }
    study
}

fn judge(sheet: &mut Sheet) {
    sheet.at_most("all resumed within 2 s", "last", Some(2000.0));
    sheet.at_least("no session lost", "resumed", Some(COUNT as f64));
    let dials = 1.5 * COUNT as f64;
    sheet.at_most(
        "no thundering retry: connections opened",
        "connections",
        Some(dials),
    );
}

fn once(world: &World, count: usize) -> io::Result<Vec<f64>> {
    world.set_default_congestion("cubic")?;
    let mut server = Remote::start(world, Side::Server)?;
    let mut client = Remote::start(world, Side::Client)?;
    let mut setup = setup(
        world,
        format!("B12 {MANCOM}"),
        MANCOM,
        &[Class::Interactive],
    );
    server.order(&Order::ListenCrowd(setup.clone()))?;
    let Answer::Listening { port, .. } = server.answer(PATIENCE)? else {
        return Err(io::Error::other("the server does not listen"));
    };
    setup.server.set_port(port);
    client.order(&Order::ConnectCrowd(setup, count))?;
    let Answer::Connected = client.answer(2 * PATIENCE)? else {
        return Err(io::Error::other("not connected"));
    };
    // The kernel tells a loss of carrier late if the link changed within the last second.
    clock::sleep_until(clock::now() + 2_600_000_000);
    let lost = clock::of(world.fault("wlan0", Fault::Carrier)?);
    client.order(&Order::PingCrowd(lost + GONE / 2, lost + GONE + AFTER))?;
    clock::sleep_until(lost + GONE);
    let before = opened(world)?;
    let mended = clock::of(world.mend("wlan0")?);
    let Answer::Pinged(times) = client.answer(2 * PATIENCE)? else {
        return Err(io::Error::other("no report"));
    };
    let after = opened(world)?;
    let times: Vec<f64> = times
        .iter()
        .map(|&t| (t as f64 - mended as f64) / 1e6)
        .collect();
    let of = |percent| percentile(&times, percent).unwrap_or(f64::NAN);
    Ok(vec![
        percentile(&times, 0.0).unwrap_or(f64::NAN),
        of(50.0),
        of(100.0),
        times.len() as f64,
        after.0.saturating_sub(before.0) as f64,
        after.1.saturating_sub(before.1) as f64,
    ])
}

/// Connections the client's kernel began, and those that failed before they were made.
fn opened(world: &World) -> io::Result<(u64, u64)> {
    let mut command = Command::new("cat");
    command.arg("/proc/net/snmp");
    world.in_client(&mut command);
    let said = String::from_utf8_lossy(&command.output()?.stdout).into_owned();
    let mut lines = said.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let of = |name| {
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        pairs
            .find(|pair| pair.0 == name)
            .and_then(|pair| pair.1.parse().ok())
    };
    match (of("ActiveOpens"), of("AttemptFails")) {
        (Some(opens), Some(fails)) => Ok((opens, fails)),
        _ => Err(io::Error::other("no counters of TCP in /proc/net/snmp")),
    }
}
