//! At which address of this host a datagram came, and answering from there.
//!
//! A socket at a wildcard address answers from whichever address the routes choose, and a peer that
//! dialled another one does not take that for an answer. So on Linux each datagram says where it came to
//! (IP_PKTINFO, IPV6_RECVPKTINFO: ip(7), ipv6(7)), and the answers name it. Elsewhere the routes choose.

use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;

#[cfg(target_os = "linux")]
pub(super) use linux::{Receiver, send_to};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Receiver, send_to};

/// What came: its length, where from, and where to, where that is not the same for all.
pub(super) type Came = (usize, SocketAddr, Option<IpAddr>);

#[cfg(target_os = "linux")]
mod linux {
    use super::{Came, IpAddr, SocketAddr, UdpSocket, io};
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
        setsockopt, sockopt,
    };
    use std::io::{IoSlice, IoSliceMut};
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::os::fd::AsRawFd;
    use tokio::io::Interest;

    /// Room for what the kernel says of one datagram.
    #[derive(Debug)]
    pub(in super::super) struct Receiver(Option<Vec<u8>>);

    impl Receiver {
        pub(in super::super) fn new(socket: &UdpSocket) -> io::Result<Self> {
            let local = socket.local_addr()?;
            if !local.ip().is_unspecified() {
                return Ok(Self(None));
            }
            match local {
                SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
                SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            }
            Ok(Self(Some(nix::cmsg_space!(in6_pktinfo))))
        }

        pub(in super::super) fn try_recv(
            &mut self,
            socket: &UdpSocket,
            buf: &mut [u8],
        ) -> io::Result<Came> {
            let Some(space) = &mut self.0 else {
                let (n, from) = socket.try_recv_from(buf)?;
                return Ok((n, from, None));
            };
            socket.try_io(Interest::READABLE, || {
                let mut bufs = [IoSliceMut::new(buf)];
                let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
                let came = recvmsg::<SockaddrStorage>(fd, &mut bufs, Some(space), flags)?;
                let from = came.address.as_ref().and_then(std_address);
                let from = from.ok_or(io::ErrorKind::InvalidData)?;
                let to = came.cmsgs()?.find_map(|said| match said {
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        let bytes = info.ipi_spec_dst.s_addr.to_ne_bytes();
                        Some(IpAddr::V4(Ipv4Addr::from(bytes)))
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)))
                    }
                    _ => None,
                });
                Ok((came.bytes, from, to))
            })
        }
    }

    fn std_address(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|at| SocketAddr::from(*at));
        v4.or_else(|| address.as_sockaddr_in6().map(|at| SocketAddr::from(*at)))
    }

    /// Sends one datagram, from this address of ours if one is given.
    pub(in super::super) fn send_to(
        socket: &UdpSocket,
        datagram: &[u8],
        (to, own): (SocketAddr, Option<IpAddr>),
    ) -> io::Result<()> {
        let Some(own) = own else {
            return socket.try_send_to(datagram, to).map(drop);
        };
        let (four, six);
        let said = match own {
            IpAddr::V4(ip) => {
                four = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&four)
            }
            IpAddr::V6(ip) => {
                six = in6_pktinfo {
                    ipi6_addr: in6_addr {
                        s6_addr: ip.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                ControlMessage::Ipv6PacketInfo(&six)
            }
        };
        socket.try_io(Interest::WRITABLE, || {
            let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
            let to = SockaddrStorage::from(to);
            sendmsg(fd, &[IoSlice::new(datagram)], &[said], flags, Some(&to))?;
            Ok(())
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Came, IpAddr, SocketAddr, UdpSocket, io};

    #[derive(Debug)]
    pub(in super::super) struct Receiver;

    impl Receiver {
        pub(in super::super) fn new(_socket: &UdpSocket) -> io::Result<Self> {
            Ok(Self)
        }

        pub(in super::super) fn try_recv(
            &mut self,
            socket: &UdpSocket,
            buf: &mut [u8],
        ) -> io::Result<Came> {
            let (n, from) = socket.try_recv_from(buf)?;
            Ok((n, from, None))
        }
    }

    pub(in super::super) fn send_to(
        socket: &UdpSocket,
        datagram: &[u8],
        (to, _own): (SocketAddr, Option<IpAddr>),
    ) -> io::Result<()> {
        socket.try_send_to(datagram, to).map(drop)
    }
}
