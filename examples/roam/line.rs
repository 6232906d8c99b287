//! The connections of a forwarder.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::forwarder::State;

/// Bytes moved at once, and a socket's buffer: a real link holds little more.
const CHUNK: usize = 16 << 10;
const BUFFER: u32 = 64 << 10;
/// What a timer slept too long is made up for.
const LATE: Duration = Duration::from_millis(5);

/// What all connections of a forwarder share.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) rate: u64,
    pub(crate) state: watch::Receiver<State>,
    pub(crate) carried: Arc<AtomicU64>,
}

impl Line {
    pub(crate) async fn serve(mut self, at: SocketAddr, first: TcpListener, to: SocketAddr) {
        let mut listener = Some(first);
        loop {
            let closed = *self.state.borrow_and_update() == State::Closed;
            match &listener {
                Some(_) if closed => listener = None,
                Some(listener) => tokio::select! {
                    Ok((client, _)) = listener.accept() => drop(tokio::spawn(self.clone().join(client, to))),
                    Ok(()) = self.state.changed() => {}
                    else => return,
                },
                None if closed && self.state.changed().await.is_err() => return,
                None if closed => {}
                // Somebody may have the port for a moment.
                None => match listen(at) {
                    Ok(again) => listener = Some(again),
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
            }
        }
    }

    async fn join(mut self, client: TcpStream, to: SocketAddr) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(BUFFER)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = socket.connect(to).await?.into_split();
        let (up, down) = (
            self.clone().pump(from_client, to_server, true),
            self.clone().pump(from_server, to_client, false),
        );
        tokio::select! {
            both = async { tokio::try_join!(up, down) } => both.map(drop),
            _ = self.state.wait_for(|state| *state == State::Closed) => Ok(()),
        }
    }

    async fn pump(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        up: bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut free = Instant::now();
        loop {
            let n = from.read(&mut buffer).await?;
            if up {
                let time = Duration::from_secs_f64(n as f64 / self.rate as f64);
                free = free.max(Instant::now() - LATE) + time;
                sleep_until(free).await;
            }
            let _ = self.state.wait_for(|state| *state != State::Silent).await;
            if n == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..n]).await?;
            if up {
                self.carried.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    }
}

pub(crate) fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(at)?;
    socket.listen(64)
}
