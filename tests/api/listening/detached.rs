//! Sessions without a path.

use super::*;

/// A raw session whose stream was accepted, cut off.
async fn detached(listener: &Listener, source: &str) -> McStream {
    let raw = Raw::dial_from(source, address(listener)).await.unwrap();
    let (mut raw, _) = session(raw).await.unwrap();
    raw.send(&[opening(0), data(0, 0, b"x")].concat()).await;
    let served = soon(listener.accept()).await.unwrap();
    drop(raw);
    let held = served.session();
    until(|| held.paths().is_empty()).await;
    served
}

async fn evicted(stream: &mut McStream) -> bool {
    let mut text = [0; 2];
    let read = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut text)).await;
    match read {
        Ok(Err(error)) => {
            assert!(
                matches!(session_error(&error), SessionError::Evicted),
                "{error}"
            );
            true
        }
        _ => false,
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn at_the_bound_the_longest_detached_of_the_source_with_most_ends() {
    let manager = manager(|settings| settings.detached = 3).await;
    let (listener, _) = listen(&manager).await;
    let mut lone = detached(&listener, "127.0.1.1").await;
    let mut many = Vec::new();
    for _ in 0..4 {
        let mut stream = detached(&listener, "127.0.2.1").await;
        stream.write_all(b"kept for its return").await.unwrap();
        many.push(stream);
    }
    assert!(!evicted(&mut lone).await, "the oldest of all, but alone");
    let mut ends = Vec::new();
    for stream in &mut many {
        ends.push(evicted(stream).await);
    }
    assert_eq!(ends, [true, true, false, false]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn detached_sessions_keep_no_more_bytes_than_allowed() {
    let manager = manager(|settings| settings.detached_bytes = 10_000).await;
    let (listener, _) = listen(&manager).await;
    let mut lone = detached(&listener, "127.0.1.1").await;
    let mut many = Vec::new();
    for _ in 0..3 {
        many.push(detached(&listener, "127.0.2.1").await);
    }
    lone.write_all(&[1; 4_000]).await.unwrap();
    for stream in &mut many[1..] {
        stream.write_all(&[1; 2_500]).await.unwrap();
    }
    assert!(
        !evicted(&mut many[0]).await && !evicted(&mut lone).await,
        "9,000 bytes and a few"
    );
    many[2].write_all(&[1; 1_500]).await.unwrap();
    let mut ends = Vec::new();
    for stream in &mut many {
        ends.push(evicted(stream).await);
    }
    assert!(
        ends.contains(&true),
        "written while detached counts: {ends:?}"
    );
    assert!(!ends[2] && !evicted(&mut lone).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_session_that_came_back_is_not_counted() {
    let manager = manager(|settings| settings.detached = 1).await;
    let (listener, at) = listen(&manager).await;
    let (mut raw, agreed) = session(Raw::dial(at).await).await.unwrap();
    let mut numbers = numbers(&agreed);
    raw.send(&[opening(0), data(0, 0, b"x")].concat()).await;
    let mut served = soon(listener.accept()).await.unwrap();
    drop(raw);
    let held = served.session();
    until(|| held.paths().is_empty()).await;
    let path = numbers.next_path(0);
    let mut raw = attach(Raw::dial(at).await, &agreed.credentials, path)
        .await
        .unwrap();
    raw.send(&[opening(0), ack(0, 0), resume()].concat()).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(detached(&listener, "127.0.0.1").await);
    }
    assert!(evicted(&mut others[0]).await && !evicted(&mut others[1]).await);
    raw.send(&data(0, 1, b"y")).await;
    let mut text = [0; 2];
    soon(served.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"xy");
}
