//! `lab check`: is the world what it is told to be? About two minutes.
//!
//! Every other figure of the lab rests on these, so each has a bound, and one out of its bound
//! fails the command.

mod fault;
mod probe;

use crate::args::none;
use crate::world::{LinkSpec, Rate, Trace, World};
use probe::From;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The share of a packet of 1500 bytes that is TCP's payload, with timestamps.
const PAYLOAD: f64 = 1448.0 / 1500.0;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A section of the table: its name on the command line, and what measures it, in a world of
/// its own.
type Section = (&'static str, fn(&mut Table) -> io::Result<()>);

const SECTIONS: [Section; 7] = [
    ("rtt", round_trips),
    ("goodput", goodput),
    ("queue", full_queues),
    ("fault", fault::run),
    ("loss", lossy),
    ("trace", recorded),
    ("fast", fast),
];

/// What follows `check` on the command line.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Sections; all of them where none was named.
    only: Vec<String>,
    /// Paths of mahimahi's traces, to be played in the section of that name.
    traces: Vec<String>,
}

impl Asked {
    /// # Errors
    ///
    /// If a word is neither a section nor a file.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self::default();
        for word in words {
            if SECTIONS.iter().any(|(name, _)| *name == word) {
                asked.only.push(word);
            } else if Path::new(&word).is_file() {
                asked.traces.push(word);
            } else {
                let sections = SECTIONS.map(|(name, _)| name);
                return Err(none("section or trace", &word, sections));
            }
        }
        // Beside other sections a trace would be ignored, unless its own is asked for too.
        if !asked.traces.is_empty() && !asked.only.is_empty() && !asked.wants("trace") {
            asked.only.push("trace".to_owned());
        }
        Ok(asked)
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == section)
    }
}

/// Prints the table, or what was asked for of it; `false` if a row is out of its bound.
pub(crate) fn run(asked: &Asked) -> io::Result<bool> {
    let mut table = Table {
        good: true,
        traces: asked.traces.clone(),
    };
    println!("| what | asked for | measured | |\n| --- | --- | --- | --- |");
    for (name, section) in SECTIONS {
        if asked.wants(name) {
            section(&mut table)?;
        }
    }
    Ok(table.good)
}

/// The rows as they come.
struct Table {
    good: bool,
    /// Paths.
    traces: Vec<String>,
}

impl Table {
    fn row(&mut self, what: &str, asked: &str, measured: &str, good: bool) {
        let verdict = if good { "" } else { "NO" };
        println!("| {what} | {asked} | {measured} | {verdict} |");
        self.good &= good;
    }

    /// A row whose figure may differ from what was asked for by a share of it.
    fn near(&mut self, what: &str, unit: &str, asked: f64, measured: f64, share: f64) {
        self.row(
            what,
            &format!("{asked:.2} {unit} within {} %", share * 100.0),
            &format!("{measured:.2} {unit}"),
            (measured / asked - 1.0).abs() <= share,
        );
    }
}

fn wlan() -> LinkSpec {
    LinkSpec {
        name: "wlan0",
        up: Rate::Bits(20_000_000),
        down: Rate::Bits(20_000_000),
        rtt: ms(20),
        queue: 1_000_000,
        loss: 0.0,
        jitter: Duration::ZERO,
        metered: false,
    }
}

fn wwan() -> LinkSpec {
    LinkSpec {
        name: "wwan0",
        up: Rate::Bits(2_000_000),
        down: Rate::Bits(2_000_000),
        rtt: ms(120),
        queue: 256_000,
        ..wlan()
    }
}

/// A world of both default links.
fn usual() -> io::Result<World> {
    let world = World::new(&[wlan(), wwan()])?;
    // So that this program may ping.
    world.client.set("net/ipv4/ping_group_range", "0 0")?;
    Ok(world)
}

fn round_trips(table: &mut Table) -> io::Result<()> {
    let world = usual()?;
    for (link, rtt, bits) in [("wlan0", ms(20), 20e6), ("wwan0", ms(120), 2e6)] {
        let mut times = Vec::new();
        for _ in 0..50 {
            times.extend(probe::ping(&world, link, ms(1000))?);
        }
        times.sort_unstable();
        // The 28 bytes of an echo are on the line twice.
        let whole = rtt.as_secs_f64() + 2.0 * 28.0 * 8.0 / bits;
        let over = |at: usize| {
            let time = times.get(at).map(Duration::as_secs_f64);
            time.map_or(f64::INFINITY, |time| (time - whole) * 1e3)
        };
        let (median, p90, most) = (over(24), over(44), over(49));
        table.row(
            &format!("{link}: 50 round trips, idle"),
            &format!("{rtt:?} and the bytes' time, median within 0.5 ms"),
            &format!("{median:+.2} ms, p90 {p90:+.2}, most {most:+.2}"),
            median.abs() <= 0.5,
        );
    }
    Ok(())
}

fn goodput(table: &mut Table) -> io::Result<()> {
    let world = usual()?;
    for congestion in ["cubic", "bbr"] {
        world.set_default_congestion(congestion)?;
        for (link, mbit, bytes) in [("wlan0", 20.0, 12_500_000), ("wwan0", 2.0, 2_500_000)] {
            for from in [From::Client, From::Server] {
                let before = world.usage();
                let begin = Instant::now();
                let (rate, used) = probe::tcp(&world, link, from, ms(1500), bytes)?;
                let cpu = world.usage().cpu - before.cpu;
                let cpu = cpu.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
                let what = format!("{link}: TCP from the {from:?}, {used}, emulator {cpu:.1} %");
                let nominal = mbit * PAYLOAD;
                table.near(&what, "Mbit/s", nominal, rate / 1e6, 0.04);
                table.good &= used == congestion;
            }
        }
    }
    Ok(())
}

fn full_queues(table: &mut Table) -> io::Result<()> {
    let world = usual()?;
    for (link, bits, queue) in [
        ("wlan0", 20_000_000, 1_000_000),
        ("wwan0", 2_000_000, 256_000),
    ] {
        // Twice the rate fills the queue in queue / rate.
        let fill = Duration::from_secs_f64(f64::from(queue) * 8.0 / bits as f64);
        world.reset_counters(link);
        let flood = probe::flood(&world, link, bits * 2, fill + ms(500), ms(2000))?;
        let counters = world.counters(link).up;
        let what = format!("{link}: waiting in a full queue");
        let longest = counters.queueing_max.as_secs_f64() * 1e3;
        table.near(&what, "ms", fill.as_secs_f64() * 1e3, longest, 0.01);
        table.row(
            &format!("{link}: {} sent are received or dropped", flood.sent),
            &format!("{}", flood.sent),
            &format!("{} + {}", flood.received, counters.dropped_queue),
            flood.sent == flood.received + counters.dropped_queue && counters.dropped_queue > 0,
        );
    }
    Ok(())
}

fn lossy(table: &mut Table) -> io::Result<()> {
    let lossy = LinkSpec {
        up: Rate::Bits(200_000_000),
        loss: 0.05,
        ..wlan()
    };
    let world = World::new(&[lossy])?;
    let flood = probe::flood(&world, "wlan0", 100_000_000, ms(0), ms(4000))?;
    let lost = (flood.sent - flood.received) as f64 / flood.sent as f64;
    // Four standard deviations.
    let bound = 4.0 * (0.05 * 0.95 / flood.sent as f64).sqrt() / 0.05;
    let bound = (bound * 1000.0).round() / 1000.0;
    let what = format!("loss among {} packets", flood.sent);
    table.near(&what, "%", 5.0, lost * 100.0, bound);
    Ok(())
}

fn recorded(table: &mut Table) -> io::Result<()> {
    // Half a second of a packet each 12 ms, and half a second of one each.
    let times = (1..=1000_u64).filter(|at| *at > 500 || at % 12 == 0);
    play(
        table,
        "1 to 12 Mbit/s in turn",
        Trace::new(times.collect())?,
    )?;
    for path in table.traces.clone() {
        let trace = Trace::mahimahi(Path::new(&path))?;
        let name = path.rsplit('/').next().unwrap_or(&path);
        play(table, name, trace)?;
    }
    Ok(())
}

/// Floods a link of a recorded rate, and compares what it delivers with what the record has.
fn play(table: &mut Table, name: &str, trace: Trace) -> io::Result<()> {
    let trace = Arc::new(trace);
    let spec = LinkSpec {
        up: Rate::Trace(Arc::clone(&trace)),
        ..wlan()
    };
    let world = World::new(&[spec])?;
    let flood = probe::flood(&world, "wlan0", 60_000_000, ms(1000), ms(6000))?;
    // What is delivered has left the queue half a round trip ago.
    let at = |time: Instant| time - world.begin() - ms(10);
    let capacity = trace.capacity(at(flood.full), at(flood.end)) as f64;
    let seconds = (flood.end - flood.full).as_secs_f64();
    let mbit = |bytes: f64| bytes * 8.0 / seconds / 1e6;
    let delivered = mbit(flood.delivered as f64);
    let what = format!("recorded rate, flooded: {name}");
    table.near(&what, "Mbit/s", mbit(capacity), delivered, 0.01);
    Ok(())
}

/// Two links of 100 Mbit/s at once, and what that takes.
fn fast(table: &mut Table) -> io::Result<()> {
    let link = |name| LinkSpec {
        name,
        up: Rate::Bits(100_000_000),
        down: Rate::Bits(100_000_000),
        ..wlan()
    };
    let world = World::new(&[link("wlan0"), link("wwan0")])?;
    world.set_default_congestion("cubic")?;
    let before = world.usage();
    let begin = Instant::now();
    let both = thread::scope(|scope| {
        ["wlan0", "wwan0"]
            .map(|link| {
                scope.spawn(|| probe::tcp(&world, link, From::Client, ms(2000), 62_500_000))
            })
            .map(|one| one.join().expect("it measures"))
    });
    let after = world.usage();
    let cpu = (after.cpu - before.cpu).as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
    for (link, result) in ["wlan0", "wwan0"].into_iter().zip(both) {
        let (rate, used) = result?;
        let what = format!("{link}: TCP, both at once, {used}");
        table.near(&what, "Mbit/s", 100.0 * PAYLOAD, rate / 1e6, 0.04);
    }
    table.row(
        "the emulator at 200 Mbit/s",
        "at most half a core",
        &format!("{cpu:.1} %"),
        cpu <= 50.0,
    );
    table.row(
        "deliveries more than 0.3 ms late, at 200 Mbit/s",
        "at most 1 %",
        &format!(
            "{:.3} % of {}, {:?} at most",
            after.late as f64 / after.rounds as f64 * 100.0,
            after.rounds,
            after.latest
        ),
        after.late * 100 <= after.rounds,
    );
    let priority = if after.realtime {
        "real-time"
    } else {
        "ordinary"
    };
    println!("\nThe emulator has {priority} priority.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Asked, String> {
        Asked::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn everything_is_checked_unless_sections_are_named() {
        let all = parse(&[]).expect("nothing is asked");
        assert!(SECTIONS.iter().all(|(name, _)| all.wants(name)));
        let some = parse(&["rtt", "loss"]).expect("sections");
        assert!(some.wants("rtt") && some.wants("loss") && !some.wants("fast"));
    }

    #[test]
    fn a_trace_is_played_whatever_else_is_asked() {
        let trace = tempfile::NamedTempFile::new().expect("a file");
        let path = trace.path().to_str().expect("a name");
        let asked = parse(&["rtt", path]).expect("a section and a file");
        assert_eq!(asked.traces, [path]);
        assert!(asked.wants("rtt") && asked.wants("trace") && !asked.wants("loss"));
    }

    #[test]
    fn what_is_no_section_and_no_file_is_refused_with_what_there_is() {
        let error = parse(&["rtt", "x"]).expect_err("there is no x");
        let told = "there is no section or trace x, but rtt goodput queue fault loss trace fast";
        assert_eq!(error, told);
        let usage = SECTIONS.map(|(name, _)| name).join(" ");
        assert!(crate::args::USAGE.contains(&usage));
    }
}
