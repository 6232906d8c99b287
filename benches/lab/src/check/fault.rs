//! Is each fault what it says it is, is the kernel's word of it prompt, and is it undone?

use super::{Table, ms, probe};
use crate::control::{Monitor, says_running};
use crate::world::{Fault, Way, World};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkFlags;
use netlink_packet_route::route::RouteAttribute;
use std::io;
use std::time::{Duration, Instant};

const LINK: &str = "wlan0";
const FAULTS: [Fault; 9] = [
    Fault::CarrierOnly,
    Fault::Carrier,
    Fault::Admin,
    Fault::Address,
    Fault::Route,
    Fault::Deleted,
    Fault::Silent(Way::Up),
    Fault::Silent(Way::Down),
    Fault::Silent(Way::Both),
];
/// The kernel is late with a change of carrier within a second of another.
const APART: Duration = ms(2500);
/// Enough for its word on a busy machine, far from that second.
const PROMPT: Duration = ms(50);
/// More than a round trip.
const ANSWER: Duration = ms(200);

pub(super) fn run(table: &mut Table) -> io::Result<()> {
    let world = super::usual()?;
    let before = probe::description(&world, LINK)?;
    for fault in FAULTS {
        // Not synchronisation: the kernel counts this time.
        std::thread::sleep(APART);
        one(&world, table, fault, &before)?;
    }
    Ok(())
}

fn one(world: &World, table: &mut Table, fault: Fault, before: &str) -> io::Result<()> {
    let index = world.client_index(LINK)?;
    let monitor = Monitor::new(&world.client)?;
    world.reset_counters(LINK);
    let at = world.fault(LINK, fault)?;
    let told = monitor.wait(ms(1000), |said| tells(said, fault, index))?;
    let silent = matches!(fault, Fault::Silent(_));
    let (told, prompt) = match told.map(|told| told - at) {
        None => ("never".to_owned(), silent),
        Some(after) => (
            format!("{:.2} ms", millis(after)),
            after < PROMPT && !silent,
        ),
    };
    let gone = probe::ping(world, LINK, ANSWER)?.is_none();
    let lost = world.counters(LINK);
    let other = probe::ping(world, "wwan0", ms(1000))?.is_some();

    let begin = Instant::now();
    world.mend(LINK)?;
    let took = millis(begin.elapsed());
    let back = probe::ping(world, LINK, ANSWER)?;
    let answered = back.map_or("no answer".to_owned(), |rtt| {
        format!("{:.2} ms", millis(rtt))
    });
    let same = probe::description(world, LINK)? == before;
    let way = match fault {
        Fault::Silent(Way::Up) => lost.up.dropped_fault > 0 && lost.down.dropped_fault == 0,
        Fault::Silent(Way::Down) => lost.up.dropped_fault == 0 && lost.down.dropped_fault > 0,
        _ => true,
    };
    table.row(
        &format!("{fault:?}"),
        "told at once, nothing crosses, the other does, mended whole",
        &format!(
            "told {told}; gone {gone}; other {other}; mended in {took:.1} ms, \
             answer in {answered}, as before {same}"
        ),
        prompt && gone && other && way && back.is_some() && same,
    );
    Ok(())
}

/// Whether this is the kernel's word of a fault; of silence there is none.
fn tells(said: &RouteNetlinkMessage, fault: Fault, index: u32) -> bool {
    match (fault, said) {
        (Fault::CarrierOnly | Fault::Carrier, said) => says_running(said, index, false),
        (Fault::Admin, RouteNetlinkMessage::NewLink(link)) => {
            link.header.index == index && !link.header.flags.contains(LinkFlags::Up)
        }
        (Fault::Address, RouteNetlinkMessage::DelAddress(address)) => address.header.index == index,
        (Fault::Route, RouteNetlinkMessage::DelRoute(route)) => {
            route.attributes.contains(&RouteAttribute::Oif(index))
        }
        (Fault::Deleted, RouteNetlinkMessage::DelLink(link)) => link.header.index == index,
        (Fault::Silent(_), _) => true,
        _ => false,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
