//! Sessions in TLS over networks that come and go.

use crate::support::{Chance, Outcome, with};
use mancom::stream::{PathEvent, Settings};
use mancom::testing::Networks;
use mancom::{Identity, Label, Listener, Manager, McStream, Network};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const RTT: Duration = Duration::from_millis(100);

/// Both ends in TLS with bare keys, each of which knows the other's.
async fn joined(at: &str, label: Label) -> Result<(McStream, McStream, Listener), mancom::Error> {
    let [server, client] = [Identity::generate(), Identity::generate()];
    let (server, client) = (server.unwrap(), client.unwrap());
    let listen = mancom::listen(at).identity(&server);
    let listener = listen.pin(client.public_key()).await?;
    let connect = mancom::connect(at).label(label).identity(&client);
    let near = connect.pin(server.public_key()).await?;
    let far = listener.accept().await?;
    Ok((near, far, listener))
}

fn network(number: usize) -> mancom::NetworkSpec {
    Network::ethernet(["eth0", "eth1", "eth2"][number]).rtt(RTT)
}

#[mancom::test]
async fn every_byte_survives_networks_that_come_and_go(networks: Networks) -> Outcome {
    networks.up(network(0));
    let (near, far, _listener) = joined("mcs+mem://far", Label::INTERACTIVE).await?;
    let mut chance = Chance(5);
    let text = chance.bytes(2_000_000);
    let sent = text.clone();
    let (mut write, mut read) = (near, far);
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await?;
        write.shutdown().await
    });
    let roaming = tokio::spawn(async move {
        for turn in 0..40 {
            tokio::time::sleep(chance.millis(50, 400)).await;
            networks.down(["eth0", "eth1", "eth2"][turn % 3]);
            if turn % 4 == 3 {
                // For a while there is none.
                for name in ["eth0", "eth1", "eth2"] {
                    networks.down(name);
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            networks.up(network((turn + 1) % 3));
        }
    });
    let mut came = Vec::new();
    read.read_to_end(&mut came).await?;
    assert!(came == text);
    writing.await.unwrap()?;
    roaming.abort();
    Ok(())
}

/// When the next path is up at each end, after `begin`, as round trips.
async fn joins(networks: &Networks, ends: &[&McStream; 2], number: usize) -> [f64; 2] {
    let mut events = ends.map(McStream::events);
    // What is there already is told first.
    let known = ends[0].session().paths().len();
    for events in &mut events {
        for _ in 0..known {
            assert!(matches!(events.next().await, Some(PathEvent::Up(_))));
        }
    }
    let begin = Instant::now();
    networks.up(network(number));
    let mut took = [0.0; 2];
    for (events, took) in events.iter_mut().zip(&mut took) {
        while !matches!(events.next().await, Some(PathEvent::Up(_))) {}
        *took = begin.elapsed().as_secs_f64() / RTT.as_secs_f64();
    }
    took
}

/// The round trips of a third path's attach, from the connection on, at the dialler and the listener.
async fn third(networks: &Networks, near: &McStream, far: &McStream) -> [f64; 2] {
    joins(networks, &[near, far], 1).await;
    let dialler = joins(networks, &[near, far], 2).await[0];
    networks.down("eth2");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let listener = joins(networks, &[far, near], 2).await[0];
    // Connecting itself takes one.
    [dialler, listener].map(|trips| trips - 1.0)
}

fn about(trips: f64, expected: f64) {
    assert!((trips - expected).abs() < 0.1, "{trips} round trips");
}

#[mancom::test]
async fn a_third_path_costs_no_round_trip_more_in_tls_than_in_clear(networks: Networks) -> Outcome {
    networks.up(network(0));
    let (near, far, _listener) = joined("mcs+mem://far", Label::INTERACTIVE).await?;
    let [dialler, listener] = third(&networks, &near, &far).await;
    // One for TLS, and an attach in the same flight as its end.
    about(listener, 1.5);
    about(dialler, 2.0);

    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).build().await?;
    networks.up(network(0));
    let clear = manager.listen("mem://far").await?;
    let near = manager
        .connect("mem://far")
        .label(Label::INTERACTIVE)
        .await?;
    let far = clear.accept().await?;
    let [dialler, listener] = third(&networks, &near, &far).await;
    about(listener, 1.5);
    about(dialler, 2.0);
    Ok(())
}

#[mancom::test]
async fn what_waited_goes_as_soon_as_each_knows_what_the_other_has(networks: Networks) -> Outcome {
    networks.up(network(0));
    let (mut near, mut far, _listener) = joined("mcs+mem://far", Label::INTERACTIVE).await?;
    networks.down("eth0");
    tokio::time::sleep(Duration::from_secs(60)).await;
    near.write_all(b"up").await?;
    far.write_all(b"down").await?;
    let begin = Instant::now();
    networks.up(network(0));
    let trips = || begin.elapsed().as_secs_f64() / RTT.as_secs_f64();
    let at_dialler = async {
        near.read_exact(&mut [0; 4]).await?;
        Ok::<_, std::io::Error>(trips())
    };
    let at_listener = async {
        far.read_exact(&mut [0; 2]).await?;
        Ok::<_, std::io::Error>(trips())
    };
    let (at_dialler, at_listener) = tokio::try_join!(at_dialler, at_listener)?;
    // Connecting takes one, TLS one, the attach and its answer one. The answer says what the listener has;
    // what the dialler has it says behind the listener's proof, and its bytes with it.
    about(at_listener, 3.5);
    about(at_dialler, 4.0);
    Ok(())
}

#[mancom::test]
async fn a_listener_that_forgot_a_session_is_believed_at_once(networks: Networks) -> Outcome {
    let server = Identity::generate().unwrap();
    // It keeps none that has no path.
    let mut settings = Settings::default();
    settings.detached = 0;
    let (far, scripted) = with(settings).await;
    drop(networks);
    scripted.up(network(0));
    let listener = far.listen("mcs+mem://far").identity(&server).await?;
    let connect = far.connect("mcs+mem://far").label(Label::INTERACTIVE);
    let mut near = connect.pin(server.public_key()).await?;
    let accepted = listener.accept().await?;
    scripted.down("eth0");
    let error = accepted.session().accept().await.unwrap_err();
    assert!(error.to_string().contains("given up"), "{error}");
    scripted.up(network(0));
    let begin = Instant::now();
    let error = near.read(&mut [0; 1]).await.unwrap_err();
    assert!(error.to_string().contains("no longer knows"), "{error}");
    assert!(begin.elapsed() < 5 * RTT, "{:?}", begin.elapsed());
    Ok(())
}
