//! Diallers written out byte by byte, a tap on the wire between a client and its listener, and tests
//! that need a process of their own.

use mancom::label::matching::PathFacts;
use mancom::proto::session::handshake::{
    Agreed, Credentials, DialAttach, DialHello, Entropy, HandshakeError, Offer, Replied, Security,
};
use mancom::proto::session::{Config, PathId, Session as Core};
use mancom::stream::Settings;
use mancom::{Listener, Manager, McStream, Scout};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What must happen, but may take its time on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it comes in time")
}

/// What a test waits for, without an event of its own to wait for.
pub(crate) async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A manager on a host without networks: loopback needs none.
pub(crate) async fn manager(change: impl FnOnce(&mut Settings)) -> Manager {
    let mut settings = Settings::default();
    change(&mut settings);
    let builder = Manager::builder()
        .scout(Scout::fixed([]))
        .settings(settings);
    builder.build().await.unwrap()
}

pub(crate) async fn listen(manager: &Manager) -> (Listener, SocketAddr) {
    let listener = manager.listen("mc://127.0.0.1:0").await.unwrap();
    let at = address(&listener);
    (listener, at)
}

pub(crate) fn address(listener: &Listener) -> SocketAddr {
    let contact = listener.contact();
    SocketAddr::new(contact.ip().unwrap(), contact.port().unwrap())
}

/// Sends back whatever comes on every stream.
pub(crate) fn echo(listener: Listener) {
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            tokio::spawn(echo_stream(stream));
        }
    });
}

async fn echo_stream(stream: McStream) {
    let (mut read, mut write) = tokio::io::split(stream);
    if tokio::io::copy(&mut read, &mut write).await.is_ok() {
        let _ = write.shutdown().await;
    }
}

/// One round trip.
pub(crate) async fn ask(stream: &mut McStream, text: &[u8]) {
    soon(async {
        stream.write_all(text).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, text);
    })
    .await;
}

/// Not random, but never twice the same.
pub(crate) fn entropy() -> Entropy {
    static SEED: Mutex<u64> = Mutex::new(1);
    let mut seed = SEED.lock().unwrap();
    let mut noise = Noise(*seed);
    *seed += 1;
    let mut bytes = [0; 96];
    noise.fill(&mut bytes);
    Entropy(bytes)
}

/// A seeded source of bytes (splitmix64).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next() as u8);
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.next() as usize % (most + 1)];
        self.fill(&mut bytes);
        bytes
    }
}

pub(crate) fn offer() -> Offer {
    Offer {
        grace: Duration::from_secs(60),
        receive_window: 1 << 20,
        max_streams: 16,
        facts: PathFacts::default(),
        anonymous: false,
        security: Security::Clear,
        exporter: Vec::new(),
        peer: None,
    }
}

/// A connection whose bytes the test writes.
pub(crate) struct Raw<S = TcpStream>(pub(crate) S);

impl Raw {
    pub(crate) async fn dial(at: SocketAddr) -> Self {
        Self(soon(TcpStream::connect(at)).await.unwrap())
    }

    pub(crate) async fn dial_from(source: &str, at: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source.parse::<IpAddr>().unwrap(), 0))?;
        Ok(Self(socket.connect(at).await?))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// As `send`, to who may have closed already.
    pub(crate) async fn throw(&mut self, bytes: &[u8]) {
        let _ = soon(self.0.write_all(bytes)).await;
    }

    /// The next handshake message, without its length.
    pub(crate) async fn message(&mut self) -> io::Result<Vec<u8>> {
        soon(async {
            let length = self.0.read_u16().await?;
            let mut body = vec![0; usize::from(length)];
            self.0.read_exact(&mut body).await?;
            Ok(body)
        })
        .await
    }

    /// The next frame: its kind and its body.
    pub(crate) async fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        soon(async {
            let head = self.0.read_u32().await?;
            let mut body = vec![0; (head & 0x00ff_ffff) as usize];
            self.0.read_exact(&mut body).await?;
            Ok(((head >> 24) as u8, body))
        })
        .await
    }

    /// Reads frames until one of this kind.
    pub(crate) async fn frame_of(&mut self, kind: &[u8]) -> Vec<u8> {
        loop {
            let (found, body) = self.frame().await.unwrap();
            if kind.contains(&found) {
                return body;
            }
        }
    }

    /// Waits until the far end is gone; what it said meanwhile.
    pub(crate) async fn ended(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        let _ = soon(self.0.read_to_end(&mut said)).await;
        said
    }

    pub(crate) async fn is_open(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.0.read_u8())
            .await
            .is_err()
    }
}

/// A whole first handshake, by hand.
pub(crate) async fn session<S>(raw: Raw<S>) -> Result<(Raw<S>, Agreed), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    session_with(raw, offer()).await
}

pub(crate) async fn session_with<S>(
    mut raw: Raw<S>,
    offer: Offer,
) -> Result<(Raw<S>, Agreed), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gone = |_| HandshakeError::Malformed;
    let (mut state, mut message) = DialHello::new(entropy(), offer);
    loop {
        raw.throw(&message).await;
        match state.reply(&raw.message().await.map_err(gone)?)? {
            Replied::Again(again, bytes) => (state, message) = (again, bytes),
            Replied::Confirm(confirm, bytes) => {
                raw.throw(&bytes).await;
                let agreed = confirm.accepted(&raw.message().await.map_err(gone)?)?;
                return Ok((raw, agreed));
            }
        }
    }
}

/// The numbers of a raw dialler's paths.
pub(crate) fn numbers(agreed: &Agreed) -> Core {
    Core::new(agreed.clone(), Config::default(), std::time::Instant::now())
}

pub(crate) async fn attach(
    mut raw: Raw,
    credentials: &Credentials,
    path: PathId,
) -> Result<Raw, HandshakeError> {
    let gone = |_| HandshakeError::Malformed;
    let (state, message) = DialAttach::new(entropy(), credentials, path, &offer());
    raw.throw(&message).await;
    let (state, message) = state.challenge(&raw.message().await.map_err(gone)?)?;
    raw.throw(&message).await;
    state.accepted(&raw.message().await.map_err(gone)?)?;
    Ok(raw)
}

// ---- handshake messages and frames

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = b"mcom\x00\x01".to_vec();
    whole.push(kind);
    whole.extend(body);
    let mut framed = u16::try_from(whole.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(whole);
    framed
}

/// An attach to this id, epoch 9 of path 1.
pub(crate) fn attach_to(id: [u8; 16]) -> Vec<u8> {
    let mut body = id.to_vec();
    body.push(1);
    body.extend(9_u32.to_be_bytes());
    body.extend([7; 32]);
    body.extend([0, 2, 2, 2]);
    message(6, &body)
}

pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = (u32::from(kind) << 24 | body.len() as u32)
        .to_be_bytes()
        .to_vec();
    frame.extend(body);
    frame
}

/// A frame whose head lies about its length.
pub(crate) fn claiming(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = (u32::from(kind) << 24 | length).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Defines label 0, opens a stream under it, and a resumption that there is nothing to say for.
pub(crate) fn opening(stream: u8) -> Vec<u8> {
    let mut bytes = frame(0x10, b"\0any");
    bytes.extend(frame(0x03, &[0, 0, stream, 0]));
    bytes
}

pub(crate) fn data(stream: u8, offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, stream];
    body.extend(offset.to_be_bytes());
    body.extend(payload);
    frame(0x01, &body)
}

pub(crate) fn ack(stream: u8, offset: u64) -> Vec<u8> {
    let mut body = vec![0, 0, stream];
    body.extend(offset.to_be_bytes());
    body.push(0);
    frame(0x09, &body)
}

pub(crate) fn resume() -> Vec<u8> {
    frame(0x14, &[])
}

// ---- the tap

#[derive(Debug)]
enum Order {
    ToListener(Vec<u8>),
    ToDialler(Vec<u8>),
    Cut,
}

/// What went over one connection through the tap.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    pub(crate) dialler: Vec<u8>,
    pub(crate) listener: Vec<u8>,
}

struct Tapped {
    target: SocketAddr,
    records: Vec<Record>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

/// Forwards connections, keeps what went over them, puts bytes in and cuts.
#[derive(Clone)]
pub(crate) struct Tap {
    pub(crate) at: SocketAddr,
    tapped: Arc<Mutex<Tapped>>,
}

impl Tap {
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tapped = Tapped {
            target,
            records: Vec::new(),
            orders: Vec::new(),
        };
        let tap = Self {
            at: listener.local_addr().unwrap(),
            tapped: Arc::new(Mutex::new(tapped)),
        };
        let accepting = tap.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                accepting.clone().forward(near);
            }
        });
        tap
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("mc://{}", self.at)
    }

    /// Connections from now on go there.
    pub(crate) fn aim(&self, target: SocketAddr) {
        self.tapped.lock().unwrap().target = target;
    }

    pub(crate) fn connections(&self) -> usize {
        self.tapped.lock().unwrap().records.len()
    }

    pub(crate) fn record(&self, connection: usize) -> Record {
        self.tapped.lock().unwrap().records[connection].clone()
    }

    /// The id in the reply of a first handshake.
    pub(crate) fn session_id(&self) -> [u8; 16] {
        let said = self.record(0).listener;
        let reply = usize::from(u16::from_be_bytes([said[0], said[1]])) + 2;
        said[reply - 16..reply].try_into().unwrap()
    }

    pub(crate) fn cut(&self) {
        self.order(Order::Cut);
    }

    pub(crate) fn to_listener(&self, bytes: &[u8]) {
        self.order(Order::ToListener(bytes.to_vec()));
    }

    pub(crate) fn to_dialler(&self, bytes: &[u8]) {
        self.order(Order::ToDialler(bytes.to_vec()));
    }

    fn order(&self, order: Order) {
        let tapped = self.tapped.lock().unwrap();
        let _ = tapped.orders.last().unwrap().send(order);
    }

    fn forward(self, mut near: TcpStream) {
        let (orders, mut given) = mpsc::unbounded_channel();
        let (number, target) = {
            let mut tapped = self.tapped.lock().unwrap();
            tapped.records.push(Record::default());
            tapped.orders.push(orders);
            (tapped.records.len() - 1, tapped.target)
        };
        tokio::spawn(async move {
            let mut far = TcpStream::connect(target).await?;
            let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
            loop {
                tokio::select! {
                    biased;
                    order = given.recv() => match order {
                        Some(Order::ToListener(bytes)) => far.write_all(&bytes).await?,
                        Some(Order::ToDialler(bytes)) => near.write_all(&bytes).await?,
                        Some(Order::Cut) | None => break,
                    },
                    n = near.read(&mut up) => match n? {
                        0 => break,
                        n => {
                            self.tapped.lock().unwrap().records[number].dialler.extend(&up[..n]);
                            far.write_all(&up[..n]).await?;
                        }
                    },
                    n = far.read(&mut down) => match n? {
                        0 => break,
                        n => {
                            self.tapped.lock().unwrap().records[number].listener.extend(&down[..n]);
                            near.write_all(&down[..n]).await?;
                        }
                    },
                }
            }
            io::Result::Ok(())
        });
    }
}

// ---- a process of its own

/// Whether this is the process made for the test `name`; if not, makes it and waits for its end.
#[cfg(target_os = "linux")]
pub(crate) fn in_a_process_of_its_own(name: &str) -> bool {
    const CHILD: &str = "MANCOM_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Descriptors this process has open.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors() -> usize {
    // The listing itself has one.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Bytes of memory in use.
#[cfg(target_os = "linux")]
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}
