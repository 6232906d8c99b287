//! Sessions over all their networks at once: which paths are open, when, and when they go again.

use std::time::Duration;

use mancom::network::State;
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Manager, McStream, Network, NetworkSpec, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{
    Chance, Outcome, at_most, cellular, drain, exchange, joined, joined_by, millis, on, secs,
    sent_over, settle, soon, ups, wifi, world,
};

mod flapping;
mod joining;
mod labels;
mod lanes;
mod metered;
mod silence;

const UNMETERED: Label = Label::new().prohibit(Prop::Metered);
/// Connecting and the two questions of an attach, and some.
const DIAL: u64 = 4;

fn ethernet() -> NetworkSpec {
    Network::ethernet("eth0")
        .rtt(millis(5))
        .up(100_000_000)
        .down(100_000_000)
}

fn slow(spec: NetworkSpec) -> NetworkSpec {
    spec.up(2_000_000).down(2_000_000)
}

fn satellite() -> NetworkSpec {
    Network::satellite("sat0")
        .rtt(millis(300))
        .up(1_000_000)
        .down(1_000_000)
}

fn metered() -> NetworkSpec {
    cellular().metered(true)
}

/// When the stream's session is on exactly these, after how long.
async fn until_on(stream: &McStream, names: &[&str], limit: Duration) -> Duration {
    let began = Instant::now();
    while on(stream) != names {
        let on = on(stream);
        assert!(began.elapsed() < limit, "still on {on:?}, not on {names:?}");
        sleep(millis(1)).await;
    }
    began.elapsed()
}

fn downs(events: &[PathEvent]) -> Vec<(String, String)> {
    let down = |event: &PathEvent| match event {
        PathEvent::Down { path, why } => Some((path.name.as_deref()?.into(), why.to_string())),
        _ => None,
    };
    events.iter().filter_map(down).collect()
}
