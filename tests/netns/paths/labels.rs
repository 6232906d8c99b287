//! What no label may cost: metered networks beside free ones.

use super::{Sent, carried_by, payload_on};
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::process::until;
use crate::transfer::{By, KIB, Load, MIB, Transfer};
use crate::waiting::lasting;
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, McStream, Prop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![paths:
    background_alone_wakes_no_metered_network_beside_a_free_one,
    what_must_not_cost_waits_though_a_metered_path_is_open,
    a_label_tightened_on_a_live_stream_is_obeyed_at_once,
];

const UNMETERED: Label = Label::BACKGROUND.prohibit(Prop::Metered);
/// Of acknowledgements, credit, questions after neighbours and routers: what is no payload of that label.
const OTHER: u64 = 64 * KIB;

// behaviour: I7
fn background_alone_wakes_no_metered_network_beside_a_free_one() {
    for by in [By::Up, By::Down, By::Messages] {
        let lab = Lab::new();
        let world = World::new(&lab, "40mbit");
        let (here, there) = (Sent::by_client(&world), Sent::by_server(&world));
        let transfer = Transfer::of(&world, Load::new(by, Label::BACKGROUND, 8 * MIB));
        until("the transfer", PATIENCE, || transfer.is_finished());
        transfer.end();
        let (up, down) = (
            Sent::by_client(&world).since(here),
            Sent::by_server(&world).since(there),
        );
        println!("{by:?}: up {up:?}, down {down:?}");
        let free = if by == By::Down { down.wifi } else { up.wifi };
        assert!(free > 8 * MIB, "{free} bytes by wifi");
        // The kernel's own: neighbours, routers, listeners of groups.
        assert!(up.cellular < 2 * KIB, "{} bytes up", up.cellular);
        assert!(down.cellular < 2 * KIB, "{} bytes down", down.cellular);
        lab.end("client");
        lab.end("server");
    }
}

/// Both ways: what each end wants to send must not cost, and a standby for questions is open.
// behaviour: I7, I6
fn what_must_not_cost_waits_though_a_metered_path_is_open() {
    let lab = Lab::new();
    let world = World::new(&lab, "40mbit");
    let (up, down) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let got = up.clone();
    let server = serve(&world.server, SERVER, |listener| async move {
        let asked = listener.accept().await.unwrap();
        let session = asked.session();
        let asking = tokio::spawn(echo(asked));
        let bulk = session.accept().await.unwrap();
        both_ways(bulk, &got).await;
        asking.await.unwrap();
    });
    let (facts, got) = (world.facts.path(), down.clone());
    let asked = Arc::new(AtomicU64::new(0));
    let answered = asked.clone();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).label(Label::INTERACTIVE);
        let mut asking = connect.plaintext().within(PATIENCE).await.unwrap();
        let session = asking.session();
        carried_by(&session, &["wlan0", "wwan0"]).await;
        let bulk = session.open(UNMETERED).await.unwrap();
        let moving = tokio::spawn(async move { both_ways(bulk, &got).await });
        while !moving.is_finished() {
            asking.write_all(&[7; 64]).await.unwrap();
            asking.read_exact(&mut [0; 64]).await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        moving.await.unwrap();
        // At most each question, and each again.
        let (paid, questions) = (
            payload_on(&asking, "wwan0"),
            answered.load(Ordering::Relaxed),
        );
        assert!(paid <= 2 * 64 * questions, "{paid} bytes for {questions}");
        asking.shutdown().await.unwrap();
        drop((asking, session));
        manager.shutdown(PATIENCE).await.unwrap();
    });
    let least = || up.load(Ordering::Relaxed).min(down.load(Ordering::Relaxed));
    until("both ways move", PATIENCE, || least() > MIB);
    let before = (Sent::by_client(&world), Sent::by_server(&world));
    world.wifi.down();
    let questions = asked.load(Ordering::Relaxed);
    until("answers over the standby", PATIENCE, || {
        asked.load(Ordering::Relaxed) > questions + 20
    });
    let stopped = least();
    lasting(Duration::from_secs(1));
    assert_eq!(least(), stopped, "what must not cost waits");
    world.wifi.up();
    until("the rest", PATIENCE, || client.is_finished());
    join(client);
    join(server);
    let spent = Sent::by_client(&world).since(before.0);
    let theirs = Sent::by_server(&world).since(before.1);
    println!(
        "{} answers; here {spent:?}, there {theirs:?}",
        asked.load(Ordering::Relaxed)
    );
    assert!(
        spent.cellular < OTHER && theirs.cellular < OTHER,
        "{spent:?}, {theirs:?}"
    );
}

async fn echo(stream: McStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// Sends and takes 6 MiB that must not cost.
async fn both_ways(mut stream: McStream, got: &AtomicU64) {
    stream.set_label(UNMETERED);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = async {
        for _ in 0..96 {
            writer.write_all(&[1; 64 * 1024]).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let taking = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                n => got.fetch_add(n as u64, Ordering::Relaxed),
            };
        }
        assert_eq!(got.load(Ordering::Relaxed), 6 * MIB);
    };
    tokio::join!(sending, taking);
}

// behaviour: S16, I7
fn a_label_tightened_on_a_live_stream_is_obeyed_at_once() {
    let lab = Lab::new();
    let world = World::new(&lab, "40mbit");
    world.wifi.down();
    let got = Arc::new(AtomicU64::new(0));
    let counted = got.clone();
    let server = serve(&world.server, SERVER, |listener| async move {
        let mut stream = listener.accept().await.unwrap();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                n => counted.fetch_add(n as u64, Ordering::Relaxed),
            };
        }
        stream.shutdown().await.unwrap();
    });
    let (go, tighten) = tokio::sync::oneshot::channel::<()>();
    let (tell, tightened) = std::sync::mpsc::channel();
    let facts = world.facts.path();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = manager.connect(SERVER).plaintext().within(PATIENCE);
        let mut stream = connect.await.unwrap();
        stream.write_all(&vec![1; MIB as usize]).await.unwrap();
        tighten.await.unwrap();
        stream.set_label(Label::ANY.prohibit(Prop::Metered));
        stream.write_all(&vec![2; 2 * MIB as usize]).await.unwrap();
        tell.send(payload_on(&stream, "wwan0")).unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(payload_on(&stream, "wwan0"), MIB, "and not a byte more");
        manager.shutdown(PATIENCE).await.unwrap();
    });
    until("what may cost", PATIENCE, || {
        got.load(Ordering::Relaxed) == MIB
    });
    let before = Sent::by_client(&world).cellular;
    assert!(before > MIB);
    go.send(()).unwrap();
    assert_eq!(tightened.recv().unwrap(), MIB);
    lasting(Duration::from_secs(2));
    assert_eq!(got.load(Ordering::Relaxed), MIB, "the rest waits");
    world.wifi.up();
    until("the rest over wifi", PATIENCE, || client.is_finished());
    join(client);
    join(server);
    assert_eq!(got.load(Ordering::Relaxed), 3 * MIB);
    let spent = Sent::by_client(&world).cellular - before;
    println!("{spent} bytes over cellular afterwards");
    assert!(spent < OTHER, "{spent} bytes over cellular");
}
