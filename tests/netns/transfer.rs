//! A transfer that a test disturbs: bytes without a pattern in one direction, and their SHA-256 back.

use crate::lab::join;
use crate::process::until;
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::stream::PathEvent;
use mancom::{Label, Manager, McStream};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
/// Of what is sent as messages.
const MESSAGE: usize = 32 * KIB as usize;
const CHUNK: usize = 64 * KIB as usize;

type Sum = [u8; 32];

/// Who sends, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The client, on a stream.
    Up,
    /// The server, on a stream.
    Down,
    /// The client, as messages.
    Messages,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) by: By,
    pub(crate) label: Label,
    /// At most so many bytes.
    pub(crate) total: u64,
    /// Where to, as the client knows it.
    to: &'static str,
    /// Where the server listens, if that is not told by it.
    at: Option<&'static str>,
    /// Set when it may end before all of it was sent.
    enough: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn new(by: By, label: Label, total: u64) -> Self {
        Load {
            by,
            label,
            total,
            to: SERVER,
            at: None,
            enough: Arc::default(),
        }
    }

    /// To another endpoint.
    pub(crate) fn to(mut self, to: &'static str) -> Self {
        self.to = to;
        self
    }

    /// From a server that listens at this endpoint.
    pub(crate) fn listening_at(mut self, at: &'static str) -> Self {
        self.at = Some(at);
        self
    }

    /// As one that goes on until [`Transfer::stop`].
    pub(crate) fn endless(by: By, label: Label) -> Self {
        Self::new(by, label, 1024 * MIB)
    }

    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }
}

/// How far the receiving end has come, and how long nothing came there.
#[derive(Debug)]
struct Progress {
    received: u64,
    last: Instant,
    longest: Duration,
}

impl Progress {
    fn note(&mut self, bytes: u64) {
        self.received += bytes;
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

/// A transfer between client and server under way.
pub(crate) struct Transfer {
    total: u64,
    enough: Arc<AtomicBool>,
    progress: Arc<Mutex<Progress>>,
    /// What happened to the client's paths.
    events: Arc<Mutex<Vec<PathEvent>>>,
    server: JoinHandle<Sum>,
    client: JoinHandle<Sum>,
}

impl Transfer {
    /// Of many bytes, from the client, in a hurry.
    pub(crate) fn start(world: &World) -> Self {
        Self::of(world, Load::new(By::Up, Label::INTERACTIVE, 128 * MIB))
    }

    pub(crate) fn of(world: &World, load: Load) -> Self {
        let progress = Arc::new(Mutex::new(Progress {
            received: 0,
            last: Instant::now(),
            longest: Duration::ZERO,
        }));
        let events = Arc::default();
        let (at, seen) = (progress.clone(), Arc::clone(&events));
        let (total, enough) = (load.total, Arc::clone(&load.enough));
        let (facts, theirs) = (world.facts.path(), load.clone());
        let at_server = load.at.unwrap_or(listens_at(load.to));
        let server = serve(&world.server, at_server, |listener| async move {
            let mut stream = listener.accept().await.unwrap();
            stream.set_label(theirs.label);
            match theirs.by {
                By::Up => takes(stream, &at).await,
                By::Down => sends(stream, &theirs).await,
                By::Messages => takes_messages(stream, theirs.label, &at).await,
            }
        });
        let at = progress.clone();
        let client = world
            .client
            .spawn_async(move || dials(facts, load, at, seen));
        Transfer {
            total,
            enough,
            progress,
            events,
            server,
            client,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.progress.lock().unwrap().received
    }

    /// Whether the client is done, well or not.
    pub(crate) fn is_finished(&self) -> bool {
        self.client.is_finished()
    }

    /// Waits until this many more bytes have arrived, while the transfer goes on.
    pub(crate) fn advances(&self, bytes: u64) {
        let goal = self.received() + bytes;
        assert!(
            goal < self.total,
            "the transfer is over before the cuts are"
        );
        until("the transfer goes on", PATIENCE, || {
            assert!(!self.client.is_finished(), "the client gave up");
            self.received() >= goal
        });
    }

    /// Waits until nothing has arrived for so long.
    pub(crate) fn falls_still(&self, how_long: Duration) {
        until("nothing arrives any more", PATIENCE, || {
            self.progress.lock().unwrap().last.elapsed() >= how_long
        });
    }

    /// The longest time in which nothing arrived, since this was asked before.
    pub(crate) fn longest_gap(&self) -> Duration {
        std::mem::take(&mut self.progress.lock().unwrap().longest)
    }

    /// What happened to the client's paths so far.
    pub(crate) fn events(&self) -> Vec<PathEvent> {
        self.events.lock().unwrap().clone()
    }

    /// Ends it, though not all that it could send was sent.
    pub(crate) fn stop(self) {
        self.enough.store(true, Ordering::Relaxed);
        self.end();
    }

    /// Every byte arrived, once and in order, in one session.
    pub(crate) fn end(self) {
        let (near, far) = (join(self.client), join(self.server));
        assert_eq!(near, far, "what was sent is what arrived");
    }
}

/// The wildcard where the client knows a name, which the server need not.
fn listens_at(to: &'static str) -> &'static str {
    match to.starts_with("mc://10.") {
        true => to,
        false => "mc://0.0.0.0:7000",
    }
}

/// The client's side.
async fn dials(
    facts: PathBuf,
    load: Load,
    progress: Arc<Mutex<Progress>>,
    seen: Arc<Mutex<Vec<PathEvent>>>,
) -> Sum {
    let manager = Manager::builder().config_file(facts).build().await.unwrap();
    let connect = manager.connect(load.to).label(load.label).plaintext();
    let stream = connect.within(PATIENCE).await.unwrap();
    let mut events = stream.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            seen.lock().unwrap().push(event);
        }
    });
    let sum = match load.by {
        By::Up => sends(stream, &load).await,
        By::Down => takes(stream, &progress).await,
        By::Messages => sends_messages(stream, &load).await,
    };
    manager.shutdown(PATIENCE).await.unwrap();
    sum
}

/// Words without a pattern.
pub(crate) struct Words(u64);

impl Words {
    pub(crate) fn new() -> Self {
        Words(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn fill(&mut self, chunk: &mut [u8]) {
        for word in chunk.chunks_exact_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes());
        }
    }
}

async fn sends(mut stream: McStream, load: &Load) -> Sum {
    let (mut hash, mut words) = (Sha256::new(), Words::new());
    let mut chunk = vec![0; CHUNK];
    for _ in 0..load.total / CHUNK as u64 {
        if load.is_enough() {
            break;
        }
        words.fill(&mut chunk);
        hash.update(&chunk);
        stream.write_all(&chunk).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut told = Sum::default();
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "a true end");
    let sum: Sum = hash.finalize().into();
    assert_eq!(sum, told, "and the way back was whole as well");
    sum
}

async fn takes(mut stream: McStream, progress: &Mutex<Progress>) -> Sum {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        progress.lock().unwrap().note(n as u64);
    }
    let sum: Sum = hash.finalize().into();
    stream.write_all(&sum).await.unwrap();
    stream.shutdown().await.unwrap();
    sum
}

/// Those of one urgency arrive in the order sent, so their sum is that of the whole; an empty one ends
/// them.
async fn sends_messages(stream: McStream, load: &Load) -> Sum {
    let session = stream.session();
    let (mut hash, mut words) = (Sha256::new(), Words::new());
    for _ in 0..load.total / MESSAGE as u64 {
        if load.is_enough() {
            break;
        }
        let mut message = vec![0; MESSAGE];
        words.fill(&mut message);
        hash.update(&message);
        session.send(load.label, message).await.unwrap();
    }
    let last = session.send(load.label, &b""[..]).await.unwrap();
    session.delivered(last).await.unwrap();
    let sum: Sum = hash.finalize().into();
    let told = session.recv().await.unwrap();
    assert_eq!(told.bytes[..], sum, "and the way back was whole as well");
    sum
}

async fn takes_messages(stream: McStream, label: Label, progress: &Mutex<Progress>) -> Sum {
    let session = stream.session();
    let mut hash = Sha256::new();
    loop {
        let message = session.recv().await.unwrap();
        if message.bytes.is_empty() {
            break;
        }
        assert_eq!(message.bytes.len(), MESSAGE, "whole");
        hash.update(&message.bytes);
        progress.lock().unwrap().note(message.bytes.len() as u64);
    }
    let sum: Sum = hash.finalize().into();
    let told = session.send(label, sum.to_vec()).await.unwrap();
    session.delivered(told).await.unwrap();
    sum
}
