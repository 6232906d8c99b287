//! What `lab check` measures with: plain sockets of this process, opened inside the hosts.

use crate::system;
use crate::world::World;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Below the emulator's, above everybody else's: what is measured is the lab, not this machine.
const PRIORITY: i32 = 40;
/// With IP and UDP headers, 1500.
const DATAGRAM: usize = 1472;

/// The round trip of one ICMP echo over a link; `None` if there is no answer in time, or no way.
pub(super) fn ping(world: &World, link: &str, timeout: Duration) -> io::Result<Option<Duration>> {
    let from = world.client_address(link);
    let to = SocketAddr::new(world.server_address(), 0);
    world.client.within(|| {
        // Without it the figures are those of a busy machine.
        let _ = system::set_realtime(PRIORITY);
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?;
        let bound = socket
            .bind_device(Some(link.as_bytes()))
            .and_then(|()| socket.bind(&SocketAddr::new(from, 0).into()))
            .and_then(|()| socket.connect(&to.into()));
        if bound.is_err() {
            return Ok(None);
        }
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(timeout))?;
        // The kernel fills in the checksum and the identifier.
        let request = [8, 0, 0, 0, 0, 0, 0, 1];
        let begin = Instant::now();
        let answer = socket
            .send(&request)
            .and_then(|_| socket.recv(&mut [0; 64]));
        Ok(answer.ok().map(|_| begin.elapsed()))
    })
}

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// Bits a second that one plain TCP connection brings over a link, and its congestion control:
/// measured over so many bytes, after the warming.
pub(super) fn tcp(
    world: &World,
    link: &str,
    from: From,
    warm: Duration,
    bytes: usize,
) -> io::Result<(f64, String)> {
    let (near, far) = connect(world, link)?;
    let (sender, receiver) = match from {
        From::Client => (near, far),
        From::Server => (far, near),
    };
    let congestion = socket2::SockRef::from(&sender).tcp_congestion()?;
    let name = String::from_utf8_lossy(&congestion);
    let name = name.trim_end_matches('\0').to_owned();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sender = sender;
            // Until the receiver has enough, and resets.
            while sender.write_all(&[0; 16_384]).is_ok() {}
        });
        let rate = receive(receiver, warm, bytes);
        sending.join().expect("it writes");
        Ok((rate?, name))
    })
}

fn connect(world: &World, link: &str) -> io::Result<(TcpStream, TcpStream)> {
    let listener = world.server.within(|| {
        let any = SocketAddr::new(world.server_address(), 0);
        std::net::TcpListener::bind(any)
    })?;
    let to = listener.local_addr()?;
    let near = world.client.within(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind_device(Some(link.as_bytes()))?;
        socket.bind(&SocketAddr::new(world.client_address(link), 0).into())?;
        socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
        Ok(TcpStream::from(socket))
    })?;
    Ok((near, listener.accept()?.0))
}

/// Reads so many bytes after the warming, however long that takes: a fixed time could end in
/// a stall behind a lost packet, with what follows it already here.
fn receive(mut stream: TcpStream, warm: Duration, bytes: usize) -> io::Result<f64> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = vec![0; 1 << 18];
    let mut read = move || match stream.read(&mut buffer)? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        bytes => Ok(bytes),
    };
    let begin = Instant::now();
    while begin.elapsed() < warm {
        read()?;
    }
    let begin = Instant::now();
    let mut received = 0;
    while received < bytes {
        received += read()?;
    }
    Ok(received as f64 * 8.0 / begin.elapsed().as_secs_f64())
}

/// What became of a flood of datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flood {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// When the flood had filled the queue for sure, and when it ended.
    pub(super) full: Instant,
    pub(super) end: Instant,
    /// Delivered between these, by the emulator's counters.
    pub(super) delivered: u64,
}

/// Sends datagrams upwards at a rate, headers counted, for some time, and counts those that
/// arrive until none has for a second.
pub(super) fn flood(
    world: &World,
    link: &str,
    bits: u64,
    warm: Duration,
    length: Duration,
) -> io::Result<Flood> {
    let sink = world.server.within(|| {
        let socket = UdpSocket::bind(SocketAddr::new(world.server_address(), 0))?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
        Ok(socket)
    })?;
    sink.set_read_timeout(Some(Duration::from_secs(1)))?;
    let to = sink.local_addr()?;
    let source = world.client.within(|| {
        let socket = UdpSocket::bind(SocketAddr::new(world.client_address(link), 0))?;
        socket.connect(to)?;
        Ok(socket)
    })?;
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let mut received = 0;
            while sink.recv(&mut [0; DATAGRAM]).is_ok() {
                received += 1;
            }
            received
        });
        let begin = Instant::now();
        let mut sent = pour(&source, bits, 0, begin, warm)?;
        let (full, before) = (Instant::now(), world.counters(link).up);
        sent = pour(&source, bits, sent, begin, warm + length)?;
        let (end, after) = (Instant::now(), world.counters(link).up);
        Ok(Flood {
            sent,
            received: counting.join().expect("it counts"),
            full,
            end,
            delivered: after.delivered_bytes - before.delivered_bytes,
        })
    })
}

/// Goes on sending, `sent` so far, until so long after the beginning.
fn pour(
    source: &UdpSocket,
    bits: u64,
    mut sent: u64,
    begin: Instant,
    until: Duration,
) -> io::Result<u64> {
    let gap = Duration::from_secs_f64((DATAGRAM + 28) as f64 * 8.0 / bits as f64);
    while begin.elapsed() < until {
        while begin.elapsed() > gap.mul_f64(sent as f64) {
            source.send(&[0; DATAGRAM])?;
            sent += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(sent)
}

/// What `ip` says of the client's interface, addresses, rules and routes, indices left out.
pub(super) fn description(world: &World, link: &str) -> io::Result<String> {
    let script = format!(
        "ip -o link show {link} | cut -d: -f2-; ip -o -4 address | cut -d: -f2-; ip rule; \
         ip route show table all; cat /sys/class/net/{link}/carrier"
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]);
    world.in_client(&mut command);
    let output = command.output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(complaint));
    }
    let mut lines: Vec<_> = output.stdout.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    Ok(String::from_utf8_lossy(&lines.join(&b'\n')).into_owned())
}
