//! What the kernel tells of links, addresses, routes and rules becomes.

use super::*;

// behaviour: C10
#[test]
fn a_renamed_interface_keeps_its_attachment() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let turn = kernel.find("eth0").turn;
    kernel.tell([Message::NewLink(link(2, "uplink", None))]);
    assert_eq!(kernel.find("uplink").turn, turn);
    assert_eq!(kernel.network("uplink").state, State::Up);
}

#[test]
fn a_bridges_view_of_its_port_is_not_the_port() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let mut view = link(2, "eth0", None);
    view.header.interface_family = AddressFamily::Bridge;
    kernel.tell([Message::DelLink(view)]);
    assert_eq!(kernel.network("eth0").state, State::Up);
}

#[test]
fn a_point_to_point_link_has_its_own_address_not_its_peers() {
    let mut kernel = Kernel::looked(vec![Message::NewLink(link(2, "ppp0", None))]);
    let mut own = address(2, "10.8.0.1", 32);
    own.attributes.push(AddressAttribute::Local(ip("10.8.0.6")));
    kernel.tell([Message::NewAddress(own)]);
    assert_eq!(kernel.network("ppp0").addresses, [ip("10.8.0.6").into()]);
}

#[test]
fn a_route_replaced_or_over_several_links_is_followed() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.tell(ethernet(3, "eth1", None));
    let mut hops = Vec::new();
    for index in [2, 3] {
        let mut hop = RouteNextHop::default();
        hop.interface_index = index;
        let gateway = ip(&format!("10.0.{index}.1")).into();
        hop.attributes = vec![RouteAttribute::Gateway(gateway)];
        hops.push(hop);
    }
    let mut over_both = route(0, "172.16.0.0", 12, None, MAIN);
    over_both.attributes.push(RouteAttribute::MultiPath(hops));
    over_both
        .attributes
        .retain(|a| *a != RouteAttribute::Oif(0));
    kernel.tell([Message::NewRoute(over_both)]);
    for name in ["eth0", "eth1"] {
        let to = Route::to((ip("172.16.0.0"), 12));
        let found = kernel
            .network(name)
            .routes
            .into_iter()
            .find(|r| r.to == to.to);
        assert!(found.is_some_and(|r| !r.connected), "{name}");
    }
    let moved = Message::NewRoute(route(3, "172.16.0.0", 12, Some("10.0.3.1"), MAIN));
    kernel
        .talk
        .receive(kernel.now, &bytes(moved, NLM_F_REPLACE, 0, 0))
        .expect("an event");
    let has = |name| kernel.network(name).routes.iter().any(|r| r.prefix == 12);
    assert!(!has("eth0") && has("eth1"));
}

#[test]
fn a_policy_table_is_for_bound_sockets_and_an_unruled_one_for_nobody() {
    let mut from = rule(
        false,
        1000,
        100,
        vec![RuleAttribute::Source(ip("10.0.2.2"))],
    );
    from.header.src_len = 32;
    let marked = rule(false, 1001, 200, vec![RuleAttribute::FwMark(7)]);
    let main = rule(false, 32_766, MAIN, Vec::new());
    let mut has: Vec<_> = [from, marked, main]
        .into_iter()
        .map(Message::NewRule)
        .collect();
    has.push(Message::NewLink(link(2, "eth0", None)));
    has.push(Message::NewAddress(address(2, "10.0.2.2", 24)));
    for (net, table) in [("10.100.0.0", 100), ("10.200.0.0", 200), ("10.44.0.0", 44)] {
        has.push(Message::NewRoute(route(2, net, 16, None, table)));
    }
    let kernel = Kernel::looked(has);
    let expected = ("10.100.0.0/16".to_owned(), Route::UNRANKED);
    assert_eq!(ranked(&kernel.network("eth0")), [expected]);
}

// behaviour: M11
#[test]
fn the_rules_of_a_full_tunnel_rank_it_before_the_cable_but_behind_the_lan() {
    let mut has = ethernet(2, "eth0", None);
    has.extend(wireguard());
    let kernel = Kernel::looked(has);
    let eth0 = ranked(&kernel.network("eth0"));
    assert_eq!(
        eth0,
        [
            ("0.0.0.0/0".to_owned(), 32_766),
            ("10.0.2.0/24".to_owned(), 32_764)
        ]
    );
    assert_eq!(
        ranked(&kernel.network("wg0")),
        [("0.0.0.0/0".to_owned(), 32_765)]
    );
    assert!(
        !kernel.network("wg0").routes[0].connected,
        "a default route is not a link's"
    );
}

#[test]
fn a_rule_for_some_destinations_narrows_its_tables_routes() {
    let mut some = rule(
        false,
        100,
        7,
        vec![RuleAttribute::Destination(ip("192.168.0.0"))],
    );
    some.header.dst_len = 16;
    let mut has = vec![
        Message::NewRule(some),
        Message::NewRule(rule(false, 32_766, MAIN, Vec::new())),
        Message::NewLink(link(2, "eth0", None)),
        Message::NewAddress(address(2, "10.0.2.2", 24)),
    ];
    for (net, prefix) in [("0.0.0.0", 0), ("192.168.9.0", 24), ("172.16.0.0", 12)] {
        has.push(Message::NewRoute(route(
            2,
            net,
            prefix,
            Some("10.0.2.1"),
            7,
        )));
    }
    let kernel = Kernel::looked(has);
    let both = [
        ("192.168.0.0/16".to_owned(), 100),
        ("192.168.9.0/24".to_owned(), 100),
    ];
    assert_eq!(ranked(&kernel.network("eth0")), both);
}
