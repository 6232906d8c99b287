//! Two cores and what their programs know: what was written, and that nothing was refused for no reason.

use super::super::messages::{MessageId, Order};
use super::super::*;
use super::action::{Action, LABELS};
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::{Line, Pair, anywhere};

/// The byte that one end writes at one offset of a stream.
pub(super) fn byte(end: End, id: StreamId, offset: usize) -> u8 {
    let place = offset as u64 ^ u64::from(id.0) << 40 ^ (end as u64) << 60;
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8
}

/// One direction of one stream, as its writer knows it.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) length: usize,
    pub(super) labels: Vec<(usize, Label)>,
    pub(super) shut: bool,
    /// Somebody cut the stream off: what is not there is not missed.
    pub(super) cut_off: bool,
}

pub(super) struct World {
    pub(super) pair: Pair,
    pub(super) streams: Vec<StreamId>,
    /// By stream, then by the end that writes.
    pub(super) written: BTreeMap<StreamId, [Written; 2]>,
    pub(super) released: BTreeMap<StreamId, [bool; 2]>,
    /// Messages that were taken and not received, by the end that sent them.
    pub(super) messages: [BTreeMap<MessageId, (Label, Bytes)>; 2],
}

impl World {
    pub(super) fn new(seed: u64, direct: bool, measures: bool) -> Self {
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

    pub(super) fn act(&mut self, action: &Action) {
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
