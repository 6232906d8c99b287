//! The cores: everything that is a decision, and nothing that is an effect.
//!
//! A core owns no socket, task, clock, lock or source of randomness. A driver holds it, feeds it and
//! carries out what it says; so hours of roaming are tested in milliseconds of virtual time.
//!
//! # The contract
//!
//! - **Input**: what happened (`attach`, `lose`, `receive`, `handle_timeout`) and what the program
//!   wants (`open`, `write`, `read`, `shutdown`). Each takes `now` where time matters; randomness comes
//!   in as an argument.
//! - **Output**: `transmit` (bytes for a path), `poll_event` (what the driver must pass on),
//!   `poll_timeout` (when to call `handle_timeout`, and why).
//! - Any order of calls is legal. After any input a driver offers every path to `transmit`, drains
//!   `poll_event` and looks at `poll_timeout`; doing so too often costs time, never correctness.
//! - Bytes off the wire never panic and never make a core keep more than its stated bounds. A panic is
//!   a bug of this crate.
//! - `now` never goes backwards between calls on one core; a core that is told an earlier time treats
//!   it as no time having passed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

#[cfg(feature = "airhook")]
pub mod airhook;
#[cfg(feature = "airhook")]
pub mod airstream;
#[cfg(test)]
mod cases;
pub(crate) mod codec;
#[cfg(any(test, feature = "test-util"))]
pub mod pair;
pub mod pull;
pub mod schedule;
#[cfg(feature = "test-util")]
pub(crate) mod script;
pub mod session;
