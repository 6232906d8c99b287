//! How far a socket can be bound to a network here: tried once an epoch, never guessed.
//!
//! The ladder is device, source address, nothing. Linux lets anybody bind a fresh socket to a
//! device since 5.7; older kernels and some containers do not.

use crate::network::{Aspect, Binding, NetworkSpec, is_link_local};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The name under which it stands among an aspect's sources.
const SOURCE: &str = "tried";

/// What came of trying: how far down the ladder, and why not higher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) binding: Binding,
    pub(super) why: Option<String>,
}

/// Tries it on a network that is up; `None` if this moment tells nothing.
pub(super) type Try = fn(&NetworkSpec) -> Option<Tried>;

/// What was found, by index and turn.
#[derive(Debug, Default)]
pub(super) struct Bindings(BTreeMap<u32, (u64, Tried)>);

impl Bindings {
    /// Tells `spec` how to bind to it, from memory if it was tried at this turn.
    pub(super) fn apply(&mut self, index: u32, turn: u64, spec: &mut NetworkSpec, try_it: Try) {
        let known = self.0.get(&index).filter(|(then, _)| *then == turn);
        let Some(tried) = known
            .map(|(_, tried)| tried.clone())
            .or_else(|| try_it(spec))
        else {
            return;
        };
        spec.binding = tried.binding.clone();
        spec.notes.unbound = tried.why.clone().map(Into::into);
        spec.notes.said(Aspect::Binding, SOURCE);
        self.0.insert(index, (turn, tried));
    }

    /// Forgets the interfaces that are gone.
    pub(super) fn keep(&mut self, there: impl Fn(u32) -> bool) {
        self.0.retain(|index, _| there(*index));
    }
}

/// Tries it with datagram sockets that send nothing.
pub(super) fn attempt(spec: &NetworkSpec) -> Option<Tried> {
    let far = spec.addresses.iter().find(|a| !is_link_local(a.ip));
    let ip = far.or(spec.addresses.first())?.ip;
    let socket = || {
        let domain = Domain::for_address(SocketAddr::new(ip, 0));
        Socket::new(domain, Type::DGRAM, None)
    };
    let to_device = to_device(&socket().ok()?, &spec.name);
    // A link-local address needs a scope that an `IpAddr` has not.
    let to_address = || match is_link_local(ip) {
        true => Ok(()),
        false => to_address(&socket()?, ip),
    };
    descend(to_device, to_address)
}

/// Down the ladder, by what came of its first steps.
fn descend(
    to_device: io::Result<()>,
    to_address: impl FnOnce() -> io::Result<()>,
) -> Option<Tried> {
    let Err(device) = to_device else {
        return Some(Tried {
            binding: Binding::Device,
            why: None,
        });
    };
    // Renamed or gone in this moment.
    if device.raw_os_error() == Some(NO_DEVICE) {
        return None;
    }
    let why = format!("SO_BINDTODEVICE: {}", plain(&device));
    match to_address() {
        Ok(()) => Some(Tried {
            binding: Binding::Address,
            why: Some(why),
        }),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => None,
        Err(address) => Some(Tried {
            binding: Binding::Unbound,
            why: Some(format!("{why}; bind: {}", plain(&address))),
        }),
    }
}

/// An error in words, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// ENODEV.
const NO_DEVICE: i32 = 19;

#[cfg(target_os = "linux")]
fn to_device(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn to_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn to_address(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    socket.bind(&SockAddr::from(SocketAddr::new(ip, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Kind;

    fn loopback() -> NetworkSpec {
        NetworkSpec::described("lo", Kind::Loopback)
    }

    fn tried(bindings: &mut Bindings, turn: u64, try_it: Try) -> NetworkSpec {
        let mut spec = loopback();
        bindings.apply(1, turn, &mut spec, try_it);
        spec
    }

    const REFUSED: Try = |_| {
        Some(Tried {
            binding: Binding::Address,
            why: Some("refused".to_owned()),
        })
    };
    const GRANTED: Try = |_| {
        Some(Tried {
            binding: Binding::Device,
            why: None,
        })
    };

    #[test]
    fn is_tried_once_a_turn() {
        let mut bindings = Bindings::default();
        for (turn, try_it, binding) in [
            (0, REFUSED, Binding::Address),
            (0, GRANTED, Binding::Address),
            (1, GRANTED, Binding::Device),
        ] {
            let spec = tried(&mut bindings, turn, try_it);
            assert_eq!(spec.binding, binding);
            let why = (binding == Binding::Address).then_some("refused");
            assert_eq!(spec.notes.unbound.as_deref(), why);
        }
        bindings.keep(|_| false);
        assert_eq!(tried(&mut bindings, 1, REFUSED).binding, Binding::Address);
    }

    #[test]
    fn a_moment_that_tells_nothing_is_not_remembered() {
        let mut bindings = Bindings::default();
        let spec = tried(&mut bindings, 0, |_| None);
        assert_eq!(
            (spec.binding, spec.notes.sources.len()),
            (Binding::Device, 0)
        );
        assert_eq!(tried(&mut bindings, 0, REFUSED).binding, Binding::Address);
    }

    #[test]
    fn each_step_down_the_ladder_says_why() {
        let refused = |code| Err(io::Error::from_raw_os_error(code));
        let (denied, forbidden) = (13, 1);
        for (device, address, expected) in [
            (Ok(()), Ok(()), Some((Binding::Device, None))),
            (
                refused(forbidden),
                Ok(()),
                Some((
                    Binding::Address,
                    Some("SO_BINDTODEVICE: Operation not permitted"),
                )),
            ),
            (
                refused(forbidden),
                refused(denied),
                Some((
                    Binding::Unbound,
                    Some("SO_BINDTODEVICE: Operation not permitted; bind: Permission denied"),
                )),
            ),
            (refused(NO_DEVICE), Ok(()), None),
        ] {
            let tried = descend(device, || address);
            let found = tried
                .as_ref()
                .map(|tried| (tried.binding.clone(), tried.why.as_deref()));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_address_that_is_not_ours_tells_nothing() {
        let somewhere: IpAddr = "192.0.2.77".parse().expect("an address");
        let spec = NetworkSpec::new("no-such-device", Kind::Other).address(somewhere);
        assert_eq!(attempt(&spec), None);
        assert_eq!(
            attempt(&NetworkSpec::new("eth0", Kind::Ethernet)),
            None,
            "no address"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machines_loopback_can_be_bound() {
        let tried = attempt(&loopback()).expect("loopback is there");
        assert!(matches!(tried.binding, Binding::Device | Binding::Address));
        assert_eq!(tried.binding == Binding::Device, tried.why.is_none());
    }
}
