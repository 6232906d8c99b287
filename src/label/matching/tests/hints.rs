//! The smallest change, in words.

use super::*;
use crate::network::{Aspect, Binding, Fact, Health, Kind, State};

const ANYWHERE: &Destination = &Destination::Unnamed;

fn hint(specs: impl IntoIterator<Item = NetworkSpec>, text: &str) -> String {
    blocked(&world(specs), text, ANYWHERE).hint()
}

fn unplugged() -> NetworkSpec {
    let mut spec = NetworkSpec::new("wlan0", Kind::Wifi).state(State::Down);
    spec.notes.down = vec!["no carrier".into(), "no address".into()];
    spec.notes.said(Aspect::State, "netlink");
    spec
}

// behaviour: X4
#[test]
fn what_may_change_by_itself_is_the_smallest_change() {
    let modem = Network::cellular("wwan0").metered(true);
    let all = || [unplugged(), modem.clone(), Network::ethernet("eth0")];
    let told = hint(all(), "background prohibit=metered require=wifi");
    assert_eq!(told, "needs wifi; wlan0 exists but is down: no carrier");

    let down = Network::wifi("wlan0").state(State::Down);
    let told = hint([down, Network::ethernet("eth0")], "require=wifi");
    assert_eq!(told, "needs wifi; wlan0 exists but is down");

    let portal = Network::wifi("wlan0").health(Health::Portal);
    let told = hint([modem.clone(), portal], "prohibit=metered");
    assert_eq!(told, "wlan0 exists but is behind a captive portal");

    let waiting = NetworkSpec::new("eth0", Kind::Ethernet).address(prefix("10.0.0.2/24"));
    let told = hint([modem, waiting], "prohibit=metered");
    assert_eq!(told, "eth0 exists but has no default route");
}

// behaviour: X4
#[test]
fn where_nothing_changes_by_itself_it_is_a_word_of_the_label() {
    let modem = || Network::cellular("wwan0").metered(true).roaming(true);
    let bridge = NetworkSpec::new("docker0", Kind::Other).address(prefix("172.17.0.1/16"));
    // A bridge leads nowhere, also when it comes up.
    for bridge in [bridge.clone(), bridge.state(State::Down)] {
        assert_eq!(
            hint([bridge, modem()], "prohibit=metered"),
            "wwan0 would do without prohibit=metered"
        );
    }
    assert_eq!(
        hint([modem()], "prohibit=metered,roaming"),
        "wwan0 would do without prohibit=metered and prohibit=roaming"
    );
    assert_eq!(
        hint([modem()], "require=wifi,ethernet"),
        "needs ethernet or wifi; there is none; wwan0 would do without require=ethernet,wifi"
    );
    assert_eq!(
        hint(
            [modem(), Network::wifi("wlan0").metered(true)],
            "require=wifi prohibit=metered"
        ),
        "needs wifi; wlan0 would do without prohibit=metered"
    );
    assert_eq!(
        hint([modem().state(State::Down)], "prohibit=metered"),
        "wwan0 would do without prohibit=metered, but is down"
    );
    let far = blocked(&world([modem()]), "scope=host", &to(&["192.0.2.1"]));
    assert_eq!(far.hint(), "wwan0 would do without scope=host");
    let lan = Network::ethernet("eth0").address(prefix("10.0.0.2/24"));
    let far = blocked(&world([lan]), "scope=local", &to(&["192.0.2.1"]));
    assert_eq!(far.hint(), "eth0 would do without scope=local");
    let six = blocked(&world([modem()]), "prohibit=ipv6", &to(&["2001:db8::1"]));
    assert_eq!(six.hint(), "wwan0 would do without prohibit=ipv6");
}

// behaviour: X4
#[test]
fn a_word_gone_is_not_told_where_its_absence_meets_another_rule() {
    // Not prohibited is not yet named.
    let dish = || Network::satellite("sat0");
    assert_eq!(
        hint([dish()], "background prohibit=satellite"),
        "sat0 would do without prohibit=satellite and with prefer=satellite"
    );
    assert_eq!(
        hint([dish()], "large avoid=satellite"),
        "sat0 would do with prefer=satellite"
    );
    // An interface named needs no default route; any other does.
    let bridge = NetworkSpec::new("eth0", Kind::Ethernet).address(prefix("172.17.0.1/16"));
    assert_eq!(
        hint([bridge], "if=eth9"),
        "needs eth9; there is none; eth0 would do without if=eth9, but has no default route"
    );
}

/// Down for these reasons, with what they say it lacks.
fn down(spec: NetworkSpec, why: &[&'static str]) -> NetworkSpec {
    let mut spec = spec.state(State::Down);
    spec.notes.down = why.iter().map(|why| (*why).into()).collect();
    spec
}

// behaviour: X4
#[test]
fn a_network_that_is_down_weighs_all_that_it_lacks() {
    const BARE: &[&str] = &["no carrier", "no address", "no route"];
    let modem = || down(NetworkSpec::new("pwwan0", Kind::Cellular), BARE);
    let eth0 = || NetworkSpec::new("eth0", Kind::Ethernet).address(prefix("10.0.0.2/24"));
    assert_eq!(
        hint([modem(), eth0()], "any"),
        "eth0 exists but has no default route"
    );
    // Also of those that are down: one act beside three.
    let off = || down(eth0(), &["administratively down", "no route"]);
    let wlan = || down(NetworkSpec::new("pwlan0", Kind::Wifi), BARE);
    let told = "eth0 exists but is down: administratively down";
    assert_eq!(hint([wlan(), off()], "any"), told);
    assert_eq!(hint([off(), wlan()], "any"), told);
    let unplugged = || down(eth0(), &["no carrier", "no route"]);
    assert_eq!(hint([wlan(), unplugged(), off()], "any"), told);
    assert_eq!(
        hint([wlan(), unplugged()], "any"),
        "eth0 exists but is down: no carrier"
    );
    // Nothing of what is up is farther than the same of what is down.
    let waiting = NetworkSpec::new("eth1", Kind::Ethernet);
    let bare = down(
        NetworkSpec::new("eth2", Kind::Ethernet),
        &["administratively down", "no address", "no route"],
    );
    assert_eq!(
        hint([bare, wlan(), waiting], "any"),
        "eth1 exists but has no default route and has no usable address"
    );
}

// behaviour: X4
#[test]
fn of_equal_changes_that_of_the_network_nearest_to_working_is_told() {
    let off = |name, kind| down(NetworkSpec::new(name, kind), &["no carrier"]);
    let both = || [off("eth0", Kind::Ethernet), off("wlan0", Kind::Wifi)];
    let eth0 = "eth0 exists but is down: no carrier";
    let wlan0 = "wlan0 exists but is down: no carrier";
    assert_eq!(hint(both(), "any"), eth0);
    assert_eq!(hint(both(), "prefer=wifi"), wlan0);
    let [eth, mut wlan] = both();
    wlan.carrier = Fact::Yes;
    assert_eq!(hint([eth, wlan], "any"), wlan0);
    // Where an address does not count, it is near all the same.
    let [eth, wlan] = both();
    let wlan = wlan.address(prefix("fe80::1/64"));
    assert_eq!(hint([eth, wlan], "any"), wlan0);
}

#[test]
fn a_vpn_in_the_way_may_be_bypassed() {
    let tunnel = Network::vpn("tun0").over(&Network::cellular("wwan0").metered(true));
    let tunnel = tunnel.route(prefix("0.0.0.0/1")).route(prefix("::/1"));
    assert_eq!(
        hint([Network::ethernet("eth0"), tunnel], "prohibit=metered"),
        "eth0 would do with vpn=bypass"
    );
}

#[test]
fn what_takes_an_administrator_comes_last() {
    let rule = Rule::new("background", "if=wlan*", "/etc/mancom.toml", 3).expect("a rule");
    let policy = Policy {
        rules: [rule].into(),
        ..Policy::default()
    };
    let refused = Network::ethernet("eth0").binding(Binding::Refused("by a rule".into()));
    let all = world([
        Network::wifi("wlan0"),
        Network::cellular("wwan0").metered(true),
    ]);
    let hint = |all: &Snapshot, text| {
        let blocked = candidates(all, &label(text), ANYWHERE, &policy).expect_err("refused");
        blocked.hint()
    };
    assert_eq!(
        hint(&all, "background prohibit=metered"),
        "wwan0 would do without prohibit=metered"
    );
    let all = world([refused, Network::wifi("wlan0")]);
    assert_eq!(
        hint(&all, "background"),
        "eth0 exists but cannot be bound: by a rule"
    );
    assert_eq!(
        hint(&world([Network::wifi("wlan0")]), "background"),
        "wlan0 would do without the rule `forbid background on if=wlan*` (/etc/mancom.toml:3)"
    );
}

#[test]
fn where_nothing_helps_nothing_is_suggested() {
    assert_eq!(hint([], "any"), "there is no network");
    assert_eq!(hint([], "require=wifi"), "needs wifi; there is no network");
    let lo = || [Network::loopback("lo")];
    assert_eq!(hint(lo(), "any"), "there is no network beyond this host");
    assert_eq!(hint(lo(), "require=wifi"), "needs wifi; there is none");
    let host = blocked(&world([]), "prohibit=loopback", &Destination::Host);
    assert_eq!(
        host.hint(),
        "this host itself is prohibited: drop prohibit=loopback"
    );
}
