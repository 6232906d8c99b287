//! Sessions where a third of all datagrams gets lost.

use crate::lossy::Lossy;
use crate::raw::soon;
use mancom::transport::Airhook;
use mancom::{Manager, McStream, Scout};
use std::future::IntoFuture;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LENGTH: usize = 1 << 20;

async fn manager() -> Manager {
    let airhook = Airhook::over("air", Arc::new(Lossy::new(33)));
    let builder = Manager::builder().scout(Scout::fixed([]));
    builder.transport(airhook).build().await.unwrap()
}

fn noise(seed: u64) -> Vec<u8> {
    let mut chance = mancom::proto::pair::Seeded::new(seed);
    (0..LENGTH).map(|_| chance.draw() as u8).collect()
}

/// A megabyte each way at once, and both ends after it.
async fn carries(near: McStream, far: McStream) {
    let both = [(near, 1, 2), (far, 2, 1)].map(|(stream, own, other)| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let sent = async move {
            write.write_all(&noise(own)).await?;
            write.shutdown().await
        };
        let mut came = Vec::new();
        tokio::try_join!(sent, read.read_to_end(&mut came)).unwrap();
        assert!(came == noise(other), "{} bytes differ", came.len());
    });
    soon(futures::future::join_all(both)).await;
}

#[tokio::test]
async fn a_session_goes_over_air_that_loses_a_third() {
    let manager = manager().await;
    let listener = manager.listen("mc+air://127.0.0.1:0").await.unwrap();
    let connect = manager.connect(listener.contact()).into_future();
    let (near, far) = soon(futures::future::join(connect, listener.accept())).await;
    carries(near.unwrap(), far.unwrap()).await;
}

// behaviour: K7
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_session_in_tls_goes_over_air_that_loses_a_third_and_knows_its_peer() {
    use mancom::Identity;
    let manager = manager().await;
    let [server, client, other] = [(); 3].map(|()| Identity::generate().unwrap());
    let listen = manager.listen("mcs+air://127.0.0.1:0").identity(&server);
    let listener = soon(listen.pin(client.public_key()).into_future()).await;
    let listener = listener.unwrap();
    let dial = |pin: &Identity| {
        let connect = manager.connect(listener.contact()).identity(&client);
        connect.pin(pin.public_key())
    };
    let (near, far) = soon(futures::future::join(
        dial(&server).into_future(),
        listener.accept(),
    ))
    .await;
    let (near, far) = (near.unwrap(), far.unwrap());
    assert_eq!(near.session().peer(), Some(server.public_key()));
    assert_eq!(far.session().peer(), Some(client.public_key()));
    carries(near, far).await;
    let wrong = soon(dial(&other).into_future()).await.unwrap_err();
    let text = wrong.to_string();
    assert!(text.contains(&server.public_key().to_string()), "{text}");
}
