//! How far a socket can be bound to a network here: tried once an epoch, never guessed.
//!
//! The ladder is device, source address, nothing. Linux lets anybody bind a fresh socket to a
//! device since 5.7; older kernels and some containers do not.

use crate::network::{Binding, NetworkSpec, is_link_local};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Tries it on a network that is up; `None` if this moment tells nothing.
pub(super) type Try = fn(&NetworkSpec) -> Option<Binding>;

/// What was found, by index and turn.
#[derive(Debug, Default)]
pub(super) struct Bindings(BTreeMap<u32, (u64, Binding)>);

impl Bindings {
    /// How to bind to this network, from memory if it was tried at this turn.
    pub(super) fn of(&mut self, index: u32, turn: u64, spec: &NetworkSpec, try_it: Try) -> Binding {
        if let Some((then, binding)) = self.0.get(&index)
            && *then == turn
        {
            return binding.clone();
        }
        let Some(binding) = try_it(spec) else {
            return Binding::Device;
        };
        self.0.insert(index, (turn, binding.clone()));
        binding
    }

    /// Forgets the interfaces that are gone.
    pub(super) fn keep(&mut self, there: impl Fn(u32) -> bool) {
        self.0.retain(|index, _| there(*index));
    }
}

/// Tries it with datagram sockets that send nothing.
pub(super) fn attempt(spec: &NetworkSpec) -> Option<Binding> {
    let far = spec.addresses.iter().find(|a| !is_link_local(a.ip));
    let ip = far.or(spec.addresses.first())?.ip;
    let socket = || {
        Socket::new(
            Domain::for_address(SocketAddr::new(ip, 0)),
            Type::DGRAM,
            None,
        )
    };
    match to_device(&socket().ok()?, &spec.name) {
        Ok(()) => return Some(Binding::Device),
        // Renamed or gone in this moment.
        Err(error) if error.raw_os_error() == Some(NO_DEVICE) => return None,
        Err(_) => {}
    }
    // A link-local address needs a scope that an `IpAddr` has not.
    if is_link_local(ip) {
        return Some(Binding::Address);
    }
    match to_address(&socket().ok()?, ip) {
        Ok(()) => Some(Binding::Address),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => None,
        Err(_) => Some(Binding::Unbound),
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

    #[test]
    fn is_tried_once_a_turn() {
        let mut bindings = Bindings::default();
        let refused: Try = |_| Some(Binding::Address);
        let granted: Try = |_| Some(Binding::Device);
        let spec = loopback();
        assert_eq!(bindings.of(1, 0, &spec, refused), Binding::Address);
        assert_eq!(bindings.of(1, 0, &spec, granted), Binding::Address);
        assert_eq!(bindings.of(1, 1, &spec, granted), Binding::Device);
        bindings.keep(|_| false);
        assert_eq!(bindings.of(1, 1, &spec, refused), Binding::Address);
    }

    #[test]
    fn a_moment_that_tells_nothing_is_not_remembered() {
        let mut bindings = Bindings::default();
        let spec = loopback();
        assert_eq!(bindings.of(1, 0, &spec, |_| None), Binding::Device);
        assert_eq!(
            bindings.of(1, 0, &spec, |_| Some(Binding::Unbound)),
            Binding::Unbound
        );
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
        let binding = attempt(&loopback()).expect("loopback is there");
        assert!(matches!(binding, Binding::Device | Binding::Address));
    }
}
