//! Happy Eyeballs (RFC 8305): several addresses, the first to answer is kept.

use crate::transport::Bind;
use crate::transport::bind::bind_dialler;
use crate::transport::error::{explain, fail, told};
use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// RFC 8305, section 5: the recommended Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);
/// How long one address may take; EVPath's own limit.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Connects to the first of `addresses` that answers, bound to the network of `on`.
///
/// Families are interleaved, beginning with that of the first address; a further attempt starts
/// 250 ms after the one before, or as soon as that failed; each may take 5 s. The losers' sockets
/// are closed.
///
/// # Errors
/// If none answers: the text names every attempt, the kind and the source are those of a refusal if
/// there was one (somebody is there and does not listen), else of the last attempt to fail.
/// `InvalidInput` without addresses.
///
/// # Cancel safety
/// Dropping the future closes every socket.
pub async fn connect_any(addresses: &[SocketAddr], on: Option<&Bind>) -> io::Result<TcpStream> {
    let mut waiting = interleaved(addresses).into_iter().peekable();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(to) = waiting.next() {
            running.push(async move { (to, attempt(to, on).await) });
        }
        tokio::select! {
            biased;
            first = running.next() => match first {
                Some((_, Ok(stream))) => return Ok(stream),
                Some((to, Err(e))) => failed.push((to, e)),
                None => return Err(none_answered(failed)),
            },
            () = tokio::time::sleep(STAGGER), if waiting.peek().is_some() => {}
        }
    }
}

async fn attempt(to: SocketAddr, on: Option<&Bind>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(on) = on {
        bind_dialler(&socket, on, to)?;
    }
    let socket = TcpSocket::from_std_stream(socket.into());
    let Ok(connected) = tokio::time::timeout(ATTEMPT, socket.connect(to)).await else {
        return Err(fail(
            io::ErrorKind::TimedOut,
            format_args!("no answer within {ATTEMPT:?}"),
        ));
    };
    let stream = connected?;
    // A free port of this host, dialled from that very port, answers itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Alternates between the families, each in its own order.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let of = |v4: bool| addresses.iter().filter(move |a| a.is_ipv4() == v4).copied();
    let (mut one, mut other) = (of(first), of(!first));
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(one.next());
        order.extend(other.next());
    }
    order
}

fn none_answered(mut failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let refused = |(_, e): &(SocketAddr, io::Error)| e.kind() == io::ErrorKind::ConnectionRefused;
    let at = failed
        .iter()
        .position(refused)
        .or(failed.len().checked_sub(1));
    let Some(at) = at else {
        return fail(io::ErrorKind::InvalidInput, "no address to connect to");
    };
    let (to, error) = failed.remove(at);
    let mut text = to.to_string();
    for (to, error) in &failed {
        text = format!("{to}: {}; {text}", told(error));
    }
    explain(error, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| a.parse().expect("a literal")).collect()
    }

    #[test]
    fn families_alternate_beginning_with_the_first() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let order = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(interleaved(&given), order);
        assert_eq!(interleaved(&[]), []);
    }

    #[test]
    fn a_refusal_says_more_than_a_timeout() {
        let tries = addresses(&["1.1.1.1:1", "[::1]:1"]);
        let error = none_answered(vec![
            (tries[0], io::ErrorKind::ConnectionRefused.into()),
            (tries[1], io::ErrorKind::TimedOut.into()),
        ]);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(
            text.contains("1.1.1.1:1") && text.contains("[::1]:1"),
            "{text}"
        );
    }
}
