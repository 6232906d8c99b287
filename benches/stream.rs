//! One stream over loopback against a plain `TcpStream` through the same buffers, in paired rounds.
//!
//! `cargo bench --bench stream` prints each figure as a ratio to plain TCP of the same round, as the
//! median of the rounds. `cargo bench --bench stream -- echo` runs the rows whose name contains the word.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mancom::{Listener, Manager, McStream, Scout};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 9;
const BUFFER: usize = 64 * 1024;
const BULK: usize = 1 << 30;
const ECHO: usize = 256 << 20;
const PINGS: usize = 20_000;

fn main() {
    let wanted = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    println!("{:<34}{:>12}{:>12}{:>8}", "", "plain TCP", "mc://", "ratio");
    let bulk = |name, mode| {
        row(&runtime, &wanted, name, Unit::Gbit(BULK), move |p| {
            bulk(p, mode)
        })
    };
    bulk("bulk, 64 KiB copied", Mode::Copied);
    bulk("bulk, 64 KiB owned", Mode::Owned);
    bulk("bulk, 4 KiB copied", Mode::Small);
    row(
        &runtime,
        &wanted,
        "echo both ways, 64 KiB",
        Unit::Gbit(ECHO),
        echo,
    );
    let ping = |name, work: fn(bool) -> Duration| {
        compare(&wanted, name, Unit::Micros(PINGS), || {
            (work(false), work(true))
        });
    };
    ping("ping-pong, 1 byte, one thread", ping_alone);
    ping("ping-pong, 1 byte, two threads", ping_apart);
}

#[derive(Clone, Copy)]
enum Unit {
    Gbit(usize),
    Micros(usize),
}

impl Unit {
    fn of(self, time: Duration) -> f64 {
        match self {
            Self::Gbit(bytes) => bytes as f64 * 8.0 / time.as_secs_f64() / 1e9,
            Self::Micros(count) => time.as_secs_f64() * 1e6 / count as f64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gbit(_) => "Gbit/s",
            Self::Micros(_) => "us",
        }
    }
}

fn row<F>(
    runtime: &tokio::runtime::Runtime,
    wanted: &str,
    name: &str,
    unit: Unit,
    work: impl Fn(Pair) -> F,
) where
    F: Future<Output = Duration> + Send + 'static,
{
    compare(wanted, name, unit, || {
        runtime.block_on(async {
            let tcp = spawned(work(Pair::plain().await)).await;
            (tcp, spawned(work(Pair::mancom().await)).await)
        })
    });
}

/// Prints the medians of the rounds, each a pair of plain TCP and mancom.
fn compare(wanted: &str, name: &str, unit: Unit, mut work: impl FnMut() -> (Duration, Duration)) {
    if !name.contains(wanted) {
        return;
    }
    let mut plain = Vec::new();
    let mut mancom = Vec::new();
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let (tcp, mc) = work();
        let (tcp, mc) = (unit.of(tcp), unit.of(mc));
        // The first round warms up.
        if round > 0 {
            plain.push(tcp);
            mancom.push(mc);
            ratios.push(mc / tcp);
        }
    }
    let (tcp, mc, ratio) = (median(plain), median(mancom), median(ratios));
    println!(
        "{name:<34}{tcp:>12.2}{mc:>12.2}{ratio:>8.2}  {}",
        unit.name()
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Two ends of one connection.
enum Pair {
    Plain(TcpStream, TcpStream),
    /// The listener stays open.
    Mancom(McStream, McStream, Listener),
}

impl Pair {
    async fn plain() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (near, far) = (near.expect("connected"), far.expect("accepted").0);
        near.set_nodelay(true).expect("nodelay");
        far.set_nodelay(true).expect("nodelay");
        Self::Plain(near, far)
    }

    async fn mancom() -> Self {
        let manager = manager().await;
        let listener = manager
            .listen("mc://127.0.0.1:0")
            .await
            .expect("a listener");
        let connect = manager.connect(listener.contact());
        let (near, far) = tokio::join!(connect.into_future(), listener.accept());
        Self::Mancom(near.expect("connected"), far.expect("accepted"), listener)
    }
}

async fn manager() -> Manager {
    Manager::builder()
        .scout(Scout::fixed([]))
        .build()
        .await
        .expect("a manager")
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Copied,
    Owned,
    Small,
}

async fn bulk(pair: Pair, mode: Mode) -> Duration {
    match pair {
        Pair::Plain(mut near, far) => {
            let drain = tokio::spawn(drain(far));
            let start = Instant::now();
            write_copied(&mut near, mode).await;
            near.shutdown().await.expect("shut down");
            drain.await.expect("drained");
            start.elapsed()
        }
        Pair::Mancom(mut near, far, _listener) => {
            let drain = tokio::spawn(drain(far));
            let start = Instant::now();
            if mode == Mode::Owned {
                let bytes = Bytes::from(vec![7; BUFFER]);
                for _ in 0..BULK / BUFFER {
                    near.write_bytes(bytes.clone()).await.expect("written");
                }
            } else {
                write_copied(&mut near, mode).await;
            }
            near.shutdown().await.expect("shut down");
            drain.await.expect("drained");
            start.elapsed()
        }
    }
}

async fn write_copied(near: &mut (impl AsyncWrite + Unpin), mode: Mode) {
    let size = if mode == Mode::Small { 4096 } else { BUFFER };
    let buffer = vec![7; size];
    for _ in 0..BULK / size {
        near.write_all(&buffer).await.expect("written");
    }
}

async fn drain(mut far: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match far.read(&mut buffer).await.expect("read") {
            0 => break,
            n => total += n,
        }
    }
    assert_eq!(total, BULK);
}

async fn echo(pair: Pair) -> Duration {
    match pair {
        Pair::Plain(near, far) => echoed(near, far).await,
        Pair::Mancom(near, far, _listener) => echoed(near, far).await,
    }
}

async fn echoed<S: AsyncRead + AsyncWrite + Send + 'static>(near: S, far: S) -> Duration {
    let mirror = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        let mut buffer = vec![0; BUFFER];
        loop {
            match read.read(&mut buffer).await.expect("read") {
                0 => break,
                n => write.write_all(&buffer[..n]).await.expect("written"),
            }
        }
        write.shutdown().await.expect("shut down");
    });
    let (mut read, mut write) = tokio::io::split(near);
    let start = Instant::now();
    let send = tokio::spawn(async move {
        let buffer = vec![7; BUFFER];
        for _ in 0..ECHO / BUFFER {
            write.write_all(&buffer).await.expect("written");
        }
        write.shutdown().await.expect("shut down");
    });
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match read.read(&mut buffer).await.expect("read") {
            0 => break,
            n => total += n,
        }
    }
    assert_eq!(total, ECHO);
    let time = start.elapsed();
    send.await.expect("sent");
    mirror.await.expect("mirrored");
    time
}

/// Both ends in tasks of one thread.
fn ping_alone(mancom: bool) -> Duration {
    let runtime = one_thread();
    runtime.block_on(async {
        match if mancom {
            Pair::mancom().await
        } else {
            Pair::plain().await
        } {
            Pair::Plain(near, far) => {
                tokio::spawn(mirror(far));
                pings(near).await
            }
            Pair::Mancom(near, far, _listener) => {
                tokio::spawn(mirror(far));
                pings(near).await
            }
        }
    })
}

/// Each end in a thread of its own, as two processes would be.
fn ping_apart(mancom: bool) -> Duration {
    let (contact, told) = std::sync::mpsc::channel::<String>();
    let server = std::thread::spawn(move || {
        one_thread().block_on(async {
            if mancom {
                let manager = manager().await;
                let listener = manager
                    .listen("mc://127.0.0.1:0")
                    .await
                    .expect("a listener");
                contact.send(listener.contact().to_string()).expect("told");
                mirror(listener.accept().await.expect("accepted")).await;
            } else {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                contact
                    .send(listener.local_addr().expect("its address").to_string())
                    .expect("told");
                let far = listener.accept().await.expect("accepted").0;
                far.set_nodelay(true).expect("nodelay");
                mirror(far).await;
            }
        });
    });
    let address = told.recv().expect("an address");
    let time = one_thread().block_on(async {
        if mancom {
            pings(manager().await.connect(address).await.expect("connected")).await
        } else {
            let near = TcpStream::connect(address).await.expect("connected");
            near.set_nodelay(true).expect("nodelay");
            pings(near).await
        }
    });
    server.join().expect("the server ended");
    time
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn mirror(mut far: impl AsyncRead + AsyncWrite + Unpin) {
    let mut byte = [0; 1];
    for _ in 0..PINGS {
        far.read_exact(&mut byte).await.expect("read");
        far.write_all(&byte).await.expect("written");
    }
    // Until the other end is done with the last answer.
    assert_eq!(far.read(&mut byte).await.expect("read"), 0);
}

async fn pings(mut near: impl AsyncRead + AsyncWrite + Unpin) -> Duration {
    let mut byte = [7; 1];
    let start = Instant::now();
    for _ in 0..PINGS {
        near.write_all(&byte).await.expect("written");
        near.read_exact(&mut byte).await.expect("read");
    }
    let time = start.elapsed();
    near.shutdown().await.expect("shut down");
    time
}

/// On the runtime's own threads, both ends alike.
async fn spawned(work: impl Future<Output = Duration> + Send + 'static) -> Duration {
    tokio::spawn(work).await.expect("the work ended")
}
