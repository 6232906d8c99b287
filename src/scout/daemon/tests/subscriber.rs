//! What a subscriber sees, through the end of a daemon and its return.

use super::*;
use crate::network::{Address, Aspect, Binding, Fact, NetworkSpec};
use crate::scout::binding::Tried;
use crate::scout::system::Settings;
use crate::scout::{Facts, Happened};

fn at(spec: NetworkSpec, address: &str) -> NetworkSpec {
    spec.address(address.parse::<Address>().expect("an address"))
}

fn sources(network: &Network, aspect: Aspect) -> Vec<&str> {
    network.sources(aspect).collect()
}

// behaviour: C1, C2, C3
#[tokio::test]
async fn two_subscribers_see_a_flap() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let scouts = [subscriber(&place.socket()), subscriber(&place.socket())];
    let mut both = scouts.each_ref().map(Scout::snapshots);
    let starting = |snapshots: &Snapshots| !snapshots.borrow().is_complete();
    assert!(both.iter().all(starting), "nothing heard yet");
    for snapshots in &mut both {
        let first = once(snapshots, |all| all.is_complete()).await;
        assert!(first.networks().is_empty());
    }
    daemon.networks.up(Network::wifi("wlan0"));
    let mut ids = Vec::new();
    for snapshots in &mut both {
        ids.push(up(snapshots, "wlan0").await.id());
    }
    daemon.networks.down("wlan0");
    daemon.networks.up(Network::wifi("wlan0"));
    for (scout, (snapshots, id)) in scouts.iter().zip(both.iter_mut().zip(ids)) {
        let anew = |all: &Arc<Snapshot>| {
            let wlan0 = all.by_name("wlan0");
            wlan0.is_some_and(|n| n.state() == State::Up && n.id() > id)
        };
        once(snapshots, anew).await;
        let told = scout.changes().into_iter().map(|change| change.what);
        let told: Vec<_> = told.collect();
        assert_eq!(told, [Happened::Up, Happened::Down, Happened::Up]);
        assert_eq!(
            scout.source(),
            format!("daemon {}", place.socket().display())
        );
        assert!(!scout.is_simulated());
    }
}

// behaviour: C3
#[tokio::test]
async fn ids_outlive_the_daemon_where_an_address_does() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    daemon
        .networks
        .up(at(Network::wifi("wlan0"), "10.0.0.2/24"));
    daemon
        .networks
        .up(at(Network::cellular("wwan0"), "10.1.0.2/24"));
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    let (wifi, cellular) = (
        up(&mut snapshots, "wlan0").await,
        up(&mut snapshots, "wwan0").await,
    );
    let generation = snapshots.borrow().generation();
    daemon.end().await;
    says(&scout, "reconnecting: ").await;
    assert!(snapshots.has_changed().is_ok(), "nobody's wait fails");
    assert_eq!(snapshots.borrow().generation(), generation, "it stays");

    let (again, networks) = scripted();
    networks.up(at(Network::wifi("wlan0"), "10.0.0.2/24").metered(true));
    networks.up(at(Network::cellular("wwan0"), "10.9.0.2/24"));
    let _serving = serve(&place.socket(), again).await;
    let now = once(&mut snapshots, |all| all.generation() > generation).await;
    let kept = now.by_id(wifi.id()).expect("the same id");
    assert_eq!((kept.name(), kept.metered()), ("wlan0", Fact::Yes));
    let other = now.by_name("wwan0").expect("seen");
    assert!(other.id() > cellular.id(), "no address in common");
    assert_eq!(now.generation(), generation + 1, "once");
    says(&scout, "scout.sock").await;
    assert!(!scout.source().contains("reconnecting"));
}

// behaviour: C2
#[tokio::test]
async fn a_daemon_that_returns_with_the_same_picture_is_no_news() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    daemon
        .networks
        .up(at(Network::wifi("wlan0"), "10.0.0.2/24"));
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    let before = {
        up(&mut snapshots, "wlan0").await;
        snapshots.borrow().clone()
    };
    daemon.end().await;
    says(&scout, "reconnecting").await;
    let (again, networks) = scripted();
    networks.up(at(Network::wifi("wlan0"), "10.0.0.2/24"));
    let _serving = serve(&place.socket(), again).await;
    let heard = async {
        while scout.source().contains("reconnecting") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard)
        .await
        .expect("it returns");
    scout.look_again().await;
    assert_eq!(*snapshots.borrow(), before);
}

// behaviour: C3
#[tokio::test]
async fn a_flap_while_the_connection_was_lost_is_a_new_epoch_if_the_daemon_lived() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    daemon
        .networks
        .up(at(Network::wifi("wlan0"), "10.0.0.2/24"));
    // Between the two: ends one connection, as a daemon does that was not read.
    let front = place.folder.path().join("front.sock");
    let listener = tokio::net::UnixListener::bind(&front).expect("a free path");
    let back = place.socket();
    let relay = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.expect("a subscriber");
            let mut far = tokio::net::UnixStream::connect(&back)
                .await
                .expect("a daemon");
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = CUT.notified() => {}
            }
        }
    });
    static CUT: tokio::sync::Notify = tokio::sync::Notify::const_new();
    let scout = subscriber(&front);
    let mut snapshots = scout.snapshots();
    let first = up(&mut snapshots, "wlan0").await.id();
    CUT.notify_one();
    daemon.networks.down("wlan0");
    daemon
        .networks
        .up(at(Network::wifi("wlan0"), "10.0.0.2/24"));
    let anew = |all: &Arc<Snapshot>| all.by_name("wlan0").is_some_and(|n| n.id() > first);
    once(&mut snapshots, anew).await;
    relay.abort();
}

#[tokio::test]
async fn without_a_daemon_and_a_fallback_nothing_is_known() {
    let place = Place::new();
    let scout = subscriber(&place.socket());
    let snapshots = scout.snapshots();
    says(&scout, "reconnecting: No such file").await;
    scout.look_again().await;
    assert!(!snapshots.borrow().is_complete());
    assert_eq!(snapshots.borrow().generation(), 0);
    let manager = crate::Manager::builder().scout(scout.clone()).build().await;
    let matching = manager.expect("a manager").matching(crate::Label::ANY);
    let error = matching.within(Duration::from_millis(50)).await;
    let error = error.expect_err("nothing is known").to_string();
    assert!(error.contains("has not finished its first scan"), "{error}");
    let daemon = Daemon::start(&place.socket()).await;
    let mut snapshots = snapshots;
    once(&mut snapshots, |all| all.is_complete()).await;
    daemon.end().await;
}

/// A scout whose own eyes are shut: what it sees for itself is one network `default`.
fn blind(path: &Path, fallback: Fallback) -> Scout {
    let mut settings = Settings::new(Overrides::new());
    #[cfg(target_os = "linux")]
    {
        settings.open = || Err(std::io::ErrorKind::PermissionDenied.into());
    }
    settings.watch = || Err(std::io::ErrorKind::PermissionDenied.into());
    settings.daemon = Some(Subscription::new(path.to_owned(), fallback));
    Scout::over_system(settings)
}

// behaviour: C9
#[tokio::test]
async fn a_process_looks_for_itself_until_the_daemon_is_there() {
    let place = Place::new();
    let scout = blind(&place.socket(), Fallback::Own);
    let mut snapshots = scout.snapshots();
    up(&mut snapshots, "default").await;
    says(&scout, "polling (daemon ").await;
    assert!(
        scout.source().contains("No such file"),
        "{}",
        scout.source()
    );
    let daemon = Daemon::start(&place.socket()).await;
    daemon.networks.up(Network::wifi("wlan0"));
    up(&mut snapshots, "wlan0").await;
    assert!(snapshots.borrow().by_name("default").is_none());
    daemon.end().await;
    up(&mut snapshots, "default").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn ids_outlive_the_fallback_and_the_return() {
    let place = Place::new();
    let serving = serve(&place.socket(), Scout::system()).await;
    let scout = Scout::daemon(place.socket());
    let mut snapshots = scout.snapshots();
    let before = once(&mut snapshots, |all| all.is_complete()).await;
    let ids = |all: &Snapshot| -> Vec<_> {
        let up = all.networks().iter().filter(|n| n.state() == State::Up);
        up.map(|n| (n.id(), n.name().to_owned())).collect()
    };
    assert!(!ids(&before).is_empty(), "loopback at least");
    serving.abort();
    says(&scout, "netlink (daemon ").await;
    let _serving = serve(&place.socket(), Scout::system()).await;
    let back = format!("daemon {}", place.socket().display());
    says(&scout, &back).await;
    scout.look_again().await;
    assert_eq!(ids(&snapshots.borrow().clone()), ids(&before));
}

// behaviour: C7
#[tokio::test]
async fn what_this_process_states_wins_over_what_the_daemon_says() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let mut told = Network::wifi("wlan0").metered(false);
    told.notes.said(Aspect::Metered, "netlink");
    daemon.networks.up(told);
    let mut overrides = Overrides::new();
    let metered = Facts {
        metered: Some(true),
        ..Facts::default()
    };
    overrides.push("wlan*", metered);
    let scout = Scout::daemon_with(place.socket(), overrides, Fallback::None);
    let mut snapshots = scout.snapshots();
    let wlan0 = up(&mut snapshots, "wlan0").await;
    assert_eq!(wlan0.metered(), Fact::Yes);
    assert_eq!(sources(&wlan0, Aspect::Metered), ["override", "netlink"]);
    scout.set_overrides(Overrides::new());
    let plain = |all: &Arc<Snapshot>| {
        all.by_name("wlan0")
            .is_some_and(|n| n.metered() == Fact::No)
    };
    let now = once(&mut snapshots, plain).await;
    assert_eq!(sources(&now.networks()[0], Aspect::Metered), ["netlink"]);
    assert_eq!(now.networks()[0].id(), wlan0.id());
}

#[tokio::test]
async fn how_a_socket_is_bound_is_tried_here() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    let mut told = Network::wifi("wlan0").binding(Binding::Address);
    told.notes.unbound = Some("not allowed there".into());
    told.notes.said(Aspect::Binding, "tried");
    daemon.networks.up(told);
    daemon.networks.up(Network::other("forwarder").detached());
    let mut settings = Settings::new(Overrides::new());
    settings.bind = |_| {
        Some(Tried {
            binding: Binding::Unbound,
            why: Some("not allowed here".to_owned()),
        })
    };
    settings.daemon = Some(Subscription::new(place.socket(), Fallback::None));
    let scout = Scout::over_system(settings);
    let mut snapshots = scout.snapshots();
    let wlan0 = up(&mut snapshots, "wlan0").await;
    assert_eq!(*wlan0.binding(), Binding::Unbound);
    assert_eq!(wlan0.why_unbound(), Some("not allowed here"));
    assert_eq!(sources(&wlan0, Aspect::Binding), ["tried"]);
    let forwarder = up(&mut snapshots, "forwarder").await;
    assert_eq!(*forwarder.binding(), Binding::Detached);
}

#[tokio::test]
async fn who_comes_late_knows_since_when_it_has_been_so() {
    let place = Place::new();
    let daemon = Daemon::start(&place.socket()).await;
    daemon.networks.up(Network::wifi("wlan0"));
    let old = Duration::from_millis(400);
    tokio::time::sleep(old).await;
    daemon.networks.change("wlan0", |spec| spec.metered(true));
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    let wlan0 = up(&mut snapshots, "wlan0").await;
    let age = |aspect| wlan0.age(aspect).expect("a scout published it");
    assert!(age(Aspect::State) >= old, "{:?}", age(Aspect::State));
    assert!(age(Aspect::Metered) < age(Aspect::State));
}

#[tokio::test]
async fn a_look_goes_through_the_daemon() {
    let place = Place::new();
    let _serving = serve(&place.socket(), Scout::system()).await;
    let scout = subscriber(&place.socket());
    let mut snapshots = scout.snapshots();
    once(&mut snapshots, |all| all.is_complete()).await;
    let all = (0..20).map(|_| scout.look_again());
    futures_util::future::join_all(all).await;
    assert!(snapshots.has_changed().is_ok());
    assert!(!scout.source().contains("reconnecting"));
}
