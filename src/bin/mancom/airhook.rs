//! `mancom airhook LPORT HOST RPORT`: lines as messages over datagrams that get lost.
//!
//! ```text
//! stdin ── a line, a message ──> core ── packets ──> UDP        each message arrives once, or this end
//! stdout <── as they come ────── core <── packets ── UDP        knows that it is not known to
//! ```
//!
//! Airhook has no close, so the end is a rule of this command: see [`RULE`].

use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::{duration, signals};
use bytes::Bytes;
use mancom::proto::airhook::{Airhook as Core, Event, MAX_MESSAGE, Settings, State};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Stdout, stdin, stdout};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;

/// Shown below the help, with the exit codes.
const RULE: &str = "\
The end: after the end of stdin this waits until the other side has confirmed every line and then has
said nothing for the time of --linger; so it still takes what comes and answers what is repeated. If
something is unconfirmed, or nobody was ever there, and nothing is heard for the time of --give-up, it
says what is not known to have arrived and ends with 4. Interrupted, it says the same and ends with 1.
Nothing here is secret, and nobody is asked who he is. Whoever sees the packets can read and change them;
whoever does not, but forges the address of the other side, can stop the link: without --guarded one such
packet of 4 bytes in some 65,000 (with much under way in some 300) is taken for the other side's. Then
lines may be lost that count as confirmed, and both sides wait in vain until --give-up ends them.";

/// Each line of stdin is a message to another `airhook`, over UDP that may lose, repeat and reorder it.
///
/// A line counts with its newline; of a line longer than 255 bytes every 255 are a message of their own.
/// Incoming messages go to stdout as they come: after a loss a later one may be first.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{RULE}\n\n{}", crate::exit::HELP))]
pub(crate) struct Airhook {
    /// The UDP port here; 0 takes a free one.
    local_port: u16,
    /// The other side: a name or an address.
    host: String,
    /// Its UDP port.
    remote_port: u16,
    /// How long the other side must be silent at the end, as 2, 500ms, 10m.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5")]
    linger: Duration,
    /// How long to wait at the end for an answer to what is unconfirmed.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60")]
    give_up: Duration,
    /// Take only packets that tell both sessions, so that forged ones are of no effect; the other side must
    /// be a mancom with this option too.
    #[arg(long)]
    guarded: bool,
}

/// Lines read ahead.
const AHEAD: usize = 64;
/// The largest packet sent: it fits into an Ethernet frame with IPv6.
const LARGEST: usize = 1_452;
/// Packets taken in one turn before they are answered.
const TURN: usize = 16;

/// The link and what the end hangs on.
struct Link {
    core: Core,
    socket: UdpSocket,
    stdout: Stdout,
    /// Messages that are not known to have arrived.
    open: usize,
    /// When stdin ended.
    ended: Option<Instant>,
}

impl Airhook {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let socket = self.socket().await?;
        let mut number = [0; 4];
        getrandom::fill(&mut number).map_err(io::Error::other)?;
        let session = NonZeroU32::new(u32::from_ne_bytes(number)).unwrap_or(NonZeroU32::MIN);
        let settings = Settings {
            guarded: self.guarded,
            ..Settings::default()
        };
        let mut link = Link {
            core: Core::new(Instant::now(), session, settings),
            socket,
            stdout: stdout(),
            open: 0,
            ended: None,
        };
        let ended = tokio::select! {
            ended = link.talk(self, lines()) => ended.map(Some),
            _ = signals::ended() => Ok(None),
        };
        let known = link.core.status().remote_session.is_some();
        let exit = match ended? {
            Some(Exit::Fine) => return Ok(Exit::Fine),
            Some(exit) if !known => {
                say("nobody answered");
                exit
            }
            Some(exit) => exit,
            None => Exit::Failed,
        };
        if link.open > 0 {
            say(format_args!(
                "not known to have arrived: {} messages",
                link.open
            ));
        }
        Ok(exit)
    }

    /// A socket of the other side's family that only it reaches.
    async fn socket(&self) -> Result<UdpSocket, Failure> {
        let to = lookup_host((self.host.as_str(), self.remote_port)).await;
        let to = to.and_then(|mut found| {
            let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
            found.next().ok_or_else(none)
        });
        let failed = |what: String| {
            move |error: io::Error| Failure::new(Exit::Failed, format!("{what}: {error}"))
        };
        let to = to.map_err(failed(self.host.clone()))?;
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, self.local_port)).await;
        let socket = socket.map_err(failed(format!("port {}", self.local_port)))?;
        socket.connect(to).await.map_err(failed(to.to_string()))?;
        Ok(socket)
    }
}

/// The lines of stdin, cut, until its end.
fn lines() -> mpsc::Receiver<io::Result<Bytes>> {
    let (to, lines) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut stdin = BufReader::new(stdin());
        loop {
            let mut line = Vec::with_capacity(MAX_MESSAGE);
            let most = MAX_MESSAGE.try_into().unwrap_or(u64::MAX);
            let read = (&mut stdin).take(most).read_until(b'\n', &mut line).await;
            let line = match read {
                Ok(0) => return,
                read => read.map(|_| line.into()),
            };
            let failed = line.is_err();
            if to.send(line).await.is_err() || failed {
                return;
            }
        }
    });
    lines
}

impl Link {
    /// Until the end that the rule says.
    async fn talk(
        &mut self,
        how: &Airhook,
        mut lines: mpsc::Receiver<io::Result<Bytes>>,
    ) -> io::Result<Exit> {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            self.take().await?;
            self.flush(&mut buffer).await?;
            let now = Instant::now();
            let end = self.end(how);
            match end {
                Some((at, exit)) if at <= now => return Ok(exit),
                _ => {}
            }
            let due = self.core.poll_timeout();
            let wake = due.into_iter().chain(end.map(|(at, _)| at)).min();
            // No timer is a timer that is looked at again.
            let wake = wake.unwrap_or(now + Duration::from_secs(3_600));
            tokio::select! {
                received = self.socket.recv(&mut buffer) => self.receive(received, &mut buffer)?,
                line = lines.recv(), if self.ended.is_none() && self.core.wanted() > 0 => {
                    self.read(line.transpose()?);
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// When it is over, and how, if nothing happens meanwhile.
    fn end(&self, how: &Airhook) -> Option<(Instant, Exit)> {
        let status = self.core.status();
        let heard = self.ended?.max(status.last_received.unwrap_or(self.ended?));
        match self.open == 0 && status.remote_session.is_some() {
            true => Some((heard + how.linger, Exit::Fine)),
            false => Some((heard + how.give_up, Exit::TimedOut)),
        }
    }

    fn read(&mut self, line: Option<Bytes>) {
        let now = Instant::now();
        let Some(line) = line else {
            self.ended = Some(now);
            return;
        };
        // Neither too long nor too many: what is wanted is far below the queue's bound.
        if self.core.send(now, line).is_ok() {
            self.open += 1;
        }
    }

    /// A packet, and those behind it.
    fn receive(&mut self, first: io::Result<usize>, buffer: &mut [u8]) -> io::Result<()> {
        let mut received = lost(first)?;
        let mut left = TURN;
        while let Some(length) = received {
            // What is rejected is not for us, or will come again.
            let _ = self.core.receive(Instant::now(), &buffer[..length]);
            left -= 1;
            if left == 0 {
                break;
            }
            received = lost(self.socket.try_recv(buffer))?;
        }
        Ok(())
    }

    /// What came goes to stdout.
    async fn take(&mut self) -> io::Result<()> {
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Session(session) => say(format_args!("new remote session {session:08x}")),
                Event::Message(message) => self.stdout.write_all(&message).await?,
                Event::Status(_, status) if status.state == State::Confirmed => self.open -= 1,
                Event::Status(..) => {}
            }
        }
        self.stdout.flush().await
    }

    async fn flush(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let buffer = &mut buffer[..LARGEST];
        while let Some(length) = self
            .core
            .transmit(Instant::now(), buffer)
            .map_err(io::Error::other)?
        {
            // What the system does not take is lost, as what the network does not.
            let _ = self.socket.send(&buffer[..length]).await;
        }
        Ok(())
    }
}

/// That nobody is there, or no network, or nothing more, is no error: packets get lost.
fn lost(received: io::Result<usize>) -> io::Result<Option<usize>> {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, WouldBlock,
    };
    match received {
        Ok(length) => Ok(Some(length)),
        Err(error) => match error.kind() {
            ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted | NetworkDown
            | NetworkUnreachable | WouldBlock => Ok(None),
            _ => Err(error),
        },
    }
}
