//! `[tls]`: who this host is, and whom it believes.

use std::path::PathBuf;

#[cfg(feature = "config")]
use super::tree::Entry;
use crate::tls::{Defaults, Kept, PublicKey, Trust};

/// What is written there. Files are read when they are needed: another user's commands need not be able to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Written {
    /// And where it says so.
    identity: Option<(PathBuf, String)>,
    certificate: Option<PathBuf>,
    ca: Vec<PathBuf>,
    pins: Vec<PublicKey>,
    client_ca: Vec<PathBuf>,
    clients: Vec<PublicKey>,
    require_client: Option<bool>,
}

#[cfg(feature = "config")]
pub(super) const TLS: [&str; 7] = [
    "identity",
    "certificate",
    "ca",
    "pins",
    "client_ca",
    "clients",
    "require_client",
];

impl Written {
    #[cfg(feature = "config")]
    pub(super) fn read(&mut self, section: &Entry<'_>) {
        let entries = section.table();
        for entry in &entries {
            match entry.known(&TLS) {
                Some("identity") => {
                    let at = entry.placed();
                    let at = format!("{}:{}:{}: {}", at.file, at.line, at.column, at.field);
                    self.identity = entry.path().map(|path| (path, at));
                }
                Some("certificate") => {
                    self.certificate = entry.path();
                    section.needs("identity", &entries);
                }
                Some("ca") => self.ca = entry.path().into_iter().collect(),
                Some("pins") => self.pins = keys(entry),
                Some("client_ca") => self.client_ca = entry.path().into_iter().collect(),
                Some("clients") => self.clients = keys(entry),
                Some(_) => self.require_client = entry.boolean(),
                None => {}
            }
        }
    }

    /// This one where `above` says nothing. A certificate goes with its key, and of each side whom to
    /// believe is said by one layer as a whole.
    #[cfg(feature = "config")]
    pub(super) fn under(self, above: Self) -> Self {
        let own = above.identity.is_none();
        let listeners = above.ca.is_empty() && above.pins.is_empty();
        let diallers = above.client_ca.is_empty() && above.clients.is_empty();
        let (identity, certificate) = match own {
            true => (self.identity, self.certificate),
            false => (above.identity, above.certificate),
        };
        let (ca, pins) = match listeners {
            true => (self.ca, self.pins),
            false => (above.ca, above.pins),
        };
        let (client_ca, clients) = match diallers {
            true => (self.client_ca, self.clients),
            false => (above.client_ca, above.clients),
        };
        Self {
            identity,
            certificate,
            ca,
            pins,
            client_ca,
            clients,
            require_client: above.require_client.or(self.require_client),
        }
    }

    /// What is said here where `given`, in code, says nothing.
    pub(super) fn beneath(&self, given: &Defaults) -> Defaults {
        let identity = self.identity.as_ref().map(|(key, at)| Kept::File {
            key: key.clone(),
            certificate: self.certificate.clone(),
            at: at.clone(),
        });
        let trust = |given: &Trust, authorities: &[PathBuf], pins: &[PublicKey]| {
            if !given.is_unsaid() {
                return given.clone();
            }
            Trust {
                pins: pins.to_vec(),
                authorities: authorities.to_vec(),
                first_use: None,
                required: given.required,
            }
        };
        let mut diallers = trust(&given.diallers, &self.client_ca, &self.clients);
        diallers.required |= self.require_client == Some(true);
        Defaults {
            identity: given.identity.clone().or(identity),
            listeners: trust(&given.listeners, &self.ca, &self.pins),
            diallers,
        }
    }
}

#[cfg(feature = "config")]
fn keys(entry: &Entry<'_>) -> Vec<PublicKey> {
    let keys = entry.list();
    if keys.is_empty() && entry.is_array() {
        entry.fault("there is no key: name one, or leave it out");
    }
    let keys = keys
        .iter()
        .filter_map(|key| key.tried(str::parse::<PublicKey>));
    keys.filter_map(|text| text.parse().ok()).collect()
}
