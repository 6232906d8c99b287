//! Unix stream sockets.

use super::error::{advise, explain, fail};
use super::{Acceptor, Bind, BoxFuture, ByteLink, Characteristics, Link, Transport, vectored};
use crate::endpoint::Endpoint;
use crate::socket_file::{self, FileId, SocketFile};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream, unix::UCred};

/// How long a dialler waits for room in a listener's queue.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The queue has no event for it; the first look again comes after this, later ones up to 16 times it.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Unix stream sockets: `unix:/run/x.sock`. They never leave the host and use no network.
///
/// Listening makes the socket file. A path where somebody listens is in use and is never taken over;
/// a file left behind by a process that died is replaced; any other file is left alone. The file goes
/// when the acceptor is dropped, unless another one took its place. While it listens there is a locked
/// empty file beside it, `/run/x.sock.lock`, so that of many who find a file left behind one replaces it.
///
/// Attribute: `mode=0660`, the file's permissions, octal. They are 0600 unless told otherwise, so
/// only this user (and root) can connect; they are set before anybody can.
#[derive(Debug, Default)]
pub struct Unix {
    live: Arc<Live>,
}

/// The files at which this transport listens.
#[derive(Debug, Default)]
struct Live(Mutex<BTreeSet<FileId>>);

impl Live {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<FileId>> {
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
        Some(&["mode"])
    }

    fn characteristics(&self) -> Characteristics {
        let mut all = Characteristics::stream();
        all.peer_credentials = true;
        all
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let path = path_of(to)?;
            let stream = tokio::time::timeout(ATTEMPT, dial(path))
                .await
                .unwrap_or_else(|_| Err(queue_full()))
                .map_err(|e| explain(e, to))?;
            Ok(Link::Bytes(Box::new(UnixLink {
                stream,
                peer: to.clone(),
                dialled: Some(path.to_owned()),
            })))
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        _on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let path = path_of(at)?;
            let mode = mode_of(at)?;
            let contact = absolute(at, path)?;
            let listening = socket_file::listen(path, mode, None).await;
            let (listener, file) = listening.map_err(|e| refused(e.into(), at, path))?;
            self.live.lock().insert(file.id);
            Ok(Box::new(UnixAcceptor {
                file,
                listener,
                at: at.clone(),
                contact,
                live: Arc::clone(&self.live),
            }) as Box<dyn Acceptor>)
        })
    }

    /// True if the path leads to the socket file of a live acceptor, however it is written.
    fn is_self(&self, contact: &Endpoint) -> bool {
        let id = contact.path().and_then(file_id);
        id.is_some_and(|id| self.live.lock().contains(&id))
    }

    /// Known of links that were dialled; an accepted one comes from a socket without a name.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        let dialled = link
            .downcast_ref::<UnixLink>()
            .and_then(|link| link.dialled.as_deref());
        let (Some(dialled), Some(path)) = (dialled, contact.path()) else {
            return false;
        };
        dialled == path || file_id(dialled).is_some_and(|id| file_id(path) == Some(id))
    }
}

fn path_of(endpoint: &Endpoint) -> io::Result<&Path> {
    endpoint
        .path()
        .filter(|path| !path.as_os_str().is_empty())
        .ok_or_else(|| {
            fail(
                io::ErrorKind::InvalidInput,
                format_args!("{endpoint}: name a path, as in unix:/run/x.sock"),
            )
        })
}

/// The same place as a process in another directory would write it.
fn absolute(at: &Endpoint, path: &Path) -> io::Result<Endpoint> {
    if path.is_absolute() {
        return Ok(at.clone());
    }
    let refused = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
    let mut all = Endpoint::at_path(at.scheme(), &std::path::absolute(path)?).map_err(refused)?;
    for (name, value) in at.attributes() {
        all = all.with_attribute(name, value).map_err(refused)?;
    }
    Ok(all)
}

fn mode_of(endpoint: &Endpoint) -> io::Result<u32> {
    let Some(text) = endpoint.attribute("mode") else {
        return Ok(0o600);
    };
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| {
        fail(
            io::ErrorKind::InvalidInput,
            format_args!("{endpoint}: mode is three octal digits, as in mode=0660"),
        )
    })
}

/// What a path leads to, however it is written.
fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|file| socket_file::id(&file))
}

/// Connects; while the queue is full the kernel says so at once and tells nobody of room, so look
/// again.
async fn dial(path: &Path) -> io::Result<UnixStream> {
    let mut pause = LOOK_AGAIN;
    loop {
        match UnixStream::connect(path).await {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause = (pause * 2).min(LOOK_AGAIN * 16);
    }
}

fn queue_full() -> io::Error {
    fail(
        io::ErrorKind::TimedOut,
        format_args!("its queue had no room within {ATTEMPT:?}"),
    )
}

fn refused(error: io::Error, at: &Endpoint, path: &Path) -> io::Error {
    let what = format_args!("listening at {at}").to_string();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let advice = format!(
                "{} exists and is in use, or is no socket, and is not stolen: stop its program, or name another path",
                path.display()
            );
            advise(error, what, &advice)
        }
        io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new(".")).display();
            advise(error, what, &format!("make the directory {parent} first"))
        }
        io::ErrorKind::PermissionDenied => {
            let parent = path.parent().unwrap_or(Path::new(".")).display();
            advise(
                error,
                what,
                &format!("this user may not make files in {parent}"),
            )
        }
        io::ErrorKind::InvalidInput => {
            advise(error, what, "a socket's path has about 100 bytes at most")
        }
        _ => explain(error, what),
    }
}

#[derive(Debug)]
struct UnixAcceptor {
    /// Dropped before the listener: until that is closed nobody else's file can have its inode.
    file: SocketFile,
    listener: UnixListener,
    at: Endpoint,
    contact: Endpoint,
    live: Arc<Live>,
}

impl Drop for UnixAcceptor {
    fn drop(&mut self) {
        self.live.lock().remove(&self.file.id);
    }
}

impl Acceptor for UnixAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(Ok(Link::Bytes(Box::new(UnixLink {
            stream,
            peer: self.at.clone(),
            dialled: None,
        }))))
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}

/// A Unix stream connection as [`Unix`] makes it.
#[derive(Debug)]
pub struct UnixLink {
    stream: UnixStream,
    peer: Endpoint,
    dialled: Option<PathBuf>,
}

impl UnixLink {
    /// User, group and, where the system tells it, process of the peer, as they were when it
    /// connected (or, seen by the dialler, when it began to listen).
    ///
    /// # Errors
    /// As the system reports them.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        self.stream.peer_cred()
    }
}

impl AsyncRead for UnixLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for UnixLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteLink for UnixLink {
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        vectored::poll_read_vectored(&self.stream, cx, bufs)
    }

    fn peer(&self) -> Endpoint {
        self.peer.clone()
    }
}
