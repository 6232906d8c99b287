//! `mcs://` as it should be.

use std::future::IntoFuture;

use super::{Authority, echoing, key, works};
use crate::raw::{manager, soon};

#[tokio::test]
async fn a_pinned_key_is_all_that_two_ends_need() {
    let manager = manager(|_| {}).await;
    let (server, client) = (key(), key());
    let listen = manager.listen("mcs://127.0.0.1:0").identity(&server);
    let listener = soon(listen.pin(client.public_key()).into_future())
        .await
        .unwrap();
    let at = listener.contact().to_string();
    let connect = manager.connect(&at).identity(&client);
    let connect = connect.pin(server.public_key()).into_future();
    let accept = tokio::spawn(async move { listener.accept().await });
    let mut stream = soon(connect).await.unwrap();
    let accepted = soon(accept).await.unwrap().unwrap();
    assert_eq!(stream.session().peer(), Some(server.public_key()));
    assert_eq!(accepted.session().peer(), Some(client.public_key()));
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(accepted);
        tokio::io::copy(&mut read, &mut write).await
    });
    works(&mut stream).await;
}

#[tokio::test]
async fn a_listener_that_was_told_nothing_learns_who_comes_and_lets_all_in() {
    let manager = manager(|_| {}).await;
    let server = key();
    let listen = manager.listen("mcs://127.0.0.1:0").identity(&server);
    let listener = soon(listen.into_future()).await.unwrap();
    let at = listener.contact().to_string();
    let client = key();
    for identity in [Some(&client), None] {
        let mut connect = manager.connect(&at).pin(server.public_key());
        if let Some(identity) = identity {
            connect = connect.identity(identity);
        }
        let stream = tokio::spawn(connect.into_future());
        let accepted = soon(listener.accept()).await.unwrap();
        let stream = soon(stream).await.unwrap().unwrap();
        let known = accepted.session().peer();
        assert_eq!(known, identity.map(mancom::Identity::public_key));
        drop(stream);
    }
}

#[tokio::test]
async fn an_authority_vouches_for_a_name_and_for_a_client() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let server = authority.certify("localhost", |_| {});
    let client = authority.certify("a laptop", |_| {});
    let listen = manager.listen("mcs://127.0.0.1:0").identity(&server);
    let listener = soon(listen.ca(authority.file()).into_future())
        .await
        .unwrap();
    let port = listener.contact().port().unwrap();
    crate::raw::echo(listener);
    for at in [
        format!("mcs://localhost:{port}"),
        format!("mcs://127.0.0.1:{port}?name=localhost"),
    ] {
        let connect = manager.connect(&at).identity(&client).ca(authority.file());
        let mut stream = soon(connect.into_future()).await.unwrap();
        works(&mut stream).await;
    }
}

#[tokio::test]
async fn a_certificate_s_key_can_be_pinned_whatever_the_certificate_says() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let server = authority.certify("another.example", |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    });
    let key = server.public_key();
    assert!(key.to_string().starts_with("sha256:"), "{key}");
    let at = echoing(&manager, &server).await;
    for at in [at.clone(), format!("{at}?pin={key}")] {
        let connect = manager.connect(&at);
        let connect = if at.contains("pin") {
            connect
        } else {
            connect.pin(key)
        };
        works(&mut soon(connect.into_future()).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_manager_s_identity_and_pins_are_those_of_its_streams() {
    let (server, client) = (key(), key());
    let builder = mancom::Manager::builder().scout(mancom::Scout::fixed([]));
    let far = builder.identity(&server).client(client.public_key());
    let far = far.build().await.unwrap();
    let listener = soon(far.listen("mcs://127.0.0.1:0").into_future())
        .await
        .unwrap();
    let at = super::contact(listener);
    let builder = mancom::Manager::builder().scout(mancom::Scout::fixed([]));
    let near = builder.identity(&client).pin(server.public_key());
    let near = near.build().await.unwrap();
    works(&mut soon(near.connect(&at).into_future()).await.unwrap()).await;
    // Another pin takes the place of the manager's.
    let connect = near.connect(&at).pin(client.public_key());
    assert!(soon(connect.into_future()).await.is_err());
}

#[tokio::test]
async fn bulk_goes_both_ways_at_once() {
    let manager = manager(|_| {}).await;
    let server = key();
    let at = echoing(&manager, &server).await;
    let connect = manager.connect(&at).pin(server.public_key());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    let text: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(31) >> 3) as u8)
        .collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let sent = text.clone();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut read, &mut back))
        .await
        .unwrap();
    soon(writing).await.unwrap();
    assert!(back == text, "{} bytes of {}", back.len(), text.len());
}
