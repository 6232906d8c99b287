//! A kernel as these tests have it: it answers dumps, refuses, overruns and tells.

mod facts;
mod kinds;
mod looks;
mod sources;

use crate::network::{
    Aspect, Binding, Fact, Health, Kind, Kinds, Network, NetworkId, NetworkSpec, Route, State,
};
use crate::scout::binding::Tried;
use crate::scout::hearsay::{Hearsay, Saying, Teller};
use crate::scout::netlink::derive::Derive;
use crate::scout::netlink::tables::ROUTES;
use crate::scout::netlink::talk::Talk;
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
    hearsay: Hearsay,
}

impl Kernel {
    fn new(has: Vec<Message>) -> Self {
        let now = Instant::now();
        let overrides = Overrides::new();
        let talk = Talk::new(now, PORT, 1000);
        Kernel {
            hearsay: Hearsay::new(),
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

    /// An overrun, and all that the socket held is read.
    fn overrun(&mut self) {
        self.talk.overrun(self.now);
        self.talk.drained();
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
        Derive::new(nowhere, |_| None).networks(&self.talk.tables, &self.overrides, &self.hearsay)
    }

    fn network(&self, name: &str) -> NetworkSpec {
        self.find(name).spec
    }

    /// Where a fact came from, the source that won first.
    fn sources(&self, name: &str, aspect: Aspect) -> Vec<String> {
        sources(&published(self.find(name)), aspect)
    }

    /// `teller` says this of these interfaces, and nothing else.
    fn hear<const N: usize>(&self, teller: Teller, sayings: [(&str, Saying); N]) {
        let sayings = sayings.map(|(name, saying)| (name.to_owned(), saying));
        self.hearsay.say(teller, sayings.into());
    }

    fn find(&self, name: &str) -> Seen {
        let mut seen = self.seen().into_iter();
        seen.find(|seen| seen.spec.name == name)
            .expect("a known network")
    }
}

fn published(seen: Seen) -> Network {
    Network::new(NetworkId::new(seen.index, 1), seen.spec)
}

fn sources(network: &Network, aspect: Aspect) -> Vec<String> {
    network.sources(aspect).map(str::to_owned).collect()
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
