//! What an attacker can send to a listener, over real sockets: raw bytes written by the test.

mod acknowledging;
mod attaching;
mod disorder;
mod floods;
mod garbage;

use crate::raw::{
    Noise, Raw, Tap, ack, ask, attach, attach_to, claiming, data, echo, entropy, frame, listen,
    manager, message, numbers, offer, opening, resume, session, soon, until,
};
use mancom::proto::session::handshake::{DialAttach, DialHello, HandshakeError};
use mancom::{Manager, McStream, SessionError};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const REFUSED: &[u8] = b"\x00\x09mcom\x00\x01\x09\x00\x01";
const CHALLENGE: u8 = 7;

fn kind(body: &[u8]) -> u8 {
    body[6]
}

/// A session with a listener that echoes, and a tap on its way there.
async fn tapped() -> (Manager, SocketAddr, Tap, McStream) {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    echo(listener);
    let tap = Tap::before(at).await;
    let stream = manager.connect(tap.endpoint()).await.unwrap();
    (manager, at, tap, stream)
}

/// The session error inside a stream's.
fn session_error(error: &std::io::Error) -> &SessionError {
    let inner = error.get_ref().expect("a stream's error has a cause");
    inner
        .downcast_ref()
        .or_else(|| inner.source()?.downcast_ref())
        .expect("it is the session's")
}
