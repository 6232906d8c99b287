//! Listeners whose own networks and addresses change.

use super::carried_by;
use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::transfer::{By, Load, MIB, Transfer};
use crate::waiting::until_task;
use crate::world::{Facts, PATIENCE, SERVER, World, echo};
use mancom::{Label, Listener, Manager};
use std::io::{Seek, Write};
use std::sync::mpsc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![paths:
    a_session_survives_the_change_of_both_ends_addresses,
    a_name_of_the_hosts_file_is_looked_up_for_each_path,
    a_labelled_listener_follows_its_networks,
];

/// The listener has two addresses under one name. Each goes in turn, and so does the dialler's.
// behaviour: L5, S3
fn a_session_survives_the_change_of_both_ends_addresses() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "40mbit"]);
    world.server.reachable_at("10.9.0.2/32");
    let _names = hosts("10.9.0.1 both.example\n10.9.0.2 both.example\n");
    let load = Load::endless(By::Up, Label::ANY).to("mc://both.example:7000");
    let transfer = Transfer::of(&world, load);
    let alone = |gone: &str, there: &str| {
        world.server.ip(&format!("address delete {gone}/32 dev lo"));
        world
            .server
            .ip(&format!("address replace {there}/32 dev lo"));
    };
    let steps: [(&str, &dyn Fn()); 5] = [
        ("the listener's first address goes", &|| {
            alone("10.9.0.1", "10.9.0.2")
        }),
        ("the dialler loses wifi", &|| world.wifi.remove_address()),
        ("both change at once", &|| {
            world.wifi.restore_address();
            alone("10.9.0.2", "10.9.0.1");
            world.cellular.down();
        }),
        ("the dialler has both", &|| world.cellular.up()),
        ("both change again", &|| {
            alone("10.9.0.1", "10.9.0.2");
            world.wifi.down();
        }),
    ];
    for (what, step) in steps {
        transfer.advances(2 * MIB);
        transfer.longest_gap();
        step();
        transfer.advances(6 * MIB);
        println!("{what}: nothing arrived for {:?}", transfer.longest_gap());
    }
    world.wifi.up();
    transfer.stop();
}

/// The listener moves to another address, and whoever keeps the hosts file writes that down.
// behaviour: L5
fn a_name_of_the_hosts_file_is_looked_up_for_each_path() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "40mbit"]);
    world.server.reachable_at("10.9.0.2/32");
    let names = hosts("10.9.0.1 moves.example\n");
    let load = Load::endless(By::Up, Label::ANY).to("mc://moves.example:7000");
    let transfer = Transfer::of(&world, load);
    transfer.advances(2 * MIB);
    // In its place: what is mounted is this file.
    let mut file = names.as_file();
    file.rewind().unwrap();
    file.write_all(b"10.9.0.2 moves.example\n").unwrap();
    world.server.ip("address delete 10.9.0.1/32 dev lo");
    transfer.advances(6 * MIB);
    println!("nothing arrived for {:?}", transfer.longest_gap());
    transfer.stop();
}

/// What the hosts file says, in this test's own mount namespace.
fn hosts(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mounted = std::process::Command::new("mount")
        .arg("--bind")
        .args([file.path(), std::path::Path::new("/etc/hosts")])
        .status();
    assert!(mounted.unwrap().success(), "a hosts file of its own");
    file
}

/// Waits until a listener has no network, or has one.
async fn blocked(listener: &Listener, wanted: bool) {
    let is = || listener.blocked().is_some() == wanted;
    until_task("blocked or not", PATIENCE, is).await;
}

/// It listens on its wifi alone, on the same port each time, and refuses who comes by cellular.
// behaviour: L1, L2
fn a_labelled_listener_follows_its_networks() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "40mbit"]);
    // What leads nowhere is no network to listen on for everybody.
    let route = || world.server.ip("route replace default via 10.1.0.2 dev s0");
    route();
    let theirs = Facts::new("[networks.s0]\nkind = \"wifi\"\n[networks.s1]\nkind = \"cellular\"\n");
    let (said, says) = mpsc::channel();
    let (facts, wifi) = (theirs.path(), "require=wifi".parse::<Label>().unwrap());
    let server = world.server.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let listener = manager.listen("mc://0.0.0.0:7000").label(wifi).plaintext();
        let listener = listener.await.unwrap();
        blocked(&listener, false).await;
        said.send("listens").unwrap();
        let stream = listener.accept().await.unwrap();
        let echoing = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        blocked(&listener, true).await;
        said.send("listens nowhere").unwrap();
        blocked(&listener, false).await;
        assert_eq!(listener.contact().port(), Some(7000));
        said.send("listens again").unwrap();
        // The one that was there comes back, and a new one after it.
        let second = listener.accept().await.unwrap();
        echo(second, b"second").await;
        echoing.await.unwrap();
        manager.shutdown(PATIENCE).await.unwrap();
    });
    assert_eq!(says.recv().unwrap(), "listens");
    let facts = world.facts.path();
    let (cut, cutting) = mpsc::channel();
    let (mended, mending) = tokio::sync::oneshot::channel::<()>();
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let cellular: Label = "require=cellular".parse().unwrap();
        let refused = manager.connect(SERVER).label(cellular).plaintext();
        let error = refused.within(PATIENCE).await.unwrap_err();
        println!("over cellular: {error}");
        let stream = manager.connect(SERVER).plaintext().within(PATIENCE);
        let mut stream = stream.await.unwrap();
        stream.write_all(b"one").await.unwrap();
        let mut back = [0; 3];
        stream.read_exact(&mut back).await.unwrap();
        carried_by(&stream.session(), &["wlan0"]).await;
        cut.send(()).unwrap();
        mending.await.unwrap();
        stream.write_all(b"two").await.unwrap();
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"two", "the session outlives the listener's network");
        let second = manager.connect(SERVER).plaintext().within(PATIENCE);
        echo(second.await.unwrap(), b"second").await;
        stream.shutdown().await.unwrap();
        drop(stream);
        manager.shutdown(PATIENCE).await.unwrap();
    });
    cutting.recv().expect("the client got so far");
    world.wifi.delete();
    assert_eq!(says.recv().unwrap(), "listens nowhere");
    world.wifi.make();
    route();
    assert_eq!(says.recv().unwrap(), "listens again");
    mended.send(()).unwrap();
    join(client);
    join(server);
}
