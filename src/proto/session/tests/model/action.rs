//! What can happen in a storm.

use proptest::prelude::*;

use super::super::*;
use crate::label::Prop;

pub(super) const LABELS: [Label; 6] = [
    Label::ANY,
    Label::INTERACTIVE,
    Label::BACKGROUND,
    Label::new().prohibit(Prop::Metered),
    Label::INTERACTIVE.redundant(),
    Label::BACKGROUND.prohibit(Prop::Metered),
];

#[derive(Debug, Clone)]
pub(super) enum Action {
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

pub(super) fn action() -> impl Strategy<Value = Action> {
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
