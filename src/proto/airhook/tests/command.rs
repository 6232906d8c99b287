//! The loop of `mancom airhook` at both ends, which sends each line as soon as it is read, over a link
//! with a queue at each station, on machines that now and then do something else for a while.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::proto::pair::Seeded;

const LINES: usize = 800;
/// Worlds in which two ends waited for each other for ever, or took a late acknowledgement for one of what
/// had its number then.
const ONCE_BAD: [u64; 11] = [
    40, 61, 202, 456, 570, 1_375, 3_247, 4_080, 4_227, 4_456, 4_605,
];
/// Datagrams that wait at a station; beyond it they are lost.
const QUEUE: usize = 250;
/// Datagrams taken in one turn.
const TURN: usize = 16;
const LARGEST: usize = 1_452;
/// So long that of so many probes one gets through.
const LINGER: Duration = Duration::from_secs(30);
const GIVE_UP: Duration = Duration::from_secs(60);

/// One end, as the command has it.
#[derive(Debug)]
struct Program {
    core: Airhook,
    unread: usize,
    open: usize,
    ended: Option<Instant>,
    /// How often each line came.
    came: BTreeMap<Bytes, u32>,
    sessions: usize,
    over: Option<bool>,
}

impl Program {
    fn new(now: Instant, number: u32, settings: Settings) -> Self {
        Self {
            core: Airhook::new(now, session(number), settings),
            unread: LINES,
            open: 0,
            ended: None,
            came: BTreeMap::new(),
            sessions: 0,
            over: None,
        }
    }

    fn reads(&self) -> bool {
        self.ended.is_none() && self.core.wanted() > 0
    }

    /// When it is over, and whether well, if nothing happens meanwhile.
    fn end(&self) -> Option<(Instant, bool)> {
        let status = self.core.status();
        let heard = self.ended?.max(status.last_received.unwrap_or(self.ended?));
        match self.open == 0 && status.remote_session.is_some() {
            true => Some((heard + LINGER, true)),
            false => Some((heard + GIVE_UP, false)),
        }
    }

    /// What the next turn waits for, besides packets.
    fn wake(&self) -> Option<Instant> {
        let end = self.end().map(|(at, _)| at);
        self.core.poll_timeout().into_iter().chain(end).min()
    }

    fn read(&mut self, now: Instant, of: usize) {
        if self.unread == 0 {
            self.ended = Some(now);
            return;
        }
        let line = format!("line {} of {of}", LINES - self.unread);
        self.unread -= 1;
        self.core.send(now, line).expect("room");
        self.open += 1;
    }

    fn look(&mut self) {
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Session(_) => self.sessions += 1,
                Event::Message(line) => *self.came.entry(line).or_default() += 1,
                Event::Status(_, status) if status.state == State::Confirmed => self.open -= 1,
                Event::Status(..) => {}
            }
        }
    }
}

/// The ends are stations 0 and 1, the relay that carries from them 2 and 3.
#[derive(Debug)]
struct World {
    now: Instant,
    chance: Seeded,
    programs: [Program; 2],
    queues: [VecDeque<Vec<u8>>; 4],
    /// When each station has time.
    free: [Instant; 4],
    /// What comes after the next one.
    held: [Option<Vec<u8>>; 2],
    /// Whether the relay knows where that end is.
    seen: [bool; 2],
    /// The longest that a station is away.
    away: Duration,
    /// Of a thousand turns, how many a station is away after.
    often: u64,
}

impl World {
    fn new(seed: u64, guarded: bool) -> Self {
        let now = start();
        let mut chance = Seeded::new(seed);
        let settings = Settings {
            guarded,
            ..Settings::default()
        };
        let programs = [1, 2].map(|number| Program::new(now, number, settings.clone()));
        let apart = pick(&mut chance, &[0, 100, 1_000, 5_000, 100_000, 1_500_000]);
        let away = pick(&mut chance, &[0, 300, 3_000, 30_000, 300_000, 2_000_000]);
        let mut free = [now; 4];
        free[1] += Duration::from_micros(chance.below(apart + 1));
        Self {
            now,
            programs,
            queues: Default::default(),
            free,
            held: [None, None],
            seen: [false; 2],
            away: Duration::from_micros(away),
            often: pick(&mut chance, &[1, 5, 30, 200]),
            chance,
        }
    }

    /// When a station has something to do.
    fn due(&self, station: usize) -> Option<Instant> {
        let free = self.free[station];
        let waits = !self.queues[station].is_empty();
        match self.programs.get(station) {
            Some(program) if program.over.is_some() => None,
            Some(program) if waits || program.reads() => Some(free),
            Some(program) => program.wake().map(|at| at.max(free)),
            None => waits.then_some(free),
        }
    }

    fn step(&mut self) -> bool {
        let due = (0..4).filter_map(|station| Some((self.due(station)?, station)));
        let Some((at, station)) = due.min() else {
            return false;
        };
        self.now = self.now.max(at);
        match station {
            0 | 1 => self.turn(station),
            _ => self.relay(station - 2),
        }
        let mut busy = Duration::from_micros(5 + self.chance.below(30));
        if self.chance.below(1_000) < self.often {
            let away = u64::try_from(self.away.as_micros()).unwrap();
            busy += Duration::from_micros(self.chance.below(away + 1));
        }
        self.free[station] = self.now + busy;
        true
    }

    fn put(&mut self, station: usize, packet: Vec<u8>) {
        if self.queues[station].len() < QUEUE {
            self.queues[station].push_back(packet);
            self.free[station] = self.free[station].max(self.now);
        }
    }

    fn turn(&mut self, end: usize) {
        let program = &mut self.programs[end];
        let packets = !self.queues[end].is_empty();
        let reads = program.reads();
        if packets && (!reads || self.chance.below(2) == 0) {
            for _ in 0..TURN {
                let Some(packet) = self.queues[end].pop_front() else {
                    break;
                };
                let _ = program.core.receive(self.now, &packet);
            }
        } else if reads {
            program.read(self.now, end);
        }
        program.look();
        let due = std::iter::from_fn(|| due_within(&mut program.core, self.now, LARGEST));
        let out: Vec<_> = due.take(10_000).collect();
        assert!(out.len() < 10_000, "it never falls silent");
        let over = program.end().filter(|(at, _)| *at <= self.now);
        program.over = over.map(|(_, well)| well);
        for packet in out {
            self.put(2 + end, packet);
        }
    }

    fn relay(&mut self, from: usize) {
        let Some(packet) = self.queues[2 + from].pop_front() else {
            return;
        };
        self.seen[from] = true;
        if !self.seen[1 - from] {
            return;
        }
        match self.chance.below(100) {
            0..20 => {}
            20..30 => self.held[from] = Some(packet),
            draw => {
                if draw < 40 {
                    self.put(1 - from, packet.clone());
                }
                self.put(1 - from, packet);
                if let Some(held) = self.held[from].take() {
                    self.put(1 - from, held);
                }
            }
        }
    }

    /// Until both are over; what is wrong then.
    fn run(&mut self) -> Option<String> {
        let until = self.now + 1_000 * SECOND;
        while self.programs.iter().any(|program| program.over.is_none()) {
            if !self.step() || self.now > until {
                let ends = self.programs.each_ref();
                let ends = ends.map(|end| (end.open, end.core.sender.open(), end.core.status()));
                return Some(format!("still at it: {ends:?}"));
            }
        }
        self.programs.iter().find_map(|end| {
            let twice = end.came.values().filter(|times| **times > 1).count();
            let lost = LINES - end.came.len();
            let (over, sessions) = (end.over, end.sessions);
            let well = (twice, lost, over, sessions) == (0, 0, Some(true), 1);
            let said = || format!("{twice} twice, {lost} lost, {sessions} sessions, over {over:?}");
            (!well).then(said)
        })
    }
}

fn pick(chance: &mut Seeded, of: &[u64]) -> u64 {
    let at = chance.below(of.len().try_into().expect("few"));
    of[usize::try_from(at).expect("few")]
}

// behaviour: AH-02, AH-13
#[test]
fn every_line_comes_once_and_both_ends_end() {
    for guarded in [false, true] {
        for seed in ONCE_BAD.into_iter().chain(0..cases(20).cases.into()) {
            let wrong = World::new(seed, guarded).run();
            assert_eq!(wrong, None, "seed {seed}, guarded {guarded}");
        }
    }
}
