//! This program again, in a process of its own, and what it tells on its standard output.

use std::error::Error;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::show::Show;

type Told = Lines<BufReader<ChildStdout>>;

pub(crate) enum News {
    Received(Instant, u64),
    Sum { of_server: bool, sum: String },
    Over { of_server: bool },
}

pub(crate) fn spawn(arguments: &[&str]) -> Result<(Child, Told), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or("no pipe to the process")?;
    Ok((child, BufReader::new(out).lines()))
}

pub(crate) async fn follow(mut lines: Told, out: mpsc::Sender<News>, show: Show, of_server: bool) {
    while let Ok(Some(line)) = lines.next_line().await {
        let news = match line.split_once(' ') {
            Some(("received", bytes)) => News::Received(Instant::now(), bytes.parse().unwrap_or(0)),
            Some(("sum", sum)) => News::Sum {
                of_server,
                sum: sum.into(),
            },
            _ => {
                show.say(line);
                continue;
            }
        };
        let _ = out.send(news).await;
    }
    let _ = out.send(News::Over { of_server }).await;
}
