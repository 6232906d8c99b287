//! A bad link for datagrams: whatever comes at one side goes out at the other, or not, or late, or twice.

use mancom::proto::pair::Seeded;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// Of a hundred datagrams, how many are lost, come twice, or come after the next one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Badness {
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) late: u64,
}

/// Begins to relay, as long as the process lives. Each side is where the last datagram to it came from;
/// what goes to a side that nobody has come from is lost.
pub(crate) fn relay(at: [IpAddr; 2], badness: Badness) -> [SocketAddr; 2] {
    let sockets = at.map(|at| UdpSocket::bind((at, 0)).expect("an address of this host"));
    let ports = sockets.each_ref().map(|s| s.local_addr().expect("bound"));
    let sides: [Arc<Mutex<Option<SocketAddr>>>; 2] = Default::default();
    for from in 0..2 {
        let [inner, outer] = [from, 1 - from].map(|n| sockets[n].try_clone().expect("a socket"));
        let [source, target] = [from, 1 - from].map(|n| sides[n].clone());
        let chance = Seeded::new(u64::try_from(from).expect("small"));
        thread::spawn(move || carry(&inner, &outer, &source, &target, badness, chance));
    }
    ports
}

fn carry(
    from: &UdpSocket,
    to: &UdpSocket,
    source: &Mutex<Option<SocketAddr>>,
    target: &Mutex<Option<SocketAddr>>,
    badness: Badness,
    mut chance: Seeded,
) {
    let mut buffer = [0; 65_536];
    let mut held: Option<Vec<u8>> = None;
    loop {
        let (length, whence) = match from.recv_from(&mut buffer) {
            Ok(received) => received,
            // An answer that nobody is there to an earlier datagram.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => panic!("the relay: {error}"),
        };
        *source.lock().expect("no panic") = Some(whence);
        let Some(whither) = *target.lock().expect("no panic") else {
            continue;
        };
        let datagram = buffer[..length].to_vec();
        let mut out = Vec::new();
        match chance.below(100) {
            draw if draw < badness.lost => {}
            draw if draw < badness.lost + badness.late => held = Some(datagram),
            draw => {
                let twice = draw < badness.lost + badness.late + badness.twice;
                out.extend(std::iter::repeat_n(datagram, 1 + usize::from(twice)));
                out.extend(held.take());
            }
        }
        for datagram in out {
            // What the system does not take is lost too.
            let _ = to.send_to(&datagram, whither);
        }
    }
}
