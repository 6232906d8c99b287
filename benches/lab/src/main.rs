//! The lab: two hosts, two networks between them that can be slowed, lost and silenced, and mancom side by side with its peers.

mod check;
mod clock;
mod control;
mod emulator;
mod namespace;
mod node;
mod peer;
mod traffic;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("node") => node::main(std::env::args().nth(2).as_deref().unwrap_or_default()),
        Some("check") => match namespace::isolate().and_then(|()| check::run()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("lab: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: lab check");
            ExitCode::FAILURE
        }
    }
}
