//! What an interface is, what is beneath it, and what a network needs to be up.

use super::*;

fn kinds_of(link: LinkMessage, more: Vec<Message>) -> Vec<Kind> {
    let index = link.header.index;
    let mut has = vec![Message::NewLink(link)];
    has.extend(more);
    let kernel = Kernel::looked(has);
    let seen = kernel.seen().into_iter().find(|seen| seen.index == index);
    seen.expect("a network").spec.kinds.iter().collect()
}

#[test]
fn link_info_tells_what_an_interface_is() {
    use InfoKind as I;
    for (info, kind) in [
        (None, Kind::Ethernet),
        (Some(I::Veth), Kind::Ethernet),
        (Some(I::Dummy), Kind::Other),
        (Some(I::Ifb), Kind::Other),
        (Some(I::Bridge), Kind::Other),
        (Some(I::Bond), Kind::Other),
        (Some(I::Vxlan), Kind::Other),
        (Some(I::MacVlan), Kind::Ethernet),
        (Some(I::Wireguard), Kind::Vpn),
        (Some(I::Other("wwan".to_owned())), Kind::Cellular),
        (Some(I::Other("virt_wifi".to_owned())), Kind::Wifi),
        (Some(I::Other("novel".to_owned())), Kind::Other),
    ] {
        // A name is no fact.
        assert_eq!(
            kinds_of(link(2, "wlan0", info.clone()), Vec::new()),
            [kind],
            "{info:?}"
        );
    }
    let mut loopback = link(1, "lo", None);
    loopback.header.flags |= LinkFlags::Loopback;
    assert_eq!(kinds_of(loopback, Vec::new()), [Kind::Loopback]);
}

#[test]
fn a_tun_is_a_vpn_once_it_leads_somewhere_and_a_tap_is_a_cable() {
    let tap = link(2, "tap0", Some(InfoKind::Tun));
    assert_eq!(kinds_of(tap, Vec::new()), [Kind::Ethernet]);
    let mut tun = link(2, "tun0", Some(InfoKind::Tun));
    tun.header.link_layer_type = LinkLayerType::None;
    assert_eq!(kinds_of(tun.clone(), Vec::new()), [Kind::Other]);
    let routed = vec![Message::NewRoute(route(2, "10.8.0.0", 16, None, MAIN))];
    assert_eq!(kinds_of(tun, routed), [Kind::Vpn]);
}

#[test]
fn upper_devices_take_the_kinds_and_costs_of_the_lower_ones() {
    let bridge = link(5, "br0", Some(InfoKind::Bridge));
    let port =
        |index, name| Message::NewLink(with(link(index, name, None), LinkAttribute::Controller(5)));
    let vlan = with(
        link(6, "br0.7", Some(InfoKind::Vlan)),
        LinkAttribute::Link(5),
    );
    let far = with(
        link(7, "mv0", Some(InfoKind::MacVlan)),
        LinkAttribute::Link(2),
    );
    let far = with(far, LinkAttribute::LinkNetNsId(1));
    let veth = with(
        link(8, "veth0", Some(InfoKind::Veth)),
        LinkAttribute::Link(2),
    );
    let mut kernel = Kernel::looked(vec![
        Message::NewLink(bridge),
        port(2, "wlan0"),
        port(3, "eth0"),
        Message::NewLink(vlan),
        Message::NewLink(far),
        Message::NewLink(veth),
    ]);
    let stated = |kind, metered| Facts {
        kind,
        metered,
        ..Facts::default()
    };
    kernel
        .overrides
        .push("wlan0", stated(Some(Kind::Wifi), Some(true)));
    for name in ["br0", "br0.7"] {
        let spec = kernel.network(name);
        assert_eq!(
            spec.kinds,
            [Kind::Wifi, Kind::Ethernet].into_iter().collect(),
            "{name}"
        );
        assert_eq!(spec.metered, Fact::Yes, "{name}");
    }
    for name in ["mv0", "veth0"] {
        assert_eq!(
            kernel.network(name).kinds,
            Kinds::of(Kind::Ethernet),
            "{name}"
        );
        assert_eq!(kernel.network(name).metered, Fact::Unknown, "{name}");
    }
    kernel
        .overrides
        .push("br0", stated(Some(Kind::Ethernet), Some(false)));
    assert_eq!(
        kernel.network("br0").metered,
        Fact::No,
        "what is stated of it wins"
    );
}

#[test]
fn devices_stacked_in_a_ring_or_too_deep_end_the_search() {
    let vlan = |index: u32, lower: u32| {
        let name = format!("v{index}");
        let vlan = link(index, &name, Some(InfoKind::Vlan));
        Message::NewLink(with(vlan, LinkAttribute::Link(lower)))
    };
    let kernel = Kernel::looked(vec![vlan(1, 2), vlan(2, 1)]);
    assert_eq!(kernel.seen().len(), 2);
    let kernel = Kernel::looked((1..200).map(|index| vlan(index, index + 1)).collect());
    assert_eq!(kernel.seen().len(), 199);
}

// behaviour: M16
#[test]
fn a_vpn_has_the_kinds_and_costs_of_what_carries_it() {
    for (kind, metered) in [(Kind::Wifi, None), (Kind::Cellular, Some(true))] {
        let mut has = ethernet(2, "up0", Some(InfoKind::Veth));
        has.extend(wireguard());
        let mut kernel = Kernel::looked(has);
        let facts = Facts {
            kind: Some(kind),
            metered,
            ..Facts::default()
        };
        kernel.overrides.push("up0", facts);
        let tunnel = kernel.network("wg0");
        assert!(tunnel.kinds.contains(Kind::Vpn) && tunnel.kinds.contains(kind));
        assert_eq!(tunnel.metered, metered.map_or(Fact::Unknown, Fact::from));
    }
}

#[test]
fn two_carriers_the_kernel_would_not_tell_apart_are_not_guessed_at() {
    let mut has = ethernet(2, "eth0", None);
    has.extend(ethernet(3, "eth1", None));
    has.extend(wireguard());
    assert_eq!(
        Kernel::looked(has).network("wg0").kinds,
        Kinds::of(Kind::Vpn)
    );
}

// behaviour: M20
#[test]
fn a_container_bridge_has_no_default_route() {
    let kernel = Kernel::looked(vec![
        Message::NewLink(link(4, "docker0", Some(InfoKind::Bridge))),
        Message::NewAddress(address(4, "172.17.0.1", 16)),
        Message::NewRoute(route(4, "172.17.0.0", 16, None, MAIN)),
    ]);
    let docker = kernel.network("docker0");
    assert_eq!(docker.state, State::Up);
    assert!(!docker.routes.iter().any(Route::is_default_like));
}

// behaviour: M19
#[test]
fn an_ipv6_only_host_is_up() {
    let kernel = Kernel::looked(vec![
        Message::NewLink(link(2, "eth0", None)),
        Message::NewAddress(address(2, "2001:db8::2", 64)),
        Message::NewRoute(route(2, "2001:db8::", 64, None, MAIN)),
        Message::NewRoute(route(2, "::", 0, Some("fe80::1"), MAIN)),
    ]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Up);
    assert!(eth0.routes.iter().any(Route::is_default_like));
}

#[test]
fn of_too_many_routes_the_default_and_the_connected_stay_and_a_last_resort_stands_for_the_rest() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let many = (0..2 * ROUTES as u32).map(|n| {
        let to = IpAddr::from((0x0b00_0000_u32 + (n << 8)).to_be_bytes());
        Message::NewRoute(route(2, &to.to_string(), 24, Some("10.0.2.1"), MAIN))
    });
    kernel.tell(many);
    assert_eq!(kernel.talk.tables.routes.len(), ROUTES);
    kernel.tell([Message::NewRoute(route(2, "10.77.0.0", 16, None, MAIN))]);
    kernel.tell([Message::NewRoute(route(
        2,
        "128.0.0.0",
        1,
        Some("10.0.2.1"),
        MAIN,
    ))]);
    let routes = kernel.network("eth0").routes;
    assert_eq!(routes.len(), ROUTES + 3);
    let last = Route::to((ip("0.0.0.0"), 0))
        .metric(u32::MAX)
        .rank(Route::UNRANKED - 1);
    assert!(routes.contains(&last));
    for connected in 0..2 * ROUTES as u32 {
        let to = IpAddr::from((0x2000_0000_u32 + (connected << 8)).to_be_bytes());
        kernel.tell([Message::NewRoute(route(2, &to.to_string(), 24, None, MAIN))]);
    }
    assert_eq!(kernel.talk.tables.routes.len(), 2 * ROUTES);
    // A look at what is left puts it right.
    kernel.now += Duration::from_secs(60);
    kernel.has = ethernet(2, "eth0", None);
    kernel.talk.look(kernel.now);
    kernel.answer_all();
    assert_eq!(kernel.network("eth0").routes.len(), 2);
}

#[test]
fn an_up_network_is_tried_for_binding_and_a_down_one_is_not() {
    let mut has = ethernet(2, "eth0", None);
    has.push(Message::NewLink(link(3, "eth1", None)));
    let kernel = Kernel::looked(has);
    let mut derive = Derive::new(Path::new("/nonexistent"), |spec| {
        assert_eq!(spec.name, "eth0");
        Some(Tried {
            binding: Binding::Address,
            why: Some("SO_BINDTODEVICE: Operation not permitted".to_owned()),
        })
    });
    let seen = derive.networks(&kernel.talk.tables, &kernel.overrides, &kernel.hearsay);
    let [eth0, eth1] = [0, 1].map(|at| published(seen[at].clone()));
    assert_eq!(
        eth0.value(Aspect::Binding).as_deref(),
        Some("address: SO_BINDTODEVICE: Operation not permitted")
    );
    assert_eq!(sources(&eth0, Aspect::Binding), ["tried"]);
    assert_eq!(eth1.value(Aspect::Binding).as_deref(), Some("device"));
    assert!(sources(&eth1, Aspect::Binding).is_empty());
}

#[test]
fn loopback_is_up_without_a_route_of_the_kernels() {
    let mut lo = link(1, "lo", None);
    lo.header.flags |= LinkFlags::Loopback;
    let kernel = Kernel::looked(vec![
        Message::NewLink(lo),
        Message::NewAddress(address(1, "127.0.0.1", 8)),
    ]);
    let lo = kernel.network("lo");
    assert_eq!(lo.state, State::Up);
    assert_eq!(lo.routes, [Route::to((ip("127.0.0.0"), 8)).connected()]);
}
