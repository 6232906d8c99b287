//! Asking a network's own name servers, over that network.
//!
//! ```text
//!   A and AAAA, each:  server 1 ─silent 1 s─► server 2 ─..─► server 1 again ..   5 s in all
//!                         │ too long for a datagram ─► the same server over TCP
//! ```
//!
//! A server that refuses or is not there is passed over at once; "no such name" is an answer. Only the
//! families that the network has addresses of are asked for. Where one family has an answer, the other
//! is waited for 50 ms more (RFC 8305, section 3).
//!
//! Nothing is cached: who connects often to one name has a resolver of its own on this host, and then
//! that one is asked.

mod message;
#[cfg(test)]
mod tests;

use super::Bind;
use super::bind::{bind_dialler, scoped};
use super::error::{explain, fail};
use crate::network::is_link_local;
use futures_util::future::{Either, select};
use message::{Answer, Family, Question};
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

pub(super) use message::MOST;

const PORT: u16 = 53;
/// How long a server may be silent before the next one is asked; twice as long in each round.
const SILENCE: Duration = Duration::from_secs(1);
/// RFC 8305, section 8: the Resolution Delay.
const DELAY: Duration = Duration::from_millis(50);
/// Servers that are asked; as many as resolv.conf(5) allows, for each family.
const SERVERS: usize = 6;
/// The longest answer in a datagram, for none is invited to be longer (RFC 1035, section 4.2.1).
const DATAGRAM: usize = 512;

/// The servers to ask on the network of `on`; none where only the system's resolver may be asked:
/// because none is known, or one runs on this host and knows more than all of them.
pub(super) fn servers(on: &Bind) -> Vec<SocketAddr> {
    let known = on.network.dns();
    let own = |ip: &IpAddr| on.network.addresses().iter().any(|a| a.ip == *ip);
    let local = |ip: &IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified() || own(ip);
    if known.iter().any(local) {
        return Vec::new();
    }
    let at = |ip: &IpAddr| scoped(SocketAddr::new(*ip, PORT), &on.network);
    known.iter().take(SERVERS).map(at).collect()
}

/// Whether the DNS is asked for this name as it stands; other names are the system's business.
pub(super) fn is_plain_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let (Some((_, last)), Some(_)) = (host.rsplit_once('.'), Question::new(host, Family::V4))
    else {
        return false;
    };
    // `127.1` is an address to getaddrinfo, and no domain of the top is a number.
    let number = last.starts_with(|c: char| c.is_ascii_digit());
    !number && !last.eq_ignore_ascii_case("local")
}

/// The addresses of `host` as these servers tell them, IPv6 first, at most 64; empty if there is no
/// such name, or no address of a family of the network.
///
/// # Errors
/// What the last server met, if none answered. Without a limit of its own: a caller gives it.
pub(super) async fn ask(
    host: &str,
    servers: &[SocketAddr],
    on: Option<&Bind>,
) -> io::Result<Vec<IpAddr>> {
    let one = |family| async move {
        if !on.is_none_or(|on| has(on, family)) {
            return Ok(Vec::new());
        }
        let question = Question::new(host, family);
        match question {
            Some(question) => find(&question, servers, on).await,
            None => Ok(Vec::new()),
        }
    };
    let (mut found, v4) = match both(one(Family::V6), one(Family::V4)).await {
        (Ok(v6), Ok(v4)) => (v6, v4),
        (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => (some, Vec::new()),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    found.truncate(MOST - v4.len().min(MOST / 2));
    found.extend(v4);
    found.truncate(MOST);
    Ok(found)
}

type Found = io::Result<Vec<IpAddr>>;

/// Both results; once one has addresses, the other has little time left.
async fn both(
    one: impl Future<Output = Found>,
    other: impl Future<Output = Found>,
) -> (Found, Found) {
    match select(pin!(one), pin!(other)).await {
        Either::Left((first, rest)) => {
            let second = after(&first, rest).await;
            (first, second)
        }
        Either::Right((first, rest)) => {
            let second = after(&first, rest).await;
            (second, first)
        }
    }
}

async fn after(first: &Found, rest: impl Future<Output = Found>) -> Found {
    match first {
        Ok(found) if !found.is_empty() => timeout(DELAY, rest).await.unwrap_or(Ok(Vec::new())),
        _ => rest.await,
    }
}

/// Whether the network has an address of this family that leads beyond its link.
fn has(on: &Bind, family: Family) -> bool {
    let own = on.network.addresses();
    let fits = |ip: IpAddr| ip.is_ipv4() == (family == Family::V4) && !is_link_local(ip);
    own.is_empty() || own.iter().any(|address| fits(address.ip))
}

/// Asks server after server, round and round, until one answers.
async fn find(
    question: &Question,
    servers: &[SocketAddr],
    on: Option<&Bind>,
) -> io::Result<Vec<IpAddr>> {
    let mut last = fail(io::ErrorKind::NotFound, "no name server");
    let (mut left, mut patience) = (servers.to_vec(), SILENCE);
    while !left.is_empty() {
        let mut silent = Vec::new();
        for server in left {
            let at = |error| explain(error, format_args!("name server {server}"));
            match query(question, server, on, patience).await {
                Ok(Some(Answer::Addresses(found))) => return Ok(found),
                Ok(Some(Answer::NoName)) => return Ok(Vec::new()),
                Ok(Some(Answer::Refused(code))) => {
                    let text = format_args!("it would not answer (code {code})");
                    last = at(fail(io::ErrorKind::Other, text));
                }
                Ok(Some(Answer::Cut)) => {
                    let text = "it cuts its answers short";
                    last = at(fail(io::ErrorKind::InvalidData, text));
                }
                Ok(None) => silent.push(server),
                Err(error) => last = at(error),
            }
        }
        (left, patience) = (silent, patience * 2);
    }
    Err(last)
}

/// One question to one server, over TCP if the answer is too long for a datagram; `None` if it is
/// silent for so long.
async fn query(
    question: &Question,
    server: SocketAddr,
    on: Option<&Bind>,
    patience: Duration,
) -> io::Result<Option<Answer>> {
    match timeout(patience, query_udp(question, server, on)).await {
        Ok(Ok(Answer::Cut)) => query_tcp(question, server, on).await.map(Some),
        Ok(answer) => answer.map(Some),
        Err(_) => Ok(None),
    }
}

async fn query_udp(
    question: &Question,
    server: SocketAddr,
    on: Option<&Bind>,
) -> io::Result<Answer> {
    let socket = bound(server, Type::DGRAM, Protocol::UDP, on)?;
    let socket = UdpSocket::from_std(socket.into())?;
    // Connected, so that a refusal is told and nobody else is heard.
    socket.connect(server).await?;
    let id = number()?;
    socket.send(&question.message(id)).await?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = question.answered(id, &buffer[..length]) {
            return Ok(answer);
        }
    }
}

async fn query_tcp(
    question: &Question,
    server: SocketAddr,
    on: Option<&Bind>,
) -> io::Result<Answer> {
    let socket = bound(server, Type::STREAM, Protocol::TCP, on)?;
    let mut stream = TcpSocket::from_std_stream(socket.into())
        .connect(server)
        .await?;
    let id = number()?;
    let message = question.message(id);
    let length = u16::try_from(message.len()).expect("a name has 255 bytes at most");
    stream
        .write_all(&[&length.to_be_bytes()[..], &message].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    question
        .answered(id, &answer)
        .ok_or_else(|| fail(io::ErrorKind::InvalidData, "no answer to what was asked"))
}

fn bound(
    server: SocketAddr,
    kind: Type,
    protocol: Protocol,
    on: Option<&Bind>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(server), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if let Some(on) = on {
        bind_dialler(&socket, on, server)?;
    }
    Ok(socket)
}

/// A question's number, which a stranger must not guess.
fn number() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u16::from_be_bytes(bytes))
}
