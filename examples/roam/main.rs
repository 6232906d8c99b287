//! What happens to a transfer when its networks go?
//!
//! A client process sends a file to a server process over two networks, wifi and cellular. Here each
//! network is a TCP forwarder on loopback, so no privilege is needed. You will see each of them taken
//! away in turn, wifi by closing its connections, cellular silently; then both for two seconds; what
//! the stream did about it and how long nothing arrived; and at the end the SHA-256 of both sides.
//!
//! `cargo run --release --example roam [FILE]`; without a file this program itself is sent, repeated
//! to 64 MiB. The exit code is 0 only if the sums agree and each network carried a tenth.

mod child;
mod client;
mod forwarder;
mod line;
mod processes;
mod server;
mod show;
mod transport;
mod verdict;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use forwarder::{Forwarder, State};
use processes::Processes;
use show::{Show, mb};

/// A file of more bytes may take longer, in proportion.
const LARGE: f64 = 512e6;
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        ["--server"] => server::run().await,
        ["--client", wifi, cellular, file] => client::run(wifi, cellular, file).await,
        [] => demonstrate(None).await,
        [file] => demonstrate(Some(file)).await,
        _ => Err("usage: roam [FILE]".into()),
    };
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };
    eprintln!("roam: {error}");
    ExitCode::FAILURE
}

async fn demonstrate(file: Option<&str>) -> Result<(), Box<dyn Error>> {
    let file = file.map_or_else(std::env::current_exe, |file| Ok(PathBuf::from(file)))?;
    let size = std::fs::metadata(&file)?.len() * client::repeats(&file)?;
    let limit = LIMIT.mul_f64((size as f64 / LARGE).max(1.0));
    match tokio::time::timeout(limit, roam(&file, size)).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("not done within {limit:.0?}").into()),
    }
}

async fn roam(file: &Path, size: u64) -> Result<(), Box<dyn Error>> {
    let show = Show::start();
    let mut processes = Processes::start(show).await?;
    // Fast enough that the whole takes a quarter of a minute, whatever the size.
    let wifi = Forwarder::start(processes.server, size / 6).await?;
    let cellular = Forwarder::start(processes.server, size / 12).await?;
    let (fast, slow) = (mb(wifi.rate()), mb(cellular.rate()));
    show.say(format!(
        "wifi {fast} MB/s, cellular {slow} MB/s, {} MB to send",
        mb(size)
    ));
    processes.start_client([wifi.at(), cellular.at()], file)?;

    processes.received(size / 6).await?;
    show.say("CUT      wifi is taken away: its connections close, new ones are refused");
    wifi.set(State::Closed);
    let closed = processes.recovery().await?;

    processes.received(size * 3 / 8).await?;
    show.say("CUT      cellular falls silent; wifi is back");
    cellular.set(State::Silent);
    wifi.set(State::Open);
    let silent = processes.recovery().await?;

    processes.received(size * 7 / 12).await?;
    show.say("CUT      both are taken away");
    wifi.set(State::Closed);
    cellular.set(State::Closed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    show.say("RETURN   cellular is back");
    cellular.set(State::Open);
    let both = processes.recovery().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    show.say("RETURN   wifi is back: what fell often is dialled again once it stood for a while");
    wifi.set(State::Open);

    let sums = processes.sums().await?;
    verdict::give(show, sums, [&wifi, &cellular], [closed, silent, both])
}
