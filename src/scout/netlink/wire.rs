//! Bytes to facts: one rtnetlink message at a time, and the requests for dumps.
//!
//! The framing and the attributes are netlink-packet-core's and -route's. Only the attributes that
//! are used are decoded, each by itself: a newer kernel's idea of one we never look at must not
//! cost us the link it came with, and some of the decoders panic on what is cut short.

use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlaBuffer, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessageBuffer,
};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage,
    LinkMessageBuffer, State as Oper,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteLwEnCapType, RouteMessageBuffer,
    RouteNextHopBuffer, RouteType,
};
use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleHeader, RuleMessageBuffer,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_WIRELESS: u16 = 11;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const FRA_GOTO: u16 = 4;
const FRA_FLOW: u16 = 11;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;
const FRA_DPORT_RANGE: u16 = 24;

/// What there is to dump, in the order of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Links,
    Addresses,
    Rules,
    Routes,
}

impl Part {
    pub(super) const ALL: [Part; 4] = [Part::Links, Part::Addresses, Part::Rules, Part::Routes];
}

/// A link as one message tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkFacts {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) flags: LinkFlags,
    pub(super) layer: LinkLayerType,
    pub(super) oper: Oper,
    pub(super) info: Option<InfoKind>,
    /// The device below; none if that is in another namespace.
    pub(super) lower: Option<u32>,
    pub(super) master: Option<u32>,
    pub(super) mtu: Option<u32>,
    pub(super) hardware: Vec<u8>,
    pub(super) carrier_downs: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressFacts {
    pub(super) index: u32,
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
    pub(super) flags: AddressFlags,
}

/// A unicast route through one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RouteFacts {
    pub(super) index: u32,
    pub(super) to: IpAddr,
    pub(super) prefix: u8,
    pub(super) table: u32,
    pub(super) metric: u32,
    pub(super) tos: u8,
    pub(super) gateway: Option<IpAddr>,
    /// Through a gateway, also one of another family.
    pub(super) indirect: bool,
    pub(super) source: Option<IpAddr>,
}

/// Which of this process's packets a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum For {
    /// All.
    Any,
    /// Those of a socket bound to some address, device, protocol or port.
    Bound,
    /// None: forwarded packets, marked ones, other users'.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RuleFacts {
    pub(super) six: bool,
    pub(super) priority: u32,
    /// None for the table of the device's VRF.
    pub(super) table: Option<u32>,
    pub(super) packets: For,
    pub(super) to: Option<(IpAddr, u8)>,
    /// Routes with a prefix of at most this length are passed over.
    pub(super) suppress: Option<u8>,
}

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Link(LinkFacts),
    LinkGone(u32),
    Address(AddressFacts),
    AddressGone(AddressFacts),
    /// The next hops of a route; they take the place of an equal route if `replaces`.
    Routes {
        hops: Vec<RouteFacts>,
        replaces: bool,
    },
    RoutesGone(Vec<RouteFacts>),
    Rule(RuleFacts),
    RuleGone(RuleFacts),
}

/// Reads one message; `None` for one that says nothing of interest.
pub(super) fn read(message: &NetlinkBuffer<&[u8]>, uid: u32) -> Result<Option<Heard>, DecodeError> {
    let (kind, payload) = (message.message_type(), message.payload());
    let new = matches!(kind, RTM_NEWLINK | RTM_NEWADDR | RTM_NEWROUTE | RTM_NEWRULE);
    Ok(match kind {
        RTM_NEWLINK | RTM_DELLINK => link(payload)?.map(|link| match new {
            true => Heard::Link(link),
            false => Heard::LinkGone(link.index),
        }),
        RTM_NEWADDR | RTM_DELADDR => address(payload)?.map(|address| match new {
            true => Heard::Address(address),
            false => Heard::AddressGone(address),
        }),
        RTM_NEWROUTE | RTM_DELROUTE => route(payload)?.map(|hops| match new {
            true => Heard::Routes {
                hops,
                replaces: message.flags() & NLM_F_REPLACE != 0,
            },
            false => Heard::RoutesGone(hops),
        }),
        RTM_NEWRULE | RTM_DELRULE => rule(payload, uid)?.map(|rule| match new {
            true => Heard::Rule(rule),
            false => Heard::RuleGone(rule),
        }),
        _ => None,
    })
}

type Attributes<'a> = NlaBuffer<&'a [u8]>;

fn link(payload: &[u8]) -> Result<Option<LinkFacts>, DecodeError> {
    let buffer = LinkMessageBuffer::new_checked(payload)?;
    let header = LinkHeader::parse(&buffer)?;
    if header.interface_family != AddressFamily::Unspec {
        // A bridge's view of its port.
        return Ok(None);
    }
    let mut link = LinkFacts {
        index: header.index,
        name: String::new(),
        flags: header.flags,
        layer: header.link_layer_type,
        oper: Oper::Unknown,
        info: None,
        lower: None,
        master: None,
        mtu: None,
        hardware: Vec::new(),
        carrier_downs: None,
    };
    let mut elsewhere = false;
    for nla in buffer.attributes() {
        let nla = nla?;
        match nla.kind() {
            // An event of the wireless extensions: it has the index and nothing else.
            IFLA_WIRELESS => return Ok(None),
            IFLA_LINK_NETNSID => elsewhere = true,
            IFLA_LINKINFO => link.info = info(&nla),
            IFLA_ADDRESS
            | IFLA_IFNAME
            | IFLA_MTU
            | IFLA_LINK
            | IFLA_MASTER
            | IFLA_OPERSTATE
            | IFLA_CARRIER_DOWN_COUNT => link.take(&nla),
            _ => {}
        }
    }
    if link.name.is_empty() {
        return Err("a link without a name".into());
    }
    if elsewhere {
        link.lower = None;
    }
    Ok(Some(link))
}

impl LinkFacts {
    fn take(&mut self, nla: &Attributes<'_>) {
        match LinkAttribute::parse_with_param(nla, AddressFamily::Unspec) {
            Ok(LinkAttribute::Address(hardware)) => self.hardware = hardware,
            Ok(LinkAttribute::IfName(name)) => self.name = name,
            Ok(LinkAttribute::Mtu(mtu)) => self.mtu = Some(mtu),
            Ok(LinkAttribute::Link(lower)) => self.lower = Some(lower).filter(|l| *l != 0),
            Ok(LinkAttribute::Controller(master)) => self.master = Some(master),
            Ok(LinkAttribute::OperState(oper)) => self.oper = oper,
            Ok(LinkAttribute::CarrierDownCount(downs)) => self.carrier_downs = Some(downs),
            _ => {}
        }
    }
}

fn info(nla: &Attributes<'_>) -> Option<InfoKind> {
    let nested = NlasIterator::new(nla.value()).flatten();
    let kind = nested
        .into_iter()
        .find(|nla| nla.kind() == IFLA_INFO_KIND)?;
    InfoKind::parse(&kind).ok()
}

fn address(payload: &[u8]) -> Result<Option<AddressFacts>, DecodeError> {
    let buffer = AddressMessageBuffer::new_checked(payload)?;
    let header = AddressHeader::parse(&buffer)?;
    if !matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return Ok(None);
    }
    let (mut local, mut address) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(header.flags.bits().into());
    for nla in buffer.attributes() {
        let nla = nla?;
        if !matches!(nla.kind(), IFA_ADDRESS | IFA_LOCAL | IFA_FLAGS) {
            continue;
        }
        match AddressAttribute::parse(&nla) {
            Ok(AddressAttribute::Local(ip)) => local = Some(ip),
            Ok(AddressAttribute::Address(ip)) => address = Some(ip),
            Ok(AddressAttribute::Flags(all)) => flags = all,
            _ => {}
        }
    }
    // On a point-to-point link "address" is the peer's.
    let Some(ip) = local.or(address) else {
        return Err("an address message without an address".into());
    };
    let prefix = match (local, address) {
        (Some(own), Some(peer)) if own != peer => whole(own),
        _ => header.prefix_len.min(whole(ip)),
    };
    Ok(Some(AddressFacts {
        index: header.index,
        ip,
        prefix,
        flags,
    }))
}

pub(super) fn whole(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn ip(address: RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(ip.into()),
        RouteAddress::Inet6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn route(payload: &[u8]) -> Result<Option<Vec<RouteFacts>>, DecodeError> {
    let buffer = RouteMessageBuffer::new_checked(payload)?;
    let header = RouteHeader::parse(&buffer)?;
    let unspecified: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return Ok(None),
    };
    if header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return Ok(None);
    }
    let parameters = (header.address_family, header.kind, RouteLwEnCapType::None);
    let mut route = RouteFacts {
        index: 0,
        to: unspecified,
        prefix: header.destination_prefix_length.min(whole(unspecified)),
        table: header.table.into(),
        metric: 0,
        tos: header.tos,
        gateway: None,
        indirect: false,
        source: None,
    };
    let mut hops = Vec::new();
    for nla in buffer.attributes() {
        let nla = nla?;
        match nla.kind() {
            RTA_MULTIPATH => next_hops(nla.value(), &parameters, &mut hops)?,
            RTA_VIA => route.indirect = true,
            RTA_DST | RTA_OIF | RTA_GATEWAY | RTA_PRIORITY | RTA_PREFSRC | RTA_TABLE => {
                match RouteAttribute::parse_with_param(&nla, parameters) {
                    Ok(RouteAttribute::Destination(to)) => route.to = ip(to).unwrap_or(route.to),
                    Ok(RouteAttribute::Oif(index)) => route.index = index,
                    Ok(RouteAttribute::Gateway(gateway)) => route.gateway = ip(gateway),
                    Ok(RouteAttribute::PrefSource(source)) => route.source = ip(source),
                    Ok(RouteAttribute::Priority(metric)) => route.metric = metric,
                    Ok(RouteAttribute::Table(table)) => route.table = table,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    route.indirect |= route.gateway.is_some();
    if hops.is_empty() && route.index != 0 {
        return Ok(Some(vec![route]));
    }
    let through = |(index, gateway, indirect)| RouteFacts {
        index,
        gateway,
        indirect,
        ..route
    };
    Ok(Some(hops.into_iter().map(through).collect()))
}

type Parameters = (AddressFamily, RouteType, RouteLwEnCapType);

fn next_hops(
    mut rest: &[u8],
    parameters: &Parameters,
    hops: &mut Vec<(u32, Option<IpAddr>, bool)>,
) -> Result<(), DecodeError> {
    while !rest.is_empty() {
        let hop = RouteNextHopBuffer::new_checked(rest)?;
        let (mut gateway, mut indirect) = (None, false);
        for nla in hop.attributes() {
            let nla = nla?;
            if matches!(nla.kind(), RTA_GATEWAY | RTA_VIA) {
                indirect = true;
                let parsed = RouteAttribute::parse_with_param(&nla, *parameters);
                if let Ok(RouteAttribute::Gateway(address)) = parsed {
                    gateway = ip(address);
                }
            }
        }
        hops.push((hop.interface_index(), gateway, indirect));
        let length = usize::from(hop.length()).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn rule(payload: &[u8], uid: u32) -> Result<Option<RuleFacts>, DecodeError> {
    let buffer = RuleMessageBuffer::new_checked(payload)?;
    let header = RuleHeader::parse(&buffer)?;
    let six = match header.family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return Ok(None),
    };
    if header.action != RuleAction::ToTable {
        return Ok(None);
    }
    let mut rule = RuleFacts {
        six,
        priority: 0,
        table: Some(header.table.into()),
        packets: For::Any,
        to: None,
        suppress: None,
    };
    let mut asks = Asks {
        bound: header.tos != 0,
        mask: u32::MAX,
        ..Asks::default()
    };
    for nla in buffer.attributes() {
        asks.take(&nla?, &header, uid, &mut rule);
    }
    rule.packets = asks.packets(header.flags.contains(RuleFlags::Invert), rule.to.is_some());
    if header.flags.contains(RuleFlags::Invert) {
        rule.to = None;
    }
    Ok(Some(rule))
}

/// What a rule asks of a packet, as far as packets of ours differ in it.
#[derive(Debug, Default)]
struct Asks {
    bound: bool,
    never: bool,
    mark: u32,
    mask: u32,
}

impl Asks {
    fn take(&mut self, nla: &Attributes<'_>, header: &RuleHeader, uid: u32, rule: &mut RuleFacts) {
        match nla.kind() {
            // These do not choose packets.
            FRA_GOTO | FRA_FLOW | FRA_SUPPRESS_IFGROUP | FRA_PAD | FRA_PROTOCOL => return,
            // A selector newer than this code: most packets will not have what it asks for.
            FRA_DPORT_RANGE.. => {
                self.bound = true;
                return;
            }
            _ => {}
        }
        match RuleAttribute::parse(nla) {
            Ok(RuleAttribute::Priority(priority)) => rule.priority = priority,
            Ok(RuleAttribute::Table(table)) => rule.table = Some(table),
            Ok(RuleAttribute::L3MDev(true)) => {
                rule.table = None;
                self.bound = true;
            }
            Ok(RuleAttribute::Destination(to)) => rule.to = Some((to, header.dst_len)),
            Ok(RuleAttribute::SuppressPrefixLen(length)) => rule.suppress = length.try_into().ok(),
            Ok(RuleAttribute::Source(_)) => self.bound |= header.src_len != 0,
            Ok(
                RuleAttribute::Oifname(_)
                | RuleAttribute::IpProtocol(_)
                | RuleAttribute::SourcePortRange(_),
            ) => self.bound = true,
            Ok(RuleAttribute::Iifname(name)) => self.never |= name != "lo",
            Ok(RuleAttribute::UidRange(ids)) => self.never |= uid < ids.start || uid > ids.end,
            Ok(RuleAttribute::FwMark(mark)) => self.mark = mark,
            Ok(RuleAttribute::FwMask(mask)) => self.mask = mask,
            Ok(RuleAttribute::TunId(id)) => self.never |= id != 0,
            _ => {}
        }
    }

    fn packets(&self, inverted: bool, some_destinations: bool) -> For {
        let never = self.never || self.mark & self.mask != 0;
        match (inverted, never, self.bound) {
            (false, true, _) => For::None,
            (false, false, true) => For::Bound,
            (false, false, false) => For::Any,
            // "Not marked so" and the like is true of every packet of ours.
            (true, true, _) => For::Any,
            (true, false, true) => For::Bound,
            (true, false, false) if some_destinations => For::Bound,
            (true, false, false) => For::None,
        }
    }
}

/// A request for all of a part.
pub(super) fn dump(part: Part, sequence: u32) -> Vec<u8> {
    let inner = match part {
        Part::Links => {
            let mut link = LinkMessage::default();
            let mask = vec![LinkExtentMask::SkipStats];
            link.attributes.push(LinkAttribute::ExtMask(mask));
            RouteNetlinkMessage::GetLink(link)
        }
        Part::Addresses => RouteNetlinkMessage::GetAddress(Default::default()),
        Part::Rules => RouteNetlinkMessage::GetRule(Default::default()),
        Part::Routes => RouteNetlinkMessage::GetRoute(Default::default()),
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(inner));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}
