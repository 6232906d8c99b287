//! A TCP connection that is made anew when it breaks, by stubborn-io: what many programs do.
//!
//! It is given every help: TCP_USER_TIMEOUT of a second, so that silence breaks the connection, a time-out
//! counted as a break, retries every 100 ms, and the second network where the first does not answer.
//! What had been written to the old connection and was not acknowledged is gone all the same.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Protocol, SockRef};
use stubborn_io::ReconnectOptions;
use stubborn_io::tokio::{StubbornIo, UnderlyingIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Pipe, Setup, tcp};

/// How long silence is borne, and an attempt to connect.
const SILENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(100);

struct Breakable(TcpStream);

pub(super) async fn connect(setup: &Setup) -> io::Result<Vec<Pipe>> {
    let options = ReconnectOptions::new().with_retries_generator(|| std::iter::repeat(RETRY));
    let stream: StubbornIo<Breakable, Setup> =
        StubbornIo::connect_with_options(setup.clone(), options).await?;
    Ok(vec![Pipe::of(stream)])
}

/// The connections after the first, each in place of the one before.
pub(super) fn follow(listener: TcpListener) -> mpsc::Receiver<Pipe> {
    let (pipes, more) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok(pipe) = tcp::accept(&listener).await {
            if pipes.send(pipe).await.is_err() {
                break;
            }
        }
    });
    more
}

impl UnderlyingIo<Setup> for Breakable {
    fn establish(setup: Setup) -> Pin<Box<dyn Future<Output = io::Result<Self>> + Send>> {
        Box::pin(async move {
            let mut failed = io::Error::from(ErrorKind::NotConnected);
            for network in &setup.networks {
                let dial = tcp::dial(&setup, network, Protocol::TCP);
                match tokio::time::timeout(SILENCE, dial).await {
                    Ok(Ok(stream)) => {
                        SockRef::from(&stream).set_tcp_user_timeout(Some(SILENCE))?;
                        return Ok(Self(stream));
                    }
                    Ok(Err(error)) => failed = error,
                    Err(elapsed) => failed = elapsed.into(),
                }
            }
            Err(failed)
        })
    }

    fn is_disconnect_error(&self, error: &io::Error) -> bool {
        error.kind() != ErrorKind::WouldBlock && error.kind() != ErrorKind::Interrupted
    }
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
