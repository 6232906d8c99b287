//! Private keys: made, kept in files, read from them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use super::files::{read_file, read_private, write_new};
use super::key::{STANDARD, encode};
use super::{PublicKey, TlsError};

/// Before the 32 bytes of a private Ed25519 key in PKCS#8 (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Bytes of certificates that are shown at most. A far end takes 64 KiB in one flight, and in each of the
/// two tickets that a listener sends in one is the dialler's chain.
const LONGEST: usize = 30_000;

/// What proves who this end is: a private key, and the certificates for it if it has some. A cheap clone;
/// `Debug` shows the public key alone.
///
/// ```
/// use mancom::Identity;
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("key.pem");
/// let made = Identity::create(&file)?;             // as `mancom key new FILE` does
/// let read = Identity::from_file(&file)?;
/// assert_eq!(made.public_key(), read.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Identity(Arc<Held>);

struct Held {
    key: Arc<dyn SigningKey>,
    /// The key's SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
    /// The end's own certificate and those above it; none of a bare key.
    chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("key", &self.public_key())
            .field("certificates", &self.0.chain.len())
            .finish()
    }
}

impl Identity {
    /// Makes an Ed25519 key that lives as long as this value and its clones.
    ///
    /// # Errors
    ///
    /// If the system has no entropy.
    pub fn generate() -> Result<Self, TlsError> {
        Ok(Self::fresh()?.0)
    }

    /// Makes an Ed25519 key and keeps it in a new file, in PEM (PKCS#8), which its owner alone may read.
    ///
    /// # Errors
    ///
    /// [`TlsError::File`] if there is a file already (it is not touched), or if none can be made there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        let (identity, pem) = Self::fresh()?;
        write_new(path, pem.as_bytes()).map_err(|error| TlsError::file(path, error))?;
        Ok(identity)
    }

    /// Reads a private key in PEM (PKCS#8, PKCS#1 or SEC1; Ed25519, ECDSA or RSA), and with it the
    /// certificates that stand in the same file, the end's own first.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, that is another user's (but for root's), that users beside its owner
    /// may read, or in which there is no such key; a certificate that is not for this key, or over
    /// 30,000 bytes of them.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        let text = read_private(path)?;
        Self::read(&text, &text, Some(path), Some(path))
    }

    /// Reads a private key as [`from_file`](Self::from_file) does, and its certificates from a file of
    /// their own, the end's own first.
    ///
    /// # Errors
    ///
    /// As of [`from_file`](Self::from_file), and if there is no certificate.
    pub fn from_files(key: impl AsRef<Path>, chain: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (key, chain) = (key.as_ref(), chain.as_ref());
        let text = read_private(key)?;
        let certificates = read_file(chain)?;
        let identity = Self::read(&text, &certificates, Some(key), Some(chain))?;
        match identity.0.chain.is_empty() {
            true => Err(TlsError::content(
                Some(chain),
                "there is no certificate in PEM",
            )),
            false => Ok(identity),
        }
    }

    /// Reads a private key in PEM, and the certificates in the same text.
    ///
    /// # Errors
    ///
    /// [`TlsError::Content`] if there is no key, or a certificate that is not for it.
    pub fn from_pem(text: &str) -> Result<Self, TlsError> {
        Self::read(text.as_bytes(), text.as_bytes(), None, None)
    }

    /// What others know this end by.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(&self.0.spki)
    }

    fn fresh() -> Result<(Self, Zeroizing<String>), TlsError> {
        let mut der = Zeroizing::new([0; 48]);
        der[..16].copy_from_slice(&PKCS8_ED25519);
        let drawn = getrandom::fill(&mut der[16..]);
        drawn.map_err(|error| TlsError::content(None, format!("no entropy: {error}")))?;
        let body = Zeroizing::new(encode(der.as_slice(), STANDARD));
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            *body
        );
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der.as_slice()));
        let identity =
            Self::of(&key, Vec::new()).map_err(|fault| TlsError::content(None, fault))?;
        Ok((identity, Zeroizing::new(pem)))
    }

    fn read(
        key: &[u8],
        chain: &[u8],
        key_file: Option<&Path>,
        chain_file: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let der = private_key(key).map_err(|fault| TlsError::content(key_file, fault))?;
        let chain = certificates(chain, chain_file)?;
        let long: usize = chain.iter().map(|certificate| certificate.len() + 5).sum();
        if long > LONGEST {
            let fault = format!(
                "{} certificates of {long} bytes: a far end takes no more than {LONGEST}",
                chain.len()
            );
            return Err(TlsError::content(chain_file, fault));
        }
        Self::of(&der, chain).map_err(|fault| TlsError::content(key_file, fault))
    }

    pub(super) fn of(
        der: &PrivateKeyDer<'_>,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        let key = any_supported_type(der)
            .map_err(|_| "a private key that is neither Ed25519 nor ECDSA nor RSA".to_owned())?;
        let spki = key
            .public_key()
            .ok_or_else(|| "a private key that does not tell its public one".to_owned())?
            .as_ref()
            .to_vec();
        if let Some(own) = chain.first() {
            let certificate = rustls::server::ParsedCertificate::try_from(own)
                .map_err(|error| format!("its certificate cannot be read: {error}"))?;
            if certificate.subject_public_key_info().as_ref() != spki {
                return Err("the first certificate is for another key".to_owned());
            }
        }
        Ok(Self(Arc::new(Held { key, spki, chain })))
    }

    /// Whether it has a certificate.
    pub(super) fn is_certified(&self) -> bool {
        !self.0.chain.is_empty()
    }

    /// With its certificates.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        let key = Arc::clone(&self.0.key);
        Arc::new(CertifiedKey::new(self.0.chain.clone(), key))
    }

    /// As a bare key (RFC 7250): what stands where a certificate would is the key.
    pub(super) fn bare(&self) -> Arc<CertifiedKey> {
        let key = Arc::clone(&self.0.key);
        let spki = CertificateDer::from(self.0.spki.clone());
        Arc::new(CertifiedKey::new(vec![spki], key))
    }
}

/// The private key in a text, wiped when it goes.
fn private_key(text: &[u8]) -> Result<Zeroizing<PrivateKeyDer<'static>>, String> {
    let has = |part: &[u8]| text.windows(part.len()).any(|found| found == part);
    let read = PrivateKeyDer::from_pem_slice(text).map(Zeroizing::new);
    read.map_err(|error| match error {
        _ if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => {
            "the private key is encrypted, and nobody is asked for its passphrase here \
             (`openssl pkey -in FILE` writes it in clear)"
                .to_owned()
        }
        rustls::pki_types::pem::Error::NoItemsFound => {
            "there is no private key in PEM (as `mancom key new` makes it)".to_owned()
        }
        error => format!("no private key in PEM: {error}"),
    })
}

/// The certificates in a text.
pub(super) fn certificates(
    text: &[u8],
    path: Option<&Path>,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::content(path, format!("no certificates in PEM: {error}")))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroize;

    use super::*;

    #[test]
    fn a_private_key_is_wiped_in_each_form_in_which_it_is_held() {
        let (_, pem) = Identity::fresh().expect("entropy");
        let mut pem: Zeroizing<String> = pem;
        let mut der: Zeroizing<PrivateKeyDer<'static>> =
            private_key(pem.as_bytes()).expect("as it was made");
        assert_eq!(der.secret_der().len(), 48);
        der.zeroize();
        pem.zeroize();
        assert!(der.secret_der().is_empty() && pem.is_empty());
    }
}
