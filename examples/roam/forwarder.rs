//! One network: a TCP forwarder on loopback, with a rate, that can close or fall silent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::line::{Line, listen};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Connections stay, and nothing moves on them.
    Silent,
    /// Connections are closed, new ones refused.
    Closed,
}

pub(crate) struct Forwarder {
    at: SocketAddr,
    state: watch::Sender<State>,
    line: Line,
}

impl Forwarder {
    pub(crate) async fn start(to: SocketAddr, rate: u64) -> io::Result<Self> {
        let (state, watched) = watch::channel(State::Open);
        let line = Line {
            rate,
            state: watched,
            carried: Arc::default(),
        };
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let at = listener.local_addr()?;
        tokio::spawn(line.clone().serve(at, listener, to));
        Ok(Self { at, state, line })
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Bytes a second towards the server.
    pub(crate) fn rate(&self) -> u64 {
        self.line.rate
    }

    /// Bytes that reached the server this way.
    pub(crate) fn carried(&self) -> u64 {
        self.line.carried.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}
