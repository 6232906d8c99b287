//! The dialler's ways to the far end: a connection over one network, and the handshake upon it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::asked::Asks;
use super::context::Context;
use super::report::{Phase, Stopwatch};
use super::secure::{Secure, channel};
use super::whereabouts::{is_name_of_tcp, is_own};
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::{Destination, PathFacts, admit};
use crate::network::Network;
use crate::proto::session::PathId;
use crate::proto::session::handshake::{
    Agreed, Credentials, DialAttach, DialHello, DialProved, Entropy, HandshakeError, MAX_MESSAGE,
    Offer, Replied,
};
use crate::transport::{self, Bind, ByteLink, Link};

/// Why a path did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl DialError {
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::Handshake(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// A byte connection to the endpoint over this network, for traffic of this label, within one
/// attempt's time.
pub(super) async fn reach(
    context: &Arc<dyn Context>,
    ((to, others), secure): ((&Endpoint, &[SocketAddr]), &Secure),
    on: Option<&Network>,
    label: &Label,
    watch: &mut Stopwatch,
) -> io::Result<Box<dyn ByteLink>> {
    let transport = context
        .transports()
        .get(to.carrier())
        .map_err(|unknown| io::Error::new(io::ErrorKind::InvalidInput, unknown))?;
    let transport = secure.beneath(transport);
    let limit = context.settings().attempt;
    let late = |_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {limit:?}"),
        )
    };
    let bind = on.map(|network| Bind {
        network: network.clone(),
        source: None,
    });
    let connecting = async {
        match (&bind, to.host(), to.port()) {
            (Some(on), Some(host), Some(port)) if is_name_of_tcp(to) || !others.is_empty() => {
                watch.begin(Phase::Resolve);
                let mut found = match to.ip() {
                    Some(ip) => vec![SocketAddr::new(ip, port)],
                    None => match transport::resolve(host, port, Some(on)).await {
                        Err(error) if others.is_empty() => return Err(error),
                        resolved => resolved.unwrap_or_default(),
                    },
                };
                found.extend(others.iter().filter(|at| to.ip() != Some(at.ip())));
                watch.begin(Phase::Connect);
                match placed(context, host, &found, &on.network, label)? {
                    Place::Here(ip) => transport.connect(&to.clone().with_ip(ip), None).await,
                    Place::There(usable) => transport.connect_resolved(to, &usable, Some(on)).await,
                }
            }
            _ => {
                watch.begin(Phase::Connect);
                transport.connect(to, bind.as_ref()).await
            }
        }
    };
    match timeout(limit, connecting).await.map_err(late)?? {
        Link::Bytes(link) => Ok(link),
        Link::Datagrams(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "`{}` carries datagrams, a stream needs bytes in order",
                to.carrier()
            ),
        )),
    }
}

/// As [`reach`], and in TLS where that is asked for.
pub(super) async fn reach_securely(
    context: &Arc<dyn Context>,
    (place, secure): ((&Endpoint, &[SocketAddr]), &Secure),
    on: Option<&Network>,
    label: &Label,
    watch: &mut Stopwatch,
) -> io::Result<Box<dyn ByteLink>> {
    let link = reach(context, (place, secure), on, label, watch).await?;
    if secure.is_clear() {
        return Ok(link);
    }
    watch.begin(Phase::Handshake);
    let handshake = async { Ok(secure.dialled(link).await?) };
    within(context, handshake).await.map_err(DialError::into_io)
}

/// Where a name led.
enum Place {
    /// This host, which is dialled unbound: what is bound to a device never gets there.
    Here(IpAddr),
    /// Addresses that the label, the VPN rule and the routes admit on the network.
    There(Vec<SocketAddr>),
}

/// The name was admitted without its addresses; these are admitted again.
fn placed(
    context: &Arc<dyn Context>,
    host: &str,
    found: &[SocketAddr],
    network: &Network,
    label: &Label,
) -> io::Result<Place> {
    let registry = context.registry();
    let snapshot = registry.snapshot();
    let network = snapshot.by_id(network.id()).unwrap_or(network);
    let policy = registry.policy();
    let objections = |to| admit(&snapshot, network, label, &to, &policy).reasons;
    let here = |ip: &IpAddr| ip.to_canonical().is_loopback() || is_own(&snapshot, *ip);
    let mut usable = Vec::new();
    let mut refused = String::new();
    for at in found {
        let ip = at.ip();
        let is_here = here(&ip);
        let reasons = objections(match is_here {
            true => Destination::Host,
            false => Destination::Addresses(Arc::from([ip])),
        });
        match reasons.as_slice() {
            [] if is_here => return Ok(Place::Here(ip)),
            [] => usable.push(*at),
            [first, ..] if refused.len() < TOLD => {
                refused = format!("{refused}; {ip}: {network} {first}");
            }
            _ => {}
        }
    }
    if usable.is_empty() {
        let text = format!("no address of {host} may be used on {network}{refused}");
        return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, text));
    }
    Ok(Place::There(usable))
}

/// Once an error is this long, no more addresses are told of.
const TOLD: usize = 200;

pub(super) fn entropy() -> io::Result<Entropy> {
    let mut bytes = [0; 96];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Entropy(bytes))
}

pub(super) fn offer(
    context: &Arc<dyn Context>,
    asks: &Asks,
    on: Option<&Network>,
    link: &dyn ByteLink,
) -> Offer {
    let (security, exporter, peer) = channel(link);
    let facts = match on {
        Some(network) if !asks.anonymous => PathFacts::of(network),
        _ => PathFacts::default(),
    };
    let settings = context.settings();
    Offer {
        grace: asks.grace,
        receive_window: settings.window(),
        max_streams: settings.streams(),
        facts,
        anonymous: asks.anonymous,
        security,
        exporter,
        peer,
    }
}

/// The first path of a new session.
pub(super) async fn hello(
    context: &Arc<dyn Context>,
    asks: &Asks,
    on: Option<&Network>,
    label: &Label,
    watch: &mut Stopwatch,
) -> Result<(Box<dyn ByteLink>, Agreed), DialError> {
    let place = (asks.place(), &asks.secure);
    let link = reach(context, place, on, label, watch).await?;
    watch.begin(Phase::Handshake);
    let handshake = async {
        let mut link = asks.secure.dialled(link).await?;
        let offer = offer(context, asks, on, &*link);
        let (mut state, mut message) = DialHello::new(entropy()?, offer);
        loop {
            send(&mut *link, &message).await?;
            match state.reply(&receive(&mut *link).await?)? {
                Replied::Again(again, bytes) => (state, message) = (again, bytes),
                Replied::Confirm(confirm, bytes) => {
                    send(&mut *link, &bytes).await?;
                    let agreed = confirm.accepted(&receive(&mut *link).await?)?;
                    return Ok::<_, DialError>((link, agreed));
                }
            }
        }
    };
    within(context, handshake).await
}

/// One more path of a session.
pub(super) async fn attach(
    context: &Arc<dyn Context>,
    asks: &Asks,
    (on, label): (Option<&Network>, &Label),
    credentials: &Credentials,
    path: PathId,
) -> Result<(Box<dyn ByteLink>, PathFacts), DialError> {
    let watch = &mut Stopwatch::new();
    let asks = asks.clone().now().await;
    let place = (asks.place(), &asks.secure);
    let link = reach(context, place, on, label, watch).await?;
    let hearsay = asks.is_hearsay(&*link).then(|| link.peer());
    let handshake = async {
        let mut link = asks.secure.dialled(link).await?;
        let offer = offer(context, &asks, on, &*link);
        if !offer.exporter.is_empty() {
            let (state, message) = DialProved::new(entropy()?, credentials, path, &offer)?;
            send(&mut *link, &message).await?;
            let facts = state.accepted(&receive(&mut *link).await?)?;
            return Ok((link, facts));
        }
        let (state, message) = DialAttach::new(entropy()?, credentials, path, &offer);
        send(&mut *link, &message).await?;
        let (state, message) = state.challenge(&receive(&mut *link).await?)?;
        send(&mut *link, &message).await?;
        let facts = state.accepted(&receive(&mut *link).await?)?;
        Ok::<_, DialError>((link, facts))
    };
    match (within(context, handshake).await, hearsay) {
        // Another listener has that address now: it says nothing of this session.
        (Err(DialError::Handshake(HandshakeError::UnknownSession)), Some(peer)) => {
            let text = format!("another listener answers at {peer}");
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, text).into())
        }
        (ended, _) => ended,
    }
}

async fn within<T>(
    context: &Arc<dyn Context>,
    handshake: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    let limit = context.settings().handshake;
    timeout(limit, handshake).await.unwrap_or_else(|_| {
        let text = format!("connected, but no answer to the handshake within {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
    })
}

/// Writes one framed handshake message.
pub(super) async fn send(link: &mut dyn ByteLink, message: &[u8]) -> io::Result<()> {
    link.write_all(message).await?;
    link.flush().await
}

/// Reads one handshake message, not a byte beyond it.
pub(super) async fn receive(link: &mut dyn ByteLink) -> Result<Vec<u8>, DialError> {
    let length = usize::from(link.read_u16().await.map_err(closed)?);
    if length + 2 > MAX_MESSAGE {
        return Err(HandshakeError::NotMancom.into());
    }
    let mut body = vec![0; length];
    link.read_exact(&mut body).await.map_err(closed)?;
    Ok(body)
}

/// An end where a message was due, in words.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            let text = "the far end closed the connection during the handshake";
            io::Error::new(io::ErrorKind::ConnectionReset, text)
        }
        _ => error,
    }
}
