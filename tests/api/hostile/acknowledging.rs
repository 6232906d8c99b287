//! Acknowledgements that go back.

use super::*;

// behaviour: K9
#[tokio::test]
async fn an_acknowledgement_that_goes_back_ends_its_path_only() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&[opening(0), data(0, 0, b"hello")].concat()).await;
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"hello");
    raw.send(&[ack(0, 5), ack(0, 4)].concat()).await;
    raw.ended().await;
    let path = numbers.next_path(0);
    let mut raw = attach(Raw::dial(at).await, &agreed.credentials, path)
        .await
        .unwrap();
    raw.send(&[opening(0), ack(0, 5), resume(), data(0, 5, b"again")].concat())
        .await;
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"again");
}

// behaviour: K9
#[tokio::test]
async fn a_peer_that_rolled_back_ends_its_session_and_no_other() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&[opening(0), data(0, 0, b"hello")].concat()).await;
    let mut served = soon(listener.accept()).await.unwrap();
    let mut text = [0; 5];
    soon(served.read_exact(&mut text)).await.unwrap();
    served.write_all(&text).await.unwrap();
    assert_eq!(&raw.frame_of(&[1, 2]).await[12..], b"hello");
    // The acknowledgement is in when the next answer is out.
    raw.send(&[ack(0, 5), data(0, 5, b"again")].concat()).await;
    soon(served.read_exact(&mut text)).await.unwrap();
    drop(raw);
    let held = served.session();
    until(|| held.paths().is_empty()).await;
    let path = numbers.next_path(0);
    let mut raw = attach(Raw::dial(at).await, &agreed.credentials, path)
        .await
        .unwrap();
    raw.send(&[opening(0), ack(0, 0), resume()].concat()).await;
    let error = soon(served.read_exact(&mut text)).await.unwrap_err();
    assert!(
        matches!(session_error(&error), SessionError::PeerRolledBack),
        "{error}"
    );
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    ask(&mut stream, b"the process lives").await;
}
