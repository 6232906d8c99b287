//! What Airhook's core costs, and what it makes of a bad link.
//!
//! `cargo bench --bench airhook` prints, first, packets a second on one core, medians of fifteen rounds:
//! each data packet is made, taken and acknowledged, and the acknowledgement taken, so two packets go
//! through both ends. Beside it a plain `UdpSocket` moves the same packets over loopback in the same
//! round. Then the goodput of 60 s of virtual time over a link of 5 Mbit/s, against the limit: what it
//! carries of packets as large as these, IP and UDP headers included, less those that it loses. Below it
//! the same of the byte stream that `airhook://` makes of it, with its own pace and smaller packets.

use bytes::Bytes;
use mancom::proto::airhook::{Airhook, Event, MAX_MESSAGE, MIN_BUFFER, Settings};
use mancom::proto::airstream::{self, Airstream};
use mancom::proto::pair::Seeded;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const TURNS: u32 = 20_000;
/// Bytes of a packet: an Ethernet frame with IPv6.
const PACKET: usize = 1_452;
/// Of IPv4 and UDP.
const HEADERS: usize = 28;
/// Bits a second of the simulated link.
const RATE: u64 = 5_000_000;
const LASTING: Duration = Duration::from_secs(60);

fn main() {
    println!(
        "{:<34}{:>12}{:>12}{:>12}{:>8}",
        "one core", "packets/s", "ns/packet", "UDP, ns", "ratio"
    );
    for (what, length, count) in [
        ("1 message of 20 bytes", 20, 1),
        ("5 messages of 255 bytes", MAX_MESSAGE, 5),
        ("60 messages of 20 bytes", 20, 60),
    ] {
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rounds[0].push(core(length, count));
            rounds[1].push(plain(count * (length + 1) + 5));
        }
        for figures in &mut rounds {
            figures.sort_unstable_by(f64::total_cmp);
        }
        let [core, plain] = rounds.map(|figures| figures[ROUNDS / 2]);
        println!(
            "{what:<34}{:>12.0}{core:>12.0}{plain:>12.0}{:>8.2}",
            1e9 / core,
            core / plain
        );
    }
    println!();
    println!(
        "{:<34}{:>12}{:>12}{:>12}",
        "5 Mbit/s, 60 s", "kbit/s", "limit", "share"
    );
    for there_and_back in [50, 100] {
        for loss in [0, 5, 20] {
            let delay = Duration::from_millis(there_and_back / 2);
            let what = format!("{there_and_back} ms there and back, {loss} % lost");
            let got = goodput(messages(), delay, loss);
            told(&what, got, 5 * MAX_MESSAGE, 5, loss);
            let got = goodput(streams(), delay, loss);
            let fit = (airstream::PACKET - 5) / (MAX_MESSAGE + 1);
            told(
                "  as a stream of bytes",
                got,
                fit * (MAX_MESSAGE - 9),
                10 * fit,
                loss,
            );
        }
    }
}

/// A line of what came, against what would of packets of so much payload and so much else in them.
fn told(what: &str, got: f64, payload: usize, else_: usize, loss: u64) {
    let packet = payload + else_ + 5 + HEADERS;
    let share = payload as f64 / packet as f64 * (100 - loss) as f64 / 100.0;
    let limit = RATE as f64 * share;
    println!(
        "{what:<34}{:>12.0}{:>12.0}{:>11.1}%",
        got / 1e3,
        limit / 1e3,
        got / limit * 100.0
    );
}

fn ends(now: Instant, settings: &Settings) -> [Airhook; 2] {
    let session = |number| NonZeroU32::new(number).expect("not zero");
    let mut ends = [1, 2].map(|number| Airhook::new(now, session(number), settings.clone()));
    let mut buffer = [0; MIN_BUFFER];
    for turn in 0..10 {
        let from = turn % 2;
        while let Some(length) = ends[from].transmit(now, &mut buffer).expect("it fits") {
            let _ = ends[1 - from].receive(now, &buffer[..length]);
        }
    }
    ends
}

/// Nanoseconds a packet, made and taken.
fn core(length: usize, count: usize) -> f64 {
    let now = Instant::now();
    let [mut a, mut b] = ends(now, &Settings::default());
    let message = Bytes::from(vec![7; length]);
    let mut buffer = [0; PACKET];
    let (mut packets, mut taken) = (0, 0);
    let start = Instant::now();
    for _ in 0..TURNS {
        for _ in 0..count {
            a.send(now, message.clone()).expect("room");
        }
        let length = a.transmit(now, &mut buffer).expect("it fits");
        b.receive(now, &buffer[..length.expect("messages")])
            .expect("a good packet");
        let length = b.transmit(now, &mut buffer).expect("it fits");
        a.receive(now, &buffer[..length.expect("an acknowledgement")])
            .expect("a good packet");
        packets += 2;
        while let Some(event) = b.poll_event() {
            taken += usize::from(matches!(event, Event::Message(_)));
        }
        while a.poll_event().is_some() {}
    }
    let took = start.elapsed();
    assert_eq!(taken, count * TURNS as usize, "each turn is one packet");
    took.as_secs_f64() * 1e9 / f64::from(packets)
}

/// The same packets, and answers of 4 bytes, through two sockets of this host.
fn plain(length: usize) -> f64 {
    let [a, b] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    a.connect(b.local_addr().expect("bound")).expect("a socket");
    b.connect(a.local_addr().expect("bound")).expect("a socket");
    let mut buffer = [7; PACKET];
    let turns = TURNS / 4;
    let start = Instant::now();
    for _ in 0..turns {
        a.send(&buffer[..length]).expect("loopback");
        b.recv(&mut buffer).expect("loopback");
        b.send(&buffer[..4]).expect("loopback");
        a.recv(&mut buffer).expect("loopback");
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(2 * turns)
}

/// What goes over the simulated link.
trait End {
    /// Takes as much to send as it wants.
    fn fill(&mut self, now: Instant);
    /// Payload that came since the last time.
    fn drain(&mut self, now: Instant) -> usize;
    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize>;
    fn receive(&mut self, now: Instant, packet: &[u8]);
    fn poll_timeout(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, _now: Instant) {}
}

impl End for Airhook {
    fn fill(&mut self, now: Instant) {
        while self.wanted() > 0 {
            let message = Bytes::from_static(&[7; MAX_MESSAGE]);
            self.send(now, message).expect("room");
        }
    }

    fn drain(&mut self, _now: Instant) -> usize {
        let events = std::iter::from_fn(|| self.poll_event());
        let lengths = events.map(|event| match event {
            Event::Message(message) => message.len(),
            _ => 0,
        });
        lengths.sum()
    }

    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        self.transmit(now, buffer).expect("it fits")
    }

    fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.receive(now, packet).expect("a good packet");
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

impl End for Airstream {
    fn fill(&mut self, now: Instant) {
        while self.write(now, &[7; 4_096]).expect("it is open") > 0 {}
    }

    fn drain(&mut self, now: Instant) -> usize {
        let (mut all, mut buffer) = (0, [0; 4_096]);
        while let Some(n) = self.read(now, &mut buffer).expect("it is open") {
            all += n;
        }
        all
    }

    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        self.transmit(now, &mut buffer[..airstream::PACKET])
    }

    fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.receive(now, packet);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

fn messages() -> (Instant, [Airhook; 2]) {
    let settings = Settings {
        window: 128 << 10,
        ..Settings::default()
    };
    let now = Instant::now();
    (now, ends(now, &settings))
}

/// They meet over the link: a way is what it was seen to be from the beginning.
fn streams() -> (Instant, [Airstream; 2]) {
    let session = |number| NonZeroU32::new(number).expect("not zero");
    let now = Instant::now();
    let near = Airstream::dial(now, session(1), 7);
    (now, [near, Airstream::listen(now, session(2))])
}

/// One direction of the link: packets wait for their turn, then travel.
#[derive(Default)]
struct Way {
    flying: VecDeque<(Instant, Vec<u8>)>,
    free: Option<Instant>,
}

/// Bits of payload a second that came to the other end.
fn goodput<E: End>((start, mut ends): (Instant, [E; 2]), delay: Duration, loss: u64) -> f64 {
    let mut now = start;
    let mut ways = [Way::default(), Way::default()];
    let mut chance = Seeded::new(loss + 1);
    let mut buffer = [0; PACKET];
    let mut came = 0;
    while now < start + LASTING {
        ends[0].fill(now);
        for from in 0..2 {
            while let Some(length) = ends[from].transmit(now, &mut buffer) {
                let bits = 8 * (length + HEADERS) as u64;
                let way = &mut ways[1 - from];
                let begun = way.free.map_or(now, |free| free.max(now));
                let gone = begun + Duration::from_nanos(bits * 1_000_000_000 / RATE);
                way.free = Some(gone);
                if chance.below(100) >= loss {
                    way.flying
                        .push_back((gone + delay, buffer[..length].to_vec()));
                }
            }
        }
        let timers = ends.iter().filter_map(End::poll_timeout);
        let arrivals = ways.iter().filter_map(|way| way.flying.front());
        let next = timers.chain(arrivals.map(|(at, _)| *at)).min();
        now = next.expect("there is always something").max(now);
        for (end, way) in ends.iter_mut().zip(&mut ways) {
            while way.flying.front().is_some_and(|(at, _)| *at <= now) {
                let (_, packet) = way.flying.pop_front().expect("looked at");
                end.receive(now, &packet);
            }
            end.handle_timeout(now);
            came += end.drain(now);
        }
    }
    8.0 * came as f64 / (now - start).as_secs_f64()
}
