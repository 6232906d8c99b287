//! What the real NetworkManager says, and what labels make of it.

use crate::isolation::{Case, cases, need};
use crate::lab::{Lab, join};
use crate::managed::{Found, Managed};
use crate::process::{self, Program};
use crate::world::PATIENCE;
use mancom::network::{Aspect, Fact, Health, Kind, Network, Snapshot};
use mancom::scout::{Facts, Overrides};
use mancom::{Label, Manager, Scout};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::watch::Receiver;

pub(crate) const CASES: &[Case] = cases![managers:
    metered_connectivity_and_portals_arrive_and_a_killed_manager_is_heard_again,
    what_becomes_metered_is_left_by_what_must_not_cost,
    the_command_hears_the_bus_of_its_environment,
    a_portal_holds_up_what_goes_to_the_internet_and_nothing_else,
    a_preferred_wifi_without_internet_loses_to_a_cellular_with_it,
    an_interface_that_is_not_managed_stays_usable,
    a_configuration_outdoes_the_manager_and_both_are_named,
];

const NETWORK_MANAGER: &str = "NetworkManager";

/// Waits until this holds of a network.
async fn until(
    snapshots: &mut Receiver<Arc<Snapshot>>,
    what: &str,
    name: &str,
    holds: impl Fn(&Network) -> bool,
) {
    let held = snapshots.wait_for(|snapshot| snapshot.by_name(name).is_some_and(&holds));
    let held = tokio::time::timeout(PATIENCE, held).await;
    let is_held = held.is_ok_and(|held| held.is_ok());
    let snapshot = snapshots.borrow();
    let network = snapshot.by_name(name);
    let known = network.map(|n| {
        (
            n.why_down(),
            n.metered(),
            n.health(),
            n.sources(Aspect::Metered).collect::<Vec<_>>(),
        )
    });
    assert!(is_held, "{name}: {what}: {known:?}");
}

fn now(found: &AtomicU8, what: Found) {
    found.store(what as u8, Ordering::Relaxed);
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

// behaviour: C9
fn metered_connectivity_and_portals_arrive_and_a_killed_manager_is_heard_again() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    let (client, mut manager, found) = (managed.client.clone(), managed.manager, managed.found);
    join(client.spawn_async(move || async move {
        let scout = Scout::system();
        let mut all = scout.snapshots();
        let metered = |fact| move |network: &Network| network.metered() == fact;
        let health = |health| move |network: &Network| network.health() == health;
        until(&mut all, "metered", "wlan0", metered(Fact::Yes)).await;
        until(&mut all, "not metered", "wwan0", metered(Fact::No)).await;
        for (at, reach) in [
            (Found::Internet, Health::Full),
            (Found::Portal, Health::Portal),
            (Found::Nothing, Health::Limited),
            (Found::Internet, Health::Full),
        ] {
            now(&found[0], at);
            until(&mut all, reach.word(), "wlan0", health(reach)).await;
        }
        let wlan0 = all.borrow().by_name("wlan0").cloned().unwrap();
        for aspect in [Aspect::Metered, Aspect::Health, Aspect::Dns] {
            assert_eq!(
                wlan0.sources(aspect).next(),
                Some(NETWORK_MANAGER),
                "{aspect}"
            );
        }
        assert_eq!(wlan0.value(Aspect::Dns).as_deref(), Some("10.1.0.53"));
        assert_eq!(wlan0.kind(), Kind::Ethernet, "netlink knows a veth better");
        manager.kill();
        until(&mut all, "unknown", "wlan0", metered(Fact::Unknown)).await;
        until(&mut all, "unknown", "wlan0", health(Health::Unknown)).await;
        manager.start();
        until(&mut all, "metered again", "wlan0", metered(Fact::Yes)).await;
        until(&mut all, "full again", "wlan0", health(Health::Full)).await;
    }));
}

/// A manager over the client's networks, which are taken for wifi and cellular.
async fn manager() -> Manager {
    let mut overrides = Overrides::new();
    for (pattern, kind) in [("wlan*", Kind::Wifi), ("wwan*", Kind::Cellular)] {
        let facts = Facts {
            kind: Some(kind),
            ..Facts::default()
        };
        overrides.push(pattern, facts);
    }
    let builder = Manager::builder().scout(Scout::system_with(overrides));
    builder.build().await.unwrap()
}

fn what_becomes_metered_is_left_by_what_must_not_cost() {
    need("nmcli");
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    let client = managed.client.clone();
    join(managed.client.spawn_async(move || async move {
        let manager = manager().await;
        let mut all = manager.snapshots();
        let metered = |fact| move |network: &Network| network.metered() == fact;
        until(&mut all, "not metered", "wwan0", metered(Fact::No)).await;
        let free = label("prohibit=metered scope=internet");
        assert_eq!(manager.matching(free).await.unwrap().name(), "wwan0");
        for arguments in [
            "connection modify wwan0 connection.metered yes",
            "device reapply wwan0",
        ] {
            let mut nmcli = client.command("nmcli");
            let status = nmcli.args(arguments.split(' ')).status();
            assert!(status.unwrap().success(), "{arguments}");
        }
        until(&mut all, "metered", "wwan0", metered(Fact::Yes)).await;
        let refused = manager.matching(free).no_wait().await.unwrap_err();
        assert!(refused.to_string().contains("metered"), "{refused}");
    }));
}

// behaviour: C9
fn the_command_hears_the_bus_of_its_environment() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    let status = |bus: Option<&str>| {
        let mut command = managed.client.command(env!("CARGO_BIN_EXE_mancom"));
        command.args(["status", "--json", "wlan0"]);
        if let Some(bus) = bus {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        }
        let finished = Program::start(&mut command, Vec::new()).finish(PATIENCE);
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        let told: Value = serde_json::from_slice(&finished.stdout).unwrap();
        told["networks"][0]["metered"].clone()
    };
    process::until("metered", PATIENCE, || status(None) == "yes");
    for nobody in ["unix:path=/nowhere", "no address"] {
        assert_eq!(status(Some(nobody)), "unknown", "{nobody}");
    }
}

// behaviour: M8
fn a_portal_holds_up_what_goes_to_the_internet_and_nothing_else() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    now(&managed.found[0], Found::Portal);
    let wifi = managed.found[0].clone();
    join(managed.client.spawn_async(move || async move {
        let manager = manager().await;
        let mut all = manager.snapshots();
        until(&mut all, "a portal", "wlan0", |wlan0| {
            wlan0.health() == Health::Portal
        })
        .await;
        let internet = label("require=wifi scope=internet");
        let refused = manager.matching(internet).no_wait().await.unwrap_err();
        assert!(refused.to_string().contains("portal"), "{refused}");
        let local = manager.matching(label("require=wifi scope=local"));
        assert_eq!(local.no_wait().await.unwrap().name(), "wlan0");
        let waiting = tokio::spawn(manager.matching(internet).within(PATIENCE).into_future());
        now(&wifi, Found::Internet);
        assert_eq!(waiting.await.unwrap().unwrap().name(), "wlan0");
    }));
}

// behaviour: M10
fn a_preferred_wifi_without_internet_loses_to_a_cellular_with_it() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    now(&managed.found[0], Found::Nothing);
    let wifi = managed.found[0].clone();
    join(managed.client.spawn_async(move || async move {
        let manager = manager().await;
        let mut all = manager.snapshots();
        let health = |health| move |network: &Network| network.health() == health;
        until(&mut all, "limited", "wlan0", health(Health::Limited)).await;
        until(&mut all, "full", "wwan0", health(Health::Full)).await;
        let best = label("prefer=wifi scope=internet");
        assert_eq!(manager.matching(best).await.unwrap().name(), "wwan0");
        now(&wifi, Found::Internet);
        until(&mut all, "full", "wlan0", health(Health::Full)).await;
        assert_eq!(manager.matching(best).await.unwrap().name(), "wlan0");
    }));
}

// behaviour: M15
fn an_interface_that_is_not_managed_stays_usable() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &["wlan0"]);
    now(&managed.found[1], Found::Nothing);
    join(managed.client.spawn_async(move || async move {
        let manager = manager().await;
        let mut all = manager.snapshots();
        // The host as a whole has no internet, in the eyes of its manager.
        until(&mut all, "limited", "wwan0", |wwan0| {
            wwan0.health() == Health::Limited
        })
        .await;
        let wlan0 = all.borrow().by_name("wlan0").cloned().unwrap();
        assert_eq!(
            (wlan0.health(), wlan0.metered()),
            (Health::Unknown, Fact::Unknown)
        );
        assert_eq!(wlan0.sources(Aspect::Health).count(), 0);
        let internet = manager.matching(label("scope=internet"));
        assert_eq!(internet.no_wait().await.unwrap().name(), "wlan0");
    }));
}

// behaviour: C7
fn a_configuration_outdoes_the_manager_and_both_are_named() {
    let lab = Lab::new();
    let managed = Managed::new(&lab, &[]);
    join(managed.client.spawn_async(move || async move {
        let mut overrides = Overrides::new();
        let facts = Facts {
            metered: Some(false),
            ..Facts::default()
        };
        overrides.push("wlan0", facts);
        let scout = Scout::system_with(overrides);
        let mut all = scout.snapshots();
        until(&mut all, "both sources", "wlan0", |wlan0| {
            wlan0
                .sources(Aspect::Metered)
                .eq(["override", NETWORK_MANAGER])
        })
        .await;
        let wlan0 = all.borrow().by_name("wlan0").cloned().unwrap();
        assert_eq!(wlan0.metered(), Fact::No);
    }));
}
