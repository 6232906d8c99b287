//! Plain TCP, bound to the source address and the device of its network.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Class, Peer, Pipe, Place, Setup, Shape};

/// Unsent bytes beyond which the kernel takes no more, where it is limited.
const LOWAT: u32 = 16 * 1024;
const BACKLOG: i32 = 1024;

pub(super) async fn connect(setup: &Setup, shape: Shape) -> io::Result<Vec<Pipe>> {
    let mut pipes = Vec::new();
    for classes in setup.peer.pipes(&setup.classes) {
        let network = match shape {
            Shape::Wifi | Shape::Lowat | Shape::Two => 0,
            Shape::Cell => 1,
            Shape::Split => usize::from(classes.contains(&Class::Interactive)),
        };
        let stream = dial(setup, setup.network(network), Protocol::TCP).await?;
        if shape == Shape::Lowat {
            SockRef::from(&stream).set_tcp_notsent_lowat(LOWAT)?;
        }
        pipes.push(Pipe::of(stream));
    }
    Ok(pipes)
}

/// A connection over this network.
pub(super) async fn dial(setup: &Setup, on: &Place, protocol: Protocol) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol))?;
    // Subflows of MPTCP inherit the device of the first, which would keep them all on it.
    if protocol == Protocol::TCP {
        socket.bind_device(Some(on.name.as_bytes()))?;
    }
    socket.bind(&SocketAddr::new(on.address, 0).into())?;
    if let Some(congestion) = &setup.congestion {
        socket.set_tcp_congestion(congestion.as_bytes())?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    TcpSocket::from_std_stream(socket.into())
        .connect(setup.server)
        .await
}

pub(super) fn listen(setup: &Setup) -> io::Result<TcpListener> {
    let protocol = match setup.peer {
        Peer::Mptcp { .. } => Protocol::MPTCP,
        _ => Protocol::TCP,
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol))?;
    // What is accepted inherits these.
    if let Some(congestion) = &setup.congestion {
        socket.set_tcp_congestion(congestion.as_bytes())?;
    }
    if setup.peer == super::TCP_LOWAT {
        socket.set_tcp_notsent_lowat(LOWAT)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&setup.server.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<Pipe> {
    Ok(Pipe::of(listener.accept().await?.0))
}
