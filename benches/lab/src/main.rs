//! The lab: two hosts, two networks between them that can be slowed, lost and silenced, and mancom side by side with its peers.
//!
//! ```text
//!            orchestrator: this program, in namespaces of its own
//!           ┌──────────────┬──────────────────┬───────────────┐
//!           │ orders       │ faults, counters │        orders │
//!   ┌───────▼────────┐  ┌──▼───────────────┐  ┌──────────────▼─┐
//!   │ node client    │  │ emulator         │  │ node server    │
//!   │  peer, flows   │  │ rate queue delay │  │  peer, flows   │
//!   │      wlan0 ════╪══╪══════════════════╪══╪════ wlan0      │
//!   │      wwan0 ════╪══╪══════════════════╪══╪════ wwan0      │
//!   └────────────────┘  └──────────────────┘  └────────────────┘
//! ```
//!
//! `world` is the middle; `peer` is what is compared; `traffic` is what every peer carries, `work` what each
//! bar measures with it, `report` what is shown of it.

mod args;
mod check;
mod clock;
mod control;
mod emulator;
mod namespace;
mod node;
mod peer;
mod report;
mod requires;
mod system;
mod traffic;
mod work;
mod world;

use std::io;
use std::process::ExitCode;

use args::{Args, USAGE};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.first().map(String::as_str) {
        Some("node") => return node::main(words.get(1).map_or("", String::as_str)),
        Some("check") => match check::Asked::parse(words.into_iter().skip(1)) {
            Ok(asked) => isolate().and_then(|()| check::run(&asked)),
            Err(wrong) => return misused(&wrong),
        },
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => match Args::parse(words.into_iter()) {
            Ok(args) => isolate().and_then(|()| compare(args)),
            Err(wrong) => return misused(&wrong),
        },
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn misused(wrong: &str) -> ExitCode {
    eprintln!("lab: {wrong}\n\n{USAGE}");
    ExitCode::from(2)
}

fn isolate() -> io::Result<()> {
    requires::machine()?;
    namespace::isolate()
}

/// Runs the workloads; a bar that is not met is shown, but is no failure of the lab.
fn compare(mut args: Args) -> io::Result<bool> {
    let _mine = requires::folder(&args.out)?;
    args.mptcp = requires::has_mptcp();
    if !args.mptcp {
        eprintln!(
            "this kernel has no MPTCP (CONFIG_MPTCP, net.mptcp.enabled): its peers are left out"
        );
    }
    if let Some(name) = args
        .congestions()
        .iter()
        .find(|name| !requires::has_congestion(name))
    {
        let what = format!(
            "this kernel has no {name} (modprobe tcp_{name}), or choose one with --congestion"
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    let sheets = work::run(&args)?;
    report::print_summary(&sheets);
    let verdicts: Vec<_> = sheets.iter().flat_map(|sheet| &sheet.verdicts).collect();
    let met = verdicts.iter().filter(|verdict| verdict.met()).count();
    println!(
        "{met} of {} bars met; everything is in {}",
        verdicts.len(),
        args.out.display()
    );
    Ok(true)
}
