//! What a listener does: who is accepted, how it ends, and what it never keeps more of than it says.

mod accepting;
mod detached;
mod ending;
mod fair;
mod places;

use crate::raw::{
    Raw, Tap, ack, address, ask, attach, data, echo, frame, listen, manager, numbers, opening,
    resume, session, soon, until,
};
use mancom::network::Binding;
use mancom::transport::Link;
use mancom::{
    AcceptError, Label, ListenError, Listener, Manager, McStream, Network, Prop, Scout,
    SessionError,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn session_error(error: &io::Error) -> &SessionError {
    let inner = error.get_ref().expect("a stream's error has a cause");
    inner
        .downcast_ref()
        .or_else(|| inner.source()?.downcast_ref())
        .expect("it is the session's")
}

/// Waits until nobody listens there.
async fn deaf(at: SocketAddr) {
    soon(async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn pair(manager: &Manager) -> (Listener, Tap, McStream, McStream) {
    let (listener, at) = listen(manager).await;
    let tap = Tap::before(at).await;
    let stream = manager.connect(tap.endpoint()).await.unwrap();
    let served = soon(listener.accept()).await.unwrap();
    (listener, tap, stream, served)
}

fn told(error: ListenError) -> String {
    assert!(matches!(error, ListenError::Io { .. }), "{error:?}");
    format!("{:?}", mancom::Error::from(error))
}
