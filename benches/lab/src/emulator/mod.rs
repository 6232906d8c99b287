//! The emulator.

pub(crate) mod trace;
