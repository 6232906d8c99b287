//! The explanation, for people and for programs.

use std::time::Duration;

use super::*;
use crate::network::{Aspect, Binding, Kind, State};

const ANYWHERE: &Destination = &Destination::Unnamed;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn unplugged(name: &str) -> NetworkSpec {
    let mut spec = NetworkSpec::new(name, Kind::Wifi).state(State::Down);
    spec.notes.down.push("no carrier".into());
    spec.notes.said(Aspect::State, "netlink");
    spec.notes.said(Aspect::Routes, "netlink");
    spec
}

// behaviour: D1, as far as matching goes
#[test]
fn every_reason_is_collected_and_the_explanation_is_for_people() {
    let wwan = NetworkSpec::new("wwan0", Kind::Cellular)
        .metered(true)
        .state(State::Dormant);
    let all = world([
        Network::ethernet("eth0").address(prefix("10.0.0.2/24")),
        NetworkSpec::new("wlan0", Kind::Wifi).state(State::Down),
        wwan,
        Network::loopback("lo"),
    ]);
    let text = "require=wifi prohibit=metered";
    assert_eq!(
        reasons(&all, "wwan0", text, ANYWHERE),
        ["dormant", "no_route", "no_address", "prohibited", "kind"]
    );
    let blocked = blocked(&all, text, ANYWHERE).after(Duration::from_millis(3200));
    assert_eq!(
        blocked.to_string(),
        "no network matches `require=wifi prohibit=metered` (snapshot 7, waited 3.2 s)\n  \
         eth0: is ethernet, not wifi; taken to be not metered (unknown)\n  \
         wlan0: is down; taken to be not metered (unknown)\n  \
         wwan0: is dormant; is metered, which is prohibited; is cellular, not wifi\n  \
         lo: is loopback, which must be named\n  \
         hint: needs wifi; wlan0 exists but is down"
    );
}

#[test]
fn each_reason_says_who_told_it_and_since_when() {
    let start = Instant::now();
    let mut cable = Network::ethernet("eth0").no_default_route();
    cable.notes.said(Aspect::Routes, "netlink");
    let mut modem = Network::cellular("wwan0").metered(true);
    modem.notes.said(Aspect::Metered, "override");
    modem.notes.said(Aspect::Metered, "NetworkManager");
    let all = aged(start, [unplugged("wlan0"), cable, modem]);
    let mut blocked = blocked(&all, "prohibit=metered", ANYWHERE);
    let told = |blocked: &Blocked| {
        let text = blocked.to_string();
        let lines = text.lines().skip(1).map(|line| line.trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    let lines = told(&blocked);
    assert!(lines[0].starts_with("wlan0: is down: no carrier (netlink); taken"));
    assert!(lines[1].starts_with("eth0: has no default route (netlink); taken"));
    assert_eq!(
        lines[2],
        "wwan0: is metered, which is prohibited (override)"
    );
    blocked.now = Some(start + seconds(12));
    let lines = told(&blocked);
    assert!(lines[0].starts_with("wlan0: is down: no carrier (netlink, for 12 s); "));
    assert!(lines[2].ends_with(" (override, for 12 s)"));
    assert_eq!(lines[3], "hint: eth0 exists but has no default route");

    let refusal = &blocked.networks[2];
    let reason = &refusal.reasons[0];
    assert_eq!(refusal.source(reason), Some("override"));
    assert_eq!(refusal.age_at(reason, start + seconds(3)), Some(seconds(3)));
    assert!(refusal.age(reason).is_some());
    // Programs get what follows from being down, too.
    let words = blocked.networks[0].reasons.iter().map(Reason::word);
    assert_eq!(
        words.collect::<Vec<_>>(),
        ["down", "no_route", "no_address"]
    );
}

#[test]
fn what_bypasses_a_vpn_says_who_told_of_the_vpn() {
    let mut vpn = Network::vpn("tun0").metered(true);
    vpn.notes.said(Aspect::Routes, "daemon");
    let all = world([Network::ethernet("eth0").route(prefix("0.0.0.0/1")), vpn]);
    let mut specs: Vec<_> = all.networks().iter().map(|n| n.spec().clone()).collect();
    specs[0] = Network::ethernet("eth0");
    specs[1].routes.clear();
    let half = |text| crate::network::Route::to(prefix(text));
    specs[1].routes.extend([half("0.0.0.0/1"), half("::/1")]);
    let all = world(specs);
    let blocked = blocked(&all, "prohibit=metered", ANYWHERE);
    let refusal = &blocked.networks[0];
    let bypasses = refusal.reasons.iter().find(|r| r.word() == "bypasses_vpn");
    assert_eq!(refusal.source(bypasses.expect("refused")), Some("daemon"));
}

#[test]
fn networks_of_which_the_same_is_said_share_a_line() {
    let start = Instant::now();
    let bridge = |i: u32| {
        let mut spec =
            NetworkSpec::new(format!("br{i}"), Kind::Other).address(prefix("172.17.0.1/16"));
        spec.notes.said(Aspect::Routes, "netlink");
        spec
    };
    let mut blocked = blocked(&aged(start, (0..9).map(bridge)), "any", ANYWHERE);
    let line = |blocked: &Blocked| {
        blocked
            .to_string()
            .lines()
            .nth(1)
            .expect("a line")
            .to_owned()
    };
    blocked.now = Some(start + seconds(300));
    let names = "br0, br1, br2, br3, br4, br5 and 3 more";
    let told = "each has no default route (netlink";
    assert_eq!(line(&blocked), format!("  {names}: {told}, for 5 min)"));
    // Of different ages none is told.
    let young = Since::new(start + seconds(299));
    let network = &mut blocked.networks[3].network;
    *network = Network::aged(network.id(), network.spec().clone(), young);
    assert_eq!(line(&blocked), format!("  {names}: {told})"));
    // Nor that of a first look.
    blocked.networks.truncate(1);
    blocked.now = Some(start + Duration::from_millis(20));
    assert_eq!(line(&blocked), "  br0: has no default route (netlink)");
}

#[test]
fn an_unbindable_network_says_what_refused_it() {
    let mut spec = Network::wifi("wlan0").binding(Binding::Unbound);
    spec.notes.unbound = Some("not permitted".into());
    let better = Network::ethernet("eth0").metered(true);
    let all = world([better, spec]);
    let told = blocked(&all, "prohibit=metered", ANYWHERE).to_string();
    let wanted = "cannot be bound: not permitted, and the kernel would choose another network";
    assert!(told.contains(wanted), "{told}");
}

// behaviour: G5, as far as matching goes
#[test]
fn a_label_of_the_configuration_is_told_by_name() {
    let all = world([Network::ethernet("eth0")]);
    let mut blocked = blocked(&all, "background large require=wifi", ANYWHERE);
    blocked.name = Some("photos".into());
    let told = blocked.to_string();
    let head = "no network matches `photos` (background large require=wifi) (snapshot 7)\n";
    assert!(told.starts_with(head), "{told}");
    #[cfg(feature = "serde")]
    {
        let json = serde_json::to_value(&blocked).expect("serializes");
        assert_eq!(json["name"], "photos");
        assert_eq!(json["label"], "background large require=wifi");
    }
}

// behaviour: D8, as far as matching goes
#[test]
fn after_a_label_was_relaxed_both_are_explained() {
    let all = world([Network::ethernet("eth0").metered(true)]);
    let mut loose = blocked(&all, "prohibit=metered", ANYWHERE);
    loose.relaxed = Some(Box::new(blocked(&all, "require=wifi", ANYWHERE)));
    let told = loose.to_string();
    assert!(told.starts_with("no network matches `prohibit=metered`"));
    assert!(told.contains("\nfirst asked for: no network matches `require=wifi`"));
    #[cfg(feature = "serde")]
    {
        let json = serde_json::to_value(&loose).expect("serializes");
        assert_eq!(json["relaxed"]["label"], "require=wifi");
    }
}

#[cfg(feature = "serde")]
#[test]
fn an_explanation_serializes_with_stable_names() {
    let start = Instant::now();
    let all = aged(start, [unplugged("wlan0")]);
    let mut blocked = blocked(&all, "prohibit=metered", &to(&["192.0.2.1"])).after(seconds(2));
    blocked.now = Some(start + seconds(5));
    blocked.history.push(Shift {
        generation: 6,
        network: "wlan0".into(),
        was: Standing::Admitted,
        now: Standing::Refused(vec![Reason::Down]),
        at: start,
    });
    let json = serde_json::to_value(blocked).expect("serializes");
    let expected = serde_json::json!({
        "label": "prohibit=metered",
        "name": null,
        "to": ["192.0.2.1"],
        "generation": 7,
        "complete": true,
        "reasons": [],
        "networks": [{
            "id": "1.1", "name": "wlan0",
            "reasons": [
                {"reason": "down", "text": "is down: no carrier", "source": "netlink", "since_ms": 5000.0},
                {"reason": "no_route", "text": "has no route to the destination", "source": "netlink", "since_ms": 5000.0},
                {"reason": "no_address", "text": "has no usable address", "source": null, "since_ms": 5000.0},
            ],
            "assumptions": [{"property": "metered", "fact": "unknown", "taken": false}],
        }],
        "hint": "wlan0 exists but is down: no carrier",
        "waited_ms": 2000.0,
        "history": [{
            "generation": 6, "network": "wlan0", "age_ms": 5000.0,
            "was": {"standing": "admitted", "reasons": []},
            "now": {"standing": "refused", "reasons": [{"reason": "down", "text": "is down"}]},
        }],
        "relaxed": null,
    });
    assert_eq!(json, expected);
}
