//! What connections may take and how long they may be silent.

use super::hello::Choosing;
use crate::tls::{Dialling, Listening};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a handshake may take, at either end.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// Silence after which the far end is given up. A minute is less than what most NATs keep of UDP that was
/// answered (RFC 4787: two minutes), and what they keep of other UDP is held open by the dialler.
const SILENCE: VarInt = VarInt::from_u32(60_000);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Bytes that wait to be read: of a link, and before it is one.
const UNREAD: u32 = 4 << 20;
const UNREAD_BEFORE: u32 = 64 << 10;
/// Bytes that wait to be sent or acknowledged: at first, and at most.
pub(super) const UNSENT: [u64; 2] = [128 << 10, 16 << 20];
/// Handshakes that nobody looked at yet, and bytes of each.
const INCOMING: usize = 1024;
const INCOMING_BYTES: u64 = 16 << 10;

fn connections() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(SILENCE)))
        .stream_receive_window(VarInt::from_u32(UNREAD))
        .receive_window(VarInt::from_u32(UNREAD_BEFORE))
        .send_window(UNSENT[0]);
    config
}

/// It is a link now, and may keep more.
pub(super) fn opened(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(UNREAD));
}

pub(super) fn dialling(keys: &Dialling) -> io::Result<ClientConfig> {
    let crypto = QuicClientConfig::try_from(keys.config()).map_err(io::Error::other)?;
    let mut transport = connections();
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

pub(super) fn listening(keys: &Arc<Listening>) -> io::Result<ServerConfig> {
    let mut transport = connections();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    let mut config = ServerConfig::with_crypto(Arc::new(Choosing::new(Arc::clone(keys))?));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING as u64 * INCOMING_BYTES);
    Ok(config)
}
