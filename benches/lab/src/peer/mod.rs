//! The peers: ways for a program to have one or two classes of traffic carried over several networks.
//!
//! Each gives ordered pipes of bytes. How many, and over which networks, is what tells them apart.
//!
//! | peer | pipes | networks |
//! | --- | --- | --- |
//! | `tcp-wifi`, `tcp-cell` | one connection for everything | the first, the second |
//! | `tcp-lowat` | the same with TCP_NOTSENT_LOWAT of 16 KiB | the first |
//! | `tcp-two` | a connection for each class | the first |
//! | `tcp-split` | a connection for each class | bulk on the first, interactive on the second |
//! | `mptcp`, `mptcp-two` | one connection for everything, one for each class | both |
//! | `mptcp-backup`, `mptcp-tuned` | one | the second as a backup; the same with `stale_loss_cnt=1` |
//! | `noq`, `noq-backup`, `noq-fast` | one connection, a stream for each class | both; the second as a backup; timers of 1 s and 0.3 s |
//! | `reconnect` | one TCP connection, made anew by stubborn-io | the first, else the second |
//! | `mancom` | one session, a labelled stream for each class | as the library decides |
//! | `mancom-msg` | one session, a message for each record | as the library decides |

mod kind;
mod mancom;
mod message;
mod mptcp;
mod noq;
mod reconnect;
mod tcp;

use std::any::Any;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use Peer::{Mptcp, Noq, Tcp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

pub(crate) use self::kind::*;
pub(crate) use self::mancom::{Crowd, crowd_client, crowd_server};

/// All a node must know to connect or to listen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// What is measured, for whatever the node has to say of it.
    pub(crate) cell: String,
    pub(crate) peer: Peer,
    pub(crate) classes: Vec<Class>,
    /// Where the server listens; its port is 0 until it has one.
    pub(crate) server: SocketAddr,
    /// The server's certificate, as it told it.
    pub(crate) certificate: Vec<u8>,
    /// The client's networks, best first.
    pub(crate) networks: Vec<Place>,
    /// Congestion control asked of each socket, `cubic` or `bbr`; by itself what the host says.
    pub(crate) congestion: Option<String>,
}

/// A network of the client: its interface and the address there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) metered: bool,
}

impl Setup {
    fn network(&self, index: usize) -> &Place {
        &self.networks[index.min(self.networks.len() - 1)]
    }
}

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// An ordered pipe of bytes, both ways.
pub(crate) struct Pipe {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

impl Pipe {
    fn of(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
        }
    }
}

/// A node's pipes, and which of them carries a class.
pub(crate) struct Lanes {
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) carries: [usize; 2],
    /// Connections that come later in place of the first.
    pub(crate) more: Option<mpsc::Receiver<Pipe>>,
    /// Held as long as the pipes are used.
    pub(crate) keep: Vec<Box<dyn Any + Send>>,
}

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The client's end.
pub(crate) async fn connect(setup: &Setup) -> io::Result<Lanes> {
    let dial = async {
        let mut keep = Vec::new();
        let mut pipes = match setup.peer {
            Tcp(shape) => tcp::connect(setup, shape).await?,
            Mptcp { backup, tuned, .. } => mptcp::connect(setup, backup, tuned).await?,
            Noq { fast, backup } => noq::connect(setup, fast, backup, &mut keep).await?,
            Peer::Reconnect => reconnect::connect(setup).await?,
            Peer::Mancom { messages } => mancom::connect(setup, messages, &mut keep).await?,
        };
        // All are named before any is waited for: the server takes them in the order they arrive.
        for (index, pipe) in pipes.iter_mut().enumerate() {
            pipe.writer.write_all(&[index as u8]).await?;
            pipe.writer.flush().await?;
        }
        for (index, pipe) in pipes.iter_mut().enumerate() {
            known(pipe, index as u8).await?;
        }
        Ok(lanes(setup, pipes, None, keep))
    };
    tokio::time::timeout(PATIENCE, dial).await?
}

fn lanes(
    setup: &Setup,
    pipes: Vec<Pipe>,
    more: Option<mpsc::Receiver<Pipe>>,
    keep: Vec<Box<dyn Any + Send>>,
) -> Lanes {
    let mut carries = [0; 2];
    for (index, classes) in setup.peer.pipes(&setup.classes).iter().enumerate() {
        for &class in classes {
            carries[class as usize] = index;
        }
    }
    Lanes {
        pipes,
        carries,
        more,
        keep,
    }
}

/// Waits until the far end knows which pipe this is.
async fn known(pipe: &mut Pipe, index: u8) -> io::Result<()> {
    let mut echo = [0];
    pipe.reader.read_exact(&mut echo).await?;
    if echo == [index] {
        Ok(())
    } else {
        Err(io::Error::other("the far end takes this for another pipe"))
    }
}

/// The server's end before anybody came.
pub(crate) struct Server {
    listener: Listener,
    pub(crate) port: u16,
    pub(crate) certificate: Vec<u8>,
}

enum Listener {
    Tcp(tokio::net::TcpListener),
    Noq(noq::Listener),
    Mancom(mancom::Listener),
}

/// Listens as the client's peer wants it.
pub(crate) async fn listen(setup: &Setup) -> io::Result<Server> {
    let mut certificate = Vec::new();
    let (listener, port) = match setup.peer {
        Tcp(_) | Mptcp { .. } | Peer::Reconnect => {
            if let Mptcp { tuned, .. } = setup.peer {
                mptcp::tune(tuned)?;
            }
            let listener = tcp::listen(setup)?;
            let port = listener.local_addr()?.port();
            (Listener::Tcp(listener), port)
        }
        Noq { fast, .. } => {
            let (listener, port, told) = noq::listen(setup, fast)?;
            certificate = told;
            (Listener::Noq(listener), port)
        }
        Peer::Mancom { .. } => {
            let (listener, port) = mancom::listen(setup).await?;
            (Listener::Mancom(listener), port)
        }
    };
    Ok(Server {
        listener,
        port,
        certificate,
    })
}

impl Server {
    /// Waits for all pipes of one client.
    pub(crate) async fn accept(mut self, setup: &Setup) -> io::Result<Lanes> {
        let count = setup.peer.pipes(&setup.classes).len();
        let arrive = async {
            if let Listener::Mancom(listener) = &mut self.listener
                && setup.peer == MESSAGES
            {
                return listener.messages(setup).await;
            }
            let mut pipes: Vec<Option<Pipe>> = Vec::new();
            pipes.resize_with(count, || None);
            for _ in 0..count {
                let mut pipe = self.listener.next().await?;
                let mut index = [0];
                pipe.reader.read_exact(&mut index).await?;
                pipe.writer.write_all(&index).await?;
                pipe.writer.flush().await?;
                match pipes.get_mut(usize::from(index[0])) {
                    Some(place @ None) => *place = Some(pipe),
                    _ => return Err(io::Error::other("an unexpected pipe")),
                }
            }
            Ok(pipes.into_iter().flatten().collect())
        };
        let pipes = tokio::time::timeout(PATIENCE, arrive).await??;
        match (setup.peer, self.listener) {
            (Peer::Reconnect, Listener::Tcp(listener)) => Ok(lanes(
                setup,
                pipes,
                Some(reconnect::follow(listener)),
                Vec::new(),
            )),
            (_, Listener::Tcp(listener)) => Ok(lanes(setup, pipes, None, vec![Box::new(listener)])),
            (_, Listener::Noq(listener)) => Ok(lanes(setup, pipes, None, vec![Box::new(listener)])),
            (_, Listener::Mancom(listener)) => {
                Ok(lanes(setup, pipes, None, vec![Box::new(listener)]))
            }
        }
    }
}

impl Listener {
    async fn next(&mut self) -> io::Result<Pipe> {
        match self {
            Self::Tcp(listener) => tcp::accept(listener).await,
            Self::Noq(listener) => listener.next().await,
            Self::Mancom(listener) => listener.next().await,
        }
    }
}
