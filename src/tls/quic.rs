//! The same keys and the same trust for QUIC, which carries the messages of TLS 1.3 itself (RFC 9001).

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, ClientConfig, Error, PeerIncompatible, ServerConfig};

use super::explain::explained;
use super::link::{Channel, EXPORTER};
use super::{Dialling, Listening};

/// What the proofs of a session's handshake cover: the same as over TCP.
pub(crate) fn exporter(export: impl FnOnce(&mut [u8], &[u8]) -> Option<()>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 32];
    let exported = export(&mut bytes, EXPORTER);
    let failed = || io::Error::other("QUIC: nothing to bind the session to");
    exported.map(|()| bytes).ok_or_else(failed)
}

/// The far end refused the handshake, and said so with this alert.
pub(crate) fn alerted(alert: u8) -> io::Error {
    told(Error::AlertReceived(AlertDescription::from(alert)))
}

fn told(error: Error) -> io::Error {
    explained(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The error with this text: one of those that a verifier had, or one that rustls has by itself.
fn refusal(had: Vec<Error>, text: &str) -> io::Error {
    let others = [
        PeerIncompatible::IncorrectCertificateTypeExtension.into(),
        Error::NoCertificatesPresented,
        Error::NoApplicationProtocol,
    ];
    let mut known = had.into_iter().chain(others);
    let same = known.find(|error| error.to_string() == text);
    told(same.unwrap_or_else(|| Error::General(text.to_owned())))
}

impl Dialling {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The name to ask for.
    pub(crate) fn name(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// What a connection is whose far end showed this.
    ///
    /// # Errors
    /// The key that it was known by could not be written down.
    pub(crate) async fn channel(
        &self,
        chain: &[CertificateDer<'_>],
        exporter: Vec<u8>,
    ) -> io::Result<Channel> {
        let channel = Channel::secured(chain.first(), (self.bare, self.proves()), exporter)?;
        self.learn(&channel).await?;
        Ok(channel)
    }

    /// Why this end refused the handshake, of which QUIC tells the text alone.
    pub(crate) fn refusal(&self, text: &str) -> io::Error {
        refusal(self.verifier.refused.lately(), text)
    }
}

impl Listening {
    /// One of the four: what they have in common is asked of it.
    pub(crate) fn any(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.bare[0])
    }

    /// Why this end refused a handshake, of which QUIC tells the text alone.
    pub(crate) fn refusal(&self, text: &str) -> io::Error {
        refusal(self.refused.lately(), text)
    }

    /// What a connection is whose dialler showed this.
    pub(crate) fn channel(
        chain: &[CertificateDer<'_>],
        bare: bool,
        exporter: Vec<u8>,
    ) -> io::Result<Channel> {
        Channel::secured(chain.first(), (bare, true), exporter)
    }
}
