//! mancom through its public API: one session, a labelled stream for each class, or messages.

use std::any::Any;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mancom::{Label, Manager, McStream, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{Class, Pipe, Setup, message};
use crate::clock;

pub(super) fn label(class: Class) -> Label {
    match class {
        Class::Interactive => Label::INTERACTIVE,
        Class::Bulk => Label::BACKGROUND,
    }
}

/// What TUN interfaces cannot tell of themselves.
fn configuration(setup: &Setup) -> io::Result<tempfile::NamedTempFile> {
    let mut text = String::new();
    for place in &setup.networks {
        let kind = if place.name.starts_with("wlan") {
            "wifi"
        } else {
            "cellular"
        };
        let (name, metered) = (&place.name, place.metered);
        let _ = write!(
            text,
            "[networks.\"{name}\"]\nkind = \"{kind}\"\nmetered = {metered}\n\n"
        );
    }
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(file)
}

pub(super) async fn connect(
    setup: &Setup,
    messages: bool,
    keep: &mut Vec<Box<dyn Any + Send>>,
) -> io::Result<Vec<Pipe>> {
    let file = configuration(setup)?;
    let manager = Manager::builder().config_file(file.path()).build().await;
    let manager = manager.map_err(mancom::Error::from)?;
    let mut session: Option<Session> = None;
    let mut pipes = Vec::new();
    for classes in setup.peer.pipes(&setup.classes) {
        let label = label(classes[0]);
        let stream = match &session {
            None => manager
                .connect(endpoint(setup.server))
                .plaintext()
                .label(label)
                .await
                .map_err(mancom::Error::from)?,
            Some(session) => session.open(label).await.map_err(mancom::Error::from)?,
        };
        session = Some(stream.session());
        pipes.push(Pipe::of(stream));
    }
    if messages && let Some(session) = &session {
        // The streams are only held.
        keep.push(Box::new(pipes));
        pipes = message::pipes(session, &setup.peer.pipes(&setup.classes), keep);
    }
    keep.push(Box::new((manager, session, file)));
    Ok(pipes)
}

fn endpoint(server: SocketAddr) -> String {
    format!("mc://{server}")
}

/// Waits for one session, then for its streams.
pub(super) struct Listener {
    _manager: Manager,
    listener: mancom::Listener,
    session: Option<Session>,
    keep: Vec<Box<dyn Any + Send>>,
}

pub(super) async fn listen(setup: &Setup) -> io::Result<(Listener, u16)> {
    let (manager, listener, port) = bound(setup).await?;
    let listener = Listener {
        _manager: manager,
        listener,
        session: None,
        keep: Vec::new(),
    };
    Ok((listener, port))
}

async fn bound(setup: &Setup) -> io::Result<(Manager, mancom::Listener, u16)> {
    let manager = Manager::builder()
        .build()
        .await
        .map_err(mancom::Error::from)?;
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, setup.server.port()));
    let listener = manager.listen(endpoint(at)).plaintext().await;
    let listener = listener.map_err(mancom::Error::from)?;
    let contact = listener.contact().to_string();
    let port = contact
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| io::Error::other(format!("no port in {contact}")))?;
    Ok((manager, listener, port))
}

impl Listener {
    pub(super) async fn next(&mut self) -> io::Result<Pipe> {
        let stream = match &self.session {
            None => self.listener.accept().await.map_err(mancom::Error::from)?,
            Some(session) => session.accept().await.map_err(mancom::Error::from)?,
        };
        self.session = Some(stream.session());
        Ok(Pipe::of(stream))
    }

    /// The pipes of a client that sends messages, each named as a stream would be.
    pub(super) async fn messages(&mut self, setup: &Setup) -> io::Result<Vec<Pipe>> {
        let stream = self.listener.accept().await.map_err(mancom::Error::from)?;
        let session = stream.session();
        self.keep.push(Box::new(stream));
        let classes = setup.peer.pipes(&setup.classes);
        let mut pipes = message::pipes(&session, &classes, &mut self.keep);
        for pipe in &mut pipes {
            let mut index = [0];
            pipe.reader.read_exact(&mut index).await?;
            pipe.writer.write_all(&index).await?;
            pipe.writer.flush().await?;
        }
        self.session = Some(session);
        Ok(pipes)
    }
}

/// Listens and echoes every byte of every session until the node ends; tells the port first.
pub(crate) async fn crowd_server(setup: &Setup, tell: impl FnOnce(u16)) -> io::Result<()> {
    let (_manager, listener, port) = bound(setup).await?;
    tell(port);
    loop {
        let stream = listener.accept().await.map_err(mancom::Error::from)?;
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
    }
}

/// Many sessions of one process.
pub(crate) struct Crowd {
    streams: Vec<McStream>,
    _keep: (Manager, tempfile::NamedTempFile),
}

/// Opens so many sessions, each with a byte there and back.
pub(crate) async fn crowd_client(setup: &Setup, count: usize) -> io::Result<Crowd> {
    let file = configuration(setup)?;
    let manager = Manager::builder().config_file(file.path()).build().await;
    let manager = manager.map_err(mancom::Error::from)?;
    let mut tasks = JoinSet::new();
    let mut streams = Vec::new();
    for _ in 0..count {
        // Handshakes in waves: the bound on half-open ones is not what is measured.
        if tasks.len() >= 100
            && let Some(stream) = tasks.join_next().await
        {
            streams.push(stream.map_err(io::Error::other)??);
        }
        let connect = manager
            .connect(endpoint(setup.server))
            .plaintext()
            .label(Label::INTERACTIVE);
        tasks.spawn(async move {
            let mut stream = connect.await.map_err(mancom::Error::from)?;
            ping(&mut stream).await?;
            Ok::<_, io::Error>(stream)
        });
    }
    while let Some(stream) = tasks.join_next().await {
        streams.push(stream.map_err(io::Error::other)??);
    }
    Ok(Crowd {
        streams,
        _keep: (manager, file),
    })
}

async fn ping(stream: &mut McStream) -> io::Result<()> {
    stream.write_all(&[1]).await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

impl Crowd {
    /// Sends a byte on every session at once, at `start`; when each came back, until `end`.
    pub(crate) async fn ping(self, start: u64, end: u64) -> Vec<u64> {
        clock::until(start).await;
        let lost = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for mut stream in self.streams {
            let lost = Arc::clone(&lost);
            tasks.spawn(async move {
                let pinged = ping(&mut stream).await;
                if pinged.is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
                (clock::now(), pinged.is_ok(), stream)
            });
        }
        let mut times = Vec::new();
        let mut held = Vec::new();
        let collect = async {
            while let Some(Ok((time, fine, stream))) = tasks.join_next().await {
                held.push(stream);
                if fine {
                    times.push(time);
                }
            }
        };
        tokio::select! {
            () = collect => {}
            () = clock::until(end) => {}
        }
        times.sort_unstable();
        times
    }
}
