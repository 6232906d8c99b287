//! The protocols that the ends of a connection agree on (RFC 7301).

use std::io;

use rustls::CommonState;
use rustls::server::ClientHello;

use crate::endpoint::Endpoint;

/// What a session's own connections are told apart by from other protocols.
const SESSION: &[u8] = b"mancom/1";
/// And streams over QUIC, which is nothing without such a name (RFC 9001, section 8.1).
const STREAM: &[u8] = b"mancom-stream/1";

/// Whether what is spoken there is mancom's own, and the far end one that knows bare keys.
pub(super) fn is_own(endpoint: &Endpoint) -> bool {
    endpoint.is_session() || endpoint.carrier() == "quic" && !endpoint.has("alpn")
}

/// The protocols that an endpoint names, or its own.
pub(super) fn asked(endpoint: &Endpoint) -> Vec<Vec<u8>> {
    if endpoint.is_session() {
        return vec![SESSION.to_vec()];
    }
    if is_own(endpoint) {
        return vec![STREAM.to_vec()];
    }
    let named = endpoint.attribute("alpn").unwrap_or_default().split(',');
    named
        .filter(|name| !name.is_empty())
        .map(|name| name.as_bytes().to_vec())
        .collect()
}

/// Whether a connection may carry a session, which the far end has to have agreed to: where it knows of no such
/// names, TLS itself agrees on nothing and goes on.
pub(super) fn check_session(tls: &CommonState) -> io::Result<()> {
    if tls.alpn_protocol() == Some(SESSION) {
        return Ok(());
    }
    Err(no_session())
}

/// The same of who dials.
pub(super) fn asks_for_session(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut names| names.any(|name| name == SESSION))
}

/// What is told of who does not ask for one, or does not answer to it.
pub(super) fn no_session() -> io::Error {
    let text = "the far end speaks TLS, but not mancom's sessions";
    io::Error::new(io::ErrorKind::InvalidData, text)
}
