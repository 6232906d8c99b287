//! Two sessions, what their programs do, what becomes of their paths, and what somebody else writes into
//! those: as a script says.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::label::{Label, Prop};
use crate::network::Fact;
use crate::proto::pair::{End, Line, Pair, Seeded, anywhere};
use crate::proto::script::Script;
use crate::proto::session::handshake::Agreed;
use crate::proto::session::messages::{MessageId, Order};
use crate::proto::session::{Config, Event, PathEnd, PathId, StreamId};

const LABELS: [Label; 6] = [
    Label::ANY,
    Label::INTERACTIVE,
    Label::BACKGROUND,
    Label::new().prohibit(Prop::Metered),
    Label::INTERACTIVE.redundant(),
    Label::BACKGROUND.prohibit(Prop::Metered),
];

/// Things done for one script; what is beyond is not.
const STEPS: usize = 400;
/// What happens in a quarter of an hour at the very most.
const TURNS: usize = 200_000;

/// Follows a script; `agreed` is what any two ends agreed on.
///
/// ```text
///   seed u8 | settings u8 | steps
/// ```
///
/// # Panics
/// If a session keeps more than it says it may, spins, does not end, or blames a peer whose bytes nobody touched.
pub(crate) fn session(bytes: &[u8], agreed: &[Agreed; 2], now: Instant) {
    let mut script = Script::new(bytes);
    let mut stage = Stage::new(&mut script, agreed, now);
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        stage.step(step, &mut script);
        stage.check();
    }
    stage.part();
}

struct Stage {
    pair: Pair,
    streams: Vec<StreamId>,
    messages: [Vec<MessageId>; 2],
    /// Somebody wrote into a path.
    touched: bool,
}

/// Settings, and whether the links tell what they do.
fn settings(choice: u8) -> (Config, bool) {
    let small = Config {
        send_buffer: 64 << 10,
        receive_window: 64 << 10,
        max_streams: 8,
        ..Config::default()
    };
    let config = match choice & 3 {
        0 => small,
        1 => Config {
            send_buffer: 6 << 10,
            receive_window: 5 << 10,
            max_streams: 6,
            max_frame: 1 << 10,
            ack_bytes: 2 << 10,
            ..small
        },
        2 => Config {
            rate_limit: Some(20_000),
            probe_idle: Some(Duration::from_secs(2)),
            ..small
        },
        _ => Config {
            receive_window: 300,
            max_streams: 1,
            ..small
        },
    };
    (config, choice & 4 != 0)
}

impl Stage {
    fn new(script: &mut Script<'_>, agreed: &[Agreed; 2], now: Instant) -> Self {
        let seed = script.byte();
        let choice = script.byte();
        let (config, measures) = settings(choice);
        let agreed = agreed.clone().map(|agreed| Agreed {
            receive_window: config.receive_window as u32,
            peer_receive_window: config.receive_window as u32,
            max_streams: config.max_streams,
            ..agreed
        });
        let seeded = Seeded::new(seed.into());
        let mut pair = Pair::of(agreed, seeded, now, [config.clone(), config]);
        pair.measures = measures;
        pair.sides[0].direct = choice & 8 != 0;
        pair.sides[1].direct = choice & 16 != 0;
        if choice & 32 != 0 {
            pair.weather.capacity = 4 << 10;
            pair.weather.piece = 700;
            pair.weather.slices = 7;
        }
        Self {
            pair,
            streams: Vec::new(),
            messages: Default::default(),
            touched: false,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let end = End::BOTH[usize::from(step >> 7)];
        let now = self.pair.now();
        match step & 0x7f {
            0x00 => {
                let (path, bytes) = (script.byte(), script.some());
                self.inject(end, path, bytes);
            }
            0x01 => {
                let (path, length) = (script.byte(), script.short() & 0x0fff);
                let bytes = script.bytes(length.into());
                self.inject(end, path, bytes);
            }
            0x02 => {
                let (path, kind, body) = (script.byte(), script.byte(), script.some());
                let frame = [&[kind, 0, 0, body.len() as u8][..], body].concat();
                self.inject(end, path, &frame);
            }
            0x08 => self.run(Duration::from_millis(script.byte().into())),
            0x09 => self.run(Duration::from_secs(script.byte().into())),
            0x0a => {
                for _ in 0..script.byte() {
                    self.pair.step(now + Duration::from_secs(1));
                }
            }
            0x10..=0x17 => self.paths(step & 7, end, script),
            0x20..=0x2b => self.streams(step & 15, end, script),
            0x30..=0x37 => self.messages(step & 7, end, script),
            0x40 => self.pair.session(end).close(now),
            _ => {}
        }
    }

    fn inject(&mut self, end: End, path: u8, bytes: &[u8]) {
        let now = self.pair.now();
        let paths = self.pair.session(end).paths();
        if let Some(path) = Script::new(&[path]).pick(&paths).copied() {
            self.touched = true;
            // A fault is told as an event too.
            let _ = self.pair.session(end).receive(now, path, bytes);
        }
    }

    fn paths(&mut self, step: u8, end: End, script: &mut Script<'_>) {
        let now = self.pair.now();
        if step == 0 {
            // It fails where the session is over.
            let _ = self.pair.dial(script.byte() & 7);
            return;
        }
        let Some(path) = script.pick(&self.pair.paths()).copied() else {
            return;
        };
        match step {
            1 => self.pair.cut(path),
            2 => self.pair.darken(path, end, script.flag()),
            3 => self.pair.session(end).retire(now, path),
            4 => self.metered(end, path, script.flag()),
            5 => {
                let line = Line {
                    delay: Duration::from_millis(script.byte().into()),
                    jitter: Duration::from_millis(2),
                    rate: Some(u64::from(script.byte()) * 10_000 + 20_000),
                    queue: 64 << 10,
                };
                self.pair.shape(path, line);
            }
            6 => self.pair.session(end).doubt(now, path),
            _ => {
                let at = ([192, 0, 2, script.byte()], 7000).into();
                self.pair.session(end).tell_addresses(path, &[at]);
            }
        }
    }

    /// What one end knows and tells of its network changes.
    fn metered(&mut self, end: End, path: PathId, metered: bool) {
        let now = self.pair.now();
        let mut sides = anywhere();
        sides.remote.metered = if metered { Fact::Yes } else { Fact::No };
        let facts = sides.remote;
        self.pair.session(end).tell_facts(now, path, facts);
        self.pair.session(end).update_path(now, path, sides);
    }

    fn streams(&mut self, step: u8, end: End, script: &mut Script<'_>) {
        let now = self.pair.now();
        let label = script.pick(&LABELS).copied().unwrap_or_default();
        if step == 0 {
            let opened = self.pair.session(end).open(now, label);
            self.streams.extend(opened);
            return;
        }
        if step == 1 {
            let accepted = self.pair.session(end).accept();
            let new = accepted.filter(|(id, _)| !self.streams.contains(id));
            self.streams.extend(new.map(|(id, _)| id));
            return;
        }
        let Some(stream) = script.pick(&self.streams).copied() else {
            return;
        };
        let length = usize::from(script.short());
        let session = self.pair.session(end);
        // What a stream answers that is over is its own affair.
        match step {
            2 => _ = session.write(now, stream, label, &vec![7; length]),
            3 => _ = session.write_bytes(now, stream, label, &mut Bytes::from(vec![8; length])),
            4 => _ = session.write_whole(now, stream, label, &vec![9; length]),
            5 => _ = self.pair.read(end, stream, length),
            6 => session.shutdown(now, stream),
            7 => session.release(now, stream),
            8 => session.reset(now, stream, length as u32),
            9 => session.set_label(now, stream, label),
            10 => _ = (session.live_labels(), session.offsets(stream)),
            _ => _ = session.ways(now, &label),
        }
    }

    fn messages(&mut self, step: u8, end: End, script: &mut Script<'_>) {
        let now = self.pair.now();
        let session = &mut self.pair.sides[end as usize].session;
        if step == 0 {
            while session.recv_message(now).is_some() {}
            return;
        }
        let label = script.pick(&LABELS).copied().unwrap_or_default();
        let known = &mut self.messages[end as usize];
        if step > 2 {
            let Some(id) = script.pick(known).copied() else {
                return;
            };
            let length = usize::from(script.short());
            // It may be known no more, or sent.
            match step {
                3 => _ = session.cancel_message(now, id),
                4 => _ = session.relabel_message(now, id, label),
                5 => _ = session.write_message(now, id, &vec![3; length]),
                6 => _ = session.finish_message(now, id),
                _ => _ = session.message_fate(id),
            }
            return;
        }
        let order = match script.byte() & 3 {
            0 | 1 => Order::Sent,
            2 => Order::AfterAll,
            _ => Order::After(script.pick(known).copied().into_iter().collect()),
        };
        let life = script.byte();
        let expires = (life > 0).then(|| now + Duration::from_millis(u64::from(life) * 10));
        let sent = if step == 1 {
            let bytes = Bytes::from(vec![4; script.short().into()]);
            session.send_message(now, label, &bytes, &order, expires)
        } else {
            session.begin_message(now, label, &order, expires)
        };
        known.extend(sent.into_iter().flatten());
    }

    /// Time passes.
    fn run(&mut self, limit: Duration) {
        let until = self.pair.now() + limit;
        for _ in 0..TURNS {
            if !self.pair.step(until) {
                return;
            }
            self.check();
        }
        panic!("{TURNS} turns are not enough for {limit:?}");
    }

    /// Nobody dials again, so the grace runs out.
    fn part(&mut self) {
        self.run(Duration::from_secs(20));
        for path in self.pair.paths() {
            self.pair.cut(path);
        }
        self.run(Duration::from_secs(1));
        for end in End::BOTH {
            // One that the other end would not join has no link.
            for path in self.pair.session(end).paths() {
                let now = self.pair.now();
                self.pair.session(end).lose(now, path);
            }
        }
        self.run(Duration::from_secs(700));
        for side in &self.pair.sides {
            assert!(side.session.closed().is_some(), "{:?}", side.session);
        }
    }

    fn check(&mut self) {
        for side in &mut self.pair.sides {
            side.session.check_kept();
            for event in side.events.drain(..) {
                let fault = matches!(event, Event::PathClosed(_, PathEnd::Protocol(_)));
                assert!(self.touched || !fault, "{event:?} of an honest peer");
            }
            side.labels.clear();
            side.read.values_mut().for_each(Vec::clear);
        }
    }
}
