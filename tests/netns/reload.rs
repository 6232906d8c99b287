//! A configuration that changes while operations wait on real interfaces.

use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::waiting::until_task;
use mancom::network::Fact;
use mancom::{Label, Manager, Prop};
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::sync::Notify;

pub(crate) const CASES: &[Case] = cases![reload:
    a_fact_that_flips_lets_one_operation_go_and_wakes_no_other,
    a_wrong_file_leaves_the_facts_as_they_were,
];

const LIMIT: Duration = Duration::from_secs(60);
const UNMETERED: Label = Label::new().prohibit(Prop::Metered);
const WIFI: Label = UNMETERED.require(Prop::Wifi);

fn metered(metered: bool) -> String {
    format!("[networks.\"eth*\"]\nmetered = {metered}\n")
}

/// Puts a file in the place of another at once.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, path).unwrap();
}

/// A waker that counts.
#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    told: Notify,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.told.notify_one();
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Waits until the scout says this of `eth0`, in a snapshot that every operation was judged by.
async fn seen(manager: &Manager, metered: Fact) {
    let mut snapshots = manager.snapshots();
    let says = snapshots.wait_for(|snapshot| {
        let network = snapshot.networks().iter().find(|n| n.name() == "eth0");
        snapshot.is_complete() && network.is_some_and(|n| n.metered() == metered)
    });
    let says = tokio::time::timeout(LIMIT, says)
        .await
        .expect("the scout says it");
    drop(says.expect("the scout lives"));
}

// behaviour: G4
fn a_fact_that_flips_lets_one_operation_go_and_wakes_no_other() {
    let lab = Lab::new();
    let (host, server) = (lab.host("host"), lab.host("server"));
    let link = lab.link(&host, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    link.default_route(100);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, metered(true)).unwrap();
    join(host.spawn_async(move || async move {
        let manager = Manager::builder().config_file(&path).build().await.unwrap();
        seen(&manager, Fact::Yes).await;
        let mut going = pin!(manager.matching(UNMETERED).into_future());
        let mut staying = pin!(manager.matching(WIFI).into_future());
        let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let (waker, other) = (Waker::from(first.clone()), Waker::from(second.clone()));
        let poll = |future: std::pin::Pin<&mut _>, waker: &Waker| {
            Future::poll(future, &mut Context::from_waker(waker))
        };
        assert!(poll(going.as_mut(), &waker).is_pending());
        assert!(poll(staying.as_mut(), &other).is_pending());

        replace(&path, &metered(false));
        tokio::time::timeout(LIMIT, first.told.notified())
            .await
            .expect("it is woken");
        let Poll::Ready(Ok(network)) = poll(going.as_mut(), &waker) else {
            panic!("nothing admits it");
        };
        assert_eq!(network.name(), "eth0");
        assert_eq!(network.metered(), Fact::No);
        assert_eq!((first.count(), second.count()), (1, 0));

        // Another file that says the same changes nothing.
        let generation = manager.snapshot().generation();
        replace(&path, &(String::from("# the same\n") + &metered(false)));
        assert!(!manager.reload().unwrap());
        assert_eq!(manager.snapshot().generation(), generation);
        assert_eq!((first.count(), second.count()), (1, 0));
        assert!(poll(staying.as_mut(), &other).is_pending());
    }));
}

// behaviour: MC-08
fn a_wrong_file_leaves_the_facts_as_they_were() {
    let lab = Lab::new();
    let (host, server) = (lab.host("host"), lab.host("server"));
    let _link = lab.link(&host, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    join(host.spawn_async(move || async move {
        fs::write(&path, "").unwrap();
        let manager = Manager::builder().config_file(&path).build().await.unwrap();
        seen(&manager, Fact::Unknown).await;
        replace(&path, &metered(true));
        seen(&manager, Fact::Yes).await;
        fs::write(&path, "[networks.eth0]\nmetered = 'yes'").unwrap();
        until_task("the fault is seen", LIMIT, || {
            manager.config_error().is_some()
        })
        .await;
        // What was in force stays.
        seen(&manager, Fact::Yes).await;
        replace(&path, &metered(false));
        seen(&manager, Fact::No).await;
    }));
}
