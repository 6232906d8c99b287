//! The two processes, this program again, and what they tell on their standard output.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::forwarder::Forwarder;
use super::show::Show;

type Told = Lines<BufReader<ChildStdout>>;

enum News {
    Received(Instant, u64),
    Sum { of_server: bool, sum: String },
    Over,
}

pub(crate) struct Processes {
    show: Show,
    server: SocketAddr,
    children: Vec<Child>,
    out: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    /// When bytes last arrived, and how many there are.
    last: (Instant, u64),
    /// By the client, by the server.
    sums: [Option<String>; 2],
}

impl Processes {
    pub(crate) async fn start(show: Show) -> Result<Self, Box<dyn Error>> {
        let (out, news) = mpsc::channel(1 << 16);
        let (child, mut lines) = spawn(&["--server"])?;
        let first = lines.next_line().await?.unwrap_or_default();
        let server = first.strip_prefix("at ").ok_or("the server did not start")?.parse()?;
        tokio::spawn(follow(lines, out.clone(), show, true));
        let last = (Instant::now(), 0);
        Ok(Self { show, server, children: vec![child], out, news, last, sums: [None, None] })
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn start_client(&mut self, wifi: &Forwarder, cellular: &Forwarder, file: &Path) -> Result<(), Box<dyn Error>> {
        let file = file.to_str().ok_or("the file's name is not UTF-8")?;
        let (child, lines) = spawn(&["--client", &wifi.at().to_string(), &cellular.at().to_string(), file])?;
        tokio::spawn(follow(lines, self.out.clone(), self.show, false));
        self.children.push(child);
        Ok(())
    }

    /// Waits until the server has so many bytes.
    pub(crate) async fn received(&mut self, bytes: u64) -> Result<(), Box<dyn Error>> {
        while self.last.1 < bytes {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits until bytes flow again after a cut; the longest time in which none arrived.
    pub(crate) async fn recovery(&mut self) -> Result<Duration, Box<dyn Error>> {
        let (mut longest, flows) = (Duration::ZERO, self.last.1 + (1 << 20));
        while self.last.1 < flows {
            let before = self.last.0;
            self.next().await?;
            longest = longest.max(self.last.0 - before);
        }
        Ok(longest)
    }

    /// What the client sent and what the server received, once both processes ended well.
    pub(crate) async fn sums(mut self) -> Result<[String; 2], Box<dyn Error>> {
        while self.sums.contains(&None) {
            self.next().await?;
        }
        for mut child in self.children {
            if !child.wait().await?.success() {
                return Err("a process failed".into());
            }
        }
        Ok(self.sums.map(Option::unwrap_or_default))
    }

    async fn next(&mut self) -> Result<(), Box<dyn Error>> {
        match self.news.recv().await {
            Some(News::Received(at, bytes)) => self.last = (at, bytes),
            Some(News::Sum { of_server, sum }) => self.sums[usize::from(of_server)] = Some(sum),
            Some(News::Over) if self.sums.contains(&None) => return Err("a process ended early".into()),
            Some(News::Over) | None => {}
        }
        Ok(())
    }
}

fn spawn(arguments: &[&str]) -> Result<(Child, Told), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().ok_or("no pipe to the process")?;
    Ok((child, BufReader::new(out).lines()))
}

async fn follow(mut lines: Told, out: mpsc::Sender<News>, show: Show, of_server: bool) {
    while let Ok(Some(line)) = lines.next_line().await {
        let news = match line.split_once(' ') {
            Some(("received", bytes)) => News::Received(Instant::now(), bytes.parse().unwrap_or(0)),
            Some(("sum", sum)) => News::Sum { of_server, sum: sum.into() },
            _ => {
                show.say(line);
                continue;
            }
        };
        let _ = out.send(news).await;
    }
    let _ = out.send(News::Over).await;
}
