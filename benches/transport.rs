//! What an object-safe transport costs: the same work on a `TcpStream` and on the `Box<dyn ByteLink>` of a
//! `dyn Transport`, over loopback, in paired rounds.
//!
//! `cargo bench --bench transport` prints, as medians of the rounds, both speeds, the transport's as a part
//! of the direct one's in the same round, and the processor time of each, both ends together. At 64 KiB the
//! part is to be 0.97 at least. The last row compares the direct one with itself: how far it is from 1 is
//! what these rounds cannot tell apart.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use mancom::transport::{ByteLink, Link, Tcp, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

#[path = "shared/rounds.rs"]
mod rounds;

use rounds::{Took, cpu, median, tcp};

const ROUNDS: usize = 15;
const BULK: usize = 1 << 30;
const ECHO: usize = 256 << 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "{:<30}{:>10}{:>10}{:>8}{:>20}",
        "", "direct", "dyn", "part", "CPU s/GB, each"
    );
    for (name, chunk, echo, same) in [
        ("bulk, 64 KiB, Gbit/s", 64 << 10, false, false),
        ("bulk, 4 KiB, Gbit/s", 4 << 10, false, false),
        ("echo, 64 KiB, Gbit/s", 64 << 10, true, false),
        ("bulk, 64 KiB, direct twice", 64 << 10, false, true),
    ] {
        let round = || {
            let direct = runtime.block_on(async { work(tcp().await, chunk, echo).await });
            let other = runtime.block_on(async {
                match same {
                    true => work(tcp().await, chunk, echo).await,
                    false => work(object_safe().await, chunk, echo).await,
                }
            });
            [direct, other]
        };
        // The first one warms up.
        round();
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        let bytes = if echo { ECHO } else { BULK };
        let each = |which: usize, of: &dyn Fn(&Took) -> f64| {
            median(rounds.iter().map(|round| of(&round[which])).collect()).expect("rounds")
        };
        let speed = |took: &Took| took.gbit(bytes);
        let cost = |took: &Took| took.cost(bytes);
        let part = rounds.iter().map(|[a, b]| speed(b) / speed(a));
        println!(
            "{name:<30}{:>10.2}{:>10.2}{:>8.3}{:>10.3}{:>10.3}",
            each(0, &speed),
            each(1, &speed),
            median(part.collect()).expect("rounds"),
            each(0, &cost),
            each(1, &cost)
        );
    }
}

async fn object_safe() -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let transport: Arc<dyn Transport> = Arc::new(Tcp::new());
    let at = "tcp://127.0.0.1:0".parse().expect("an endpoint");
    let mut acceptor = transport.listen(&at, None).await.expect("a listener");
    let contact = acceptor.contact();
    let (near, far) = tokio::join!(
        transport.connect(&contact, None),
        poll_fn(|cx| acceptor.poll_accept(cx))
    );
    match (near.expect("connected"), far.expect("accepted")) {
        (Link::Bytes(near), Link::Bytes(far)) => (near, far),
        _ => unreachable!("TCP carries bytes"),
    }
}

/// Sends everything in chunks, which come back or do not.
async fn work<S>((near, far): (S, S), chunk: usize, echo: bool) -> Took
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let before = cpu();
    let began = Instant::now();
    let far = tokio::spawn(answer(far, chunk, echo));
    let near = tokio::spawn(ask(near, chunk, echo));
    near.await.expect("no panic").expect("a connection");
    far.await.expect("no panic").expect("a connection");
    Took {
        time: began.elapsed(),
        cpu: cpu().saturating_sub(before),
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut link: S,
    chunk: usize,
    echo: bool,
) -> std::io::Result<()> {
    let mut buf = vec![7; chunk];
    for _ in 0..(if echo { ECHO } else { BULK }) / chunk {
        link.write_all(&buf).await?;
        if echo {
            link.read_exact(&mut buf).await?;
        }
    }
    link.shutdown().await?;
    // The other end has it all once it ends too.
    link.read(&mut buf).await.map(drop)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut link: S,
    chunk: usize,
    echo: bool,
) -> std::io::Result<()> {
    let mut buf = vec![0; chunk];
    loop {
        let n = link.read(&mut buf).await?;
        if n == 0 {
            return link.shutdown().await;
        }
        if echo {
            link.write_all(&buf[..n]).await?;
        }
    }
}
