//! Two sessions against a model that knows only what was sent and what must be so of what arrives,
//! through whatever can happen to paths.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::proto::cases::cases;

const LABELS: [Label; 4] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND, UNMETERED];

#[derive(Debug, Clone)]
enum Action {
    /// From, label, length, order, what it names.
    Send(End, u8, u16, u8, Vec<u8>),
    /// With a lifetime, ms.
    Mortal(End, u8, u16, u8),
    Cancel(End, u8),
    Relabel(End, u8, u8),
    Receive(End, u8),
    Step(u8),
    Wait(u16),
    Cut(u8),
    Silence(u8),
    Dial(u8),
    Retire(u8),
    Metered(u8, bool),
}

fn action() -> impl Strategy<Value = Action> {
    let b = any::<u8>;
    let end = || prop_oneof![Just(Dialler), Just(Listener)];
    let named = prop::collection::vec(b(), 0..4);
    prop_oneof![
        14 => (end(), b(), 0..5000u16, b(), named)
            .prop_map(|(e, l, n, o, named)| Action::Send(e, l, n, o, named)),
        2 => (end(), b(), 0..5000u16, b()).prop_map(|(e, l, n, t)| Action::Mortal(e, l, n, t)),
        3 => (end(), b()).prop_map(|(e, m)| Action::Cancel(e, m)),
        3 => (end(), b(), b()).prop_map(|(e, m, l)| Action::Relabel(e, m, l)),
        6 => (end(), b()).prop_map(|(e, n)| Action::Receive(e, n)),
        12 => (1..30u8).prop_map(Action::Step),
        2 => (1..100u16).prop_map(Action::Wait),
        3 => b().prop_map(Action::Cut),
        1 => b().prop_map(Action::Silence),
        4 => (0..8u8).prop_map(Action::Dial),
        1 => b().prop_map(Action::Retire),
        2 => (b(), any::<bool>()).prop_map(|(p, m)| Action::Metered(p, m)),
    ]
}

#[derive(Debug)]
struct Sent {
    label: Label,
    /// Its place in the order sent: by the urgency whose order it is in.
    urgency: Urgency,
    turn: usize,
    length: usize,
    order: Order,
    /// It was given up, or tried to be: nothing is promised about its order any more.
    given_up: bool,
}

struct World {
    pair: Pair,
    /// By the end that sent.
    sent: [BTreeMap<MessageId, Sent>; 2],
    turns: usize,
    /// By the end that received.
    received: [Vec<Received>; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let config = Config {
            send_buffer: 16 << 10,
            receive_window: 12 << 10,
            max_streams: 4,
            max_frame: 1 << 10,
            ack_bytes: 2 << 10,
            ..Config::default()
        };
        let mut pair = Pair::new(seed, start(), config.clone(), config);
        pair.weather.capacity = 4 << 10;
        pair.weather.piece = 700;
        pair.weather.slices = 7;
        Self {
            pair,
            sent: Default::default(),
            turns: 0,
            received: Default::default(),
        }
    }

    fn pick(&self, end: End, index: u8) -> Option<MessageId> {
        let sent = &self.sent[end as usize];
        // The latest are the most interesting.
        let back = usize::from(index) % 8;
        sent.keys()
            .rev()
            .nth(back.min(sent.len().checked_sub(1)?))
            .copied()
    }

    fn pick_path(&self, index: u8) -> Option<PathId> {
        let paths = self.pair.paths();
        (!paths.is_empty()).then(|| paths[usize::from(index) % paths.len()])
    }

    fn turn(&mut self) -> usize {
        self.turns += 1;
        self.turns
    }

    /// What has a number on the wire keeps its place in the order sent.
    fn relabel(&mut self, end: End, id: MessageId, label: Label) {
        let (now, turn) = (self.pair.now(), self.turn());
        let session = self.pair.session(end);
        let record = session.messages.out.records.get(&id.0);
        let stays = record.is_some_and(|record| record.seq.is_some());
        if session.relabel_message(now, id, label).is_ok()
            && let Some(sent) = self.sent[end as usize].get_mut(&id)
        {
            sent.label = label;
            if !stays && sent.urgency != label.urgency() {
                (sent.urgency, sent.turn) = (label.urgency(), turn);
            }
        }
    }

    fn send(&mut self, end: End, label: u8, length: u16, order: Order, lifetime: Option<u8>) {
        let now = self.pair.now();
        let label = LABELS[usize::from(label) % LABELS.len()];
        let body = bytes(usize::from(length));
        let expires = lifetime.map(|ms| now + millis(u64::from(ms)));
        let turn = self.turn();
        let session = self.pair.session(end);
        let taken = session.send_message(now, label, &body, &order, expires);
        match taken {
            Ok(Some(id)) => {
                let sent = Sent {
                    label,
                    urgency: label.urgency(),
                    turn,
                    length: body.len(),
                    order,
                    given_up: lifetime.is_some(),
                };
                assert!(self.sent[end as usize].insert(id, sent).is_none());
            }
            Ok(None) => {}
            Err(Refused::DependencyLost(id)) => {
                let fate = self.pair.session(end).message_fate(id);
                assert!(!matches!(
                    fate,
                    Ok(Fate::Pending | Fate::Sent | Fate::Delivered)
                ));
            }
            Err(refused) => panic!("{refused}"),
        }
    }

    fn receive(&mut self, end: End, most: usize) {
        for _ in 0..most {
            let now = self.pair.now();
            let Some(message) = self.pair.session(end).recv_message(now) else {
                return;
            };
            self.received[end as usize].push(message);
        }
    }

    fn act(&mut self, action: &Action) {
        let now = self.pair.now();
        match action {
            Action::Send(end, label, length, order, named) => {
                let order = match order % 4 {
                    0 | 1 => Order::Sent,
                    2 => Order::AfterAll,
                    _ => {
                        let named = named.iter().filter_map(|index| self.pick(*end, *index));
                        Order::After(named.collect())
                    }
                };
                self.send(*end, *label, *length, order, None);
            }
            Action::Mortal(end, label, length, lifetime) => {
                self.send(*end, *label, *length, Order::Sent, Some(*lifetime));
            }
            Action::Cancel(end, index) => {
                if let Some(id) = self.pick(*end, *index) {
                    let fate = self.pair.session(*end).cancel_message(now, id);
                    assert!(!matches!(fate, Err(_) | Ok(Fate::Pending)), "{fate:?}");
                    if let Some(sent) = self.sent[*end as usize].get_mut(&id) {
                        sent.given_up = true;
                    }
                }
            }
            Action::Relabel(end, index, label) => {
                let label = LABELS[usize::from(*label) % LABELS.len()];
                if let Some(id) = self.pick(*end, *index) {
                    self.relabel(*end, id, label);
                }
            }
            Action::Receive(end, most) => self.receive(*end, usize::from(*most) % 8),
            Action::Step(count) => {
                for _ in 0..*count {
                    let until = self.pair.now() + secs(1);
                    self.pair.step(until);
                }
            }
            Action::Wait(ms) => self.pair.run(millis(u64::from(*ms))),
            Action::Cut(path) => {
                if let Some(path) = self.pick_path(*path) {
                    self.pair.cut(path);
                }
            }
            Action::Silence(path) => {
                if let Some(path) = self.pick_path(*path) {
                    self.pair.silence(path);
                }
            }
            Action::Dial(slot) => {
                let _ = self.pair.dial(*slot);
            }
            Action::Retire(path) => {
                if let Some(path) = self.pick_path(*path) {
                    self.pair.session(Dialler).retire(now, path);
                }
            }
            Action::Metered(path, metered) => {
                if let Some(path) = self.pick_path(*path) {
                    meter(&mut self.pair, path, *metered);
                }
            }
        }
        for end in End::BOTH {
            let kept = self.pair.session(end).buffered();
            let overhead = 64 * 1024;
            assert!(
                kept <= 3 * (16 << 10) + 3 * (12 << 10) + overhead,
                "{kept} bytes"
            );
        }
    }

    /// With a path that everything may use, everything comes to an end.
    fn finish(&mut self) {
        for path in self.pair.paths() {
            self.pair.cut(path);
        }
        self.pair.run(secs(2));
        self.pair.dial(1).expect("the session lives");
        for _ in 0..400 {
            self.pair.run(millis(300));
            for end in End::BOTH {
                self.receive(end, usize::MAX);
            }
            let settled = |side: &crate::proto::pair::Side| side.session.messages.is_settled();
            if self.pair.sides.iter().all(settled) {
                break;
            }
        }
        self.pair.run(secs(5));
        for end in End::BOTH {
            self.receive(end, usize::MAX);
        }
    }

    fn check(&mut self) {
        for end in End::BOTH {
            let received = std::mem::take(&mut self.received[end.other() as usize]);
            let sent = &self.sent[end as usize];
            let mut places = BTreeMap::new();
            for (place, message) in received.iter().enumerate() {
                let sent = sent.get(&message.id).expect("nobody sent it");
                assert_eq!(message.label, sent.label, "{:?}", message.id);
                assert_eq!(message.bytes, bytes(sent.length), "{:?}", message.id);
                assert!(
                    places.insert(message.id, place).is_none(),
                    "twice: {message:?}"
                );
            }
            for (id, message) in sent {
                let fate = self.pair.session(end).message_fate(*id).expect("known");
                let arrived = places.get(id);
                match fate {
                    Fate::Delivered => assert!(arrived.is_some(), "{id:?} is gone"),
                    Fate::Pending | Fate::Sent => panic!("{id:?} is {fate:?} for ever"),
                    Fate::DependencyLost(lost) => {
                        assert!(matches!(&message.order, Order::After(ids) if ids.contains(&lost)));
                        assert_eq!(arrived, None);
                    }
                    Fate::Expired | Fate::Cancelled => {
                        assert!(message.given_up, "{id:?} was {fate:?}");
                        assert_eq!(arrived, None);
                    }
                    Fate::Lost { .. } => panic!("the session lives"),
                }
                if let Some(place) = arrived {
                    check_order(sent, &places, *id, message, *place);
                }
            }
            let state = &self.pair.session(end).messages;
            assert!(state.out.records.is_empty(), "{:?}", state.out.records);
            assert_eq!(state.buffered(), 0);
            assert_eq!(state.out.flying, Default::default());
        }
    }
}

fn check_order(
    sent: &BTreeMap<MessageId, Sent>,
    places: &BTreeMap<MessageId, usize>,
    id: MessageId,
    message: &Sent,
    place: usize,
) {
    let comes_after: Vec<MessageId> = match &message.order {
        Order::After(ids) => {
            assert!(ids.iter().all(|before| places.contains_key(before)));
            ids.clone()
        }
        Order::Sent if message.given_up => Vec::new(),
        Order::Sent => {
            let before = sent.iter().filter(|(_, other)| {
                let chained = other.order == Order::Sent && other.urgency == message.urgency;
                chained && other.turn < message.turn && !other.given_up
            });
            before.map(|(id, _)| *id).collect()
        }
        Order::AfterAll => {
            let before = sent.range(..id).filter(|(_, other)| !other.given_up);
            before.map(|(id, _)| *id).collect()
        }
    };
    for before in comes_after {
        if let Some(other) = places.get(&before) {
            assert!(*other < place, "{id:?} came before {before:?}");
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    // behaviour: I1 I2 I3 I4 I5
    #[test]
    fn what_arrives_is_what_was_sent_in_an_order_it_may_have_whatever_happens_to_paths(
        seed in any::<u64>(),
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let mut world = World::new(seed);
        for action in &actions {
            world.act(action);
        }
        world.finish();
        world.check();
    }
}
