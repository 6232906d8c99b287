//! Two cores against a model that is nothing but byte vectors, through whatever can happen.

use proptest::prelude::*;
use proptest::test_runner::Config as ProptestConfig;

use super::*;

mod action;
mod judge;
mod world;

use action::{Action, action};
use judge::Calm;
use world::World;

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
