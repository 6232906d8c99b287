//! TLS beneath sessions and plain streams: who gets in, who does not, and how each refusal reads.

mod attacks;
mod files;
mod one_flight;
mod plain;
mod refusals;
mod sessions;

use std::fs;
use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use mancom::{Connect, Identity, Listener, Manager, McStream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::raw::{ask, echo, soon};

/// An authority of a test, its certificates, and a folder for them.
pub(super) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// The file of its own certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A key and a certificate of this authority for a name, which may be changed before it is signed.
    pub(super) fn certify(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        Identity::from_pem(&self.pem(name, change)).unwrap()
    }

    /// The same as text.
    pub(super) fn pem(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        format!("{}{}", key.serialize_pem(), certificate.pem())
    }
}

pub(super) fn key() -> Identity {
    Identity::generate().unwrap()
}

/// Listens with an identity and sends back whatever comes.
pub(super) async fn echoing(manager: &Manager, identity: &Identity) -> String {
    let listen = manager.listen("mcs://127.0.0.1:0").identity(identity);
    contact(soon(listen.into_future()).await.unwrap())
}

pub(super) fn contact(listener: Listener) -> String {
    let at = listener.contact().to_string();
    echo(listener);
    at
}

/// Why a connect failed, in one line.
pub(super) async fn refused(connect: Connect) -> String {
    soon(connect.into_future()).await.unwrap_err().to_string()
}

/// It carries bytes.
pub(super) async fn works(stream: &mut McStream) {
    ask(stream, b"across").await;
}
