//! Binding a socket to a network: a ladder, and each step down it says why.
//!
//! ```text
//! device and source address   SO_BINDTODEVICE; IP_BOUND_IF on Apple's systems
//!   | the kernel refuses it to this process, or the platform has none
//! source address              bind(2) with port 0
//!   | the address is not known
//! unbound                     admitted only where the kernel would choose this network anyway
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use socket2::SockRef;

use super::{Binding, Family, Network, is_link_local};

/// A socket that could not be bound to a network; travels inside the `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind to {network} ({step})")]
pub struct BindError {
    network: String,
    step: &'static str,
    #[source]
    source: io::Error,
}

impl Network {
    /// Binds any socket of the user's own to this network, before it connects.
    ///
    /// The device and its source address where the kernel allows it, else the source address;
    /// a [detached](Binding::Detached) or [unbound](Binding::Unbound) network binds nothing. A
    /// socket that has a local port already keeps it and gets the device alone.
    ///
    /// ```no_run
    /// # async fn f(network: mancom::Network) -> std::io::Result<()> {
    /// let socket = tokio::net::TcpSocket::new_v4()?;
    /// network.bind(&socket)?;
    /// let stream = socket.connect("192.0.2.7:22".parse().unwrap()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// With a [`BindError`] inside that names the network and the step: the interface is gone,
    /// it has no address of the socket's family, the socket is bound elsewhere, or the network
    /// [refuses](Binding::Refused) it.
    #[cfg(unix)]
    pub fn bind<S: AsFd>(&self, socket: &S) -> io::Result<()> {
        self.bind_socket(&SockRef::from(socket))
    }

    /// Binds any socket of the user's own to this network's source address, before it connects.
    ///
    /// # Errors
    ///
    /// With a [`BindError`] inside that names the network and the step.
    #[cfg(windows)]
    pub fn bind<S: AsSocket>(&self, socket: &S) -> io::Result<()> {
        self.bind_socket(&SockRef::from(socket))
    }

    fn bind_socket(&self, socket: &SockRef<'_>) -> io::Result<()> {
        match self.binding() {
            Binding::Detached | Binding::Unbound => Ok(()),
            _ => {
                let has_device = self.hold(socket)?;
                self.bind_source(socket, has_device)
            }
        }
    }

    /// The first step alone, for a listener, which has an address of its own: whether the device
    /// holds the socket. It must come before the socket's address, so that one port can be
    /// listened at on several networks.
    pub(crate) fn hold(&self, socket: &SockRef<'_>) -> io::Result<bool> {
        match self.binding() {
            Binding::Detached | Binding::Unbound | Binding::Address => Ok(false),
            Binding::Refused(why) => Err(self.fault(
                "refused",
                io::Error::new(io::ErrorKind::Unsupported, &**why),
            )),
            Binding::Device => match bind_device(self, socket) {
                Ok(()) => Ok(true),
                Err(e) if is_refusal(&e) => {
                    tracing::debug!(target: "mancom::transport", network = self.name(), error = %e, "bound by source address alone");
                    Ok(false)
                }
                Err(e) => Err(self.fault("to the device", e)),
            },
        }
    }

    /// Gives the socket a source address. With the device bound already, having none is no fault.
    fn bind_source(&self, socket: &SockRef<'_>, has_device: bool) -> io::Result<()> {
        let fault = |e| self.fault("to the source address", e);
        let families = match local_address(socket).map_err(fault)? {
            Some(local) if local.port() == 0 => [Some(Family::of(local.ip())), None],
            Some(local) if has_device || self.addresses().iter().any(|a| a.ip == local.ip()) => {
                return Ok(());
            }
            Some(local) => {
                let told = format!("the socket is bound to {local} already");
                return Err(fault(io::Error::new(io::ErrorKind::AddrInUse, told)));
            }
            None => Family::BOTH.map(Some),
        };
        let mut outcome = None;
        for family in families.into_iter().flatten() {
            match self.source_address(family) {
                Some(source) if source.ip().is_unspecified() => return Ok(()),
                Some(source) => match socket.bind(&source.into()) {
                    Ok(()) => return Ok(()),
                    Err(e) => outcome = Some(e),
                },
                None => {}
            }
        }
        match outcome {
            Some(e) => Err(fault(e)),
            None if has_device => Ok(()),
            None => {
                let told = "it has no address of the socket's family";
                Err(fault(io::Error::new(io::ErrorKind::AddrNotAvailable, told)))
            }
        }
    }

    /// Its address of this family that reaches farthest, with port 0.
    fn source_address(&self, family: Family) -> Option<SocketAddr> {
        let ip = self
            .addresses()
            .iter()
            .map(|address| address.ip)
            .filter(|ip| Family::of(*ip) == family)
            .min_by_key(|ip| reach(*ip))?;
        Some(match ip {
            IpAddr::V6(v6) if is_link_local(ip) => {
                SocketAddrV6::new(v6, 0, 0, self.id().index()).into()
            }
            ip => (ip, 0).into(),
        })
    }

    fn fault(&self, step: &'static str, source: io::Error) -> io::Error {
        let network = self.name().to_owned();
        // An interface that went after the snapshot is the loss of a network, like any other.
        let kind = if is_gone(&source) {
            io::ErrorKind::NetworkDown
        } else {
            source.kind()
        };
        io::Error::new(
            kind,
            BindError {
                network,
                step,
                source,
            },
        )
    }
}

/// Global addresses before unique local ones before link-local ones.
fn reach(ip: IpAddr) -> u8 {
    match ip {
        ip if is_link_local(ip) => 2,
        IpAddr::V6(v6) if v6.is_unique_local() => 1,
        _ => 0,
    }
}

/// What the socket is bound to; `None` where the platform does not tell before a bind.
fn local_address(socket: &SockRef<'_>) -> io::Result<Option<SocketAddr>> {
    match socket.local_addr() {
        Ok(address) => match address.as_socket() {
            Some(local) => Ok(Some(local)),
            None => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "not an internet socket",
            )),
        },
        Err(_) if cfg!(windows) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether the step was refused to this process, rather than wrong.
fn is_refusal(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

#[cfg(target_os = "linux")]
fn is_gone(e: &io::Error) -> bool {
    e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

#[cfg(not(target_os = "linux"))]
fn is_gone(_: &io::Error) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
fn bind_device(network: &Network, socket: &SockRef<'_>) -> io::Result<()> {
    socket.bind_device(Some(network.name().as_bytes()))
}

#[cfg(any(
    target_os = "macos",
    target_os = "ios",
    target_os = "tvos",
    target_os = "visionos",
    target_os = "watchos"
))]
fn bind_device(network: &Network, socket: &SockRef<'_>) -> io::Result<()> {
    let index = std::num::NonZeroU32::new(network.id().index());
    match local_address(socket)? {
        Some(SocketAddr::V4(_)) => socket.bind_device_by_index_v4(index),
        _ => socket.bind_device_by_index_v6(index),
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "fuchsia",
    target_os = "macos",
    target_os = "ios",
    target_os = "tvos",
    target_os = "visionos",
    target_os = "watchos"
)))]
fn bind_device(_: &Network, _: &SockRef<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
