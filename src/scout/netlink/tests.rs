use super::derive::Derive;
use super::tables::ROUTES;
use super::talk::Talk;
use crate::network::{Binding, Fact, Kind, Kinds, NetworkSpec, Route, State};
use crate::scout::overrides::{Facts, Overrides};
use crate::scout::publish::Seen;
use netlink_packet_core::{
    ErrorMessage, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLMSG_DONE, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, State as Oper,
};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteNextHop, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use proptest::prelude::*;
use std::net::IpAddr;
use std::num::NonZeroI32;
use std::path::Path;
use std::time::{Duration, Instant};

const PORT: u32 = 77;
const MAIN: u32 = 254;

/// A kernel that answers dumps from what it is told to have.
struct Kernel {
    talk: Talk,
    now: Instant,
    has: Vec<Message>,
    overrides: Overrides,
}

impl Kernel {
    fn new(has: Vec<Message>) -> Self {
        let now = Instant::now();
        let overrides = Overrides::new();
        let talk = Talk::new(now, PORT, 1000);
        Kernel {
            talk,
            now,
            has,
            overrides,
        }
    }

    /// One that has answered the first look.
    fn looked(has: Vec<Message>) -> Self {
        let mut kernel = Kernel::new(has);
        kernel.answer_all();
        assert!(kernel.talk.is_complete());
        kernel
    }

    /// Answers every request until there is none.
    fn answer_all(&mut self) -> usize {
        let mut answered = 0;
        while let Some(request) = self.talk.request(self.now) {
            self.answer(&request, 0);
            answered += 1;
        }
        answered
    }

    fn answer(&mut self, request: &[u8], flags: u16) {
        let request = NetlinkMessage::<Message>::deserialize(request).expect("a request");
        let sequence = request.header.sequence_number;
        let NetlinkPayload::InnerMessage(asked) = request.payload else {
            panic!("a request asks for something");
        };
        let mut datagram = Vec::new();
        for message in &self.has {
            let fits = matches!(
                (&asked, message),
                (Message::GetLink(_), Message::NewLink(_))
                    | (Message::GetAddress(_), Message::NewAddress(_))
                    | (Message::GetRoute(_), Message::NewRoute(_))
                    | (Message::GetRule(_), Message::NewRule(_))
            );
            if fits {
                datagram.extend(bytes(message.clone(), flags, sequence, PORT));
            }
        }
        datagram.extend(done(sequence));
        self.talk.receive(self.now, &datagram).expect("a dump");
    }

    fn tell(&mut self, messages: impl IntoIterator<Item = Message>) {
        let events = messages.into_iter().map(|message| bytes(message, 0, 0, 0));
        let datagram: Vec<u8> = events.flatten().collect();
        self.talk.receive(self.now, &datagram).expect("events");
    }

    fn seen(&self) -> Vec<Seen> {
        let nowhere = Path::new("/nonexistent");
        Derive::new(&self.overrides, nowhere, |_| None).networks(&self.talk.tables)
    }

    fn network(&self, name: &str) -> NetworkSpec {
        self.find(name).spec
    }

    fn find(&self, name: &str) -> Seen {
        let mut seen = self.seen().into_iter();
        seen.find(|seen| seen.spec.name == name)
            .expect("a known network")
    }
}

fn bytes(message: Message, flags: u16, sequence: u32, port: u32) -> Vec<u8> {
    serialized(NetlinkPayload::from(message), flags, sequence, port)
}

fn serialized(payload: NetlinkPayload<Message>, flags: u16, sequence: u32, port: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    header.port_number = port;
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
    message.serialize(&mut bytes);
    bytes
}

fn done(sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(20_u32.to_ne_bytes());
    bytes.extend(NLMSG_DONE.to_ne_bytes());
    bytes.extend(2_u16.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(PORT.to_ne_bytes());
    bytes.extend(0_i32.to_ne_bytes());
    bytes
}

fn refusal(sequence: u32, code: i32) -> Vec<u8> {
    let mut error = ErrorMessage::default();
    error.code = NonZeroI32::new(-code);
    error.header = vec![0; 16];
    serialized(NetlinkPayload::Error(error), 0, sequence, PORT)
}

fn running() -> LinkFlags {
    LinkFlags::Up | LinkFlags::Running | LinkFlags::LowerUp
}

fn link(index: u32, name: &str, info: Option<InfoKind>) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.link_layer_type = LinkLayerType::Ether;
    link.header.flags = running();
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::OperState(Oper::Up),
        LinkAttribute::CarrierDownCount(1),
    ];
    if let Some(info) = info {
        let info = vec![LinkInfo::Kind(info)];
        link.attributes.push(LinkAttribute::LinkInfo(info));
    }
    link
}

fn without_carrier(mut link: LinkMessage) -> LinkMessage {
    link.header.flags = LinkFlags::Up;
    for attribute in &mut link.attributes {
        if let LinkAttribute::OperState(oper) = attribute {
            *oper = Oper::Down;
        }
    }
    link
}

fn with(mut link: LinkMessage, attribute: LinkAttribute) -> LinkMessage {
    link.attributes.push(attribute);
    link
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

fn address(index: u32, text: &str, prefix: u8) -> AddressMessage {
    flagged(index, text, prefix, AddressFlags::Permanent)
}

fn flagged(index: u32, text: &str, prefix: u8, flags: AddressFlags) -> AddressMessage {
    let ip = ip(text);
    let mut address = AddressMessage::default();
    address.header.index = index;
    address.header.family = family(ip);
    address.header.prefix_len = prefix;
    address.attributes = vec![
        AddressAttribute::Address(ip),
        AddressAttribute::Flags(flags),
    ];
    address
}

fn route(index: u32, to: &str, prefix: u8, gateway: Option<&str>, table: u32) -> RouteMessage {
    let to = ip(to);
    let mut route = RouteMessage::default();
    route.header.address_family = family(to);
    route.header.destination_prefix_length = prefix;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![RouteAttribute::Oif(index), RouteAttribute::Table(table)];
    if prefix > 0 {
        route
            .attributes
            .push(RouteAttribute::Destination(to.into()));
    }
    if let Some(gateway) = gateway {
        let gateway = ip(gateway).into();
        route.attributes.push(RouteAttribute::Gateway(gateway));
    }
    route
}

fn rule(six: bool, priority: u32, table: u32, attributes: Vec<RuleAttribute>) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = if six {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    rule.header.action = RuleAction::ToTable;
    rule.attributes = attributes;
    rule.attributes.push(RuleAttribute::Priority(priority));
    rule.attributes.push(RuleAttribute::Table(table));
    rule
}

/// An Ethernet with an IPv4 address, its link's route and a default route.
fn ethernet(index: u32, name: &str, info: Option<InfoKind>) -> Vec<Message> {
    let net = format!("10.0.{index}.0");
    vec![
        Message::NewLink(link(index, name, info)),
        Message::NewAddress(address(index, &format!("10.0.{index}.2"), 24)),
        Message::NewRoute(route(index, &net, 24, None, MAIN)),
        Message::NewRoute(route(
            index,
            "0.0.0.0",
            0,
            Some(&format!("10.0.{index}.1")),
            MAIN,
        )),
    ]
}

fn ranked(spec: &NetworkSpec) -> Vec<(String, u32)> {
    spec.routes
        .iter()
        .map(|r| (r.to_string(), r.rank))
        .collect()
}

// behaviour: C1
#[test]
fn is_complete_when_everything_was_dumped_and_not_before() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    for part in 1..=4 {
        assert!(!kernel.talk.is_complete());
        let request = kernel.talk.request(kernel.now).expect("a request");
        assert_eq!(kernel.talk.request(kernel.now), None, "one dump at a time");
        kernel.answer(&request, 0);
        assert_eq!(kernel.talk.is_complete(), part == 4);
    }
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Up);
    assert_eq!(eth0.kinds, Kinds::of(Kind::Ethernet));
    assert_eq!(eth0.mtu, Some(1500));
    assert_eq!(eth0.addresses, [(ip("10.0.2.2"), 24).into()]);
    assert_eq!(
        ranked(&eth0),
        [
            ("0.0.0.0/0".to_owned(), 32_766),
            ("10.0.2.0/24".to_owned(), 32_766)
        ]
    );
    assert!(!eth0.routes[0].connected && eth0.routes[1].connected);
}

#[test]
fn what_is_not_up_is_listed_with_every_reason() {
    let mut down = link(2, "eth0", None);
    down.header.flags = LinkFlags::Broadcast;
    let mut kernel = Kernel::looked(vec![Message::NewLink(down)]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Down);
    assert_eq!(
        eth0.notes.down,
        ["administratively down", "no address", "no route"]
    );
    kernel.tell([Message::NewLink(without_carrier(link(2, "eth0", None)))]);
    assert_eq!(
        kernel.network("eth0").notes.down,
        ["no carrier", "no address", "no route"]
    );
    kernel.tell(ethernet(2, "eth0", None));
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert_eq!(kernel.network("eth0").notes.down, [""; 0]);
}

// behaviour: M14
#[test]
fn a_tentative_failed_or_deprecated_address_does_not_count() {
    let mut kernel = Kernel::looked(vec![
        Message::NewLink(link(2, "eth0", None)),
        Message::NewRoute(route(2, "fd00::", 64, None, MAIN)),
    ]);
    for flags in [
        AddressFlags::Tentative,
        AddressFlags::Dadfailed,
        AddressFlags::Deprecated,
    ] {
        kernel.tell([Message::NewAddress(flagged(2, "fd00::2", 64, flags))]);
        let eth0 = kernel.network("eth0");
        assert_eq!(eth0.state, State::Down);
        assert_eq!(eth0.notes.down, ["no usable address yet"]);
    }
    kernel.tell([Message::NewAddress(address(2, "fd00::2", 64))]);
    assert_eq!(kernel.network("eth0").state, State::Up);
}

// behaviour: C3
#[test]
fn a_carrier_lost_and_back_in_one_datagram_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    kernel.tell([
        Message::NewLink(without_carrier(link(2, "eth0", None))),
        Message::NewLink(link(2, "eth0", None)),
    ]);
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C3
#[test]
fn a_carrier_lost_and_back_that_nobody_told_of_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    let mut again = link(2, "eth0", None);
    again
        .attributes
        .retain(|a| !matches!(a, LinkAttribute::CarrierDownCount(_)));
    kernel.tell([Message::NewLink(with(
        again,
        LinkAttribute::CarrierDownCount(2),
    ))]);
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C3
#[test]
fn an_interface_deleted_and_made_again_with_its_index_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    kernel.tell([Message::DelLink(link(2, "eth0", None))]);
    assert!(kernel.seen().is_empty());
    kernel.tell(ethernet(2, "eth0", None));
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C8
#[test]
fn one_of_two_addresses_gone_ends_nothing_and_the_last_ends_it() {
    let mut has = ethernet(2, "eth0", None);
    has.push(Message::NewAddress(address(2, "10.0.2.3", 24)));
    let mut kernel = Kernel::looked(has);
    let turn = kernel.find("eth0").turn;
    kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert_eq!(kernel.find("eth0").turn, turn);
    kernel.tell([Message::DelAddress(address(2, "10.0.2.3", 24))]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Down);
    assert_eq!(
        eth0.notes.down,
        ["no address", "no route"],
        "the routes went in silence"
    );
    assert!(kernel.find("eth0").turn > turn);
}

#[test]
fn routes_that_may_have_gone_in_silence_are_looked_at_again() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
    assert_eq!(
        kernel.talk.request(kernel.now),
        None,
        "not at once after a look"
    );
    kernel.now += Duration::from_millis(100);
    kernel
        .has
        .retain(|message| !matches!(message, Message::NewAddress(_)));
    assert_eq!(kernel.answer_all(), 1, "the routes alone");
    assert_eq!(
        kernel.network("eth0").notes.down,
        ["no address"],
        "they had not gone"
    );
}

// behaviour: C5
#[test]
fn an_overrun_loses_no_state() {
    let mut has = ethernet(2, "eth0", None);
    has.extend(ethernet(3, "eth1", None));
    let mut kernel = Kernel::looked(has);
    let turn = kernel.find("eth1").turn;
    // Lost with the overrun: eth0 is gone, eth1 has another address, eth2 is new.
    kernel.has = ethernet(3, "eth1", None);
    kernel.has[1] = Message::NewAddress(address(3, "10.0.3.9", 24));
    kernel.has.extend(ethernet(4, "eth2", None));
    kernel.now += Duration::from_secs(1);
    kernel.talk.overrun(kernel.now);
    assert_eq!(kernel.answer_all(), 4);
    let names: Vec<_> = kernel
        .seen()
        .into_iter()
        .map(|seen| seen.spec.name)
        .collect();
    assert_eq!(names, ["eth1", "eth2"]);
    assert_eq!(
        kernel.network("eth1").addresses,
        [(ip("10.0.3.9"), 24).into()]
    );
    assert_eq!(kernel.find("eth1").turn, turn, "the link itself stayed");
}

// behaviour: C5
#[test]
fn an_overrun_in_a_dump_starts_it_again() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    let lost = kernel.talk.request(kernel.now).expect("a request");
    kernel.now += Duration::from_secs(1);
    kernel.talk.overrun(kernel.now);
    kernel.answer(&lost, 0);
    assert!(
        kernel.seen().is_empty(),
        "the rest of the old dump is not believed"
    );
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.talk.is_complete());
}

#[test]
fn an_interrupted_dump_is_asked_for_again_and_takes_nothing_away() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.now += Duration::from_secs(30);
    kernel
        .talk
        .handle_timeout(kernel.now)
        .expect("a regular look");
    let request = kernel.talk.request(kernel.now).expect("links");
    let has = std::mem::take(&mut kernel.has);
    kernel.has = vec![Message::NewLink(link(9, "new0", None))];
    kernel.answer(&request, NLM_F_DUMP_INTR);
    assert_eq!(kernel.seen().len(), 2);
    kernel.has = has;
    kernel.answer_all();
    assert_eq!(kernel.seen().len(), 1);
}

#[test]
fn everything_is_looked_at_every_30_seconds() {
    let mut kernel = Kernel::looked(Vec::new());
    assert!(kernel.talk.take_ended());
    assert_eq!(kernel.talk.timeout(), kernel.now + Duration::from_secs(30));
    kernel.now += Duration::from_secs(30);
    kernel.talk.handle_timeout(kernel.now).expect("time");
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.talk.take_ended() && !kernel.talk.take_ended());
}

#[test]
fn looks_at_the_routes_alone_never_put_off_the_regular_one() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let (regular, end) = (kernel.talk.timeout(), kernel.now + Duration::from_secs(29));
    assert!(kernel.talk.take_ended());
    while kernel.now < end {
        kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
        kernel.tell([Message::NewAddress(address(2, "10.0.2.2", 24))]);
        kernel.now += Duration::from_secs(1);
        assert_eq!(kernel.answer_all(), 1);
        assert!(!kernel.talk.take_ended());
    }
    assert_eq!(kernel.talk.timeout(), regular);
}

#[test]
fn a_kernel_without_rules_is_complete_and_looks_in_main() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    for _ in 0..4 {
        let request = kernel.talk.request(kernel.now).expect("a request");
        let asked = NetlinkMessage::<Message>::deserialize(&request).expect("a request");
        if let NetlinkPayload::InnerMessage(Message::GetRule(_)) = asked.payload {
            let refusal = refusal(asked.header.sequence_number, libc::EOPNOTSUPP);
            kernel
                .talk
                .receive(kernel.now, &refusal)
                .expect("can be done without");
        } else {
            kernel.answer(&request, 0);
        }
    }
    assert!(kernel.talk.is_complete());
    assert_eq!(kernel.network("eth0").state, State::Up);
}

// behaviour: C9
#[test]
fn a_kernel_that_refuses_or_is_silent_is_given_up() {
    let mut kernel = Kernel::new(Vec::new());
    kernel.talk.request(kernel.now).expect("a request");
    let error = kernel
        .talk
        .receive(kernel.now, &refusal(1, libc::EPERM))
        .expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    let mut kernel = Kernel::new(Vec::new());
    kernel.talk.request(kernel.now).expect("a request");
    let late = kernel.talk.timeout();
    assert_eq!(late, kernel.now + Duration::from_secs(2));
    kernel.talk.handle_timeout(late).expect_err("silent");
}

#[test]
fn a_socket_that_worked_is_given_up_after_three_failures() {
    let mut kernel = Kernel::looked(Vec::new());
    kernel.talk.look(kernel.now);
    for failure in 1..=3 {
        kernel.now = kernel.talk.timeout();
        kernel.talk.request(kernel.now).expect("a request");
        kernel.now = kernel.talk.timeout();
        assert_eq!(
            kernel.talk.handle_timeout(kernel.now).is_err(),
            failure == 3
        );
    }
}

#[test]
fn a_message_that_does_not_decode_leads_to_a_look_but_not_to_an_endless_one() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let mut nameless = link(2, "", None);
    nameless.attributes.remove(0);
    kernel.tell([Message::NewLink(nameless.clone())]);
    assert_eq!(kernel.talk.request(kernel.now), None);
    kernel.now += Duration::from_secs(1);
    kernel.has.push(Message::NewLink(nameless));
    assert_eq!(kernel.answer_all(), 4);
    kernel.now += Duration::from_secs(10);
    assert_eq!(
        kernel.answer_all(),
        0,
        "a dump that shows it again asks for none"
    );
    assert_eq!(kernel.seen().len(), 1);
}

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

/// What wg-quick sets up: unmarked packets to the tunnel's table, but main first without its
/// default.
fn wireguard() -> Vec<Message> {
    let mut not_marked = rule(false, 32_765, 51_820, vec![RuleAttribute::FwMark(51_820)]);
    not_marked.header.flags = RuleFlags::Invert;
    let specific = rule(
        false,
        32_764,
        MAIN,
        vec![RuleAttribute::SuppressPrefixLen(0)],
    );
    let main = rule(false, 32_766, MAIN, Vec::new());
    let mut tunnel = link(9, "wg0", Some(InfoKind::Wireguard));
    tunnel.header.link_layer_type = LinkLayerType::None;
    let mut has: Vec<_> = [not_marked, specific, main]
        .into_iter()
        .map(Message::NewRule)
        .collect();
    has.push(Message::NewLink(tunnel));
    has.push(Message::NewAddress(address(9, "10.9.0.2", 32)));
    has.push(Message::NewRoute(route(9, "0.0.0.0", 0, None, 51_820)));
    has
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
    let mut derive = Derive::new(&kernel.overrides, Path::new("/nonexistent"), |spec| {
        assert_eq!(spec.name, "eth0");
        Some(Binding::Address)
    });
    let seen = derive.networks(&kernel.talk.tables);
    assert_eq!(seen[0].spec.binding, Binding::Address);
    assert_eq!(seen[1].spec.binding, Binding::Device);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_survived(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
        let _ = kernel.talk.receive(kernel.now, &datagram);
        kernel.seen();
    }

    #[test]
    fn flipped_bytes_are_survived(
        which in 0_usize..8,
        flips in proptest::collection::vec((0_usize..200, any::<u8>()), 1..3),
    ) {
        let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
        let mut some = ethernet(3, "eth1", Some(InfoKind::Veth));
        some.extend(wireguard());
        let mut datagram = bytes(some.remove(which), 0, 0, 0);
        for (at, to) in flips {
            let at = at % datagram.len();
            datagram[at] = to;
        }
        let _ = kernel.talk.receive(kernel.now, &datagram);
        kernel.seen();
    }
}
