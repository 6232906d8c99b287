//! Handshakes without end.

use super::*;

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn ten_thousand_half_open_handshakes_stop_nobody() {
    use crate::raw::{descriptors, in_a_process_of_its_own, resident};
    use rustix::process::{Resource, getrlimit, setrlimit};
    const NAME: &str = "hostile::floods::ten_thousand_half_open_handshakes_stop_nobody";
    const FLOOD: usize = 10_000;
    const BOUND: usize = 1024;
    if !in_a_process_of_its_own(NAME) {
        return;
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // As many at once as the host allows, the listener's and our own; those dropped make room.
    let most = limit
        .current
        .map_or(FLOOD, |limit| (limit as usize).saturating_sub(2 * BOUND));
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    ask(&mut stream, b"before").await;
    let (fds, memory) = (descriptors(), resident());
    let mut flood = std::collections::VecDeque::new();
    let (_, hello) = DialHello::new(entropy(), offer());
    let mut peak = 0;
    let began = Instant::now();
    for n in 0..FLOOD {
        let mut raw = Raw::dial(at).await;
        match n % 4 {
            0 => {}
            1 => raw.throw(&hello[..hello.len() / 2]).await,
            2 => raw.throw(&hello).await,
            _ => raw.throw(&attach_to([n as u8; 16])).await,
        }
        flood.push_back(raw);
        if flood.len() > most {
            flood.pop_front();
        }
        if n % 500 == 0 {
            peak = peak.max(descriptors().saturating_sub(fds + flood.len()));
        }
        if n % 2_500 == 2_499 {
            ask(&mut stream, b"during").await;
            let mut fresh = soon(manager.connect(format!("mc://{at}")).into_future())
                .await
                .unwrap();
            ask(&mut fresh, b"a proper client").await;
        }
    }
    let last = Instant::now();
    assert!(peak <= BOUND + 8, "{peak} open at the listener");
    let grown = resident().saturating_sub(memory);
    // 512 bytes a handshake, their tasks and sockets, and the test's own 10,000 sockets.
    assert!(grown < 48 << 20, "{} KiB more", grown >> 10);
    for mut raw in flood {
        raw.ended().await;
    }
    let took = last.elapsed();
    assert!(
        took < Duration::from_secs(5 + 5),
        "the last ended after {took:?} (flood: {:?})",
        last - began
    );
    until(|| descriptors() <= fds).await;
    ask(&mut stream, b"after").await;
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_crowds_out_its_own_prefix_only() {
    let manager = manager(|settings| settings.half_open = 8).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let slow = Raw::dial_from("127.0.9.1", at).await.unwrap();
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(Raw::dial_from("127.0.0.2", at).await.unwrap());
    }
    for raw in &mut flood[..150] {
        raw.ended().await;
    }
    let (mut raw, _) = session(slow)
        .await
        .expect("it was there first, from elsewhere");
    raw.send(&opening(0)).await;
    raw.send(&data(0, 0, b"slow")).await;
    let body = raw.frame_of(&[1, 2]).await;
    assert_eq!(&body[12..], b"slow");
}

// behaviour: K3
#[cfg(target_os = "linux")]
#[tokio::test]
async fn handshakes_take_no_more_than_a_quarter_of_the_descriptors() {
    use crate::raw::in_a_process_of_its_own;
    use rustix::process::{Resource, getrlimit, setrlimit};
    const NAME: &str = "hostile::floods::handshakes_take_no_more_than_a_quarter_of_the_descriptors";
    if !in_a_process_of_its_own(NAME) {
        return;
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(200);
    setrlimit(Resource::Nofile, limit).unwrap();
    let manager = manager(|_| ()).await;
    let (_listener, at) = listen(&manager).await;
    let mut flood = Vec::new();
    for _ in 0..80 {
        flood.push(Raw::dial(at).await);
    }
    for raw in &mut flood[..30] {
        raw.ended().await;
    }
    assert!(flood[30].is_open().await, "fifty are kept");
}

// behaviour: K3
#[tokio::test]
async fn under_load_a_hello_must_bring_a_cookie() {
    let manager = manager(|settings| settings.cookies_after = 2).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let calm = Raw::dial(at).await;
    assert!(session(calm).await.is_ok());
    let crowd = [
        Raw::dial(at).await,
        Raw::dial(at).await,
        Raw::dial(at).await,
    ];
    let hello = || DialHello::new(entropy(), offer()).1;
    // Until all of the crowd were accepted a hello may pass without.
    let mut raw = soon(async {
        loop {
            let mut raw = Raw::dial(at).await;
            raw.send(&hello()).await;
            if kind(&raw.message().await.unwrap()) == 2 {
                return raw;
            }
        }
    })
    .await;
    raw.send(&hello()).await;
    assert_eq!(
        raw.ended().await,
        b"",
        "another hello without the cookie is not answered"
    );
    let mut stream = soon(manager.connect(format!("mc://{at}")).into_future())
        .await
        .unwrap();
    ask(&mut stream, b"who has the cookie gets in").await;
    drop(crowd);
}
