//! What several networks carry together, and what goes beside it.

use super::{Sent, carried_by};
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::transfer::{By, KIB, Load, MIB, Transfer};
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, McStream, Session};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![paths:
    ; measure:
    two_networks_carry_an_upload_together,
    two_networks_carry_a_download_together,
    two_networks_carry_messages_together,
    interactive_traffic_goes_by_its_lane_beside_bulk,
    libcmm_s_workload_keeps_interactive_messages_quick,
];

/// Of bulk of which a link of 20 Mbit/s is not to be left without.
const BULK: usize = 256 * KIB as usize;

fn two_networks_carry_an_upload_together() {
    carry_together(By::Up, Sent::by_client);
}

fn two_networks_carry_a_download_together() {
    carry_together(By::Down, Sent::by_server);
}

fn two_networks_carry_messages_together() {
    carry_together(By::Messages, Sent::by_client);
}

/// Over 20 and 5 Mbit/s.
fn carry_together(by: By, sent: impl Fn(&World) -> Sent) {
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "5mbit"]);
    let transfer = Transfer::of(&world, Load::endless(by, Label::ANY));
    // Both joined, and what the links let through in a burst is gone.
    transfer.advances(4 * MIB);
    let (begin, from, before) = (Instant::now(), transfer.received(), sent(&world));
    transfer.advances(9 * MIB);
    let (took, moved) = (begin.elapsed(), transfer.received() - from);
    let carried = sent(&world).since(before);
    let rate = moved as f64 * 8.0 / took.as_secs_f64() / 1e6;
    let share = carried.cellular as f64 / (carried.wifi + carried.cellular) as f64;
    println!("{by:?}: {rate:.1} Mbit/s of payload, {share:.2} of it over the slower: {carried:?}");
    transfer.stop();
    assert!(rate > 21.0, "{rate:.1} Mbit/s is what one network carries");
    assert!((0.12..0.3).contains(&share), "{share:.2} over a fifth");
}

/// Echoes what comes on the first stream of a session and on others; swallows what is background.
async fn echo_all(stream: McStream) {
    let session = stream.session();
    let mut streams = vec![tokio::spawn(echo(stream))];
    while let Ok(stream) = session.accept().await {
        streams.push(tokio::spawn(echo(stream)));
    }
    for stream in streams {
        stream.await.unwrap();
    }
}

async fn echo(stream: McStream) {
    let background = stream.label() == Label::BACKGROUND;
    let (mut reader, mut writer) = tokio::io::split(stream);
    if background {
        // It is given up in the end.
        let given_up = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        assert_eq!(
            given_up.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
        return;
    }
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// Asks and is answered `count` times; how long each took.
async fn ask(stream: &mut McStream, count: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        stream.write_all(&[7; 128]).await.unwrap();
        stream.read_exact(&mut [0; 128]).await.unwrap();
        took.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of[of.len() / 2]
}

// behaviour: P1, P2
fn interactive_traffic_goes_by_its_lane_beside_bulk() {
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "5mbit"]);
    let server = serve(&world.server, SERVER, |listener| async move {
        echo_all(listener.accept().await.unwrap()).await;
    });
    let facts = world.facts.path();
    let (idle, busy, lanes, bulk) = join(world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).label(Label::INTERACTIVE);
        let mut asking = connect.plaintext().within(PATIENCE).await.unwrap();
        let session = asking.session();
        within(carried_by(&session, &["wlan0", "wwan0"])).await;
        let idle = median(ask(&mut asking, 20).await);
        let mut bulk = session.open(Label::BACKGROUND).await.unwrap();
        let (progress, sending) = tokio::sync::oneshot::channel::<()>();
        let sending = tokio::spawn(async move {
            let mut until = std::pin::pin!(sending);
            let begin = Instant::now();
            loop {
                tokio::select! {
                    _ = &mut until => break,
                    written = bulk.write_all(&[1; 16 * 1024]) => written.unwrap(),
                }
            }
            let rate = bulk.stats().acknowledged as f64 * 8.0 / begin.elapsed().as_secs_f64();
            bulk.abort();
            rate / 1e6
        });
        let busy = median(ask(&mut asking, 100).await);
        let lanes: u64 = (session.paths().iter())
            .filter(|path| path.lane)
            .map(|path| path.stats.payload_sent)
            .sum();
        progress.send(()).unwrap();
        let bulk = sending.await.unwrap();
        asking.shutdown().await.unwrap();
        drop((asking, session));
        manager.shutdown(PATIENCE).await.unwrap();
        (idle, busy, lanes, bulk)
    }));
    join(server);
    println!("idle {idle:?}, beside bulk {busy:?}, {lanes} bytes by lanes, bulk {bulk:.1} Mbit/s");
    assert!(lanes > 50 * 128, "{lanes} bytes of 12,800 went by a lane");
    let added = busy.saturating_sub(idle);
    assert!(added < Duration::from_millis(50), "bulk added {added:?}");
    assert!(
        bulk > 5.0,
        "more than the slow one has: {bulk:.1} of 25 Mbit/s"
    );
}

/// Answers every message with its first four bytes and its label, until an empty one.
async fn answer(session: Session) {
    loop {
        let message = session.recv().await.unwrap();
        if message.bytes.is_empty() {
            return;
        }
        let answer = message.bytes.slice(..4);
        session.send(message.label, answer).await.unwrap();
    }
}

/// 128-byte interactive messages beside background ones of 256 KiB, four of them in the pipe.
// behaviour: P2, I3
fn libcmm_s_workload_keeps_interactive_messages_quick() {
    let lab = Lab::new();
    let world = World::free(&lab, ["20mbit", "2mbit"]);
    let server = serve(&world.server, SERVER, |listener| async move {
        let stream = listener.accept().await.unwrap();
        answer(stream.session()).await;
    });
    let facts = world.facts.path();
    let (interactive, background) = join(world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).label(Label::INTERACTIVE);
        let stream = connect.plaintext().within(PATIENCE).await.unwrap();
        let session = stream.session();
        let figures = within(libcmm(&session)).await;
        let end = session
            .send(Label::ANY, &b""[..])
            .after_all()
            .await
            .unwrap();
        session.delivered(end).await.unwrap();
        drop((stream, session));
        manager.shutdown(PATIENCE).await.unwrap();
        figures
    }));
    join(server);
    let (median, worst) = (
        median(interactive.clone()),
        interactive.iter().max().unwrap(),
    );
    let rate = background as f64 * 8.0 / LIBCMM.as_secs_f64() / 1e6;
    println!("interactive median {median:?}, worst {worst:?}; background {rate:.1} Mbit/s");
    assert_eq!(interactive.len(), ASKED as usize, "each was answered");
    assert!(median < ONE, "behind no message of the others: {median:?}");
    assert!(rate > SLOW, "{rate:.1} Mbit/s of 22");
}

/// What the slower network carries, Mbit/s: whoever has more had the faster one too, however busy the host.
const SLOW: f64 = 2.0;
/// What one background message takes on the faster one.
const ONE: Duration = Duration::from_millis(100);

const LIBCMM: Duration = Duration::from_secs(8);
const EVERY: Duration = Duration::from_millis(200);
const ASKED: u32 = 36;

/// How long each interactive answer took, and how many background bytes were answered.
async fn libcmm(session: &Session) -> (Vec<Duration>, u64) {
    let begin = Instant::now();
    let mut took = Vec::new();
    let (mut piped, mut answered, mut asked) = (0, 0, 0_u32);
    let mut asked_at = std::collections::VecDeque::new();
    while begin.elapsed() < LIBCMM {
        while piped < 4 {
            session
                .send(Label::BACKGROUND, vec![1; BULK])
                .await
                .unwrap();
            piped += 1;
        }
        let next = begin + EVERY * (asked + 1);
        tokio::select! {
            message = session.recv() => {
                let message = message.unwrap();
                if message.label == Label::INTERACTIVE {
                    let (number, at): (u32, Instant) = asked_at.pop_front().unwrap();
                    assert_eq!(message.bytes[..], number.to_be_bytes(), "in order");
                    took.push(at.elapsed());
                } else {
                    piped -= 1;
                    answered += BULK as u64;
                }
            }
            () = tokio::time::sleep_until(next.into()), if asked < ASKED => {
                let mut question = vec![0; 128];
                question[..4].copy_from_slice(&asked.to_be_bytes());
                asked_at.push_back((asked, Instant::now()));
                session.send(Label::INTERACTIVE, question).await.unwrap();
                asked += 1;
            }
        }
    }
    (took, answered)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}
