//! The scout as a whole: scripted, with sources refused, and over this machine's own interfaces.

mod moving;

use super::*;
use crate::network::{Network, State};
use std::time::Duration;
use tokio::sync::watch::Receiver;

fn names(snapshots: &Receiver<Arc<Snapshot>>) -> Vec<String> {
    let snapshot = snapshots.borrow().clone();
    let up = snapshot
        .networks()
        .iter()
        .filter(|n| n.state() == State::Up);
    up.map(|n| n.name().to_owned()).collect()
}

async fn complete(snapshots: &mut Receiver<Arc<Snapshot>>) -> Arc<Snapshot> {
    let wait = snapshots.wait_for(|snapshot| snapshot.is_complete());
    let snapshot = tokio::time::timeout(Duration::from_secs(10), wait).await;
    snapshot.expect("in time").expect("a living scout").clone()
}

mod scripted {
    use super::*;

    // behaviour: C1
    #[tokio::test(start_paused = true)]
    async fn is_complete_and_empty_at_first() {
        let (scout, _networks) = scripted();
        let snapshot = scout.snapshots().borrow().clone();
        assert!(snapshot.is_complete() && snapshot.networks().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_test_does_is_seen_at_once() {
        let (scout, networks) = scripted();
        let mut snapshots = scout.snapshots();
        let id = networks.up(Network::wifi("wlan0"));
        assert!(snapshots.has_changed().expect("alive"));
        let snapshot = snapshots.borrow_and_update().clone();
        assert_eq!(snapshot.by_id(id).map(Network::name), Some("wlan0"));
        networks.down("wlan0");
        assert!(names(&snapshots).is_empty());
        let down = snapshots.borrow_and_update().networks()[0].clone();
        assert_eq!((down.id(), down.state()), (id, State::Down), "still listed");
        networks.change("wlan0", |spec| spec.state(State::Up));
        assert_eq!(names(&snapshots), ["wlan0"]);
    }

    // behaviour: C2
    #[tokio::test(start_paused = true)]
    async fn what_changes_nothing_wakes_nobody() {
        let (scout, networks) = scripted();
        let mut snapshots = scout.snapshots();
        networks.up(Network::wifi("wlan0"));
        snapshots.mark_unchanged();
        networks.change("wlan0", |spec| spec);
        networks.down("never");
        networks.change("never", |spec| spec.metered(true));
        assert!(!snapshots.has_changed().expect("alive"));
        networks.down("wlan0");
        snapshots.mark_unchanged();
        networks.down("wlan0");
        assert!(!snapshots.has_changed().expect("alive"));
    }

    // behaviour: C3
    #[tokio::test(start_paused = true)]
    async fn down_and_up_between_two_looks_is_a_new_id_and_in_the_log() {
        let (scout, networks) = scripted();
        let first = networks.up(Network::wifi("wlan0"));
        networks.down("wlan0");
        let second = networks.up(Network::wifi("wlan0"));
        let third = networks.up(Network::wifi("wlan0"));
        assert!(
            first < second && second < third,
            "also when nobody made the down"
        );
        let told: Vec<_> = scout
            .changes()
            .into_iter()
            .map(|c| (c.id, c.what))
            .collect();
        let expected = [
            (first, Happened::Up),
            (first, Happened::Down),
            (second, Happened::Up),
            (second, Happened::Down),
            (third, Happened::Up),
        ];
        assert_eq!(told, expected);
        let generations: Vec<_> = scout.changes().iter().map(|c| c.generation).collect();
        assert!(generations.is_sorted());
    }

    // behaviour: C6
    #[tokio::test(start_paused = true)]
    async fn a_killed_scout_is_an_error_for_every_watcher() {
        let (scout, networks) = scripted();
        let mut snapshots = scout.snapshots();
        let waiting = tokio::spawn(async move { snapshots.changed().await });
        tokio::task::yield_now().await;
        networks.kill();
        waiting
            .await
            .expect("no panic")
            .expect_err("the scout is gone");
        scout
            .snapshots()
            .changed()
            .await
            .expect_err("also for those who come later");
        networks.up(Network::wifi("wlan0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_may_use_the_handle_itself() {
        let (scout, networks) = scripted();
        networks.up(Network::wifi("wlan0"));
        networks.change("wlan0", |spec| {
            networks.up(Network::cellular("wwan0"));
            spec.metered(true)
        });
        assert_eq!(names(&scout.snapshots()), ["wlan0", "wwan0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn stalls_are_silent() {
        let (scout, networks) = scripted();
        let (stalls, mut snapshots) = (scout.stalls(), scout.snapshots());
        networks.up(Network::wifi("wlan0"));
        snapshots.mark_unchanged();
        networks.stall("wlan0", true);
        assert!(stalls.borrow().contains("wlan0"));
        assert!(!snapshots.has_changed().expect("alive"));
        networks.stall("wlan0", false);
        assert!(stalls.borrow().is_empty());
    }

    // behaviour: R8
    #[test]
    fn two_worlds_share_nothing_and_clones_of_one_share_all() {
        let ((one, networks), (other, _)) = (scripted(), scripted());
        networks.up(Network::wifi("wlan0"));
        assert!(names(&other.snapshots()).is_empty());
        let slot = one.shared::<Mutex<u32>>();
        *slot.lock().expect("no panic") = 7;
        assert!(Arc::ptr_eq(&slot, &one.clone().shared::<Mutex<u32>>()));
        assert_eq!(*other.shared::<Mutex<u32>>().lock().expect("no panic"), 0);
    }
}

mod settings {
    use super::*;
    use crate::scout::system::Settings;

    pub(super) fn refused() -> Settings {
        #[cfg_attr(not(target_os = "linux"), expect(unused_mut))]
        let mut settings = Settings::new(Overrides::new());
        #[cfg(target_os = "linux")]
        {
            settings.open = || Err(std::io::ErrorKind::PermissionDenied.into());
        }
        // Nor has this machine's own bus a say.
        #[cfg(all(target_os = "linux", feature = "dbus"))]
        {
            settings.bus = Some("nowhere".to_owned());
        }
        settings
    }

    pub(super) fn blind() -> Settings {
        let mut settings = refused();
        settings.watch = || Err(std::io::ErrorKind::PermissionDenied.into());
        settings
    }
}

// behaviour: C9
#[tokio::test]
async fn with_every_source_refused_there_is_a_network_that_stands_in_nobodys_way() {
    for settings in [settings::refused(), settings::blind()] {
        let scout = Scout::over_system(settings);
        let mut snapshots = scout.snapshots();
        let snapshot = complete(&mut snapshots).await;
        assert_eq!(names(&snapshots), ["default"]);
        let network = &snapshot.networks()[0];
        assert!(network.kinds().is_empty());
        assert_eq!(*network.binding(), crate::network::Binding::Unbound);
        for anywhere in ["192.0.2.1", "2001:db8::1"] {
            let ip = anywhere.parse().expect("an address");
            assert!(
                network.routes().iter().any(|route| route.covers(ip)),
                "{anywhere}"
            );
            let family = |a: &crate::network::Address| a.ip.is_ipv4() == ip.is_ipv4();
            assert!(network.addresses().iter().any(family), "{anywhere}");
        }
        scout.look_again().await;
        assert!(
            scout.source().contains("ermission denied"),
            "{}",
            scout.source()
        );
    }
}

#[test]
fn outside_a_runtime_the_systems_scout_says_that_it_ended() {
    let snapshots = Scout::system().snapshots();
    assert!(snapshots.has_changed().is_err());
}

// behaviour: C6
#[test]
fn a_runtime_that_ends_takes_the_scout_with_it_and_another_starts_it_anew() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    };
    let scout = Scout::over_system(settings::blind());
    let first = runtime();
    let old = first.block_on(async {
        let mut snapshots = scout.snapshots();
        complete(&mut snapshots).await;
        snapshots
    });
    drop(first);
    assert!(old.has_changed().is_err());
    let generation = old.borrow().generation();
    let id = old.borrow().networks()[0].id();
    runtime().block_on(async {
        let mut snapshots = scout.snapshots();
        let snapshot = complete(&mut snapshots).await;
        assert!(snapshot.generation() >= generation, "generations continue");
        assert_eq!(snapshot.networks()[0].id(), id, "and so do ids");
    });
}

// behaviour: C6 R4
#[tokio::test]
async fn the_last_handle_ends_the_task_and_every_watcher_hears_of_it() {
    let scout = Scout::over_system(settings::blind());
    let clone = scout.clone();
    let mut snapshots = scout.snapshots();
    complete(&mut snapshots).await;
    drop(scout);
    tokio::task::yield_now().await;
    assert!(snapshots.has_changed().is_ok(), "a handle is left");
    drop(clone);
    let ended = async { while snapshots.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .expect("an end");
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::network::Kind;
    use std::collections::BTreeMap;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    /// Names of this namespace's interfaces, and their kinds where sysfs is sure of them.
    fn interfaces() -> BTreeMap<String, Option<Kind>> {
        let table = std::fs::read_to_string("/proc/self/net/dev").expect("procfs");
        let names = table
            .lines()
            .skip(2)
            .filter_map(|line| line.split_once(':'));
        let kind = |path: &Path| {
            let layer = std::fs::read_to_string(path.join("type")).unwrap_or_default();
            let radio = path.join("phy80211").exists() || path.join("wireless").exists();
            match layer.trim() {
                "772" => Some(Kind::Loopback),
                "1" if path.join("device").exists() && !radio => Some(Kind::Ethernet),
                _ => None,
            }
        };
        let sysfs = Path::new("/sys/class/net");
        let known = names.map(|(name, _)| name.trim().to_owned());
        known
            .map(|name| (name.clone(), kind(&sysfs.join(name))))
            .collect()
    }

    #[tokio::test]
    async fn every_interface_of_this_machine_is_listed_as_what_it_is() {
        let scout = Scout::system();
        let mut snapshots = scout.snapshots();
        let snapshot = complete(&mut snapshots).await;
        assert_eq!(scout.source(), "netlink");
        for (name, kind) in interfaces() {
            let network = snapshot
                .by_name(&name)
                .unwrap_or_else(|| panic!("{name} is missing"));
            if let Some(kind) = kind {
                assert_eq!(network.kind(), kind, "{name}");
            }
            let up = network.state() == State::Up;
            assert_eq!(up, network.why_down().is_empty(), "{name}");
        }
    }

    // behaviour: C9
    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_comes_late_is_no_reason_to_give_netlink_up() {
        // Paused time is at the kernel's time-out before anybody has read what it answered.
        for _ in 0..20 {
            let scout = Scout::system();
            let mut snapshots = scout.snapshots();
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_secs(3)).await;
            complete(&mut snapshots).await;
            assert_eq!(scout.source(), "netlink");
        }
    }

    // behaviour: C2
    #[tokio::test]
    async fn another_look_at_a_machine_at_rest_publishes_nothing_wrong() {
        let scout = Scout::system();
        let mut snapshots = scout.snapshots();
        let before = complete(&mut snapshots).await;
        scout.look_again().await;
        let after = snapshots.borrow().clone();
        if after.generation() == before.generation() {
            assert_eq!(after, before);
        } else {
            assert_ne!(after.networks(), before.networks());
        }
    }

    /// The socket of the scout in the test below: `socket:[inode]`.
    static OPENED: Mutex<Option<PathBuf>> = Mutex::new(None);

    fn open_and_tell() -> io::Result<netlink::Socket> {
        let socket = netlink::open()?;
        let fd = format!("/proc/self/fd/{}", socket.as_raw_fd());
        *OPENED.lock().expect("no panic") = Some(std::fs::read_link(fd)?);
        Ok(socket)
    }

    // behaviour: R4
    #[tokio::test]
    async fn no_descriptor_is_left_when_the_last_handle_goes() {
        let mut settings = system::Settings::new(Overrides::new());
        settings.open = open_and_tell;
        let scout = Scout::over_system(settings);
        let mut snapshots = scout.snapshots();
        complete(&mut snapshots).await;
        let opened = OPENED.lock().expect("no panic").take().expect("a socket");
        let held = || {
            let listed = std::fs::read_dir("/proc/self/fd").expect("procfs");
            let mut links = listed.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
            links.any(|link| link == opened)
        };
        assert!(held());
        drop(scout);
        while snapshots.changed().await.is_ok() {}
        assert!(!held());
    }
}
