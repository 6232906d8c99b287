//! What happens to a transfer when its networks go?
//!
//! A client process sends a file to a server process over two networks, wifi and cellular. Here each
//! network is a TCP forwarder on loopback, so no privilege is needed. You will see each of them taken
//! away in turn, wifi by closing its connections, cellular silently; then both for two seconds; what
//! the stream did about it and how long nothing arrived; and at the end the SHA-256 of both sides.
//!
//! `cargo run --release --example roam [FILE]`; without a file this program itself is sent, repeated
//! to 64 MiB. The exit code is 0 only if the sums agree and each network carried a tenth.

mod client;
mod forwarder;
mod processes;
mod server;
mod show;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use forwarder::{Forwarder, State};
use processes::Processes;
use show::{MB, Show, percent};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        ["--server"] => server::run().await,
        ["--client", wifi, cellular, file] => client::run(wifi, cellular, file).await,
        [] | [_] => tokio::time::timeout(LIMIT, demonstrate(arguments.first()))
            .await
            .unwrap_or_else(|_| Err(format!("not done within {LIMIT:?}").into())),
        _ => Err("usage: roam [FILE]".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roam: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate(file: Option<&String>) -> Result<(), Box<dyn Error>> {
    let file = file.map_or_else(std::env::current_exe, |file| Ok(PathBuf::from(file)))?;
    let size = std::fs::metadata(&file)?.len() * client::repeats(&file)?;
    let show = Show::start();
    let mut processes = Processes::start(show).await?;
    // Fast enough that the whole takes a quarter of a minute, whatever the size.
    let wifi = Forwarder::start(processes.server(), size / 6).await?;
    let cellular = Forwarder::start(processes.server(), size / 12).await?;
    show.say(format!("{:.1} MB of {} are to be sent", size as f64 / MB, file.display()));
    for (name, network) in [("wifi", &wifi), ("cellular", &cellular)] {
        show.say(format!("{name} is there: {:.1} MB/s", network.rate() as f64 / MB));
    }
    processes.start_client(&wifi, &cellular, &file)?;

    processes.received(size / 6).await?;
    show.say("CUT      wifi is taken away: its connections close, new ones are refused");
    wifi.set(State::Closed);
    let closed = processes.recovery().await?;

    processes.received(size / 3).await?;
    show.say("CUT      cellular falls silent; wifi is back");
    cellular.set(State::Silent);
    wifi.set(State::Open);
    let silent = processes.recovery().await?;

    processes.received(size / 2).await?;
    show.say("CUT      both are taken away");
    wifi.set(State::Closed);
    cellular.set(State::Closed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    show.say("RETURN   cellular is back, wifi a second later");
    cellular.set(State::Open);
    let both = processes.recovery().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    wifi.set(State::Open);

    let [sent, received] = processes.sums().await?;
    let all = (wifi.carried() + cellular.carried()) as f64;
    let [by_wifi, by_cellular] = [&wifi, &cellular].map(|one| one.carried() as f64);
    show.say(format!("bytes by the forwarders' count: wifi {:.1} MB ({}), cellular {:.1} MB ({})",
        by_wifi / MB, percent(by_wifi / all), by_cellular / MB, percent(by_cellular / all)));
    show.say(format!("nothing arrived for {closed:.2?} at the first cut, {silent:.2?} at the silent one,"));
    show.say(format!("{both:.2?} at that of both, two seconds of which there was no network"));
    show.say(format!("SHA-256 sent      {sent}"));
    show.say(format!("SHA-256 received  {received}"));
    if sent != received {
        return Err("the sums differ".into());
    }
    if by_wifi.min(by_cellular) < all / 10.0 {
        return Err("a network carried less than a tenth".into());
    }
    show.say("equal: not a byte was lost, repeated or reordered");
    Ok(())
}
