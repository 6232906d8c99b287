//! What sessions measure of the networks they use.

use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::world::{PATIENCE, SERVER, World, serve};
use mancom::{Label, Manager, Network};
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![estimates:
    a_session_measures_the_network_it_uses,
    a_plain_stream_measures_the_network_it_uses,
];

fn a_session_measures_the_network_it_uses() {
    let lab = Lab::new();
    let world = World::new(&lab, "20mbit");
    let server = serve(&world.server, SERVER, |listener| async move {
        let mut stream = listener.accept().await.unwrap();
        let mut buffer = vec![0; 64 * 1024];
        while stream.read(&mut buffer).await.unwrap() > 0 {}
    });
    sends_until_measured(&world, SERVER);
    join(server);
}

fn a_plain_stream_measures_the_network_it_uses() {
    let lab = Lab::new();
    let world = World::new(&lab, "20mbit");
    let listener = world
        .server
        .run(|| TcpListener::bind("10.9.0.1:80").unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 64 * 1024];
        while stream.read(&mut buffer).unwrap() > 0 {}
    });
    sends_until_measured(&world, "tcp://10.9.0.1:80");
    join(server);
}

/// Sends over wifi until snapshots tell of its round trip and bandwidth.
fn sends_until_measured(world: &World, to: &'static str) {
    let facts = world.facts.path();
    let (rtt, up) = join(world.client.spawn_async(move || async move {
        let manager = Manager::builder().config_file(facts).build().await.unwrap();
        let wifi: Label = "require=wifi".parse().unwrap();
        let connect = manager.connect(to).label(wifi).plaintext();
        let mut stream = connect.within(PATIENCE).await.unwrap();
        let mut snapshots = manager.snapshots();
        let measured = async {
            let known = |network: &Network| Some((network.rtt()?, network.up()?));
            let wlan = snapshots.wait_for(|now| now.by_name("wlan0").and_then(known).is_some());
            known(wlan.await.unwrap().by_name("wlan0").unwrap()).unwrap()
        };
        let sending = async {
            loop {
                stream.write_all(&[7; 16 * 1024]).await.unwrap();
            }
        };
        let figures = tokio::select! {
            figures = tokio::time::timeout(PATIENCE, measured) => figures.expect("both figures"),
            () = sending => unreachable!(),
        };
        stream.shutdown().await.unwrap();
        manager.shutdown(PATIENCE).await.unwrap();
        figures
    }));
    assert!(rtt < Duration::from_secs(1), "{rtt:?}");
    assert!(up < 40_000_000, "the link has 20 Mbit/s, not {up} bit/s");
}
