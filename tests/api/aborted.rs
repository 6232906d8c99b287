//! What the far end of a plain stream reads once it was aborted: never an end.

use std::future::IntoFuture;
use std::io::ErrorKind;

use mancom::{Connect, Listen, Listener, Manager, McStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::{PATIENCE, manager, soon};

/// What is asked of one side.
type Asks<'a, T> = &'a dyn Fn(T) -> T;

/// Both ends of a plain stream.
async fn joined(
    manager: &Manager,
    listen: Listen,
    ask: Asks<'_, Connect>,
) -> (Listener, [McStream; 2]) {
    let listener = soon(listen.into_future()).await.unwrap();
    let mut contact = listener.contact().to_string();
    if contact.starts_with("tls:") {
        // By its key alone.
        contact.push_str("?bare");
    }
    let connect = ask(manager.connect(contact)).into_future();
    let (near, far) = soon(futures::future::join(connect, listener.accept())).await;
    (listener, [near.unwrap(), far.unwrap()])
}

/// Either end aborts in the midst of what it has to say; the other has read some of it.
async fn is_torn(at: &str, listens: Asks<'_, Listen>, asks: Asks<'_, Connect>) {
    for aborts in [0, 1] {
        let manager = manager(|_| {}).await;
        let listen = listens(manager.listen(at));
        let (_listener, mut both) = joined(&manager, listen, asks).await;
        both.swap(0, aborts);
        let [mut aborted, mut other] = both;
        // Who dialled speaks first, so that both are known to stand.
        for (from, to) in [(1, 0), (0, 1)] {
            let mut ends = [&mut aborted, &mut other];
            if aborts == 1 {
                ends.swap(0, 1);
            }
            ends[from].write_all(b"part of it").await.unwrap();
            soon(ends[to].read_exact(&mut [0; 10])).await.unwrap();
        }
        aborted.write_all(b"and more").await.unwrap();
        aborted.abort();
        let ended = soon(other.read_to_end(&mut Vec::new())).await;
        let error = ended.expect_err(at);
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{at}: {error}");
        let again = soon(other.read(&mut [0; 8])).await;
        assert!(again.is_err(), "{at}: {again:?}");
        drop(other);
        // It holds up nobody for longer than it takes to tell.
        manager.shutdown(PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn the_peer_of_an_aborted_tcp_stream_reads_no_end() {
    is_torn("tcp://127.0.0.1:0", &|listen| listen, &|connect| connect).await;
}

#[cfg(feature = "airhook")]
#[tokio::test]
async fn the_peer_of_an_aborted_airhook_stream_reads_no_end() {
    let at = "airhook://127.0.0.1:0";
    is_torn(at, &|listen| listen, &|connect| connect).await;
}

#[cfg(feature = "tls")]
async fn is_torn_with_keys(at: &str) {
    let server = mancom::Identity::generate().unwrap();
    let listens = |listen: Listen| listen.identity(&server);
    let asks = |connect: Connect| connect.pin(server.public_key());
    is_torn(at, &listens, &asks).await;
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn the_peer_of_an_aborted_quic_stream_reads_no_end() {
    is_torn_with_keys("quic://127.0.0.1:0").await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_peer_of_an_aborted_stream_in_tls_reads_no_end() {
    is_torn_with_keys("tls://127.0.0.1:0").await;
}

#[tokio::test]
async fn an_end_that_was_said_before_an_abort_and_read_stays_an_end() {
    let manager = manager(|_| {}).await;
    let listen = manager.listen("tcp://127.0.0.1:0");
    let (_listener, [mut near, mut far]) = joined(&manager, listen, &|connect| connect).await;
    near.write_all(b"all of it").await.unwrap();
    near.shutdown().await.unwrap();
    let mut came = Vec::new();
    soon(far.read_to_end(&mut came)).await.unwrap();
    assert_eq!(came, b"all of it");
    near.abort();
    assert_eq!(soon(far.read(&mut [0; 8])).await.unwrap(), 0);
}
