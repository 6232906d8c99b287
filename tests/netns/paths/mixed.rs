//! All kinds of traffic of one session at once, while its networks come and go.

use super::loss::{CUTS, SILENCES};
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::transfer::{KIB, Words};
use crate::waiting::lasting;
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, McStream, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

pub(crate) const CASES: &[Case] = cases![paths:
    every_kind_of_traffic_at_once_survives_every_trouble,
];

const LABELS: [Label; 3] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
/// Of one message; an interactive one is the least of it.
const SIZES: [usize; 3] = [KIB as usize, 16 * KIB as usize, 64 * KIB as usize];

/// Three streams and messages of three urgencies each way, all checked word by word.
// behaviour: S1, S3, S10, S18, I1, I3, I4
fn every_kind_of_traffic_at_once_survives_every_trouble() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "20mbit"]);
    let enough = Arc::new(AtomicBool::new(false));
    let stop = enough.clone();
    let server = serve(&world.server, SERVER, |listener| async move {
        let first = listener.accept().await.unwrap();
        let session = first.session();
        let mut streams = vec![first];
        while streams.len() < LABELS.len() {
            streams.push(session.accept().await.unwrap());
        }
        traffic(session, streams, stop).await
    });
    let (facts, stop) = (world.facts.path(), enough.clone());
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).label(LABELS[0]).plaintext();
        let first = connect.within(PATIENCE).await.unwrap();
        let session = first.session();
        let mut streams = vec![first];
        for label in &LABELS[1..] {
            streams.push(session.open(*label).await.unwrap());
        }
        let moved = traffic(session, streams, stop).await;
        manager.shutdown(PATIENCE).await.unwrap();
        moved
    });
    let begin = Instant::now();
    let troubles = CUTS.iter().chain(&SILENCES);
    for (turn, &(_, cut, mend)) in troubles.chain(&CUTS).chain(&SILENCES).enumerate() {
        let link = [&world.wifi, &world.cellular][turn % 2];
        cut(link);
        lasting(Duration::from_millis(350));
        mend(link);
        lasting(Duration::from_millis(350));
        assert!(!client.is_finished(), "the client gave up at {turn}");
    }
    enough.store(true, Ordering::Relaxed);
    let (up, down) = (join(client), join(server));
    println!("moved each way {up:?}, {down:?} in {:.1?}", begin.elapsed());
    for moved in [up, down] {
        assert!(moved.iter().all(|bytes| *bytes > 64 * KIB), "{moved:?}");
    }
}

/// Sends and takes on every stream and as messages until it is enough; bytes taken of each.
async fn traffic(session: Session, streams: Vec<McStream>, enough: Arc<AtomicBool>) -> Vec<u64> {
    let mut ways = JoinSet::new();
    for (way, stream) in streams.into_iter().enumerate() {
        let enough = enough.clone();
        ways.spawn(async move { (way, on_stream(stream, way, &enough).await) });
    }
    for way in 0..LABELS.len() {
        let (session, enough) = (session.clone(), enough.clone());
        ways.spawn(async move {
            send(&session, way, &enough).await;
            (way, 0)
        });
    }
    let mut moved = vec![0; LABELS.len()];
    let taken = take(&session).await;
    while let Some(ended) = ways.join_next().await {
        let (way, bytes) = ended.unwrap();
        moved[way] += bytes;
    }
    moved.extend(taken);
    moved
}

/// Both halves of a stream: the same words each way, a pause between small interactive writes.
async fn on_stream(mut stream: McStream, way: usize, enough: &AtomicBool) -> u64 {
    stream.set_label(LABELS[way]);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        let (mut words, mut chunk) = (Words::new(), vec![0; SIZES[way]]);
        while !enough.load(Ordering::Relaxed) {
            words.fill(&mut chunk);
            writer.write_all(&chunk).await.unwrap();
            pause(way).await;
        }
        writer.shutdown().await.unwrap();
    };
    let reading = async {
        let (mut words, mut expected, mut read) = (Words::new(), vec![0; SIZES[way]], 0);
        let mut chunk = expected.clone();
        loop {
            match reader.read(&mut chunk[..1]).await.unwrap() {
                0 => return read,
                _ => reader.read_exact(&mut chunk[1..]).await.unwrap(),
            };
            words.fill(&mut expected);
            assert!(chunk == expected, "stream {way} at {read}");
            read += chunk.len() as u64;
        }
    };
    tokio::join!(writing, reading).1
}

async fn pause(way: usize) {
    if way == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Messages of one label; an empty one ends them.
async fn send(session: &Session, way: usize, enough: &AtomicBool) {
    let mut words = Words::new();
    while !enough.load(Ordering::Relaxed) {
        let mut message = vec![0; SIZES[way]];
        words.fill(&mut message);
        session.send(LABELS[way], message).await.unwrap();
        pause(way).await;
    }
    let last = session.send(LABELS[way], &b""[..]).await.unwrap();
    session.delivered(last).await.unwrap();
}

/// Takes messages of every label until each ended; those of one label arrive in the order sent.
async fn take(session: &Session) -> Vec<u64> {
    let mut words = [Words::new(), Words::new(), Words::new()];
    let (mut taken, mut open) = (vec![0; LABELS.len()], LABELS.len());
    while open > 0 {
        let message = session.recv().await.unwrap();
        let way = LABELS.iter().position(|label| *label == message.label);
        let way = way.expect("a label that was sent");
        if message.bytes.is_empty() {
            open -= 1;
            continue;
        }
        let mut expected = vec![0; SIZES[way]];
        words[way].fill(&mut expected);
        assert!(message.bytes[..] == expected[..], "{way} at {}", taken[way]);
        taken[way] += expected.len() as u64;
    }
    taken
}
