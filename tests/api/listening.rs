//! What a listener does: who is accepted, how it ends, and what it never keeps more of than it says.

use crate::raw::{
    Raw, Tap, ack, address, ask, attach, data, echo, frame, listen, manager, numbers, opening,
    resume, session, soon,
};
use mancom::network::Binding;
use mancom::transport::Link;
use mancom::{
    AcceptError, Label, ListenError, Listener, Manager, McStream, Network, Prop, Scout,
    SessionError,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a test waits for, without an event of its own to wait for.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn session_error(error: &io::Error) -> &SessionError {
    let inner = error.get_ref().expect("a stream's error has a cause");
    inner
        .downcast_ref()
        .or_else(|| inner.source()?.downcast_ref())
        .expect("it is the session's")
}

/// Waits until nobody listens there.
async fn deaf(at: SocketAddr) {
    soon(async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn pair(manager: &Manager) -> (Listener, Tap, McStream, McStream) {
    let (listener, at) = listen(manager).await;
    let tap = Tap::before(at).await;
    let stream = manager.connect(tap.endpoint()).await.unwrap();
    let served = soon(listener.accept()).await.unwrap();
    (listener, tap, stream, served)
}

// ---- the end

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
    if !in_a_process_of_its_own("listening::after_the_last_session_every_descriptor_is_closed") {
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

// ---- accept

#[tokio::test]
async fn an_accept_that_is_dropped_loses_no_stream() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let mut streams = Vec::new();
    for n in 0..8 {
        let connecting = tokio::spawn(manager.connect(format!("mc://{at}")).into_future());
        for _ in 0..20 {
            let accept = listener.accept();
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                stream = accept => streams.push((n, stream.unwrap())),
            }
        }
        let stream = soon(connecting).await.unwrap().unwrap();
        if streams.last().is_none_or(|(of, _)| *of != n) {
            streams.push((n, soon(listener.accept()).await.unwrap()));
        }
        drop(stream);
    }
    assert_eq!(streams.len(), 8);
}

#[tokio::test]
async fn plain_connections_beyond_the_backlog_wait_in_the_system() {
    let manager = manager(|settings| settings.backlog = 2).await;
    let listener = manager.listen("tcp://127.0.0.1:0").await.unwrap();
    let mut near = Vec::new();
    for n in 0..9 {
        let mut raw = Raw::dial(address(&listener)).await;
        raw.send(&[n]).await;
        near.push(raw);
    }
    let mut told = Vec::new();
    for _ in 0..9 {
        let mut stream = soon(listener.accept()).await.unwrap();
        told.push(soon(stream.read_u8()).await.unwrap());
    }
    assert_eq!(told, (0..9).collect::<Vec<u8>>());
    listener.stop();
    deaf(address(&listener)).await;
}

#[tokio::test]
async fn sessions_beyond_the_backlog_wait_in_their_handshake() {
    let manager = manager(|settings| settings.backlog = 2).await;
    let (listener, at) = listen(&manager).await;
    let mut shown = Vec::new();
    for _ in 0..2 {
        let (mut raw, _) = session(Raw::dial(at).await).await.unwrap();
        raw.send(&[opening(0), data(0, 0, b"x")].concat()).await;
        // Its acknowledgement tells that the stream is there.
        raw.frame_of(&[9]).await;
        shown.push(raw);
    }
    tokio::task::yield_now().await;
    let waiting = tokio::spawn(async move { session(Raw::dial(at).await).await });
    for _ in 0..20 {
        assert!(!waiting.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = soon(listener.accept()).await.unwrap();
    soon(waiting).await.unwrap().expect("there is room now");
    drop(first);
}

#[tokio::test]
async fn sessions_that_open_no_stream_crowd_out_each_other() {
    let manager = manager(|settings| settings.backlog = 3).await;
    let (listener, at) = listen(&manager).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(session(Raw::dial(at).await).await.unwrap().0);
    }
    for raw in &mut silent[..7] {
        raw.frame_of(&[0x16]).await;
    }
    let mut last = silent.pop().unwrap();
    last.send(&[opening(0), data(0, 0, b"at last")].concat())
        .await;
    let mut served = soon(listener.accept()).await.unwrap();
    let mut text = [0; 7];
    soon(served.read_exact(&mut text)).await.unwrap();
    // They do not hold the listener's sockets either.
    drop((listener, served));
    last.send(&frame(0x16, &[0, 0, 0, 1])).await;
    last.frame_of(&[0x17]).await;
    drop((last, silent));
    deaf(at).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_opens_no_stream_is_given_up_after_half_a_minute() {
    let scout = Scout::fixed([]);
    let transports = mancom::transport::Registry::built_in(&scout);
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let listener = manager.listen("mem://silence").await.unwrap();
    let to = "mem://silence".parse().unwrap();
    let Ok(Link::Bytes(link)) = transports.get("mem").unwrap().connect(&to, None).await else {
        panic!("a pipe");
    };
    let (raw, _) = session(Raw(link)).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut said = Vec::new();
    let mut link = raw.0;
    let told = tokio::time::timeout(Duration::from_secs(40), link.read_to_end(&mut said)).await;
    assert!(
        told.is_ok() && began.elapsed() >= Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    let accepted = tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
    assert!(accepted.is_err(), "and was never shown");
    drop(listener);
    manager.shutdown(Duration::from_secs(1)).await.unwrap();
}

// ---- detached sessions

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

// ---- descriptors run out

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_descriptors_accepting_pauses_and_goes_on() {
    use crate::raw::{descriptors, in_a_process_of_its_own};
    use rustix::process::{Resource, getrlimit, setrlimit};
    if !in_a_process_of_its_own("listening::without_descriptors_accepting_pauses_and_goes_on") {
        return;
    }
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    let mut stream = manager.connect(format!("mc://{at}")).await.unwrap();
    let served = soon(listener.accept()).await.unwrap();
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(served);
        tokio::io::copy(&mut read, &mut write).await
    });
    // Made before, connected when nothing is left.
    let sockets: Vec<_> = (0..8)
        .map(|_| tokio::net::TcpSocket::new_v4().unwrap())
        .collect();
    let half_open = Raw::dial(at).await;
    until(|| descriptors() > 0).await;
    ask(&mut stream, b"before").await;
    let mut limit = getrlimit(Resource::Nofile);
    let was = limit.current;
    limit.current = Some(descriptors() as u64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut connected = Vec::new();
    for socket in sockets {
        connected.push(Raw(soon(socket.connect(at)).await.unwrap()));
    }
    let error = soon(listener.accept()).await.unwrap_err();
    assert!(
        matches!(&error, AcceptError::Io(_)) && !error.is_closed(),
        "{error}"
    );
    ask(&mut stream, b"during").await;
    // The oldest handshake made room for the next, and so on: only the last is left.
    let mut oldest = half_open;
    oldest.ended().await;
    for raw in &mut connected[..7] {
        raw.ended().await;
    }
    let told_again = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(told_again.is_err(), "told once: {told_again:?}");
    limit.current = was;
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fresh = manager.connect(format!("mc://{at}")).await.unwrap();
    echo(listener);
    ask(&mut fresh, b"after").await;
    ask(&mut stream, b"after").await;
}

// ---- where it cannot listen

fn told(error: ListenError) -> String {
    assert!(matches!(error, ListenError::Io { .. }), "{error:?}");
    format!("{:?}", mancom::Error::from(error))
}

#[tokio::test]
async fn where_it_cannot_listen_is_told_by_name() {
    let manager = manager(|_| ()).await;
    let (_listener, at) = listen(&manager).await;
    let taken = format!("mc://{at}");
    let text = told(manager.listen(&taken).await.unwrap_err());
    assert!(text.contains(&taken) && text.contains("in use"), "{text}");
    let elsewhere = "mc://203.0.113.7:7000";
    let text = told(manager.listen(elsewhere).plaintext().await.unwrap_err());
    assert!(text.contains(elsewhere), "{text}");
    let error = manager
        .listen("mc+unix:/nowhere/at/all.sock")
        .await
        .map(drop);
    assert!(error.is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_it_may_not_listen_is_told_by_name() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let manager = manager(|_| ()).await;
    // Of this thread alone, which is the one that binds.
    let all = capabilities(None).unwrap();
    let mut fewer = all;
    fewer.effective.remove(CapabilitySet::NET_BIND_SERVICE);
    set_capabilities(None, fewer).unwrap();
    let refused = manager.listen("mc://127.0.0.1:7").await.map(drop);
    set_capabilities(None, all).unwrap();
    let open = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if open.is_ok_and(|first| first.trim() == "0") {
        return refused.expect("containers may let everyone listen everywhere");
    }
    let text = told(refused.unwrap_err());
    assert!(
        text.contains("mc://127.0.0.1:7") && text.contains("ermission"),
        "{text}"
    );
}

// ---- labelled listeners

// behaviour: L1, L2
#[tokio::test]
async fn a_labelled_listener_follows_its_networks_on_the_same_port() {
    let (scout, networks) = mancom::testing::scripted();
    let at = |name: &str, ip: &str| {
        Network::wifi(name)
            .address(ip.parse::<IpAddr>().unwrap())
            .binding(Binding::Address)
    };
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let dialler = crate::raw::manager(|settings| settings.connect_rounds = 1).await;
    let wifi = Label::ANY.require(Prop::Wifi);
    let listener = manager
        .listen("mc://0.0.0.0:0")
        .label(wifi)
        .plaintext()
        .await
        .unwrap();
    assert!(
        listener.blocked().is_some(),
        "it stays open and says why nothing comes"
    );
    networks.up(at("wlan0", "127.0.0.31"));
    until(|| listener.blocked().is_none()).await;
    until(|| listener.contact().port().is_some_and(|port| port > 0)).await;
    let port = listener.contact().port().unwrap();
    let to = |ip: &str| format!("mc://{ip}:{port}");
    let mut first = dialler.connect(to("127.0.0.31")).await.unwrap();
    let mut served = soon(listener.accept()).await.unwrap();
    assert!(
        dialler.connect(to("127.0.0.32")).await.is_err(),
        "not yet a network of its label"
    );
    networks.up(at("wlan1", "127.0.0.32"));
    let mut second = soon(async {
        loop {
            if let Ok(stream) = dialler.connect(to("127.0.0.32")).await {
                return stream;
            }
        }
    })
    .await;
    second.write_all(b"two").await.unwrap();
    let _served = soon(listener.accept()).await.unwrap();
    networks.down("wlan0");
    deaf(format!("127.0.0.31:{port}").parse().unwrap()).await;
    first.write_all(b"lives").await.unwrap();
    let mut text = [0; 5];
    soon(served.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"lives", "a network that leaves ends no session");
    networks.down("wlan1");
    until(|| listener.blocked().is_some()).await;
    assert_eq!(
        listener.contact().port(),
        Some(port),
        "where it will listen again"
    );
    networks.up(at("wlan0", "127.0.0.31"));
    soon(async { while dialler.connect(to("127.0.0.31")).await.is_err() {} }).await;
}

// behaviour: L1
#[tokio::test]
async fn a_labelled_listener_that_can_listen_nowhere_says_so_at_once() {
    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let ip: IpAddr = "127.0.0.33".parse().unwrap();
    networks.up(Network::wifi("wlan0").address(ip).binding(Binding::Address));
    let taken = std::net::TcpListener::bind("127.0.0.33:0").unwrap();
    let endpoint = format!("mc://0.0.0.0:{}", taken.local_addr().unwrap().port());
    let wifi = Label::ANY.require(Prop::Wifi);
    let text = told(
        manager
            .listen(&endpoint)
            .label(wifi)
            .plaintext()
            .await
            .unwrap_err(),
    );
    assert!(text.contains(&endpoint), "{text}");
}

// behaviour: K12
#[cfg(feature = "macros")]
#[mancom::test]
async fn a_rogue_on_another_network_ends_no_session(
    networks: mancom::testing::Networks,
) -> Result<(), mancom::Error> {
    networks.up(Network::wifi("wlan0"));
    networks.up(Network::wifi("wlan1"));
    let on = |name: &str| Label::ANY.interface(name);
    let proper = mancom::listen("mem://service").label(on("wlan0")).await?;
    let rogue = mancom::listen("mem://service").label(on("wlan1")).await?;
    networks.down("wlan1");
    let mut stream = mancom::connect("mem://service")
        .grace(Duration::from_secs(3600))
        .await?;
    let mut served = proper.accept().await?;
    networks.down("wlan0");
    networks.up(Network::wifi("wlan1"));
    stream.write_all(b"secret").await?;
    let shown = tokio::time::timeout(Duration::from_secs(600), rogue.accept()).await;
    assert!(
        shown.is_err(),
        "the rogue was asked, refused, and shown nothing"
    );
    networks.up(Network::wifi("wlan0"));
    let mut text = [0; 6];
    served.read_exact(&mut text).await?;
    assert_eq!(&text, b"secret");
    Ok(())
}
