//! A listener's own networks: their facts hold for what it sends, too.

use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::world::{PATIENCE, World};
use mancom::{Label, Manager, Network, Prop};
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) const CASES: &[Case] =
    cases![flags: a_listener_s_network_that_is_metered_now_carries_nothing_unmetered];

const AT: &str = "mc://10.1.0.1:7000";

// behaviour: S20 I7
fn a_listener_s_network_that_is_metered_now_carries_nothing_unmetered() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let (listening, ready) = mpsc::channel();
    let (silent, is_silent) = tokio::sync::oneshot::channel::<()>();
    let (read, is_read) = tokio::sync::oneshot::channel::<()>();
    let server = world.server.spawn_async(move || async move {
        let (scout, networks) = mancom::testing::scripted();
        let own = Ipv4Addr::new(10, 1, 0, 1);
        networks.up(Network::wifi("s0").address((own, 24)).detached());
        let manager = Manager::builder().scout(scout).build().await.unwrap();
        let listener = manager.listen(AT).plaintext().await.unwrap();
        listening.send(()).unwrap();
        let mut stream = listener.accept().await.unwrap();
        stream.write_all(b"open").await.unwrap();
        networks.change("s0", |spec| spec.metered(true));
        let unmetered = Label::new().prohibit(Prop::Metered);
        stream.write_labelled(unmetered, b"held").await.unwrap();
        is_silent.await.unwrap();
        // Nobody polls the stream any more: what was held goes by itself.
        networks.change("s0", |spec| spec.metered(false));
        is_read.await.unwrap();
    });
    ready.recv().unwrap();
    let client = world.client.spawn_async(move || async move {
        let connect = mancom::connect(AT).plaintext().within(PATIENCE);
        let mut stream = connect.await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"open");
        let early = timeout(Duration::from_millis(500), stream.read_exact(&mut word));
        assert!(early.await.is_err(), "{word:?} on a metered network");
        silent.send(()).unwrap();
        let late = timeout(PATIENCE, stream.read_exact(&mut word)).await;
        late.expect("not held any more").unwrap();
        assert_eq!(&word, b"held");
        read.send(()).unwrap();
    });
    join(client);
    join(server);
}
