//! B4 and B5: a network is lost under a live stream of 100 messages a second.
//!
//! ```text
//!  0          2 s                         + 2.3 s              + 1.5 s
//!  ├ messages ┼ fault ─────────────────────┼ mended ──────────────┤ end
//!             └──── gap ────┘ └─ late ones ─┘
//! ```
//!
//! Gaps and delays are of the loss; what was due after the mending has a column of its own.
//!
//! A session is not resumed if nothing that was due after the mending arrived by the end; what had not arrived
//! by then is missing. (Plain TCP may wait longer than that before it tries again.)
//!
//! Each try is a session of its own. The first 2 s, and the second before them in which it connects, are there
//! because the kernel tells a loss of carrier late if a link changed within the last second, whichever it was: carriers
//! are lost in turn, see [`slot`]. The network is gone for longer than any peer needs that does not wait for its return.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use super::slot::{self, Slot};
use super::{Cell, Class, Load, Outcome, Study, both, told as told_of};
use crate::args::Args;
use crate::clock;
use crate::control::{Monitor, says_running};
use crate::peer::{
    MANCOM, MPTCP, MPTCP_BACKUP, MPTCP_TUNED, NOQ_BACKUP, NOQ_FAST, Peer, RECONNECT, TCP_WIFI,
};
use crate::report::{Column, Scale, Sheet, Stat};
use crate::traffic::{Flow, Side, Tick, What};
use crate::world::{Fault, Way, World};

const PEERS: [Peer; 8] = [
    TCP_WIFI,
    RECONNECT,
    MPTCP,
    MPTCP_BACKUP,
    MPTCP_TUNED,
    NOQ_BACKUP,
    NOQ_FAST,
    MANCOM,
];
const QUICK: [Peer; 2] = [MPTCP_BACKUP, MANCOM];
const COLUMNS: [Column; 13] = [
    Column::new("gap p50", "ms", Stat::Median),
    Column::new("gap p95", "ms", Stat::P95),
    Column::new("gap p99", "ms", Stat::P99),
    Column::new("worst delay p50", "ms", Stat::Median),
    Column::new("worst delay p95", "ms", Stat::P95),
    Column::new("worst delay p99", "ms", Stat::P99),
    Column::new("normal after p95", "ms", Stat::P95),
    Column::new("worst on return p95", "ms", Stat::P95),
    Column::new("missing", "messages", Stat::Sum),
    Column::new("not resumed", "sessions", Stat::Sum),
    Column::new("tries", "", Stat::Sum),
    Column::new("on wlan0 before", "%", Stat::Median),
    Column::new("told after p95", "ms", Stat::P95),
];
const FAULT: u64 = 2000;
/// What suits carriers suits everything.
const HOLD: u64 = slot::GONE;
/// What starting and connecting take at most, unless this machine is very busy.
const CONNECT: u64 = 2000;
const AFTER: u64 = 1500;
const END: u64 = FAULT + HOLD + AFTER;
const EVERY: u64 = 10;
/// One way over the survivor, its round trip, and the round trip of what is lost, in milliseconds.
const SURVIVOR: f64 = 60.0;
const SURVIVOR_RTT: f64 = 120.0;
const LOST_RTT: f64 = 20.0;
/// What a delay may be beyond the survivor's and still be called normal.
const SLACK: f64 = 20.0;

/// B4: the host is told.
pub(super) fn told(args: &Args) -> Vec<Study> {
    let all = [
        ("carrier", Fault::Carrier),
        ("carrier only", Fault::CarrierOnly),
        ("admin", Fault::Admin),
        ("address", Fault::Address),
        ("route", Fault::Route),
    ];
    studies(args, "B4", &all)
}

/// B5: nobody is told.
pub(super) fn silent(args: &Args) -> Vec<Study> {
    let all = [
        ("silent both ways", Fault::Silent(Way::Both)),
        ("silent upwards", Fault::Silent(Way::Up)),
        ("silent downwards", Fault::Silent(Way::Down)),
    ];
    studies(args, "B5", &all)
}

fn studies(args: &Args, bar: &'static str, all: &[(&str, Fault)]) -> Vec<Study> {
    let faults = if args.quick { &all[..1] } else { all };
    let mut studies = Vec::new();
    for from in [Side::Client, Side::Server] {
        for &(name, fault) in faults {
            studies.push(study(args, bar, from, (name, fault)));
        }
    }
    studies
}

fn study(args: &Args, bar: &'static str, from: Side, (name, fault): (&str, Fault)) -> Study {
    let links = both();
    let way = if from == Side::Client { "up" } else { "down" };
    let conditions = format!(
        "{}. cubic. 200 bytes every {EVERY} ms {way}; wlan0 lost for {HOLD} ms (who is silent as long waited for its \
         return), then mended and {AFTER} ms to resume; {} tries of mancom, {} of each peer.",
        told_of(&links),
        args.tries,
        args.peer_tries,
    );
    let title = format!("wlan0 lost: {name}, messages {way}");
    // What the bar is about is drawn.
    let judged = if bar == "B4" {
        "gap p95"
    } else {
        "worst delay p95"
    };
    let columns = COLUMNS.map(|column| {
        if column.name == judged {
            column.drawn(Scale::Log)
        } else {
            column
        }
    });
    let sheet = Sheet::new(bar, title, conditions, &columns);
    let load = if fault.changes_carrier() {
        Load::Carrier
    } else {
        Load::Light
    };
    let mut study = Study::new(sheet, load, move |sheet| judge(sheet, bar, from));
    for number in 0..args.tries {
        for peer in args.peers(&PEERS, &QUICK) {
            // The peers' tries are spread over mancom's.
            let turn = number * args.peer_tries % args.tries < args.peer_tries;
            // Its wrapper is the client's alone; from the server nothing could be made anew.
            let possible = peer != RECONNECT || from == Side::Client;
            if possible && (turn || peer == MANCOM) {
                let row = peer.to_string();
                study.add(&row, &links, move |world| {
                    once(world, bar, peer, from, fault)
                });
            }
        }
    }
    study
}

fn once(
    world: &World,
    bar: &'static str,
    peer: Peer,
    from: Side,
    fault: Fault,
) -> io::Result<Vec<f64>> {
    let one = Cell {
        bar,
        peer,
        classes: &[Class::Interactive],
        congestion: "cubic",
        flows: vec![Flow {
            from,
            class: Class::Interactive,
            what: What::Tick {
                size: 200,
                every: EVERY,
            },
            start: 0,
            stop: END - 500,
        }],
        end: END,
    };
    let (mut kept, ahead) = (None, FAULT * 1_000_000);
    if fault.changes_carrier() {
        let connect = CONNECT * 1_000_000;
        let slot = Slot::take(clock::now() + connect + ahead)?;
        clock::sleep_until(slot.at - ahead - connect);
        kept = Some(slot);
    }
    let zero = |earliest| {
        let Some(slot) = &mut kept else {
            return Ok(earliest);
        };
        // Missed, it goes to the next that is free.
        if slot.at < earliest + ahead {
            *slot = Slot::take(earliest + ahead)?;
        }
        Ok(slot.at - ahead)
    };
    let during = |zero| lose(world, zero, from, fault);
    let tried = one.measure_from(world, zero, during);
    world.mend("wlan0")?;
    let (outcome, loss) = tried?;
    let mut figures = Fall::of(&outcome, from, &loss).figures();
    figures.extend([loss.share, loss.told]);
    Ok(figures)
}

/// A loss, in nanoseconds from the plan's zero.
struct Loss {
    lost: u64,
    mended: u64,
    /// How much of what was sent just before was on the network that is lost, in percent.
    share: f64,
    /// Milliseconds until the kernel told the client that the network does not carry; NaN if it does not tell that.
    told: f64,
}

fn lose(world: &World, zero: u64, from: Side, fault: Fault) -> io::Result<Loss> {
    let crossed = |link| {
        let counters = world.counters(link);
        let way = if from == Side::Client {
            counters.up
        } else {
            counters.down
        };
        way.delivered_bytes
    };
    let both = || [crossed("wlan0"), crossed("wwan0")];
    clock::sleep_until(zero + (FAULT - 1000) * 1_000_000);
    let before = both();
    clock::sleep_until(zero + FAULT * 1_000_000);
    let after = both();
    let index = world.client_index("wlan0")?;
    let monitor = Monitor::new(&world.client)?;
    let at = world.fault("wlan0", fault)?;
    let lost = clock::of(at);
    let told = if fault.stops_running() {
        let hold = Duration::from_millis(HOLD);
        monitor.wait(hold, |said| says_running(said, index, false))?
    } else {
        None
    };
    clock::sleep_until(lost + HOLD * 1_000_000);
    let mended = clock::of(world.mend("wlan0")?);
    let [wifi, cellular] = [0, 1].map(|link| (after[link] - before[link]) as f64);
    Ok(Loss {
        lost: lost.saturating_sub(zero),
        mended: mended.saturating_sub(zero),
        share: wifi / (wifi + cellular) * 100.0,
        told: told.map_or(f64::NAN, |told| (told - at).as_secs_f64() * 1e3),
    })
}

/// What one loss did, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fall {
    gap: f64,
    worst: f64,
    normal: f64,
    /// The worst delay of what was due after the mending.
    back: f64,
    missing: f64,
    dead: f64,
}

impl Fall {
    fn of(outcome: &Outcome, from: Side, loss: &Loss) -> Self {
        let sent = outcome.report(from).flows[0].sent;
        let ticks = &outcome.report(from.other()).flows[0].ticks;
        Self::seen(ticks, sent, loss.lost, loss.mended, END * 1_000_000)
    }

    fn seen(ticks: &[Tick], sent: u64, lost: u64, mended: u64, end: u64) -> Self {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let mut arrivals: Vec<u64> = ticks.iter().map(|tick| tick.2).collect();
        arrivals.sort_unstable();
        arrivals.push(
            end.saturating_sub(500_000_000)
                .max(*arrivals.last().unwrap_or(&0)),
        );
        // What was under way at the loss still arrives: the gap that counts ends after it.
        let gaps = arrivals
            .windows(2)
            .filter(|pair| pair[1] > lost && pair[0] < mended);
        let gap = gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let delay = |tick: &Tick| ms(tick.2.saturating_sub(tick.1));
        let after = ticks.iter().filter(|tick| tick.2 > lost && tick.1 < mended);
        let worst = after.clone().map(delay).fold(0.0, f64::max);
        let late = after.filter(|tick| delay(tick) > SURVIVOR + SLACK);
        let normal = late.map(|tick| ms(tick.2 - lost)).fold(0.0, f64::max);
        let returned = ticks.iter().filter(|tick| tick.1 >= mended);
        let back = returned.map(delay).fold(0.0, f64::max);
        let numbers: HashSet<u64> = ticks.iter().map(|tick| tick.0).collect();
        // Alive is what carries messages that were due after the network was back.
        let alive = ticks.iter().any(|tick| tick.1 > mended);
        Self {
            gap: ms(gap),
            worst: if alive {
                worst
            } else {
                worst.max(ms(end - lost))
            },
            normal: if alive { normal } else { ms(end - lost) },
            back: if alive { back } else { f64::NAN },
            missing: sent.saturating_sub(numbers.len() as u64) as f64,
            dead: if alive { 0.0 } else { 1.0 },
        }
    }

    fn figures(self) -> Vec<f64> {
        vec![
            self.gap,
            self.gap,
            self.gap,
            self.worst,
            self.worst,
            self.worst,
            self.normal,
            self.back,
            self.missing,
            self.dead,
            1.0,
        ]
    }
}

fn judge(sheet: &mut Sheet, bar: &str, from: Side) {
    if bar == "B4" {
        let (limit, what) = match from {
            Side::Client => (
                SURVIVOR + 30.0,
                "gap p95 within the survivor's one-way delay + 30 ms",
            ),
            Side::Server => (
                SURVIVOR_RTT + 30.0,
                "gap p95 within the survivor's RTT + 30 ms",
            ),
        };
        sheet.at_most(what, "gap p95", Some(limit));
    } else {
        let what = "worst delay p95 within 2 RTT of the lost network + the survivor's one-way delay + 30 ms";
        let limit = 2.0 * LOST_RTT + SURVIVOR + 30.0;
        sheet.at_most(what, "worst delay p95", Some(limit));
    }
    sheet.at_most("no session lost", "not resumed", Some(0.0));
    sheet.at_most("no message lost", "missing", Some(0.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A message every 10 ms for a second, each as late as `delay` says.
    fn ticks(delay: impl Fn(u64) -> Option<u64>) -> Vec<Tick> {
        let number = 0..100;
        number
            .filter_map(|n| Some(Tick(n, n * 10 * MS, (n * 10 + delay(n * 10)?) * MS)))
            .collect()
    }

    #[test]
    fn a_gap_is_the_longest_silence_after_the_loss() {
        // Lost at 300 ms: what is due until 500 comes at 520, the rest over the slower network.
        let ticks = ticks(|due| {
            Some(match due {
                ..300 => 10,
                300..460 => 520 - due,
                _ => 60,
            })
        });
        let fall = Fall::seen(&ticks, 100, 300 * MS, 600 * MS, 1000 * MS);
        assert_eq!((fall.gap, fall.worst), (220.0, 220.0));
        assert_eq!((fall.normal, fall.missing, fall.dead), (220.0, 0.0, 0.0));
    }

    #[test]
    fn what_is_late_on_the_return_is_told_apart_from_the_loss() {
        let ticks = ticks(|due| Some(if (650..700).contains(&due) { 150 } else { 60 }));
        let fall = Fall::seen(&ticks, 100, 300 * MS, 600 * MS, 1000 * MS);
        assert_eq!((fall.worst, fall.normal, fall.back), (60.0, 0.0, 150.0));
    }

    #[test]
    fn a_session_that_says_nothing_after_the_mending_is_lost() {
        let ticks = ticks(|due| (due < 300).then_some(10));
        let fall = Fall::seen(&ticks, 100, 300 * MS, 600 * MS, 1000 * MS);
        assert_eq!((fall.dead, fall.missing, fall.worst), (1.0, 70.0, 700.0));
        assert!(fall.gap >= 200.0);
    }
}
