//! Two cores against a model that is nothing but byte vectors, through whatever can happen.

use proptest::prelude::*;
use proptest::test_runner::Config as ProptestConfig;

use super::messages::{MessageId, Order};
use super::*;
use crate::label::Prop;
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::{Line, Pair, anywhere};

/// `MANCOM_CASES` or `PROPTEST_CASES` overrides the number of cases: two million take an hour. A case that
/// fails is printed with its seed, shrunk.
pub(in crate::proto::session) fn cases(number: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var("MANCOM_CASES").ok();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => asked.and_then(|cases| cases.parse().ok()).unwrap_or(number),
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..default
    }
}

const LABELS: [Label; 6] = [
    Label::ANY,
    Label::INTERACTIVE,
    Label::BACKGROUND,
    Label::new().prohibit(Prop::Metered),
    Label::INTERACTIVE.redundant(),
    Label::BACKGROUND.prohibit(Prop::Metered),
];

#[derive(Debug, Clone)]
enum Action {
    Open(End),
    Write(End, u8, u16, u8, bool),
    Read(End, u8, u16),
    Shutdown(End, u8),
    Release(End, u8),
    Reset(End, u8),
    Step(u8),
    Wait(u16),
    Cut(u8),
    Silence(u8),
    Dial(u8),
    Retire(End, u8),
    Metered(u8, bool),
    /// Of this path: the delay in milliseconds, and kilobytes a second.
    Shape(u8, u8, u16),
    /// Nothing reaches this end by this path, or it does again.
    Dark(u8, End, bool),
    /// A message from this end: its label, its length.
    Message(End, u8, u16),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Dialler), Just(End::Listener)]
}

fn action() -> impl Strategy<Value = Action> {
    let b = any::<u8>;
    prop_oneof![
        2 => end().prop_map(Action::Open),
        12 => (end(), b(), 0..6000u16, b(), any::<bool>())
            .prop_map(|(e, s, n, l, o)| Action::Write(e, s, n, l, o)),
        8 => (end(), b(), 1..9000u16).prop_map(|(e, s, n)| Action::Read(e, s, n)),
        2 => (end(), b()).prop_map(|(e, s)| Action::Shutdown(e, s)),
        1 => (end(), b()).prop_map(|(e, s)| Action::Release(e, s)),
        1 => (end(), b()).prop_map(|(e, s)| Action::Reset(e, s)),
        12 => (1..30u8).prop_map(Action::Step),
        2 => (1..100u16).prop_map(Action::Wait),
        3 => b().prop_map(Action::Cut),
        1 => b().prop_map(Action::Silence),
        4 => (0..8u8).prop_map(Action::Dial),
        1 => (end(), b()).prop_map(|(e, p)| Action::Retire(e, p)),
        1 => (b(), any::<bool>()).prop_map(|(p, m)| Action::Metered(p, m)),
        2 => (b(), 0..200u8, 20..2000u16).prop_map(|(p, d, r)| Action::Shape(p, d, r)),
        2 => (b(), end(), any::<bool>()).prop_map(|(p, e, d)| Action::Dark(p, e, d)),
        4 => (end(), b(), 0..4000u16).prop_map(|(e, l, n)| Action::Message(e, l, n)),
    ]
}

/// The byte that one end writes at one offset of a stream.
fn byte(end: End, id: StreamId, offset: usize) -> u8 {
    let place = offset as u64 ^ u64::from(id.0) << 40 ^ (end as u64) << 60;
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8
}

/// One direction of one stream, as its writer knows it.
#[derive(Debug, Default)]
struct Written {
    length: usize,
    labels: Vec<(usize, Label)>,
    shut: bool,
    /// Somebody cut the stream off: what is not there is not missed.
    cut_off: bool,
}

/// How a storm ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calm {
    CutAll,
    SpareOne,
    MendAll,
}

struct World {
    pair: Pair,
    streams: Vec<StreamId>,
    /// By stream, then by the end that writes.
    written: BTreeMap<StreamId, [Written; 2]>,
    released: BTreeMap<StreamId, [bool; 2]>,
    /// Messages that were taken and not received, by the end that sent them.
    messages: [BTreeMap<MessageId, (Label, Bytes)>; 2],
}

impl World {
    fn new(seed: u64, direct: bool, measures: bool) -> Self {
        let config = Config {
            send_buffer: 6 << 10,
            receive_window: 5 << 10,
            max_streams: 6,
            max_frame: 1 << 10,
            ack_bytes: 2 << 10,
            ..Config::default()
        };
        let mut pair = Pair::new(seed, start(), config.clone(), config);
        pair.weather.capacity = 4 << 10;
        pair.weather.piece = 700;
        pair.weather.slices = 7;
        pair.measures = measures;
        pair.sides[0].direct = direct;
        pair.sides[1].direct = direct;
        Self {
            pair,
            streams: Vec::new(),
            written: BTreeMap::new(),
            released: BTreeMap::new(),
            messages: Default::default(),
        }
    }

    fn pick(&self, index: u8) -> Option<StreamId> {
        let count = self.streams.len();
        (count > 0).then(|| self.streams[usize::from(index) % count])
    }

    fn pick_path(&self, index: u8) -> Option<PathId> {
        let paths = self.pair.paths();
        (!paths.is_empty()).then(|| paths[usize::from(index) % paths.len()])
    }

    fn act(&mut self, action: &Action) {
        let now = self.pair.now();
        match *action {
            Action::Open(end) => {
                if let Ok(id) = self.pair.session(end).open(now, Label::ANY) {
                    self.streams.push(id);
                    self.written.insert(id, Default::default());
                    self.released.insert(id, [false; 2]);
                }
            }
            Action::Write(end, stream, length, label, owned) => {
                if let Some(id) = self.pick(stream) {
                    let label = LABELS[usize::from(label) % LABELS.len()];
                    self.write(end, id, usize::from(length), label, owned);
                }
            }
            Action::Read(end, stream, max) => {
                if let Some(id) = self.pick(stream) {
                    // A bounded read, as a reader with a small buffer does it.
                    let _ = self.pair.read(end, id, usize::from(max));
                }
            }
            Action::Shutdown(end, stream) => {
                if let Some(id) = self.pick(stream) {
                    self.shutdown(end, id);
                }
            }
            Action::Release(end, stream) => {
                if let Some(id) = self.pick(stream) {
                    self.shutdown(end, id);
                    self.pair.session(end).release(now, id);
                    let known =
                        self.pair.session(end).streams.contains_key(&id) || self.is_old(end, id);
                    if known {
                        self.released.get_mut(&id).expect("opened")[end as usize] = true;
                        // What the peer had not finished by then may be cut off.
                        let theirs = &mut self.written.get_mut(&id).expect("opened");
                        theirs[end.other() as usize].cut_off = true;
                    }
                }
            }
            Action::Reset(end, stream) => {
                if let Some(id) = self.pick(stream)
                    && self.pair.session(end).streams.contains_key(&id)
                {
                    self.pair.session(end).reset(now, id, 7);
                    for written in self.written.get_mut(&id).expect("opened") {
                        written.cut_off = true;
                    }
                }
            }
            Action::Step(steps) => {
                for _ in 0..steps {
                    self.pair.step(now + Duration::from_secs(1));
                }
            }
            Action::Wait(millis) => self.pair.run(Duration::from_millis(millis.into())),
            Action::Cut(path) => {
                if let Some(path) = self.pick_path(path) {
                    self.pair.cut(path);
                }
            }
            Action::Silence(path) => {
                if let Some(path) = self.pick_path(path) {
                    self.pair.silence(path);
                }
            }
            Action::Dial(slot) => {
                self.pair.dial(slot).expect("the session lives");
            }
            Action::Shape(path, delay, rate) => {
                if let Some(path) = self.pick_path(path) {
                    let line = Line {
                        delay: Duration::from_millis(delay.into()),
                        jitter: Duration::from_millis(2),
                        rate: Some(u64::from(rate) * 1000),
                        queue: 4 << 10,
                    };
                    self.pair.shape(path, line);
                }
            }
            Action::Dark(path, end, dark) => {
                if let Some(path) = self.pick_path(path) {
                    self.pair.darken(path, end, dark);
                }
            }
            Action::Message(end, label, length) => {
                let label = LABELS[usize::from(label) % LABELS.len()];
                let bytes = Bytes::from(bytes(length.into()));
                let session = self.pair.session(end);
                let sent = session.send_message(now, label, &bytes, &Order::Sent, None);
                if let Some(id) = sent.expect("the session lives and it is short") {
                    self.messages[end as usize].insert(id, (label, bytes));
                }
            }
            Action::Retire(end, path) => {
                if let Some(path) = self.pick_path(path) {
                    self.pair.session(end).retire(now, path);
                }
            }
            Action::Metered(path, metered) => {
                if let Some(path) = self.pick_path(path) {
                    let mut sides = anywhere();
                    sides.remote.kinds = Kinds::of(Kind::Cellular);
                    sides.remote.metered = if metered { Fact::Yes } else { Fact::No };
                    for end in End::BOTH {
                        self.pair.session(end).update_path(now, path, sides.clone());
                    }
                }
            }
        }
        while self.pair.session(End::Dialler).accept().is_some() {}
        while self.pair.session(End::Listener).accept().is_some() {}
    }

    fn is_old(&mut self, end: End, id: StreamId) -> bool {
        self.pair.session(end).was_known(id)
    }

    fn write(&mut self, end: End, id: StreamId, length: usize, label: Label, owned: bool) {
        let now = self.pair.now();
        let written = &mut self.written.get_mut(&id).expect("opened")[end as usize];
        let data: Vec<u8> = (0..length)
            .map(|i| byte(end, id, written.length + i))
            .collect();
        let session = &mut self.pair.sides[end as usize].session;
        let result = if owned {
            session.write_bytes(now, id, label, &mut Bytes::from(data))
        } else {
            session.write(now, id, label, &data)
        };
        match result {
            Ok(0) => {}
            Ok(taken) => {
                assert!(!written.shut, "taken after shutdown");
                written.length += taken;
                match written.labels.last_mut() {
                    Some((end, last)) if *last == label => *end = written.length,
                    _ => written.labels.push((written.length, label)),
                }
            }
            Err(StreamError::Shutdown) => assert!(written.shut),
            Err(StreamError::Unknown) => {}
            Err(error) => assert!(written.cut_off, "{error} out of nothing"),
        }
    }

    fn shutdown(&mut self, end: End, id: StreamId) {
        let now = self.pair.now();
        let session = self.pair.session(end);
        let open = session.writable(id).is_ok();
        session.shutdown(now, id);
        if open {
            self.written.get_mut(&id).expect("opened")[end as usize].shut = true;
        }
    }

    /// Receives what there is: each message that was sent, once.
    fn receive(&mut self) {
        let now = self.pair.now();
        for end in End::BOTH {
            while let Some(got) = self.pair.session(end).recv_message(now) {
                let sent = self.messages[end.other() as usize].remove(&got.id);
                assert_eq!(sent, Some((got.label, got.bytes)), "{:?}", got.id);
            }
        }
    }

    /// What was read is what was written, as far as it goes, labels included.
    fn check_prefixes(&self) {
        for (id, directions) in &self.written {
            for end in End::BOTH {
                let side = &self.pair.sides[end.other() as usize];
                let Some(read) = side.read.get(id) else {
                    continue;
                };
                let written = &directions[end as usize];
                assert!(read.len() <= written.length, "more read than written");
                for (offset, got) in read.iter().enumerate() {
                    assert_eq!(*got, byte(end, *id, offset), "{id:?} {end:?} at {offset}");
                }
                // behaviour: I5
                let mut at = 0;
                for (until, label) in side.labels.get(id).into_iter().flatten() {
                    let run = written.labels.partition_point(|(end, _)| *end <= at);
                    assert_eq!(written.labels[run].1, *label, "{id:?} at {at}");
                    assert!(*until <= written.labels[run].0, "a read crossed a label");
                    at = *until;
                }
            }
        }
        for side in &self.pair.sides {
            for event in &side.events {
                let broke = matches!(event, Event::PathClosed(_, PathEnd::Protocol(_)));
                assert!(!broke, "{event:?} between honest ends");
            }
            assert_eq!(side.session.closed(), None);
            let session = &side.session;
            assert!(session.buffered() <= session.config().worst_case_memory());
            for path in session.paths.iter().flatten() {
                assert!(path.outbox.control_left() <= 2 * path::MAX_ANSWERS);
            }
            let open = session
                .open_slots()
                .map(|slot| session.paths[slot].is_some());
            assert_eq!(open.collect::<Vec<_>>(), vec![true; session.paths().len()]);
            // Every byte stands in one place, and is counted there.
            for stream in session.streams.values() {
                stream.send.check();
            }
        }
    }

    fn read_everything(&mut self) {
        for id in self.streams.clone() {
            for end in End::BOTH {
                let _ = self.pair.read_all(end, id);
            }
        }
    }

    /// A path that carries both ways, of which the facts are made to admit everything.
    fn healthy(&mut self) -> Option<PathId> {
        let now = self.pair.now();
        let mut paths = self.pair.paths().into_iter();
        let path = paths.find(|path| {
            let carries = self.pair.sides.iter().all(|side| {
                let slot = side.session.slot(*path);
                let state = slot.and_then(|slot| side.session.paths[slot].as_ref());
                state.is_some_and(|state| state.carries())
            });
            carries && self.pair.is_up(*path)
        })?;
        for end in End::BOTH {
            self.pair.session(end).update_path(now, path, anywhere());
        }
        Some(path)
    }

    /// The storm is over: links work again, and facts forbid nothing. What stays of the paths is a
    /// matter of `calm`.
    fn calm(&mut self, calm: Calm) {
        let spared = self.healthy().filter(|_| calm == Calm::SpareOne);
        let now = self.pair.now();
        for path in self.pair.paths() {
            match calm {
                Calm::MendAll => {
                    for end in End::BOTH {
                        self.pair.darken(path, end, false);
                        self.pair.session(end).update_path(now, path, anywhere());
                    }
                }
                Calm::CutAll | Calm::SpareOne if Some(path) != spared => self.pair.cut(path),
                Calm::CutAll | Calm::SpareOne => {}
            }
        }
        self.pair.run(Duration::from_millis(200));
        if self.healthy().is_none() {
            self.pair.dial(0).expect("the session lives");
        }
    }

    /// Whether everything arrived that nobody cut off.
    fn is_settled(&self) -> bool {
        self.messages.iter().all(BTreeMap::is_empty)
            && self.written.iter().all(|(id, directions)| {
                End::BOTH.into_iter().all(|end| {
                    let written = &directions[end as usize];
                    let read = self.pair.sides[end.other() as usize].read.get(id);
                    let session = &self.pair.sides[end as usize].session;
                    let shut = !written.shut
                        || self.released[id][end as usize]
                        || session.is_shut(*id) == Ok(true);
                    written.cut_off || (read.map_or(0, Vec::len) == written.length && shut)
                })
            })
    }

    /// After the storm: everything arrives that nobody cut off.
    fn settle(&mut self, calm: Calm) {
        self.calm(calm);
        for _ in 0..600 {
            self.pair.run(Duration::from_millis(100));
            self.read_everything();
            self.receive();
            if self.is_settled() {
                break;
            }
        }
        self.check_prefixes();
        assert!(self.messages.iter().all(BTreeMap::is_empty), "{self:#?}");
        for (id, directions) in &self.written {
            for end in End::BOTH {
                let written = &directions[end as usize];
                if written.cut_off {
                    continue;
                }
                let read = &self.pair.sides[end.other() as usize].read;
                let read = read.get(id).map_or(0, Vec::len);
                assert_eq!(read, written.length, "{id:?} {end:?}\n{self:#?}");
                if written.shut && !self.released[id][end as usize] {
                    let session = &self.pair.sides[end as usize].session;
                    assert_eq!(session.is_shut(*id), Ok(true), "{id:?} {end:?}");
                }
            }
        }
    }

    /// And the session ends well.
    fn close(&mut self) {
        let now = self.pair.now();
        for end in End::BOTH {
            for id in self.streams.clone() {
                self.pair.session(end).release(now, id);
            }
            self.pair.session(end).close(now);
        }
        self.pair.run(Duration::from_secs(5));
        for end in End::BOTH {
            let session = self.pair.session(end);
            assert_eq!(
                session.closed(),
                Some(CloseReason::Finished),
                "{session:#?}"
            );
            assert!(session.streams.is_empty());
            assert!(session.paths().is_empty());
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for side in &self.pair.sides {
            writeln!(f, "{:?}", side.session.streams)?;
            writeln!(f, "{:?}", side.events)?;
        }
        Ok(())
    }
}

fn storm(seed: u64, direct: bool, measures: bool, calm: Calm, actions: &[Action]) {
    let mut world = World::new(seed, direct, measures);
    world.act(&Action::Open(End::Dialler));
    for action in actions {
        world.act(action);
    }
    world.check_prefixes();
    world.settle(calm);
    world.close();
}

proptest! {
    #![proptest_config(cases(10_000))]

    // behaviour: S3, S18, S22, I5
    #[test]
    fn two_cores_agree_with_byte_vectors_through_any_storm(
        seed: u64,
        direct: bool,
        measures: bool,
        calm in prop_oneof![Just(Calm::CutAll), Just(Calm::SpareOne), Just(Calm::MendAll)],
        actions in prop::collection::vec(action(), 0..40),
    ) {
        storm(seed, direct, measures, calm, &actions);
    }
}
