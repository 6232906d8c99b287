//! What was asked of TLS: by the builder, by the manager, by the configuration.

use std::path::PathBuf;

use super::trust::Trust;
use super::{Identity, KeyError, TlsError};
use crate::endpoint::Endpoint;

/// What one `connect` or `listen` asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) identity: Option<Identity>,
    pub(crate) trust: Trust,
}

/// Where the identity of a manager is.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Given(Identity),
    /// Read when it is first needed: other commands of the host need not be able to.
    File {
        key: PathBuf,
        certificate: Option<PathBuf>,
        /// Where the configuration says so.
        at: String,
    },
}

/// What a manager starts from: what its builder and its configuration say.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    pub(crate) identity: Option<Kept>,
    /// Whom diallers believe.
    pub(crate) listeners: Trust,
    /// Whom listeners let in.
    pub(crate) diallers: Trust,
}

impl Defaults {
    fn identity(&self) -> Result<Option<Identity>, TlsError> {
        let read = match &self.identity {
            None => return Ok(None),
            Some(Kept::Given(identity)) => return Ok(Some(identity.clone())),
            Some(Kept::File {
                key,
                certificate,
                at,
            }) => {
                let read = match certificate {
                    Some(certificate) => Identity::from_files(key, certificate),
                    None => Identity::from_file(key),
                };
                read.map_err(|source| TlsError::Configured {
                    at: at.clone(),
                    source: Box::new(source),
                })
            }
        };
        read.map(Some)
    }
}

impl Wish {
    /// With the defaults where nothing is said: of whom to trust all or nothing is.
    pub(super) fn over(
        self,
        defaults: &Defaults,
        trust: &Trust,
        endpoint: &Endpoint,
    ) -> Result<Self, TlsError> {
        let identity = match self.identity {
            Some(identity) => Some(identity),
            None => defaults.identity()?,
        };
        let required = self.trust.required || trust.required;
        let mut said = self.trust;
        for pin in endpoint
            .attribute("pin")
            .into_iter()
            .flat_map(|pins| pins.split(','))
        {
            let pin = pin.parse().map_err(|error: KeyError| TlsError::Attribute {
                endpoint: endpoint.to_string(),
                attribute: "pin",
                fault: format!("has a key that cannot be read: {error}").into(),
            });
            said.pins.push(pin?);
        }
        let trust = if said.is_unsaid() {
            trust.clone()
        } else {
            said
        };
        Ok(Self {
            identity,
            trust: Trust { required, ..trust },
        })
    }
}
