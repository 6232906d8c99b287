//! What the fuzz targets in `tests/fuzz` do with an input. No promise is made of anything here.
//!
//! Each target is a plain function that panics where something does not hold: cargo-fuzz calls it with
//! inputs of its own, and an ordinary test with all that are kept.

use std::sync::LazyLock;
use std::time::Instant;

use crate::proto;
use crate::proto::pair::{self, Seeded, offer};
use crate::proto::session::Config;
use crate::proto::session::handshake::Agreed;

/// A function that panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target and its name, which is that of its folder of inputs.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(feature = "airhook")]
    ("airhook", airhook),
    #[cfg(feature = "airhook")]
    ("airstream", airstream),
    ("endpoint", endpoint),
    ("frames", frames),
    ("handshake", handshake),
    ("label", label),
    ("session", session),
];

/// What any two ends agreed on.
static AGREED: LazyLock<[Agreed; 2]> = LazyLock::new(|| {
    let config = Config::default();
    pair::handshake(&mut Seeded::new(1), offer(&config), offer(&config))
});

/// Two ends of an Airhook link, and a script of what becomes of their packets.
#[cfg(feature = "airhook")]
pub fn airhook(bytes: &[u8]) {
    proto::airhook::fuzz::airhook(bytes, Instant::now());
}

/// A stream over Airhook, and a script of what its far end says.
#[cfg(feature = "airhook")]
pub fn airstream(bytes: &[u8]) {
    proto::airstream::fuzz::airstream(bytes, Instant::now());
}

/// A text, read as an endpoint, attributes and a path.
pub fn endpoint(bytes: &[u8]) {
    crate::endpoint::fuzz::endpoint(bytes);
}

/// The frames of a session, however they are cut.
pub fn frames(bytes: &[u8]) {
    proto::session::fuzz::frames(bytes);
}

/// What a listener or a dialler is sent, and honest ends with somebody between them.
pub fn handshake(bytes: &[u8]) {
    proto::session::handshake::fuzz::handshake(bytes, &AGREED);
}

/// What honest far ends say, as [`handshake`] reads it, by name.
pub fn honest_handshakes() -> Vec<(&'static str, Vec<u8>)> {
    proto::session::handshake::fuzz::honest(&AGREED)
}

/// A text, read as a label.
pub fn label(bytes: &[u8]) {
    crate::label::fuzz::label(bytes);
}

/// Two sessions, and a script of what happens to them.
pub fn session(bytes: &[u8]) {
    proto::session::fuzz::session(bytes, &AGREED, Instant::now());
}
