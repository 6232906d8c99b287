//! One stream over loopback against a plain `TcpStream` through the same buffers, in paired rounds.
//!
//! `cargo bench --bench stream` prints, as medians of the rounds, how fast plain TCP, one path and two paths
//! are, the paths as parts of plain TCP in the same round, and what each costs: processor seconds a
//! gigabyte, or microseconds a round trip, both ends together.
//! `cargo bench --bench stream -- echo` runs the rows whose name contains the word.
//!
//! Two paths have two networks that a fixed scout names; both are loopback beneath.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mancom::{Listener, Manager, McStream, Network, Scout};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 9;
const BULK: usize = 1 << 30;
const ECHO: usize = 256 << 20;
const PINGS: usize = 20_000;

#[path = "shared/bulk.rs"]
mod bulk;
#[path = "shared/rounds.rs"]
mod rounds;
#[path = "stream/twin.rs"]
mod twin;

use bulk::{BUFFER, drain, one_way};
use rounds::{Took, cpu, median, tcp};

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
    println!(
        "{:<32}{:>24}{:>16}{:>24}",
        "", "Gbit/s, or us", "of plain TCP", "CPU s/GB, or us"
    );
    println!(
        "{:<32}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}",
        "", "plain", "one", "two", "one", "two", "plain", "one", "two"
    );
    let rows = Rows { runtime, wanted };
    let bulk = |name, mode| rows.row(name, Unit::Gbit(BULK), move |p| bulk(p, mode));
    bulk("bulk, 64 KiB copied", Mode::Copied);
    bulk("bulk, 64 KiB owned", Mode::Owned);
    bulk("bulk, 4 KiB copied", Mode::Small);
    rows.row("echo both ways, 64 KiB", Unit::Gbit(ECHO), echo);
    let wanted = rows.wanted;
    let ping = |name, work: fn(bool) -> Duration| {
        compare(&wanted, name, Unit::Micros(PINGS), || {
            let took = |mancom| {
                let before = cpu();
                let time = work(mancom);
                let cpu = cpu().saturating_sub(before);
                Took { time, cpu }
            };
            [Some(took(false)), Some(took(true)), None]
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
    fn of(self, took: &Took) -> f64 {
        match self {
            Self::Gbit(bytes) => took.gbit(bytes),
            Self::Micros(count) => took.time.as_secs_f64() * 1e6 / count as f64,
        }
    }

    /// Processor time as it is told.
    fn cost(self, took: &Took) -> f64 {
        match self {
            Self::Gbit(bytes) => took.cost(bytes),
            Self::Micros(count) => took.cpu.as_secs_f64() * 1e6 / count as f64,
        }
    }
}

struct Rows {
    runtime: tokio::runtime::Runtime,
    wanted: String,
}

impl Rows {
    fn row<F>(&self, name: &str, unit: Unit, work: impl Fn(Pair) -> F)
    where
        F: Future<Output = Duration> + Send + 'static,
    {
        compare(&self.wanted, name, unit, || {
            self.runtime.block_on(async {
                [
                    Some(measured(work(Pair::plain().await)).await),
                    Some(measured(work(Pair::mancom(1).await)).await),
                    Some(measured(work(Pair::mancom(2).await)).await),
                ]
            })
        });
    }
}

/// On the runtime's own threads, both ends alike.
async fn measured(work: impl Future<Output = Duration> + Send + 'static) -> Took {
    let before = cpu();
    let time = tokio::spawn(work).await.expect("the work ended");
    let cpu = cpu().saturating_sub(before);
    Took { time, cpu }
}

/// Prints the medians of the rounds, each of plain TCP, one path and two.
fn compare(wanted: &str, name: &str, unit: Unit, mut work: impl FnMut() -> [Option<Took>; 3]) {
    if !name.contains(wanted) {
        return;
    }
    // The first round warms up.
    let _ = work();
    let rounds: Vec<_> = (0..ROUNDS).map(|_| work()).collect();
    let column = |which: usize, of: &dyn Fn(Took, Took) -> f64| {
        let values = rounds.iter().filter_map(|[plain, one, two]| {
            let this = [plain, one, two][which].as_ref()?;
            Some(of((*plain)?, *this))
        });
        median(values.collect()).map_or_else(String::new, |value| format!("{value:.2}"))
    };
    let speed = |which| column(which, &|_, this| unit.of(&this));
    let part = |which| column(which, &|plain, this| unit.of(&this) / unit.of(&plain));
    let cost = |which| column(which, &|_, this| unit.cost(&this));
    print!("{name:<32}");
    for cell in [speed(0), speed(1), speed(2), part(1), part(2)] {
        print!("{cell:>8}");
    }
    println!("{:>8}{:>8}{:>8}", cost(0), cost(1), cost(2));
}

/// Two ends of one connection.
enum Pair {
    Plain(TcpStream, TcpStream),
    /// The listener stays open.
    Mancom(McStream, McStream, Listener),
}

impl Pair {
    async fn plain() -> Self {
        let (near, far) = tcp().await;
        Self::Plain(near, far)
    }

    /// Over one path of this host, or over two networks.
    async fn mancom(paths: usize) -> Self {
        let (manager, at) = match paths {
            1 => (manager().await, "mc://127.0.0.1:0"),
            _ => (of_two_networks().await, "mc+twin://far"),
        };
        let listener = manager.listen(at).plaintext().await.expect("a listener");
        let connect = manager.connect(listener.contact()).plaintext();
        let (near, far) = tokio::join!(connect.into_future(), listener.accept());
        let (near, far) = (near.expect("connected"), far.expect("accepted"));
        while near.session().paths().len() < paths {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self::Mancom(near, far, listener)
    }
}

async fn of_two_networks() -> Manager {
    let networks = ["eth0", "eth1"].map(Network::ethernet);
    Manager::builder()
        .scout(Scout::fixed(networks))
        .transport(twin::Twin::default())
        .build()
        .await
        .expect("a manager")
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
    let size = if mode == Mode::Small { 4096 } else { BUFFER };
    match pair {
        Pair::Plain(near, far) => one_way(near, far, BULK, size).await,
        Pair::Mancom(near, far, _listener) if mode == Mode::Owned => owned(near, far).await,
        Pair::Mancom(near, far, _listener) => one_way(near, far, BULK, size).await,
    }
}

async fn owned(mut near: McStream, far: McStream) -> Duration {
    let draining = tokio::spawn(drain(far, BULK));
    let start = Instant::now();
    let bytes = Bytes::from(vec![7; BUFFER]);
    for _ in 0..BULK / BUFFER {
        near.write_bytes(bytes.clone()).await.expect("written");
    }
    near.shutdown().await.expect("shut down");
    draining.await.expect("drained");
    start.elapsed()
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
            Pair::mancom(1).await
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
