//! noq: QUIC with multipath. One connection, a stream for each class with a priority, a path for each network.
//!
//! Windows are noq's own: with larger ones a receiver over two paths meets "too many gaps in stream buffer", which
//! ends the connection.

use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use noq::congestion::{Bbr3Config, CubicConfig};
use noq::rustls::RootCertStore;
use noq::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use noq::{
    ClientConfig, Connection, ConnectionError, Endpoint, FourTuple, IdleTimeout, PathId,
    PathStatus, ServerConfig, TransportConfig, VarInt,
};
use tokio::time::{sleep, timeout};

use super::{Class, Pipe, Setup};

/// How often a lost path is tried again, and how long one attempt is waited for. It is the same attempt that is then
/// waited for again, as long as noq itself has not abandoned it: each new one takes a number.
const REOPEN: Duration = Duration::from_millis(500);
const OPENING: Duration = Duration::from_secs(5);
/// Numbers that paths may have at once. A lost one goes on taking its own until the far end has heard that it is
/// abandoned; with as many as there are networks none would be left meanwhile (`MaxPathIdReached`).
const PATHS: u32 = 12;
const NAME: &str = "lab";

/// How long a path may be silent, and how often it is asked. The first is what noq's own tests and iroh have.
fn timers(fast: bool) -> (Duration, Duration) {
    if fast {
        (Duration::from_secs(1), Duration::from_millis(300))
    } else {
        (Duration::from_secs(15), Duration::from_secs(5))
    }
}

fn transport(setup: &Setup, fast: bool) -> TransportConfig {
    let (idle, keep_alive) = timers(fast);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_multipath_paths(PATHS)
        .default_path_max_idle_timeout(Some(idle))
        .default_path_keep_alive_interval(Some(keep_alive))
        .max_idle_timeout(IdleTimeout::try_from(Duration::from_secs(60)).ok());
    match setup.congestion.as_deref() {
        Some("bbr") => {
            transport.congestion_controller_factory(Arc::new(Bbr3Config::default()));
        }
        _ => {
            transport.congestion_controller_factory(Arc::new(CubicConfig::default()));
        }
    }
    transport
}

pub(super) async fn connect(
    setup: &Setup,
    fast: bool,
    backup: bool,
    keep: &mut Vec<Box<dyn Any + Send>>,
) -> io::Result<Vec<Pipe>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(setup.certificate.clone()))
        .map_err(io::Error::other)?;
    let mut config =
        ClientConfig::with_root_certificates(Arc::new(roots)).map_err(io::Error::other)?;
    config.transport_config(Arc::new(transport(setup, fast)));
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    endpoint.set_default_client_config(config);
    let connection = endpoint
        .connect(setup.server, NAME)
        .map_err(io::Error::other)?
        .await?;
    connection.handshake_confirmed().await?;
    for (index, place) in setup.networks.iter().enumerate() {
        let status = if backup && index > 0 {
            PathStatus::Backup
        } else {
            PathStatus::Available
        };
        let on = FourTuple::new(setup.server, Some(place.address));
        // The connection began on the first; the far end may still have to allow another.
        let mut path = (index == 0).then_some(PathId::ZERO);
        let mut tries = 0;
        while path.is_none() {
            match timeout(OPENING, connection.open_path_ensure(on, status)).await {
                Ok(Ok(opened)) => path = Some(opened.id()),
                failed if tries == 20 => {
                    let what = format!("no path over {}: {failed:?}", place.name);
                    return Err(io::Error::other(what));
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
            tries += 1;
        }
        tokio::spawn(hold(connection.clone(), path, on, status));
    }
    tokio::spawn(tell_end(setup.cell.clone(), connection.clone()));
    let mut pipes = Vec::new();
    for classes in setup.peer.pipes(&setup.classes) {
        let (writer, reader) = connection.open_bi().await?;
        if classes.contains(&Class::Interactive) {
            writer.set_priority(1).map_err(io::Error::other)?;
        }
        pipes.push(Pipe {
            reader: Box::new(reader),
            writer: Box::new(writer),
        });
    }
    keep.push(Box::new((endpoint, connection)));
    Ok(pipes)
}

/// Opens a lost path again, as a program that cares would.
async fn hold(connection: Connection, mut path: Option<PathId>, on: FourTuple, status: PathStatus) {
    while connection.close_reason().is_none() {
        sleep(REOPEN).await;
        if path.is_some_and(|id| connection.path(id).is_some()) {
            continue;
        }
        let opened = timeout(OPENING, connection.open_path_ensure(on, status)).await;
        path = opened.ok().and_then(Result::ok).map(|path| path.id());
    }
}

/// A connection that is lost says so; it is part of what is measured.
async fn tell_end(cell: String, connection: Connection) {
    let why = connection.closed().await;
    if !ordinary(&why) {
        eprintln!("{cell}: noq: {why}");
    }
}

/// Whether a node let go of the connection, as each does once its plan has ended.
fn ordinary(end: &ConnectionError) -> bool {
    match end {
        ConnectionError::ApplicationClosed(close) => close.error_code == VarInt::from_u32(0),
        end => matches!(end, ConnectionError::LocallyClosed),
    }
}

/// Waits for one connection, then for its streams.
pub(super) struct Listener {
    endpoint: Endpoint,
    connection: Option<Connection>,
}

pub(super) fn listen(setup: &Setup, fast: bool) -> io::Result<(Listener, u16, Vec<u8>)> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let certificate = CertificateDer::from(made.cert);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::with_single_cert(vec![certificate.clone()], key.into())
        .map_err(io::Error::other)?;
    config.transport_config(Arc::new(transport(setup, fast)));
    let endpoint = Endpoint::server(config, setup.server)?;
    let port = endpoint.local_addr()?.port();
    let listener = Listener {
        endpoint,
        connection: None,
    };
    Ok((listener, port, certificate.to_vec()))
}

impl Listener {
    pub(super) async fn next(&mut self) -> io::Result<Pipe> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => {
                let incoming = self.endpoint.accept().await;
                let incoming = incoming.ok_or(io::ErrorKind::NotConnected)?;
                self.connection.insert(incoming.await?)
            }
        };
        let (writer, reader) = connection.accept_bi().await?;
        Ok(Pipe {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use noq::ApplicationClose;

    #[test]
    fn only_an_end_that_no_node_chose_is_told() {
        let closed = |code: u32| {
            ConnectionError::ApplicationClosed(ApplicationClose {
                error_code: code.into(),
                reason: Vec::new().into(),
            })
        };
        assert!(ordinary(&closed(0)) && ordinary(&ConnectionError::LocallyClosed));
        assert!(!ordinary(&closed(1)) && !ordinary(&ConnectionError::TimedOut));
    }
}
