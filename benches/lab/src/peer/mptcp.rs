//! Kernel MPTCP over both networks, by endpoints of the client.

use std::io;
use std::process::Command;

use socket2::Protocol;

use super::{Pipe, Setup, tcp};

pub(super) async fn connect(setup: &Setup, backup: bool, tuned: bool) -> io::Result<Vec<Pipe>> {
    prepare(setup, backup)?;
    tune(tuned)?;
    let mut pipes = Vec::new();
    for _ in setup.peer.pipes(&setup.classes) {
        pipes.push(Pipe::of(
            tcp::dial(setup, setup.network(0), Protocol::MPTCP).await?,
        ));
    }
    Ok(pipes)
}

/// How many losses make a subflow stale, at the end that sends: one, or four, as the kernel has it by itself.
pub(super) fn tune(tuned: bool) -> io::Result<()> {
    let losses = if tuned { "1" } else { "4" };
    std::fs::write("/proc/sys/net/mptcp/stale_loss_cnt", losses)
}

/// The first network carries the connection's first subflow; each other is an endpoint.
fn prepare(setup: &Setup, backup: bool) -> io::Result<()> {
    ip("limits set subflow 4 add_addr_accepted 4")?;
    ip("endpoint flush")?;
    for (index, place) in setup.networks.iter().enumerate() {
        let backup = if backup && index > 0 { "backup" } else { "" };
        let (address, name) = (place.address, &place.name);
        ip(&format!(
            "endpoint add {address} dev {name} subflow {backup}"
        ))?;
    }
    Ok(())
}

fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip")
        .arg("mptcp")
        .args(arguments.split_whitespace())
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!(
            "ip mptcp {arguments}: {}",
            said.trim()
        )))
    }
}
