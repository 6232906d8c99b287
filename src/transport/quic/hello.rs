//! A listener's handshakes: which of its keys a connection is made with, the dialler's first message says.
//!
//! Over TCP rustls reads that message before it is given keys (`Acceptor`); its QUIC wants the keys first.
//! So the message is shown to an `Acceptor` too, in the records that it has over TCP, and what came of it is
//! given to a session with the right keys as if it had just come.

use crate::tls::Listening;
use quinn::ConnectionId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
    UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{Side, TransportError, TransportErrorCode};
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use std::any::Any;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// A first message is no longer than this; rustls' own limit over TCP is 64 KiB.
const LONGEST: usize = 16 << 10;
/// A record of handshake messages (RFC 8446, section 5.1).
const RECORD: [u8; 3] = [22, 3, 1];
/// `decode_error`, `internal_error` (RFC 8446, section 6).
const DECODE: u8 = 50;
const INTERNAL: u8 = 80;

/// The keys of one listener.
pub(super) struct Choosing {
    keys: Arc<Listening>,
    /// What all of them have in common is asked of this one.
    any: Arc<QuicServerConfig>,
}

/// What the far end showed, if anything, and whether it is a bare key.
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) bare: bool,
    /// Ends with the connection: once it was closed, said so for as long as is due, and nobody holds it.
    pub(super) ended: watch::Receiver<()>,
}

impl Choosing {
    pub(super) fn new(keys: Arc<Listening>) -> io::Result<Self> {
        let any = QuicServerConfig::try_from(keys.any()).map_err(io::Error::other)?;
        let any = Arc::new(any);
        Ok(Self { keys, any })
    }
}

impl crypto::ServerConfig for Choosing {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.any.initial_keys(version, id)
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.any.retry_tag(version, id, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, own: &TransportParameters) -> Box<dyn Session> {
        Box::new(Undecided {
            hello: Vec::new(),
            acceptor: Acceptor::default(),
            keys: self,
            version,
            own: *own,
            decided: None,
            ends: watch::Sender::new(()),
        })
    }
}

/// A session that gets its keys once the dialler's first message is there.
struct Undecided {
    /// What came of it so far.
    hello: Vec<u8>,
    acceptor: Acceptor,
    keys: Arc<Choosing>,
    version: u32,
    own: TransportParameters,
    decided: Option<Decided>,
    /// Dropped with the connection; quinn tells of an endpoint's last alone.
    ends: watch::Sender<()>,
}

struct Decided {
    session: Box<dyn Session>,
    bare: bool,
}

impl Undecided {
    fn session(&self) -> Option<&dyn Session> {
        self.decided.as_ref().map(|decided| &*decided.session)
    }

    /// The session, if this is all of the first message.
    fn hear(&mut self, bytes: &[u8]) -> Result<Option<Decided>, TransportError> {
        self.hello.extend_from_slice(bytes);
        if self.hello.len() > LONGEST {
            return Err(fault(DECODE, "a first message that is too long"));
        }
        for piece in bytes.chunks(LONGEST) {
            let length = u16::try_from(piece.len()).expect("at most 16 KiB");
            let record = [&RECORD[..], &length.to_be_bytes(), piece].concat();
            let mut rest = &*record;
            while !rest.is_empty() {
                let read = self.acceptor.read_tls(&mut rest);
                if !matches!(read, Ok(1..)) {
                    return Err(fault(INTERNAL, "a first message that finds no room"));
                }
            }
        }
        let accepted = match self.acceptor.accept() {
            Ok(None) => return Ok(None),
            Ok(Some(accepted)) => accepted,
            Err((error, mut alert)) => {
                let mut record = Vec::new();
                let written = alert.write_all(&mut record);
                // Five bytes of a record's head, then the level and what it is.
                let code = record.get(6).filter(|_| written.is_ok());
                return Err(fault(*code.unwrap_or(&DECODE), error));
            }
        };
        let (keys, bare) = self.keys.keys.choose(&accepted.client_hello());
        let keys = QuicServerConfig::try_from(keys).map_err(|error| fault(INTERNAL, error))?;
        let session = crypto::ServerConfig::start_session(Arc::new(keys), self.version, &self.own);
        Ok(Some(Decided { session, bare }))
    }
}

fn fault(alert: u8, reason: impl ToString) -> TransportError {
    TransportError {
        code: TransportErrorCode::crypto(alert),
        frame: None,
        reason: reason.to_string(),
    }
}

impl Session for Undecided {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        match self.session() {
            Some(session) => session.initial_keys(id, side),
            None => crypto::ServerConfig::initial_keys(&*self.keys, self.version, id)
                .expect("a session is started in a version that is known"),
        }
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.session()?.handshake_data()
    }

    /// What a [`Shown`] says.
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let decided = self.decided.as_ref()?;
        let chain = decided.session.peer_identity();
        let chain = chain.and_then(|chain| chain.downcast().ok());
        Some(Box::new(Shown {
            chain: chain.map(|chain| *chain).unwrap_or_default(),
            bare: decided.bare,
            ended: self.ends.subscribe(),
        }))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session()?.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.session()?.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.session().is_none_or(Session::is_handshaking)
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        if let Some(decided) = &mut self.decided {
            return decided.session.read_handshake(bytes);
        }
        let Some(decided) = self.hear(bytes)? else {
            return Ok(false);
        };
        let hello = std::mem::take(&mut self.hello);
        self.decided.insert(decided).session.read_handshake(&hello)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session()
            .map_or(Ok(None), Session::transport_parameters)
    }

    fn write_handshake(&mut self, into: &mut Vec<u8>) -> Option<Keys> {
        self.decided.as_mut()?.session.write_handshake(into)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.decided.as_mut()?.session.next_1rtt_keys()
    }

    fn is_valid_retry(&self, id: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session()
            .is_some_and(|session| session.is_valid_retry(id, header, payload))
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        match self.session() {
            Some(session) => session.export_keying_material(output, label, context),
            None => Err(ExportKeyingMaterialError),
        }
    }
}
