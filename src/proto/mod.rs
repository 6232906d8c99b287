//! Sans-I/O cores.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod session;
