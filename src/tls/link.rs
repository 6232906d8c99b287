//! TLS over any connection, as a connection.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use rustls::Connection;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;

use super::below::Below;
use super::io::Failed;
use super::verify::spki;
use crate::endpoint::Endpoint;
use crate::proto::session::handshake::{Peer, Security};
use crate::transport::{ByteLink, Credentials, Measured};

/// The exporter's label (RFC 8446, section 7.5).
pub(super) const EXPORTER: &[u8] = b"EXPORTER-mancom-path";
/// The longest record's payload (RFC 8446, section 5.1).
const RECORD: usize = 16 << 10;
/// The most that is encrypted at once. Four records would be a little more than the largest segment of a
/// loopback, and the rest of each a segment of its own.
const AT_ONCE: usize = 3 * RECORD;
/// So many places are remembered at which it is known how much went out.
const MARKS: usize = 64;

/// What a connection is to those who decide whether it may carry a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channel {
    /// `None` in clear.
    pub(crate) security: Option<Security>,
    pub(crate) exporter: Vec<u8>,
    /// Who the far end proved to be.
    pub(crate) peer: Option<Peer>,
}

impl Channel {
    /// Of a connection whose far end showed this, a bare key or a certificate; `proves`: this end proved
    /// itself if it was asked to.
    pub(super) fn secured(
        shown: Option<&CertificateDer<'_>>,
        (bare, proves): (bool, bool),
        exporter: Vec<u8>,
    ) -> io::Result<Self> {
        let peer = shown.map(|shown| spki(shown, bare)).transpose();
        let peer = peer.map_err(failed)?.map(|key| Peer(key.into()));
        let security = match proves && peer.is_some() {
            true => Security::TlsMutual,
            false => Security::Tls,
        };
        Ok(Self {
            security: Some(security),
            exporter,
            peer,
        })
    }
}

fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// That of this connection.
pub(crate) fn channel_of(link: &dyn ByteLink) -> Channel {
    let link: &dyn Any = link;
    #[cfg(feature = "quic")]
    if let Some(link) = link.downcast_ref::<crate::transport::QuicLink>() {
        return link.channel().clone();
    }
    let link = link.downcast_ref::<TlsLink>();
    link.map_or_else(Channel::default, |link| link.channel.clone())
}

/// How long what a connection took may take to go once nobody holds it.
const PARTING: Duration = Duration::from_secs(30);

/// Ends a connection as it should be, in the background if it takes a while; what it is over is then for `ends`
/// to drop. One in clear is dropped: its system sends what it took.
pub(crate) fn finish(
    mut link: Box<dyn ByteLink>,
    ends: impl FnOnce(Box<dyn ByteLink>) + Send + 'static,
) {
    let is_secure = (&*link as &dyn Any).is::<TlsLink>();
    if !is_secure || std::thread::panicking() {
        return;
    }
    let mut cx = Context::from_waker(Waker::noop());
    let pending = Pin::new(&mut link).poll_shutdown(&mut cx).is_pending();
    if !pending {
        return ends(beneath(link));
    }
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            let _ = tokio::time::timeout(PARTING, link.shutdown()).await;
            ends(beneath(link));
        });
    }
}

/// What a connection in TLS is over, once it was given what can be had at once of what TLS has to say; any other
/// as it is.
pub(crate) fn beneath(link: Box<dyn ByteLink>) -> Box<dyn ByteLink> {
    if !(&*link as &dyn Any).is::<TlsLink>() {
        return link;
    }
    let link: Box<dyn Any> = link;
    let mut link = link.downcast::<TlsLink>().expect("it is one");
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut *link).poll_flush(&mut cx);
    link.below.into_link()
}

/// A connection in TLS.
///
/// What it took may wait in it while what is below takes no more: it goes on whenever this is written to,
/// flushed or read.
pub(crate) struct TlsLink {
    pub(super) tls: Connection,
    pub(super) below: Below,
    channel: Channel,
    /// Bytes written to it.
    pub(super) written: u64,
    /// How many bytes below so many of ours were all of: ascending; the first is known to have arrived.
    marks: VecDeque<(u64, u64)>,
    /// Who waits until what is below takes more: it knows one, and here two may wait.
    pub(super) waiting: Arc<Waiting>,
    pub(super) waker: Waker,
    /// That nothing more is written.
    pub(super) said_goodbye: bool,
    pub(super) failed: Failed,
}

impl fmt::Debug for TlsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLink")
            .field("peer", &self.peer())
            .field("channel", &self.channel.security)
            .finish_non_exhaustive()
    }
}

/// A reader that has something to write, and a writer.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) reader: AtomicWaker,
    pub(super) writer: AtomicWaker,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl TlsLink {
    /// `bare`: the far end shows bare keys; `proves`: this end proved itself if it was asked to.
    pub(super) fn new(
        mut tls: Connection,
        below: Below,
        bare: bool,
        proves: bool,
    ) -> io::Result<Self> {
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        let exporter = tls.export_keying_material([0; 32], EXPORTER, None);
        let exporter = exporter.map_err(failed)?.to_vec();
        let channel = Channel::secured(shown, (bare, proves), exporter)?;
        tls.set_buffer_limit(Some(AT_ONCE));
        let waiting = Arc::new(Waiting::default());
        Ok(Self {
            channel,
            written: 0,
            marks: VecDeque::from([(0, 0)]),
            waker: Waker::from(Arc::clone(&waiting)),
            waiting,
            said_goodbye: false,
            failed: Failed::default(),
            tls,
            below,
        })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether a ticket of an earlier connection made it cheap.
    #[cfg(test)]
    pub(super) fn is_resumed(&self) -> bool {
        let kind = self.tls.handshake_kind();
        kind == Some(rustls::HandshakeKind::Resumed)
    }

    /// Notes how far it is, where all that was written went below.
    pub(super) fn mark(&mut self) {
        if self.tls.wants_write() || self.marks.back().is_some_and(|last| last.1 == self.written) {
            return;
        }
        let mark = (self.below.written(), self.written);
        if self.marks.len() == MARKS {
            let arrived = self.below.link().acknowledged().unwrap_or(0);
            while self.marks.get(1).is_some_and(|next| next.0 <= arrived) {
                self.marks.pop_front();
            }
        }
        if self.marks.len() == MARKS {
            // Nothing arrives: every other one will do.
            let mut place = 0;
            self.marks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.marks.push_back(mark);
    }
}

impl ByteLink for TlsLink {
    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, bufs)
    }

    fn peer(&self) -> Endpoint {
        self.below.link().peer()
    }

    fn local(&self) -> Option<IpAddr> {
        self.below.link().local()
    }

    fn named(&mut self, contact: &Endpoint) -> bool {
        self.below.link_mut().named(contact)
    }

    fn credentials(&self) -> Option<Credentials> {
        self.below.link().credentials()
    }

    fn beneath(&self) -> Option<&dyn ByteLink> {
        Some(self.below.link())
    }

    /// What is known to have arrived; the rest of a record that went in part is not.
    fn acknowledged(&self) -> Option<u64> {
        let arrived = self.below.link().acknowledged()?;
        let marks = self.marks.iter().rev();
        let last = marks.copied().find(|mark| mark.0 <= arrived);
        Some(last.map_or(0, |(_, ours)| ours))
    }

    /// What is below measures its own bytes, a little more than ours.
    fn measure(&self) -> Option<Measured> {
        self.below.link().measure()
    }

    /// Nothing is said here of an end, which the far end takes for torn; what is below may tell it sooner.
    fn tear(&mut self) {
        self.below.link_mut().tear();
    }

    fn limit_unsent(&mut self, bytes: u32) {
        self.below.limit_unsent(bytes);
        // What is encrypted already, nothing urgent overtakes.
        let most = match bytes {
            0 => AT_ONCE,
            bytes => (bytes as usize).clamp(RECORD, AT_ONCE),
        };
        self.tls.set_buffer_limit(Some(most));
    }
}
