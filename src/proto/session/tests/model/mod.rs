//! Two cores against a model that is nothing but byte vectors, through whatever can happen.

use proptest::prelude::*;

use super::*;

mod action;
mod judge;
mod world;

use action::{Action, action};
use judge::Calm;
use world::World;

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

/// Two of the paths have no estimates and ask about frames that differ by a byte or so. With one byte
/// the lane arrives first, with one more the other: each named the other, and nothing was ever sent.
// behaviour: S3
#[test]
fn interactive_bytes_go_when_two_paths_would_each_leave_them_to_the_other() {
    let actions = [
        Action::Dial(5),
        Action::Dial(1),
        Action::Dial(2),
        Action::Shape(181, 2, 1245),
        Action::Step(6),
        Action::Message(End::Dialler, 85, 0),
        Action::Step(9),
        Action::Write(End::Dialler, 0, 3773, 127, false),
    ];
    storm(0, false, true, Calm::MendAll, &actions);
}
