//! Any bytes as frames, and any program, peer and link around a session.

mod frames;
mod kept;
mod script;

pub(crate) use frames::frames;
pub(crate) use script::session;
