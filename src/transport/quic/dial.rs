//! Dialling one address.

use super::config::{HANDSHAKE, dialling};
use super::error::{TORN, of_handshake};
use super::fail;
use super::link::{Held, QuicLink};
use super::socket::{Fault, Pending, Socket, Tasks};
use crate::endpoint::Endpoint;
use crate::tls::{Dialling, exporter};
use crate::transport::Bind;
use quinn::{Connection, Endpoint as Quinn, EndpointConfig};
use rustls::pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a stream begins with, so that the listener hears of it.
pub(super) const OPENING: [u8; 1] = [0];

/// Whether the protocol in it is somebody else's, who knows nothing of [`OPENING`].
pub(super) fn is_foreign(endpoint: &Endpoint) -> bool {
    !endpoint.is_session() && endpoint.has("alpn")
}

/// A connection and its stream.
pub(super) async fn dial(
    keys: &Arc<Dialling>,
    to: &Endpoint,
    at: SocketAddr,
    on: Option<&Bind>,
) -> io::Result<QuicLink> {
    let fault = Arc::new(Fault::default());
    let socket = Arc::new(Socket::to(at, on, &fault)?);
    let tasks = Arc::new(Tasks::default());
    let pending = Pending::new(&tasks);
    let own = EndpointConfig::default();
    let endpoint = Quinn::new_with_abstract_socket(own, None, socket, tasks)?;
    let connecting = endpoint
        .connect_with(dialling(keys)?, at, &keys.name())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let failed = |error| of_handshake(&error, |text| keys.refusal(text));
    let shaking = async {
        tokio::select! {
            connected = connecting => connected.map_err(failed),
            error = fault.told() => Err(error),
        }
    };
    let late = |_| {
        let text = format_args!("{at}: no answer within {HANDSHAKE:?}");
        fail(io::ErrorKind::TimedOut, text)
    };
    let opening = async {
        let connection = shaking.await?;
        let (mut send, recv) = connection.open_bi().await.map_err(failed)?;
        if !is_foreign(to) {
            let opened = send.write_all(&OPENING).await;
            opened.map_err(|error| super::error::of_write(&error))?;
        }
        Ok::<_, io::Error>((connection, send, recv))
    };
    let opened = tokio::time::timeout(HANDSHAKE, opening).await;
    let (connection, send, recv) = opened.map_err(late)??;
    let channel = keys
        .channel(&shown(&connection), bound(&connection)?)
        .await?;
    pending.go_on();
    tokio::spawn(watch(connection.clone(), Arc::clone(&fault)));
    let held = Held::Dialled(endpoint, fault);
    Ok(QuicLink::dialled(
        (connection, send, recv),
        held,
        channel,
        to,
    ))
}

/// Ends a connection once nobody listens there any more.
async fn watch(connection: Connection, fault: Arc<Fault>) {
    tokio::select! {
        _ = connection.closed() => {}
        error = fault.gone() => {
            let at = connection.remote_address();
            tracing::debug!(target: "mancom::transport", %at, %error, "nobody listens any more");
            connection.close(TORN, b"nobody seems to listen");
        }
    }
}

/// The certificates, or the key in the place of one, that a listener showed.
fn shown(connection: &Connection) -> Vec<CertificateDer<'static>> {
    let shown = connection.peer_identity();
    let chain = shown.and_then(|shown| shown.downcast().ok());
    chain.map(|chain| *chain).unwrap_or_default()
}

/// What the proofs of a session cover.
pub(super) fn bound(connection: &Connection) -> io::Result<Vec<u8>> {
    exporter(|bytes, label| connection.export_keying_material(bytes, label, &[]).ok())
}
