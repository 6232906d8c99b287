//! Unix sockets: streams of bytes, or messages.
//!
//! | endpoint | is |
//! | --- | --- |
//! | `unix:/run/x.sock` | a socket file, bytes in order |
//! | `unix:/run/x.sock?type=seqpacket` | the same for messages of at most 128 KiB, none lost, in order |
//! | `unix:@name` | Linux: an abstract name, without a file; both types |
//!
//! They never leave the host and use no network. The system vouches for who is at the other end
//! ([`Link::credentials`]), and passes open descriptors ([`UnixLink::send_descriptors`]).
//!
//! # Rules
//!
//! * Listening makes the socket file. A path where somebody listens is in use and is never taken over;
//!   a file left behind by a process that died is replaced; any other file is left alone. The file goes
//!   when the acceptor is dropped, unless another one took its place. While it listens there is a locked
//!   empty file beside it, `/run/x.sock.lock`, so that of many who find a file left behind one replaces it.
//! * `mode=0660` are the file's permissions, octal. They are 0600 unless told otherwise, so only this
//!   user (and root) can connect; they are set before anybody can.
//! * An abstract name has no file to hold permissions, and whoever comes first has it. So, unless both
//!   ends say `mode=0666`, each end closes a connection with another user than its own or root.
//! * The end of a connection of messages is an error, `UnexpectedEof`. An empty message cannot be told
//!   from it: none is sent, and one that arrives is the end.

mod acceptor;
#[cfg(target_os = "linux")]
mod descriptors;
mod link;
mod place;
mod seqpacket;

#[cfg(target_os = "linux")]
pub use descriptors::{MAX_DESCRIPTORS, Received};
pub use link::UnixLink;
pub use seqpacket::SeqpacketLink;

use super::error::{explain, fail, misread};
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, Transport};
use crate::endpoint::{AttributeError, Attributes, Endpoint};
use crate::socket_file::{self, FileId};
use acceptor::UnixAcceptor;
use place::{Kind, Place};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long a dialler waits for room in a listener's queue.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The queue has no event for it; the first look again comes after this, later ones up to 16 times it.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Unix sockets: `unix:/run/x.sock`, `unix:/run/x.sock?type=seqpacket`, and on Linux `unix:@name`.
///
/// Attributes: `mode=0660`, the permissions of the socket file, 0600 unless told otherwise; `type`,
/// `stream` (the default) or `seqpacket` (messages).
#[derive(Debug, Default)]
pub struct Unix {
    live: Arc<Live>,
}

/// The places at which this transport listens.
#[derive(Debug, Default)]
struct Live(Mutex<BTreeSet<Held>>);

/// A place that is ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    File(FileId),
    Abstract(String),
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unix {
    /// A transport that listens nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Transport for Unix {
    fn scheme(&self) -> &'static str {
        "unix"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&["mode", "type"])
    }

    fn check(&self, attributes: &Attributes) -> Result<(), AttributeError> {
        Kind::of(attributes)?;
        place::mode_of(attributes).map(drop)
    }

    fn characteristics(&self) -> Characteristics {
        let mut all = Characteristics::stream();
        all.peer_credentials = true;
        all.passes_descriptors = cfg!(target_os = "linux");
        all
    }

    fn characteristics_at(&self, at: &Endpoint) -> Characteristics {
        let mut all = self.characteristics();
        if matches!(Kind::of(at.typed()), Ok(Kind::Seqpacket)) {
            all.messages = true;
            all.max_datagram = Some(seqpacket::MAX);
        }
        all
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let place = Place::of(to)?;
            let kind = Kind::of(to.typed()).map_err(misread(to))?;
            let access = place.access(to)?;
            let stream = tokio::time::timeout(ATTEMPT, dial(place, kind.socket_type()))
                .await
                .unwrap_or_else(|_| Err(queue_full()))
                .and_then(|stream| {
                    access.check(&stream)?;
                    Ok(stream)
                })
                .map_err(|e| place::unreachable(e, to))?;
            Ok(kind.link(stream, to, Some(place.held())))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let place = Place::of(at)?;
            let kind = Kind::of(at.typed()).map_err(misread(at))?;
            let access = place.access(at)?;
            let contact = place.contact(at)?;
            let (listener, file, held) = match place {
                Place::File(path) => {
                    let mode = place::mode_of(at.typed()).map_err(misread(at))?;
                    let listening =
                        socket_file::listen_for(kind.socket_type(), path, mode, None).await;
                    let (listener, file) =
                        listening.map_err(|e| place::refused(e.into(), at, path))?;
                    let id = file.id;
                    (listener, Some(file), Held::File(id))
                }
                Place::Abstract(name) => {
                    let listener = listen_abstract(place, kind.socket_type());
                    let taken = |e| explain(e, format_args!("listening at {at}"));
                    (listener.map_err(taken)?, None, Held::Abstract(name.into()))
                }
            };
            self.live.lock().insert(held.clone());
            Ok(Box::new(UnixAcceptor {
                file,
                listener,
                at: at.clone(),
                contact,
                kind,
                access,
                held,
                live: Arc::clone(&self.live),
            }) as Box<dyn Acceptor>)
        })
    }

    /// True if the place leads to a live acceptor, however its path is written.
    fn is_self(&self, contact: &Endpoint) -> bool {
        let held = Place::of(contact).ok().and_then(Place::held);
        held.is_some_and(|held| self.live.lock().contains(&held))
    }

    /// Known of links that were dialled; an accepted one comes from a socket without a name, and leads
    /// to the place that its peer named, if that is a socket file of the peer's user.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        let leads_to = match link.downcast_ref::<UnixLink>() {
            Some(link) => &link.leads_to,
            None => match link.downcast_ref::<SeqpacketLink>() {
                Some(link) => &link.leads_to,
                None => return false,
            },
        };
        let held = Place::of(contact).ok().and_then(Place::held);
        leads_to.is_some() && *leads_to == held
    }
}

/// Connects; while the queue is full the kernel says so at once and tells nobody of room, so look
/// again.
async fn dial(place: Place<'_>, kind: Type) -> io::Result<UnixStream> {
    let address = place.address()?;
    let mut pause = LOOK_AGAIN;
    loop {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            Ok(()) => return UnixStream::from_std(socket.into()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(pause).await,
            Err(e) => return Err(e),
        }
        pause = (pause * 2).min(LOOK_AGAIN * 16);
    }
}

fn listen_abstract(place: Place<'_>, kind: Type) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&place.address()?)?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into())
}

fn queue_full() -> io::Error {
    fail(
        io::ErrorKind::TimedOut,
        format_args!("its queue had no room within {ATTEMPT:?}"),
    )
}
