//! What is given up leaves nothing behind: waiters, tasks, descriptors, wake-ups.

use std::time::Duration;

use futures::poll;
use mancom::{Label, Manager, Network, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::support::{
    Outcome, cellular, exchange, joined, millis, secs, settle, soon, wifi, world,
};

const WIFI: Label = Label::new().require(Prop::Wifi);

// behaviour: R1 I9
#[mancom::test]
async fn a_hundred_thousand_connects_given_up_leave_nothing(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let listener = mancom::listen("mem://crowd").await?;
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..10 {
        let mut crowd = Vec::new();
        for _ in 0..10_000 {
            let mut connecting = mancom::connect("mem://crowd").label(WIFI).into_future();
            assert!(poll!(&mut connecting).is_pending());
            crowd.push(connecting);
        }
        assert!(crowd[5_000].operation().blocked().is_some());
    }
    assert_eq!(mancom::cancel(WIFI), 0, "nobody waits");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    networks.up(wifi());
    settle().await;
    assert!(
        timeout(secs(60), listener.accept()).await.is_err(),
        "not a word on the wire"
    );
    Ok(())
}

// behaviour: I9 R3
#[mancom::test]
async fn a_connect_given_up_at_any_moment_leaves_no_session() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://early").await?;
    for after in 0..60 {
        let given_up = timeout(millis(after), manager.connect("mem://early")).await;
        drop(given_up);
        // What was finished in time is a stream that ends at once, and nothing else is.
        if let Ok(accepted) = timeout(secs(10), listener.accept()).await {
            let mut far = accepted?;
            assert_eq!(soon(secs(10), "its end", far.read(&mut [0; 8])).await?, 0);
        }
    }
    drop(listener);
    manager.shutdown(secs(60)).await?;
    Ok(())
}

// behaviour: I9 R2
#[mancom::test]
async fn an_accept_given_up_takes_no_stream_with_it(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let listener = mancom::listen("mem://accepts").await?;
    for turn in 0..50_u8 {
        let mut given_up = listener.accept();
        assert!(poll!(&mut given_up).is_pending());
        let mut near = mancom::connect("mem://accepts").await?;
        near.write_all(&[turn]).await?;
        settle().await;
        drop(given_up);
        let mut far = soon(secs(1), "the stream", listener.accept()).await?;
        assert_eq!(far.read_u8().await?, turn);

        let (here, there) = (near.session(), far.session());
        let mut first = there.accept();
        let mut second = there.accept();
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        let mut opened = here.open(Label::ANY).await?;
        opened.write_all(&[turn]).await?;
        settle().await;
        // The one whose turn it was does not come.
        drop(first);
        let mut taken = soon(secs(1), "the next in line", second).await?;
        assert_eq!(taken.read_u8().await?, turn);
    }
    Ok(())
}

// behaviour: I9
#[mancom::test]
async fn an_open_given_up_leaves_no_stream(networks: mancom::testing::Networks) -> Outcome {
    networks.up(cellular());
    let (near, far) = joined("mem://opens", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    for _ in 0..1_000 {
        let mut opening = here.open(WIFI).into_future();
        assert!(poll!(&mut opening).is_pending());
    }
    networks.up(wifi());
    settle().await;
    assert!(timeout(secs(30), there.accept()).await.is_err());
    Ok(())
}

// behaviour: R2
#[mancom::test]
async fn a_read_that_loses_a_select_loses_no_byte() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    for n in 0..20 {
        faults.cut_next_after(3_000 + n * 1_000);
    }
    let listener = manager.listen("mem://select").await?;
    let mut near = manager.connect("mem://select").await?;
    let mut far = listener.accept().await?;
    let sending = tokio::spawn(async move {
        let mut all = Vec::new();
        for n in 0..2_000_u32 {
            let bytes = n.to_le_bytes();
            near.write_all(&bytes).await.unwrap();
            all.extend(bytes);
            tokio::time::sleep(Duration::from_micros(u64::from(n % 7) * 300)).await;
        }
        near.shutdown().await.unwrap();
        all
    });
    let mut all = Vec::new();
    let mut buf = [0; 100];
    let mut lost = 0;
    loop {
        tokio::select! {
            biased;
            () = yield_now() => lost += 1,
            read = far.read(&mut buf) => match read? {
                0 => break,
                n => all.extend_from_slice(&buf[..n]),
            },
        }
        // Time goes on only where everybody waits.
        match timeout(millis(3), far.read(&mut buf)).await {
            Ok(Ok(0)) => break,
            Ok(read) => all.extend_from_slice(&buf[..read?]),
            Err(_) => lost += 1,
        }
    }
    assert!(lost > 100, "{lost}");
    assert_eq!(all, sending.await.unwrap());
    Ok(())
}

// behaviour: R2
#[mancom::test]
async fn the_driver_takes_over_from_a_reader_that_does_not_come_back(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://steward", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let mut far_other = there.open(Label::ANY).await?;
    let mut other = here.accept().await?;
    let waiting = tokio::spawn(async move { other.read_u8().await });
    settle().await;
    let mut buf = [0; 8];
    // The last to wait is the one the socket wakes; it is gone by then.
    let mut read = Box::pin(near.read(&mut buf));
    assert!(poll!(&mut read).is_pending());
    drop(read);
    far_other.write_all(b"b").await?;
    assert_eq!(
        soon(millis(200), "the other stream", waiting)
            .await
            .unwrap()?,
        b'b'
    );
    far.write_all(b"a").await?;
    assert_eq!(near.read_u8().await?, b'a');
    Ok(())
}

// behaviour: R3
#[mancom::test]
async fn calls_given_up_during_a_handover_leave_the_stream_whole(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://handover", Label::ANY).await?;
    let mut buf = [0; 64];
    for turn in 0..30_u64 {
        networks.down(if turn % 2 == 0 { "wlan0" } else { "wwan0" });
        let given_up = timeout(millis(turn), near.read(&mut buf)).await;
        assert!(given_up.is_err());
        networks.up(if turn % 2 == 0 { cellular() } else { wifi() });
        for part in 0..10 {
            assert!(
                timeout(millis(turn % 7 + part), far.read(&mut buf))
                    .await
                    .is_err()
            );
            assert!(timeout(millis(1), near.shutdown_not()).await.is_err());
        }
        near.write_all(&turn.to_le_bytes()).await?;
        far.write_all(&turn.to_le_bytes()).await?;
        // At most ten attempts begin in ten seconds.
        assert_eq!(soon(secs(11), "upwards", far.read_u64_le()).await?, turn);
        assert_eq!(soon(secs(1), "downwards", near.read_u64_le()).await?, turn);
    }
    Ok(())
}

/// A call that never comes to its end, to be given up.
trait NeverDone {
    async fn shutdown_not(&mut self);
}

impl NeverDone for mancom::McStream {
    async fn shutdown_not(&mut self) {
        let session = self.session();
        let mut labelled = [0; 4];
        tokio::select! {
            _ = session.accept() => {}
            _ = self.read_labelled(&mut labelled) => {}
        }
    }
}

// behaviour: R4
#[mancom::test]
async fn the_last_handle_takes_every_task_with_it() -> Outcome {
    settle().await;
    let before = Handle::current().metrics().num_alive_tasks();
    {
        let (manager, networks, _) = world().await;
        networks.up(wifi());
        networks.up(cellular());
        let listener = manager.listen("mem://tasks").await?;
        let follows = manager.listen("mem://follows").label(WIFI).await?;
        for turn in 0..20 {
            let near = manager.connect("mem://tasks").await?;
            let far = listener.accept().await?;
            if turn % 2 == 0 {
                networks.down("wlan0");
                networks.up(wifi());
            }
            exchange(near, far, turn, 20_000).await;
        }
        let mut pending = manager
            .matching(Label::new().require(Prop::Satellite))
            .into_future();
        assert!(poll!(&mut pending).is_pending());
        assert!(Handle::current().metrics().num_alive_tasks() > before);
        drop((follows, listener));
        soon(secs(30), "every session", manager.shutdown(secs(60))).await?;
    }
    settle().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    Ok(())
}

// behaviour: R4
#[mancom::test]
async fn handles_dropped_in_an_outage_leave_no_task_after_the_grace() -> Outcome {
    settle().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://gone").await?;
    let mut near = manager.connect("mem://gone").grace(secs(60)).await?;
    let mut far = listener.accept().await?;
    networks.down("wlan0");
    near.write_all(b"never there").await?;
    far.write_all(b"never there").await?;
    drop((near, far, listener, networks));
    tokio::time::sleep(secs(70)).await;
    drop(manager);
    settle().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    Ok(())
}

/// The descriptors of this process that are sockets.
#[cfg(target_os = "linux")]
fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links
        .flatten()
        .filter_map(|link| std::fs::read_link(link.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

// behaviour: R4
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn descriptors_return_to_where_they_were() -> Outcome {
    // In a process of its own, for the other tests of this one open sockets too.
    const ALONE: &str = "MANCOM_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe()?;
        let status = std::process::Command::new(this)
            .args([
                "--exact",
                "resources::descriptors_return_to_where_they_were",
            ])
            .env(ALONE, "1")
            .status()?;
        assert!(status.success());
        return Ok(());
    }
    let before = sockets();
    {
        let manager = Manager::builder().build().await?;
        let listener = manager.listen("mc://127.0.0.1:0").await?;
        let at = listener.contact();
        for turn in 0..10 {
            let near = manager.connect(&at).await?;
            let far = listener.accept().await?;
            timeout(secs(20), exchange(near, far, turn, 500_000))
                .await
                .expect("an exchange");
        }
        assert!(sockets() > before);
        drop(listener);
        manager.shutdown(secs(20)).await?;
    }
    let gone = async {
        while sockets() > before {
            yield_now().await;
        }
    };
    timeout(secs(10), gone)
        .await
        .unwrap_or_else(|_| panic!("{} sockets, {before} before", sockets()));
    Ok(())
}

// behaviour: S21 R2
#[mancom::test(real)]
async fn who_reads_once_from_a_socket_and_goes_away_stops_nobody() -> Outcome {
    let listener = mancom::listen("mc://127.0.0.1:0").await?;
    let mut near = mancom::connect(listener.contact()).await?;
    let mut far = listener.accept().await?;
    let (here, there) = (near.session(), far.session());
    for _ in 0..20 {
        let mut far_other = there.open(Label::ANY).await?;
        let mut other = here.accept().await?;
        let waiting = tokio::spawn(async move { other.read_u8().await });
        settle().await;
        let mut buf = [0; 1];
        let mut read = Box::pin(near.read(&mut buf));
        assert!(poll!(&mut read).is_pending());
        far.write_all(b"a").await?;
        assert_eq!(read.await?, 1);
        // From here on `near` reads no more.
        far_other.write_all(b"b").await?;
        let byte = timeout(secs(5), waiting)
            .await
            .expect("the other stream's byte");
        assert_eq!(byte.unwrap()?, b'b');
    }
    Ok(())
}

// behaviour: R5
#[mancom::test]
async fn no_lock_is_held_while_wakers_run(networks: mancom::testing::Networks) -> Outcome {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    /// Uses the stream it was woken for, from within the wake-up.
    struct Meddler(Mutex<Option<mancom::Session>>);
    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            if let Some(session) = self.0.lock().unwrap().take() {
                assert!(session.paths().len() < 3);
                drop(session.accept());
                drop(session.close());
            }
        }
    }

    networks.up(wifi());
    let (mut near, mut far) = joined("mem://meddler", Label::ANY).await?;
    let waker = Waker::from(Arc::new(Meddler(Mutex::new(Some(near.session())))));
    let mut buf = [0; 4];
    let mut read = Box::pin(near.read(&mut buf));
    assert!(
        read.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    far.write_all(b"wake").await?;
    soon(secs(5), "the bytes", &mut read).await?;
    drop(read);
    assert_eq!(&buf, b"wake");
    Ok(())
}

// behaviour: R8
#[test]
fn a_hundred_tests_at_once_never_see_each_others_networks() {
    let tests: Vec<_> = (0..100).map(|_| std::thread::spawn(one_of_many)).collect();
    for test in tests {
        test.join().unwrap();
    }
}

#[mancom::test]
async fn one_of_many(networks: mancom::testing::Networks) {
    let mine = format!("net{:?}", std::thread::current().id());
    networks.up(Network::ethernet(&mine));
    let listener = mancom::listen("mem://same").await.unwrap();
    let near = mancom::connect("mem://same").await.unwrap();
    let far = listener.accept().await.unwrap();
    let matched = mancom::matching(Label::ANY).await.unwrap();
    assert_eq!(matched.name(), mine);
    assert_eq!(crate::support::on(&near), [mine.as_str()]);
    assert_eq!(Manager::current().unwrap().snapshot().networks().len(), 1);
    networks.down(&mine);
    networks.up(Network::ethernet(&mine));
    exchange(near, far, 8, 50_000).await;
    networks.down(&mine);
    assert!(poll!(mancom::matching(Label::ANY).into_future()).is_pending());
}
