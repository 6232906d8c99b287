//! A connection to a daemon: whom to believe, and what it says.

use super::error::Away;
use super::socket;
use super::wire::{self, LONGEST, Line, Lines};
use crate::network::Snapshot;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout_at};

/// A daemon that says nothing for so long is away.
const SILENCE: Duration = Duration::from_secs(30);

/// No daemon says so many lines within a second, not even to who slept while they gathered.
const CHATTER: u32 = 1000;

/// What concerns a subscriber of what a daemon says.
pub(super) enum Heard {
    Snapshot(Arc<Snapshot>),
    Looked(u64),
    Alive,
}

pub(super) struct Connection {
    pub(super) instance: String,
    lines: Lines<OwnedReadHalf>,
    write: OwnedWriteHalf,
    /// When something was heard last.
    last: Instant,
    /// Since when lines are counted, and how many there were.
    chatter: (Instant, u32),
}

impl Connection {
    /// Connects to a daemon that can be believed, and has its first snapshot.
    pub(super) async fn open(path: &Path) -> Result<(Self, Arc<Snapshot>), Away> {
        let stream = UnixStream::connect(path).await.map_err(Away::Unreachable)?;
        let user = stream.peer_cred().map_err(Away::Unreachable)?.uid();
        believe(user, socket::own_user().map_err(Away::Unreachable)?)?;
        let (read, write) = stream.into_split();
        let mut lines = Lines::new(read, LONGEST);
        let hello = lines.next().await?.ok_or(Away::Closed)?;
        if let Some(why) = hello.refused {
            return Err(Away::Refused(why));
        }
        match hello.mancom_scout {
            Some(wire::VERSION) => {}
            Some(other) => return Err(Away::Version(other)),
            None => return Err(Away::NoScout),
        }
        if hello.network_namespace != wire::network_namespace() {
            return Err(Away::Elsewhere);
        }
        let mut connection = Connection {
            instance: hello.instance.unwrap_or_default(),
            lines,
            write,
            last: Instant::now(),
            chatter: (Instant::now(), 0),
        };
        loop {
            if let Heard::Snapshot(first) = connection.next().await? {
                return Ok((connection, first));
            }
        }
    }

    /// What the daemon says next.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has arrived is kept.
    pub(super) async fn next(&mut self) -> Result<Heard, Away> {
        let line = timeout_at(self.last + SILENCE, self.lines.next()).await;
        let line = line.map_err(|_| Away::Silent)??.ok_or(Away::Closed)?;
        self.last = Instant::now();
        self.count()?;
        let Line {
            snapshot,
            looked,
            refused,
            ..
        } = line;
        if let Some(why) = refused {
            return Err(Away::Refused(why));
        }
        match (snapshot, looked) {
            (Some(snapshot), _) if snapshot.is_complete() => {
                one_an_index(&snapshot)?;
                Ok(Heard::Snapshot(snapshot))
            }
            (_, Some(number)) => Ok(Heard::Looked(number)),
            _ => Ok(Heard::Alive),
        }
    }

    /// One more line. Each costs time: who has no end of them is not listened to.
    fn count(&mut self) -> Result<(), Away> {
        if self.last - self.chatter.0 >= Duration::from_secs(1) {
            self.chatter = (self.last, 0);
        }
        self.chatter.1 += 1;
        (self.chatter.1 <= CHATTER)
            .then_some(())
            .ok_or(Away::Chatter)
    }

    /// Asks for another look; an error where that cannot be said at once.
    pub(super) fn ask(&self, number: u64) -> io::Result<()> {
        let line = Line {
            look: Some(number),
            ..Line::default()
        };
        let bytes = line.encode();
        let sent = self.write.try_write(&bytes)?;
        (sent == bytes.len())
            .then_some(())
            .ok_or_else(|| io::ErrorKind::WriteZero.into())
    }
}

/// Only root and our own user tell us what networks there are.
pub(super) fn believe(user: u32, us: u32) -> Result<(), Away> {
    if user == 0 || user == us {
        return Ok(());
    }
    Err(Away::Foreign(user))
}

/// The networks are in order of index.
fn one_an_index(snapshot: &Snapshot) -> Result<(), Away> {
    let mut pairs = snapshot.networks().windows(2);
    if pairs.any(|pair| pair[0].id().index() == pair[1].id().index()) {
        let error = "two networks of one index";
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        return Err(Away::Garbage(error));
    }
    Ok(())
}
