//! Plain servers: what a hook is asked and told, and what becomes of the stream.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mancom::hooks::{Carried, Connection, Hook, Resume};
use mancom::stream::PathEvent;
use mancom::testing::Networks;
use mancom::{Label, Manager, Network, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::line::{Exchange, accept, world};

const LONG: Duration = Duration::from_secs(3600);
const SERVER: &str = "line://server";

/// What a hook does in `setup`.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answer(Resume),
    ReplayAcknowledged,
    Hang,
    Fail,
    Panic,
}

#[derive(Debug, Default)]
struct Seen {
    teardowns: Mutex<Vec<Carried>>,
    setups: Mutex<Vec<(Instant, Carried)>>,
    running: AtomicUsize,
    most: AtomicUsize,
    gone: AtomicUsize,
    does: Mutex<Option<Does>>,
}

impl Seen {
    fn doing(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(Some(does)),
            ..Self::default()
        })
    }

    fn now_do(&self, does: Does) {
        *self.does.lock().unwrap() = Some(does);
    }

    fn teardowns(&self) -> Vec<Carried> {
        self.teardowns.lock().unwrap().clone()
    }

    fn setups(&self) -> usize {
        self.setups.lock().unwrap().len()
    }
}

/// Says HELLO on each new connection, and tells the test what it was told.
struct Greeter(Arc<Seen>);

impl Drop for Greeter {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Running<'a>(&'a Seen);

impl<'a> Running<'a> {
    fn enter(seen: &'a Seen) -> Self {
        let now = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hook for Greeter {
    async fn teardown(&mut self, carried: Carried) {
        let _running = Running::enter(&self.0);
        self.0.teardowns.lock().unwrap().push(carried);
        tokio::task::yield_now().await;
    }

    async fn setup(&mut self, fresh: &mut dyn Connection, carried: Carried) -> io::Result<Resume> {
        let _running = Running::enter(&self.0);
        self.0
            .setups
            .lock()
            .unwrap()
            .push((Instant::now(), carried));
        let does = self
            .0
            .does
            .lock()
            .unwrap()
            .expect("the test said what to do");
        fresh.write_all(b"HELLO").await?;
        match does {
            Does::Answer(resume) => Ok(resume),
            Does::ReplayAcknowledged => Ok(Resume::ReplayFrom(carried.acknowledged.unwrap_or(0))),
            Does::Hang => std::future::pending().await,
            Does::Fail => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "wrong password",
            )),
            Does::Panic => panic!("no such user"),
        }
    }
}

async fn read(stream: &mut mancom::McStream, n: usize) -> String {
    let mut bytes = vec![0; n];
    timeout(LONG, stream.read_exact(&mut bytes))
        .await
        .expect("in time")
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Takes a network down, and lets everybody see it.
async fn cut(networks: &Networks, name: &str) {
    networks.down(name);
    sleep(Duration::from_millis(1)).await;
}

/// The mancom error inside an `io::Error` of a stream.
fn session_error(error: io::Error) -> String {
    mancom::Error::from(error).to_string()
}

#[tokio::test(start_paused = true)]
async fn without_a_hook_a_loss_is_one_error_the_same_ever_after() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let mut stream = manager.connect(SERVER).await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "hello");
    let mut events = stream.events();
    networks.down("wlan0");
    let first = timeout(LONG, stream.read_u8())
        .await
        .expect("not silence")
        .unwrap_err();
    assert_ne!(first.kind(), io::ErrorKind::UnexpectedEof);
    let first = session_error(first);
    assert!(
        first.contains("the connection was lost") && first.contains("wlan0"),
        "{first}"
    );
    for _ in 0..3 {
        assert_eq!(session_error(stream.read_u8().await.unwrap_err()), first);
        assert_eq!(
            session_error(stream.write_all(b"x").await.unwrap_err()),
            first
        );
        assert_eq!(session_error(stream.shutdown().await.unwrap_err()), first);
    }
    assert!(matches!(events.next().await, Some(PathEvent::Up(_))));
    let mut last = None;
    while let Some(event) = timeout(LONG, events.next()).await.expect("the events end") {
        last = Some(event);
    }
    assert!(matches!(last, Some(PathEvent::Closed { .. })), "{last:?}");
}

// behaviour: S4
#[tokio::test(start_paused = true)]
async fn an_orderly_end_by_the_server_is_an_end_with_and_without_a_hook() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    for hooked in [false, true] {
        let connect = manager.connect(SERVER);
        let connect = if hooked {
            connect.reconnect(Greeter(seen.clone()))
        } else {
            connect
        };
        let mut stream = connect.await.unwrap();
        let mut server = accept(&listener).await;
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        let mut all = String::new();
        timeout(LONG, stream.read_to_string(&mut all))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all, "bye");
        // Our direction is still open.
        stream.write_all(b"thanks").await.unwrap();
        assert_eq!(read(&mut server, 6).await, "thanks");
        drop(server);
        networks.down("wlan0");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(
            stream.read(&mut [0]).await.unwrap(),
            0,
            "the end stays the end"
        );
        assert!(stream.write_all(b"more").await.is_err());
        networks.up(Network::wifi("wlan0"));
    }
    assert_eq!(
        (seen.setups(), seen.teardowns().len(), exchange.tried()),
        (0, 0, 2)
    );
}

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_hook_is_told_true_figures_at_each_loss() {
    let (manager, networks, exchange) = world().await;
    exchange.tells.store(true, Ordering::SeqCst);
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen.clone()))
        .await
        .unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"0123456789").await.unwrap();
    assert_eq!(read(&mut server, 10).await, "0123456789");
    server.write_all(b"abc").await.unwrap();
    assert_eq!(read(&mut stream, 3).await, "abc");

    // The last four were not acknowledged: they come again, after the greeting.
    exchange.unacknowledged.store(4, Ordering::SeqCst);
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    exchange.unacknowledged.store(0, Ordering::SeqCst);
    networks.up(Network::cellular("wwan0"));
    let mut server = accept(&listener).await;
    assert_eq!(read(&mut server, 9).await, "HELLO6789");

    // And after a second loss: the greeting counts for nothing, nothing is asked for twice.
    stream.write_all(b"XY").await.unwrap();
    assert_eq!(read(&mut server, 2).await, "XY");
    cut(&networks, "wwan0").await;
    networks.up(Network::wifi("wlan0"));
    let mut server = accept(&listener).await;
    assert_eq!(read(&mut server, 5).await, "HELLO");
    stream.write_all(b"Z").await.unwrap();
    assert_eq!(read(&mut server, 1).await, "Z");

    let told: Vec<_> = seen
        .teardowns()
        .iter()
        .map(|c| (c.written, c.acknowledged, c.read))
        .collect();
    assert_eq!(told, [(10, Some(6), 3), (12, Some(12), 3)]);
    let setups = seen
        .setups
        .lock()
        .unwrap()
        .iter()
        .map(|(_, carried)| *carried)
        .collect::<Vec<_>>();
    assert_eq!(setups, seen.teardowns());
    let stats = stream.stats();
    assert_eq!((stats.written, stats.read, stats.resent()), (13, 3, 4));
    assert_eq!(seen.most.load(Ordering::SeqCst), 1);
}

/// A stream that has written `written`, its network lost and back, its hook answering so.
async fn after_a_loss(written: &[u8], does: Does) -> (Manager, mancom::McStream, mancom::Listener) {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let connect = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(does)));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(written).await.unwrap();
    read(&mut server, written.len()).await;
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    (manager, stream, listener)
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn continuing_resends_nothing() {
    let (_manager, mut stream, listener) =
        after_a_loss(b"hello", Does::Answer(Resume::Continue)).await;
    let mut server = accept(&listener).await;
    stream.write_all(b"world").await.unwrap();
    assert_eq!(read(&mut server, 10).await, "HELLOworld");
}

#[tokio::test(start_paused = true)]
async fn a_replay_needs_nobody_who_writes() {
    let (_manager, mut stream, listener) =
        after_a_loss(b"what time is it?", Does::Answer(Resume::ReplayFrom(0))).await;
    let mut server = accept(&listener).await;
    let asked = tokio::spawn(async move {
        assert_eq!(read(&mut server, 21).await, "HELLOwhat time is it?");
        server.write_all(b"noon").await.unwrap();
        server
    });
    assert_eq!(read(&mut stream, 4).await, "noon");
    asked.await.unwrap();
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_longer_kept_are_an_error_not_a_gap() {
    let (scout, networks) = mancom::testing::scripted();
    let mut settings = mancom::stream::Settings::default();
    settings.send_buffer = 8;
    let line = crate::line::transport(&scout);
    let builder = Manager::builder()
        .scout(scout)
        .transport(line)
        .settings(settings);
    let manager = builder.build().await.unwrap();
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    // This transport does not tell what was acknowledged: the hook has to ask for everything.
    let connect = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::ReplayAcknowledged)));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"twenty bytes of it..").await.unwrap();
    read(&mut server, 20).await;
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    let text = session_error(error);
    assert!(text.contains("byte 0") && text.contains("last 8"), "{text}");
    let mut server = accept(&listener).await;
    let mut got = String::new();
    server.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "HELLO", "not one byte of the stream");
}

// behaviour: S17
#[tokio::test(start_paused = true)]
async fn an_offset_beyond_what_was_written_fails_the_stream() {
    let (_manager, mut stream, _listener) =
        after_a_loss(b"hello", Does::Answer(Resume::ReplayFrom(6))).await;
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_gives_up_fails_the_stream() {
    let (_manager, mut stream, _listener) =
        after_a_loss(b"hello", Does::Answer(Resume::Fail)).await;
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert!(session_error(error).contains("the hook gave up"));
    assert!(stream.write_all(b"x").await.is_err());
}

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_setup_is_dropped_when_a_better_network_appears() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Hang);
    let label: Label = "prefer=ethernet".parse().unwrap();
    let connect = manager
        .connect(SERVER)
        .label(label)
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.setups(), seen.running.load(Ordering::SeqCst)), (1, 1));
    // A network that is no better changes nothing.
    networks.up(Network::cellular("wwan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.setups(), 1);
    seen.now_do(Does::ReplayAcknowledged);
    networks.up(Network::ethernet("eth0"));
    stream.write_all(b"on").await.unwrap();
    let at_server = async {
        loop {
            let mut server = accept(&listener).await;
            let mut got = [0; 7];
            if server.read_exact(&mut got).await.is_ok() && &got == b"HELLOon" {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), at_server).await.unwrap();
    assert_eq!(
        seen.most.load(Ordering::SeqCst),
        1,
        "one instance at a time"
    );
    assert_eq!(
        (seen.setups(), seen.teardowns().len()),
        (2, 1),
        "one teardown a loss"
    );
    assert_eq!(
        exchange.attempts_by_network(),
        [("eth0".into(), 1), ("wlan0".into(), 2)].into()
    );
}

// behaviour: S11
#[tokio::test(start_paused = true)]
async fn a_setup_that_fails_is_tried_again_ever_later() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Fail);
    let connect = manager.connect(SERVER).reconnect(Greeter(seen.clone()));
    let mut stream = connect.grace(Duration::from_secs(120)).await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let text = session_error(error);
    assert!(text.contains("wrong password"), "{text}");
    let times: Vec<Instant> = seen
        .setups
        .lock()
        .unwrap()
        .iter()
        .map(|(at, _)| *at)
        .collect();
    assert!(
        (10..=20).contains(&times.len()),
        "{} attempts in 120 s",
        times.len()
    );
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[0] >= Duration::from_millis(75) && gaps[0] <= Duration::from_millis(126),
        "{gaps:?}"
    );
    assert!(gaps.last().unwrap() > &Duration::from_secs(10), "{gaps:?}");
    assert_eq!(seen.teardowns().len(), 1);
}

// behaviour: S13
#[tokio::test(start_paused = true)]
async fn flapping_makes_no_more_than_ten_attempts_in_ten_seconds() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Fail);
    let _stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen.clone()))
        .await
        .unwrap();
    for _ in 0..600 {
        networks.down("wlan0");
        sleep(Duration::from_millis(50)).await;
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_millis(50)).await;
    }
    assert_at_most_ten_in_ten_seconds(&exchange);
    assert!(
        exchange.tried() > 30,
        "it did not give up either: {}",
        exchange.tried()
    );
}

fn assert_at_most_ten_in_ten_seconds(exchange: &Exchange) {
    let attempts = exchange.attempts.lock().unwrap();
    // The first is the `connect`'s own.
    for eleven in attempts[1..].windows(11) {
        assert!(eleven[10].0 - eleven[0].0 >= Duration::from_secs(10));
    }
}

// behaviour: S12
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_is_an_error_of_that_stream_alone() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let bad = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::Panic)));
    let mut bad = bad.await.unwrap();
    let good = manager
        .connect(SERVER)
        .reconnect(Greeter(Seen::doing(Does::ReplayAcknowledged)));
    let mut good = good.await.unwrap();
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let error = timeout(LONG, bad.read_u8()).await.unwrap().unwrap_err();
    assert!(session_error(error).contains("the hook panicked: no such user"));
    good.write_all(b"fine").await.unwrap();
    let served = async {
        loop {
            let mut server = accept(&listener).await;
            let mut got = [0; 9];
            if server.read_exact(&mut got).await.is_ok() {
                assert_eq!(&got, b"HELLOfine");
                return;
            }
        }
    };
    timeout(LONG, served).await.unwrap();
}

// behaviour: S18
#[tokio::test(start_paused = true)]
async fn our_end_is_told_again_on_the_next_connection() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Answer(Resume::ReplayFrom(0)));
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen))
        .await
        .unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut request = String::new();
    server.read_to_string(&mut request).await.unwrap();
    assert_eq!(request, "request");
    cut(&networks, "wlan0").await;
    networks.up(Network::wifi("wlan0"));
    let answering = tokio::spawn(async move {
        let mut server = accept(&listener).await;
        let mut request = String::new();
        server.read_to_string(&mut request).await.unwrap();
        assert_eq!(request, "HELLOrequest");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        server
    });
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(
        stream.write(b"x").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    answering.await.unwrap();
}

// behaviour: S18
#[tokio::test(start_paused = true)]
async fn an_end_said_while_there_is_no_connection_is_told_to_the_next() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::Answer(Resume::Continue));
    let mut stream = manager
        .connect(SERVER)
        .reconnect(Greeter(seen))
        .await
        .unwrap();
    networks.down("wlan0");
    let ending = tokio::spawn(async move { stream.shutdown().await.map(|()| stream) });
    sleep(Duration::from_secs(5)).await;
    assert!(!ending.is_finished());
    networks.up(Network::wifi("wlan0"));
    ending.await.unwrap().unwrap();
    accept(&listener).await;
    let mut said = String::new();
    accept(&listener)
        .await
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert_eq!(said, "HELLO");
}

// behaviour: R4, S19
#[tokio::test(start_paused = true)]
async fn dropping_the_stream_ends_its_hook_and_its_connection() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for does in [Does::ReplayAcknowledged, Does::Hang] {
        let seen = Seen::doing(does);
        let stream = manager
            .connect(SERVER)
            .reconnect(Greeter(seen.clone()))
            .await
            .unwrap();
        cut(&networks, "wlan0").await;
        networks.up(Network::wifi("wlan0"));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((seen.setups(), exchange.open()), (1, 1));
        drop(stream);
        tokio::task::yield_now().await;
        assert_eq!(
            (seen.gone.load(Ordering::SeqCst), exchange.open()),
            (1, 0),
            "{does:?}"
        );
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(), before);
}

// behaviour: S1, S2
#[tokio::test(start_paused = true)]
async fn reads_and_writes_wait_for_the_grace_and_then_fail_alike() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect(SERVER)
        .label("require=wifi".parse().unwrap());
    let connect = connect
        .grace(Duration::from_secs(30))
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    networks.down("wlan0");
    networks.up(Network::cellular("wwan0"));
    let start = Instant::now();
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let error = mancom::Error::from(error);
    let text = error.to_string();
    assert!(text.contains("wwan0: is cellular, not wifi"), "{text}");
    assert!(error.is_timed_out() && error.blocked().is_some());
    let again = session_error(stream.write_all(b"x").await.unwrap_err());
    assert_eq!(again, text);
    assert_eq!((seen.setups(), seen.teardowns().len()), (0, 1));
}

// behaviour: S16, S20
#[tokio::test(start_paused = true)]
async fn a_network_that_no_longer_fits_the_label_is_given_up() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0").metered(false));
    let _listener = manager.listen(SERVER).await.unwrap();
    let label: Label = "prohibit=metered".parse().unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let hooked = manager
        .connect(SERVER)
        .label(label)
        .reconnect(Greeter(seen.clone()));
    let hooked = hooked.await.unwrap();
    let mut bare = manager.connect(SERVER).label(label).await.unwrap();
    let mut tightened = manager.connect(SERVER).await.unwrap();
    assert_eq!(exchange.open(), 3);
    networks.change("wlan0", |wifi| wifi.metered(true));
    let error = timeout(LONG, bare.read_u8()).await.unwrap().unwrap_err();
    let text = session_error(error);
    assert!(
        text.contains("wlan0 no longer admits `prohibit=metered`"),
        "{text}"
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(exchange.open(), 1);
    assert!(hooked.session().paths().is_empty());
    tightened.set_label(label);
    assert!(timeout(LONG, tightened.read_u8()).await.unwrap().is_err());
    networks.up(Network::ethernet("eth0").metered(false));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(hooked.session().paths()[0].name.as_deref(), Some("eth0"));
    assert_eq!(seen.setups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_one_network_comes_back_on_that_alone() {
    let (manager, networks, exchange) = world().await;
    networks.up(Network::wifi("wlan0"));
    networks.up(Network::cellular("wwan0"));
    let _listener = manager.listen(SERVER).await.unwrap();
    let cellular = manager
        .matching("require=cellular".parse().unwrap())
        .await
        .unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect(SERVER)
        .on(&cellular)
        .reconnect(Greeter(seen.clone()));
    let stream = connect.await.unwrap();
    assert_eq!(
        stream.label(),
        Label::ANY,
        "the interface is no part of the stream's label"
    );
    networks.down("wwan0");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.setups(), 0);
    networks.up(Network::cellular("wwan0"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.setups(), 1);
    assert_eq!(exchange.attempts_by_network(), [("wwan0".into(), 2)].into());
}

// behaviour: S12
#[tokio::test(start_paused = true)]
async fn a_hook_on_a_session_observes_its_paths() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0"));
    let listener = manager.listen("mem://echo").await.unwrap();
    let seen = Seen::doing(Does::ReplayAcknowledged);
    let connect = manager
        .connect("mem://echo")
        .reconnect(Greeter(seen.clone()));
    let mut stream = connect.await.unwrap();
    let mut server = accept(&listener).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "hello");
    server.write_all(b"you").await.unwrap();
    assert_eq!(read(&mut stream, 3).await, "you");
    sleep(Duration::from_secs(1)).await;
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 0));
    networks.up(Network::wifi("wlan0"));
    stream.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut server, 5).await, "again");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 1));
    let told = seen.teardowns()[0];
    assert_eq!(
        (told.written, told.acknowledged, told.read),
        (5, Some(5), 3)
    );

    // One more beside it is no change; the loss of the one it was told of is, and the other was there.
    networks.up(Network::ethernet("eth0"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stream.session().paths().len(), 2);
    assert_eq!((seen.teardowns().len(), seen.setups()), (1, 1));
    networks.down("wlan0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stream.session().paths()[0].name.as_deref(), Some("eth0"));
    assert_eq!((seen.teardowns().len(), seen.setups()), (2, 2));

    // A panic there is that stream's error.
    seen.now_do(Does::Panic);
    networks.down("eth0");
    let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    assert!(stream.write_all(b"x").await.is_err());
}

// behaviour: D9
#[test]
fn the_loss_of_a_plain_stream_is_told_by_its_own_error() {
    let lost: io::Error = io::Error::from_raw_os_error(104);
    let error = io::Error::from(SessionError::Lost(lost.into()));
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

// behaviour: S20, I7
#[tokio::test(start_paused = true)]
async fn nothing_is_written_in_the_poll_in_which_a_flag_flips() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0").metered(false));
    let listener = manager.listen(SERVER).await.unwrap();
    let unmetered: Label = "prohibit=metered".parse().unwrap();
    let connect = || manager.connect(SERVER);
    let mut bare = connect().label(unmetered).await.unwrap();
    let mut at_bare = accept(&listener).await;
    let mut free = connect().await.unwrap();
    let mut at_free = accept(&listener).await;
    networks.change("wlan0", |wifi| wifi.metered(true));
    let error = bare.write_all(b"dear").await.unwrap_err();
    let text = session_error(error);
    assert!(text.contains("wlan0 no longer admits"), "{text}");
    assert!(free.write_labelled(unmetered, b"dear").await.is_err());
    free.write_all(b"cheap").await.unwrap();
    assert_eq!(read(&mut at_free, 5).await, "cheap");
    let rest = timeout(LONG, at_bare.read_u8()).await.unwrap();
    assert!(rest.is_err(), "not a byte: {rest:?}");
}

// behaviour: I7
#[tokio::test(start_paused = true)]
async fn a_chunk_whose_label_the_network_does_not_admit_is_not_written() {
    let (manager, networks, _) = world().await;
    networks.up(Network::wifi("wlan0").metered(true));
    let listener = manager.listen(SERVER).await.unwrap();
    let mut stream = manager.connect(SERVER).await.unwrap();
    let mut server = accept(&listener).await;
    let unmetered: Label = "prohibit=metered".parse().unwrap();
    let error = stream.write_labelled(unmetered, b"dear").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
    assert_eq!(
        error.to_string(),
        "network wlan0 does not admit `prohibit=metered`"
    );
    stream
        .write_labelled(Label::BACKGROUND, b"cheap")
        .await
        .unwrap();
    assert_eq!(read(&mut server, 5).await, "cheap");
}
