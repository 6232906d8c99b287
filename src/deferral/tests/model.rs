//! Random histories against what must hold at every rest.

use super::*;
use crate::deferral::line::Role;
use crate::deferral::wait::Hold;
use crate::network::NetworkId;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// A wait for this label, with a priority and perhaps a deadline or a looser label.
    Begin(usize, i8, Option<u64>, Option<(u64, usize)>),
    Poll(usize),
    /// A watch over the match of this label, if there is one.
    Watch(usize),
    Drop(usize),
    Cancel(usize),
    Up(usize),
    Down(usize),
    /// Forbids everything on this network, or nothing any more.
    Forbid(Option<usize>),
    /// Lets the registry's task run for a moment only.
    Yield,
    Advance(u64),
}

const NAMES: [&str; 3] = ["wlan0", "wlan1", "wlan2"];

fn step() -> impl Strategy<Value = Step> {
    let label = 0..NAMES.len();
    let seconds = proptest::option::weighted(0.3, 0..20_u64);
    let relax = proptest::option::weighted(0.2, (0..20_u64, label.clone()));
    prop_oneof![
        8 => (label.clone(), -1..2_i8, seconds, relax)
            .prop_map(|(label, priority, within, relax)| Step::Begin(label, priority, within, relax)),
        4 => (0..100_usize).prop_map(Step::Poll),
        2 => label.clone().prop_map(Step::Watch),
        2 => (0..100_usize).prop_map(Step::Drop),
        1 => label.clone().prop_map(Step::Cancel),
        2 => label.clone().prop_map(Step::Up),
        3 => label.clone().prop_map(Step::Down),
        2 => proptest::option::of(label).prop_map(Step::Forbid),
        3 => Just(Step::Yield),
        2 => (0..10_u64).prop_map(Step::Advance),
    ]
}

fn named(name: usize) -> Label {
    Label::new().interface(NAMES[name])
}

fn forbidding(name: Option<usize>) -> Policy {
    let rule = |name: usize| {
        let on = format!("if={}", NAMES[name]);
        matching::Rule::new("any", &on, "mancom.toml", 1).expect("a rule")
    };
    Policy {
        rules: name.into_iter().map(rule).collect(),
        ..Policy::default()
    }
}

/// A wait, and what is known of it.
struct Waiting {
    wait: Wait,
    bell: Arc<Bell>,
    /// How often its bell had rung when it was polled last.
    seen: usize,
    operation: Operation,
}

impl Waiting {
    /// Polls it; true if it is over.
    fn poll(&mut self) -> bool {
        let over = self.bell.poll(&mut self.wait).is_ready();
        self.seen = self.bell.rung();
        over
    }
}

/// A watch over the match of a network, while it is there or while it is lost.
struct Watching {
    hold: Hold,
    label: Label,
    id: NetworkId,
    lost: bool,
    bell: Arc<Bell>,
    seen: usize,
}

impl Watching {
    fn new(world: &World, label: Label, id: NetworkId, lost: bool) -> Self {
        let role = match lost {
            true => Role::Regain(id),
            false => Role::Hold(id),
        };
        let mut watching = Watching {
            hold: world.registry.hold(label, role, None),
            label,
            id,
            lost,
            bell: Bell::new(),
            seen: 0,
        };
        assert!(!watching.poll(), "made on what is so");
        watching
    }

    /// Polls it; true if the match turned.
    fn poll(&mut self) -> bool {
        self.seen = self.bell.rung();
        let mut ended = std::future::poll_fn(|cx| self.hold.poll_ended(cx));
        self.bell.poll(&mut ended).is_ready()
    }

    /// Told if the match turned, and then on the watch for the other turn.
    fn rest(mut self, world: &World) -> Self {
        let to = Destination::Unnamed;
        let admitted = world.registry.candidates(&self.label, &to);
        let admitted = admitted.is_ok_and(|all| all.iter().any(|one| one.id() == self.id));
        if admitted == self.lost {
            assert!(self.bell.rung() > self.seen, "a watch was forgotten");
            assert!(self.poll());
            return Watching::new(world, self.label, self.id, !self.lost);
        }
        self
    }
}

async fn play(steps: Vec<Step>) {
    let world = World::new();
    let log = Arc::default();
    let mut all: Vec<Waiting> = Vec::new();
    let mut watches: Vec<Watching> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Begin(label, priority, within, relax) => {
                let want = Want {
                    priority,
                    deadline: within.map(|s| crate::clock::Clock::now() + Duration::from_secs(s)),
                    relax: relax.map(|(s, other)| (Duration::from_secs(s), named(other))),
                    ..Want::new(named(label))
                };
                let operation = Operation::new();
                let mut waiting = Waiting {
                    wait: world.registry.wait(want, &operation),
                    bell: Bell::numbered(number, &log),
                    seen: 0,
                    operation,
                };
                if !waiting.poll() {
                    all.push(waiting);
                }
            }
            Step::Poll(at) if !all.is_empty() => {
                let at = at % all.len();
                if all[at].poll() {
                    all.remove(at);
                }
            }
            Step::Watch(label) => {
                let label = named(label);
                let found = world.registry.candidates(&label, &Destination::Unnamed);
                let ids = found.iter().flatten().map(Network::id);
                watches.extend(ids.map(|id| Watching::new(&world, label, id, false)));
            }
            Step::Drop(at) if !all.is_empty() => drop(all.remove(at % all.len())),
            Step::Poll(_) | Step::Drop(_) => {}
            Step::Cancel(label) => {
                world.registry.cancel(named(label));
            }
            Step::Up(name) => world.up(Network::wifi(NAMES[name])),
            Step::Down(name) => world.down(NAMES[name]),
            Step::Forbid(name) => world.registry.set_policy(forbidding(name)),
            Step::Yield => tokio::task::yield_now().await,
            Step::Advance(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    }
    for _ in 0..2 {
        rest(&mut all).await;
        let turned = watches.into_iter().map(|watching| watching.rest(&world));
        watches = turned.collect();
        world.registry.set_policy(Policy::default());
    }
    rest(&mut all).await;
    let listed: Vec<_> = world
        .registry
        .pending()
        .into_iter()
        .map(|one| one.id)
        .collect();
    let waiting: Vec<_> = all.iter().map(|waiting| waiting.operation.id()).collect();
    assert_eq!(listed, waiting);
    // With every network there all are told, once, those of one label and priority in order.
    let before: Vec<_> = all.iter().map(|waiting| waiting.bell.rung()).collect();
    for name in NAMES {
        world.up(Network::wifi(name));
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    for (waiting, before) in all.iter_mut().zip(before) {
        assert_eq!(waiting.bell.rung(), before + 1);
        assert!(waiting.poll());
    }
    drop((all, watches));
    assert!(world.is_empty());
}

/// Whoever could go on now has been told so, and whoever was not told cannot.
async fn rest(all: &mut Vec<Waiting>) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    all.retain_mut(|waiting| {
        let told = waiting.bell.rung() > waiting.seen;
        let over = waiting.poll();
        assert!(told || !over, "{:?} was forgotten", waiting.operation);
        !over
    });
}

proptest! {
    // behaviour: W5, W7, I10, R1, R6, G4
    #[test]
    fn nobody_is_forgotten_and_nothing_is_left(steps in proptest::collection::vec(step(), 1..80)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(steps));
    }
}
