//! The judgement of what a far end shows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::known::Known;
use super::trust::{Trust, host_roots};
use super::{PublicKey, TlsError};

/// The key that a far end shows, bare or in a certificate.
pub(super) fn spki(shown: &CertificateDer<'_>, bare: bool) -> Result<Vec<u8>, Error> {
    if bare {
        return Ok(shown.to_vec());
    }
    let certificate = ParsedCertificate::try_from(shown)?;
    Ok(certificate.subject_public_key_info().as_ref().to_vec())
}

/// Why a key is not believed, though it is what it says.
#[derive(Debug)]
pub(super) enum Stranger {
    /// None of those pinned.
    Pins(PublicKey),
    /// Nothing but authorities is trusted, and it is bare.
    Bare(PublicKey),
    /// Another was known.
    Changed(TlsError),
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pins(key) => write!(
                f,
                "the far end shows the key {key}, which is none of those pinned (.pin(), --pin)"
            ),
            Self::Bare(key) => write!(
                f,
                "the far end shows the bare key {key} and no certificate: pin the key (.pin(), --pin)"
            ),
            Self::Changed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stranger {}

impl From<Stranger> for Error {
    fn from(stranger: Stranger) -> Self {
        let other = OtherError(Arc::new(stranger));
        Error::InvalidCertificate(CertificateError::Other(other))
    }
}

/// What both directions have in common: how signatures are checked, and whether keys are bare.
#[derive(Debug)]
struct Signatures {
    algorithms: WebPkiSupportedAlgorithms,
    bare: bool,
}

impl Signatures {
    fn check12(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, dss, &self.algorithms)
    }

    fn check13(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.bare {
            let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
            return verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms);
        }
        verify_tls13_signature(message, shown, dss, &self.algorithms)
    }
}

/// Errors that are kept.
const KEPT: usize = 8;

/// Why the last were refused: QUIC tells the text alone, and not whose it is.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<VecDeque<Error>>);

impl Refused {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, error: &Error) {
        let mut kept = self.kept();
        kept.truncate(KEPT - 1);
        kept.push_front(error.clone());
    }

    #[cfg(feature = "quic")]
    pub(super) fn lately(&self) -> Vec<Error> {
        self.kept().iter().cloned().collect()
    }
}

/// The part of both verifiers that is the same.
macro_rules! forward_to_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.signatures.check12(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.signatures.check13(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.signatures.algorithms.supported_schemes()
        }

        fn requires_raw_public_keys(&self) -> bool {
            self.signatures.bare
        }
    };
}

/// Judges listeners.
#[derive(Debug)]
pub(super) struct OfListeners {
    signatures: Signatures,
    trust: Trust,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// What was known of this far end; `Some(None)` if nothing was.
    known: Option<Known>,
    pub(super) refused: Refused,
}

impl OfListeners {
    pub(super) fn new(
        trust: Trust,
        known: Option<Known>,
        bare: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let roots: Option<Arc<RootCertStore>> = match () {
            () if trust.is_unsaid() => Some(host_roots()),
            () if trust.authorities.is_empty() => None,
            () => Some(Arc::new(trust.roots()?)),
        };
        // An empty store has no verifier: nobody is trusted then.
        let authorities = roots.filter(|roots| !roots.is_empty()).map(|roots| {
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()
        });
        let authorities = authorities.transpose();
        Ok(Self {
            signatures: Signatures {
                algorithms: provider.signature_verification_algorithms,
                bare,
            },
            authorities: authorities.map_err(|error| TlsError::content(None, error))?,
            trust,
            known,
            refused: Refused::default(),
        })
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = PublicKey::of(&spki(end_entity, self.signatures.bare)?);
        if self.trust.pins(&key) {
            return Ok(ServerCertVerified::assertion());
        }
        if let Some(known) = &self.known {
            match known.judge(&key) {
                Ok(()) => return Ok(ServerCertVerified::assertion()),
                Err(changed) => return Err(Stranger::Changed(changed).into()),
            }
        }
        match &self.authorities {
            Some(_) if self.signatures.bare => Err(Stranger::Bare(key).into()),
            Some(authorities) => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None if self.trust.pins.is_empty() => {
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
            }
            None => Err(Stranger::Pins(key).into()),
        }
    }
}

impl ServerCertVerifier for OfListeners {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates, server_name, ocsp_response, now)
            .inspect_err(|error| self.refused.note(error))
    }

    forward_to_signatures!();
}

/// Judges diallers.
#[derive(Debug)]
pub(super) struct OfDiallers {
    signatures: Signatures,
    trust: Trust,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// By all of its listener.
    refused: Arc<Refused>,
}

impl OfDiallers {
    pub(super) fn new(
        trust: &Trust,
        bare: bool,
        refused: &Arc<Refused>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let authorities = match trust.authorities.is_empty() {
            true => None,
            false => {
                let roots = Arc::new(trust.roots()?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
                let verifier = verifier.build();
                Some(verifier.map_err(|error| TlsError::content(None, error))?)
            }
        };
        Ok(Self {
            signatures: Signatures {
                algorithms: provider.signature_verification_algorithms,
                bare,
            },
            trust: trust.clone(),
            authorities,
            refused: Arc::clone(refused),
        })
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = PublicKey::of(&spki(end_entity, self.signatures.bare)?);
        // Without a word of whom to trust, a key is a name, and the program decides.
        if self.trust.is_unsaid() || self.trust.pins(&key) {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.authorities {
            Some(_) if self.signatures.bare => Err(Stranger::Bare(key).into()),
            Some(authorities) => authorities.verify_client_cert(end_entity, intermediates, now),
            None => Err(Stranger::Pins(key).into()),
        }
    }
}

impl ClientCertVerifier for OfDiallers {
    fn client_auth_mandatory(&self) -> bool {
        self.trust.required || !self.trust.is_unsaid()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A dialler whose key is pinned may have a certificate of anybody.
        match &self.authorities {
            Some(authorities) if self.trust.pins.is_empty() => authorities.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now)
            .inspect_err(|error| self.refused.note(error))
    }

    forward_to_signatures!();
}
