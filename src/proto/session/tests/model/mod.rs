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
