//! Whom this end believes to be who they say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::explain::worded;
use super::files::read_file;
use super::identity::certificates;
use super::{PublicKey, TlsError};

/// What the far end has to show. Whatever is given counts, any of it suffices, and what is not given is
/// not trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Keys, bare or in a certificate, which then is not looked at otherwise.
    pub(crate) pins: Vec<PublicKey>,
    /// Files of the certificates of authorities.
    pub(crate) authorities: Vec<PathBuf>,
    /// The list of keys that far ends showed at first.
    pub(crate) first_use: Option<PathBuf>,
    /// Whoever it is, it has to prove a key.
    pub(crate) required: bool,
}

impl Trust {
    /// Whether nothing is said of whom to trust.
    pub(crate) fn is_unsaid(&self) -> bool {
        self.pins.is_empty() && self.authorities.is_empty() && self.first_use.is_none()
    }

    /// Whether one of these keys is pinned.
    pub(super) fn pins(&self, key: &PublicKey) -> bool {
        self.pins.iter().any(|pin| pin.is_same(key))
    }

    /// The authorities of the files given.
    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        for path in &self.authorities {
            let found = certificates(&read_file(path)?, Some(path))?;
            if found.is_empty() {
                let fault = "there is no certificate in PEM";
                return Err(TlsError::content(Some(path), fault));
            }
            for certificate in found {
                add(&mut store, certificate, path)?;
            }
        }
        Ok(store)
    }
}

fn add(
    store: &mut RootCertStore,
    certificate: CertificateDer<'static>,
    path: &Path,
) -> Result<(), TlsError> {
    store.add(certificate).map_err(|error| {
        let error = worded(&error.to_string());
        let fault = format!("a certificate that is none of an authority: {error}");
        TlsError::content(Some(path), fault)
    })
}

/// What the host trusts; read once a process.
pub(super) fn host_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(target: "mancom::transport", %error, "a certificate of this host's store");
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        Arc::new(store)
    };
    Arc::clone(ROOTS.get_or_init(read))
}
