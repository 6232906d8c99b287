//! The two processes, and what is known of them.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio::sync::mpsc;

use super::child::{News, follow, spawn};
use super::show::Show;

pub(crate) struct Processes {
    show: Show,
    pub(crate) server: SocketAddr,
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
        let server = first.strip_prefix("at ").ok_or("no server")?.parse()?;
        tokio::spawn(follow(lines, out.clone(), show, true));
        let last = (Instant::now(), 0);
        let (children, sums) = (vec![child], [None, None]);
        Ok(Self {
            show,
            server,
            children,
            out,
            news,
            last,
            sums,
        })
    }

    pub(crate) fn start_client(
        &mut self,
        [wifi, cellular]: [SocketAddr; 2],
        file: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let file = file.to_str().ok_or("the file's name is not UTF-8")?;
        let (wifi, cellular) = (wifi.to_string(), cellular.to_string());
        let (child, lines) = spawn(&["--client", &wifi, &cellular, file])?;
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
            Some(News::Over { of_server }) if self.sums[usize::from(of_server)].is_some() => {}
            _ => return Err("a process ended early".into()),
        }
        Ok(())
    }
}
