//! How a listener ends.

use super::*;

// behaviour: L3
#[tokio::test]
async fn stop_ends_every_accept_and_no_stream_comes_after_it() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let listener = Arc::new(listener);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let listener = Arc::clone(&listener);
            tokio::spawn(async move { listener.accept().await })
        })
        .collect();
    tokio::task::yield_now().await;
    listener.stop();
    listener.stop();
    for accept in waiting {
        let ended = soon(accept).await.unwrap();
        assert!(
            matches!(&ended, Err(error @ AcceptError::Stopped) if error.is_closed()),
            "{ended:?}"
        );
    }
    assert!(matches!(
        soon(listener.accept()).await,
        Err(AcceptError::Stopped)
    ));
    deaf(at).await;
}

// behaviour: L3
#[tokio::test]
async fn a_stream_that_nobody_took_is_reset_by_stop() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let mut untaken = manager.connect(format!("mc://{at}")).await.unwrap();
    untaken.write_all(b"hello").await.unwrap();
    let mut first = manager.connect(format!("mc://{at}")).await.unwrap();
    let served = soon(listener.accept()).await.unwrap();
    listener.stop();
    // Which of the two was taken depends on whose first bytes came first.
    let mut ends = Vec::new();
    for stream in [&mut untaken, &mut first] {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        ends.push(read);
    }
    let failed = ends.iter().filter(|end| matches!(end, Ok(Err(_)))).count();
    assert_eq!(
        failed, 1,
        "one fails and is no end in good order, one lives: {ends:?}"
    );
    drop(served);
}

#[tokio::test]
async fn a_stopped_listener_refuses_new_sessions_and_takes_new_paths() {
    let manager = manager(|settings| settings.connect_rounds = 1).await;
    let (listener, tap, mut stream, served) = pair(&manager).await;
    let at = address(&listener);
    drop(listener);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(served);
        tokio::io::copy(&mut read, &mut write).await
    });
    ask(&mut stream, b"before").await;
    let refused = soon(manager.connect(format!("mc://{at}")).into_future())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("takes no new sessions"),
        "{refused}"
    );
    tap.cut();
    ask(&mut stream, b"after").await;
    assert_eq!(tap.connections(), 2);
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
    drop(stream);
    deaf(at).await;
}

// behaviour: R4
#[cfg(target_os = "linux")]
#[tokio::test]
async fn after_the_last_session_every_descriptor_is_closed() {
    use crate::raw::{descriptors, in_a_process_of_its_own};
    if !in_a_process_of_its_own(
        "listening::ending::after_the_last_session_every_descriptor_is_closed",
    ) {
        return;
    }
    let first_of_all = descriptors();
    let manager = manager(|_| ()).await;
    let round = || async {
        let (listener, tap, mut stream, served) = pair(&manager).await;
        let at = address(&listener);
        let half_open = Raw::dial(at).await;
        drop((listener, served));
        tap.cut();
        assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
        drop(stream);
        deaf(at).await;
        drop(half_open);
    };
    round().await;
    // What stays is the tap's own socket, and the manager's clock.
    until(|| descriptors() <= first_of_all + 2).await;
    round().await;
    until(|| descriptors() <= first_of_all + 3).await;
}

// behaviour: EV-31
#[tokio::test]
async fn shutdown_of_the_manager_stops_listeners_and_drains_sessions() {
    let (near, far) = (manager(|_| ()).await, manager(|_| ()).await);
    let (listener, at) = listen(&near).await;
    let mut stream = far.connect(format!("mc://{at}")).await.unwrap();
    stream.write_all(b"last words").await.unwrap();
    let mut served = soon(listener.accept()).await.unwrap();
    let bound = Duration::from_millis(50);
    let began = Instant::now();
    let unfinished = near.shutdown(bound).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(unfinished.to_string().contains('1'), "{unfinished}");
    assert!(matches!(
        soon(listener.accept()).await,
        Err(AcceptError::Stopped)
    ));
    let mut words = [0; 10];
    soon(served.read_exact(&mut words)).await.unwrap();
    served.write_all(&words).await.unwrap();
    drop(served);
    let draining = tokio::spawn(near.shutdown(crate::raw::PATIENCE));
    let mut echoed = Vec::new();
    soon(stream.read_to_end(&mut echoed)).await.unwrap();
    assert_eq!(echoed, b"last words");
    drop(stream);
    soon(draining).await.unwrap().unwrap();
    deaf(at).await;
}

#[cfg(feature = "macros")]
#[test]
fn main_ends_within_its_bound_though_a_session_is_open() {
    #[mancom::main(scout = "none", shutdown = "100ms")]
    async fn body() -> Result<(McStream, McStream), mancom::Error> {
        let listener = mancom::listen("mc://127.0.0.1:0").await?;
        let stream = mancom::connect(listener.contact()).await?;
        let served = listener.accept().await?;
        Ok((stream, served))
    }
    let began = Instant::now();
    let streams = body().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    drop(streams);
}
