//! A stream between two hosts while its networks come and go.

use crate::isolation::{Case, cases};
use crate::lab::{Direction, Lab, Link, join};
use crate::process::until;
use crate::transfer::{MIB, Transfer};
use crate::waiting::lasting;
use crate::world::{PATIENCE, SERVER, World, echo, serve_echo};
use futures::FutureExt;
use mancom::stream::PathEvent;
use mancom::{Label, Manager, McStream};
use std::sync::mpsc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![roaming:
    survives_the_loss_of_each_network_and_of_both,
    leaves_a_network_that_falls_silent,
    requiring_wifi_waits_while_only_cellular_is_up,
    finds_a_listener_that_advertises_at_another_of_its_addresses,
    a_roam_within_a_wifi_keeps_the_connection,
];

type Change = fn(&Link);

/// Makes sure that the transfer runs over `link`, by taking the other away if need be.
fn bring_onto(transfer: &Transfer, world: &World, interface: &str, other: &Link) {
    let before = world.client.bytes_sent(interface);
    transfer.advances(MIB);
    if world.client.bytes_sent(interface) - before < MIB / 2 {
        other.down();
        transfer.advances(2 * MIB);
        other.up();
    }
}

// behaviour: S1, S3, W2
fn survives_the_loss_of_each_network_and_of_both() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let transfer = Transfer::start(&world);
    let ways: [(&str, Change, Change); 3] = [
        ("admin down", Link::down, Link::up),
        (
            "address removed",
            Link::remove_address,
            Link::restore_address,
        ),
        ("deleted", Link::delete, Link::make),
    ];
    let (wifi, cellular) = (&world.wifi, &world.cellular);
    for (what, cut, mend) in ways {
        for (interface, link, other) in [("wlan0", wifi, cellular), ("wwan0", cellular, wifi)] {
            bring_onto(&transfer, &world, interface, other);
            println!("{interface}: {what} after {} bytes", transfer.received());
            cut(link);
            transfer.advances(2 * MIB);
            mend(link);
        }
    }
    println!("both gone after {} bytes", transfer.received());
    wifi.down();
    cellular.delete();
    transfer.falls_still(Duration::from_secs(1));
    let stopped = transfer.received();
    lasting(Duration::from_secs(1));
    assert_eq!(transfer.received(), stopped, "no network, no bytes");
    assert!(!transfer.is_finished(), "and no error either");
    cellular.make();
    transfer.advances(2 * MIB);
    wifi.up();
    transfer.end();
}

// behaviour: S10, I11
fn leaves_a_network_that_falls_silent() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let transfer = Transfer::start(&world);
    for direction in [Direction::Both, Direction::Outgoing, Direction::Incoming] {
        bring_onto(&transfer, &world, "wlan0", &world.cellular);
        println!("silence: {direction:?} after {} bytes", transfer.received());
        world.wifi.silence(direction);
        transfer.advances(4 * MIB);
        world.wifi.heal();
    }
    transfer.end();
}

// behaviour: W1, I7
fn requiring_wifi_waits_while_only_cellular_is_up() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    world.wifi.down();
    serve_echo(&world.server, SERVER);
    let (facts, (worked, works)) = (world.facts.path(), mpsc::channel());
    let waiting = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        // Cellular works: what waits is the label, not the network.
        let any = manager.connect(SERVER).plaintext().within(PATIENCE);
        echo(any.await.unwrap(), b"over cellular").await;
        worked.send(()).unwrap();
        let wifi: Label = "require=wifi".parse().unwrap();
        let stream = manager.connect(SERVER).label(wifi).plaintext().await;
        echo(stream.unwrap(), &[7; MIB as usize / 4]).await;
        manager.shutdown(PATIENCE).await.unwrap();
    });
    works.recv_timeout(PATIENCE).expect("cellular works");
    lasting(Duration::from_secs(1));
    assert!(!waiting.is_finished(), "it waits");
    assert!(
        world.client.bytes_sent("wwan0") > 0,
        "although cellular carries"
    );
    let before = world.client.bytes_sent("wwan0");
    world.wifi.up();
    until("the echo over wifi", PATIENCE, || waiting.is_finished());
    join(waiting);
    let spent = world.client.bytes_sent("wwan0") - before;
    assert!(spent < 50_000, "{spent} bytes over cellular");
    assert!(world.client.bytes_sent("wlan0") > MIB / 4);
}

// behaviour: S8 S9
fn a_roam_within_a_wifi_keeps_the_connection() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    world.cellular.down();
    serve_echo(&world.server, SERVER);
    let (asked, is_open) = mpsc::channel();
    let (lose, mut lost) = tokio::sync::mpsc::unbounded_channel();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().build().await.unwrap();
        let connect = manager.connect(SERVER).plaintext().within(PATIENCE);
        let mut stream = connect.await.unwrap();
        ask(&mut stream).await.unwrap();
        let path = |stream: &McStream| {
            let paths = stream.session().paths();
            paths.iter().map(|path| path.path).collect::<Vec<_>>()
        };
        let before = path(&stream);
        let mut events = stream.events();
        asked.send(()).unwrap();
        while lost.recv().await.is_some() {
            let answered = tokio::time::timeout(PATIENCE, ask(&mut stream)).await;
            answered.expect("it goes on").unwrap();
            assert_eq!(path(&stream), before, "nothing was built again");
            asked.send(()).unwrap();
        }
        // Of each that the kernel told of, at least the last: in doubt, and then not.
        let seen: Vec<_> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
        assert!(matches!(seen[0], PathEvent::Up(_)), "{seen:?}");
        assert!(seen.len() >= 3, "{seen:?}");
        for pair in seen[1..].chunks(2) {
            let told = matches!(pair, [PathEvent::Suspect(_), PathEvent::Trusted(_)]);
            assert!(told, "{seen:?}");
        }
        asked.send(()).unwrap();
        while !matches!(events.next().await.expect("a loss"), PathEvent::Down { .. }) {}
        asked.send(()).unwrap();
        let answered = tokio::time::timeout(PATIENCE, ask(&mut stream)).await;
        answered.expect("it is built again").unwrap();
        assert_ne!(path(&stream), before);
        stream.shutdown().await.unwrap();
        drop(stream);
        manager.shutdown(PATIENCE).await.unwrap();
    });
    // From one access point to the next: no carrier for a moment, and the address stays. The kernel may
    // keep that to itself for a second; of an interface that is taken down it tells at once.
    let roam: [Change; 2] = [Link::lose_carrier, Link::regain_carrier];
    for [leave, come] in [roam, roam, roam, [Link::down, Link::up]] {
        is_open.recv_timeout(PATIENCE).expect("wifi works");
        leave(&world.wifi);
        lose.send(()).unwrap();
        lasting(Duration::from_millis(300));
        come(&world.wifi);
    }
    is_open.recv_timeout(PATIENCE).expect("wifi works");
    drop(lose);
    // Beyond a moment it is a loss.
    is_open.recv_timeout(PATIENCE).expect("it listens");
    world.wifi.lose_carrier();
    is_open
        .recv_timeout(PATIENCE)
        .expect("told within a second");
    world.wifi.regain_carrier();
    join(client);
}

// behaviour: L4 L5
fn finds_a_listener_that_advertises_at_another_of_its_addresses() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let (listening, ready) = mpsc::channel();
    let server = world.server.spawn_async(move || async move {
        let manager = Manager::builder().build().await.unwrap();
        let told = manager.listen("mc://0.0.0.0:7000").advertise_addresses();
        let told = told.plaintext().await.unwrap();
        let silent = manager.listen("mc://0.0.0.0:7001").plaintext().await;
        let silent = silent.unwrap();
        listening.send(()).unwrap();
        let (told, silent) = (told.accept().await.unwrap(), silent.accept().await.unwrap());
        // The one that was told nothing never arrives again.
        let echoing = |stream| tokio::spawn(echo_back(stream));
        let _silent = echoing(silent);
        echoing(told).await.unwrap();
    });
    let _ = ready.recv();
    let (facts, (moving, moved)) = (world.facts.path(), mpsc::channel());
    let (leave, left) = tokio::sync::oneshot::channel();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let connect = |at: &str| manager.connect(at).plaintext().within(PATIENCE);
        let mut told = connect("mc://10.1.0.1:7000").await.unwrap();
        let mut silent = connect("mc://10.1.0.1:7001").await.unwrap();
        for stream in [&mut told, &mut silent] {
            ask(stream).await.unwrap();
        }
        moving.send(()).unwrap();
        // What comes back comes from another address, to another one.
        let goes_on = async {
            while told
                .session()
                .paths()
                .iter()
                .all(|path| path.name.as_deref() != Some("wwan0"))
            {
                ask(&mut told).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            for _ in 0..100 {
                ask(&mut told).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, goes_on).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_secs(3), ask(&mut silent)).await;
        assert!(
            waits.is_err(),
            "nobody told it of another address: {waits:?}"
        );
        told.shutdown().await.unwrap();
        assert_eq!(told.read(&mut [0]).await.unwrap(), 0);
        // Who leaves before the other end's last word is acknowledged keeps it waiting.
        left.await.unwrap();
    });
    moved.recv().unwrap();
    world.server.ip("address del 10.1.0.1/24 dev s0");
    world.wifi.remove_address();
    join(server);
    leave.send(()).unwrap();
    join(client);
}

/// Sends back what it reads, to the end.
async fn echo_back(stream: McStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// One question and its answer.
async fn ask(stream: &mut McStream) -> std::io::Result<()> {
    stream.write_all(&[7; 1_000]).await?;
    let mut back = [0; 1_000];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, [7; 1_000]);
    Ok(())
}
