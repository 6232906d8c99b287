//! What cannot be used for TLS, and why.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::PublicKey;

/// Why a key, a certificate or a list of what is trusted cannot be used. A cheap clone.
///
/// What the far end shows and is refused for is no such error: that attempt fails, with an
/// [`io::Error`] that says why.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: Arc<io::Error>,
    },
    /// A private key that users beside its owner may read.
    #[error("{}: others may read this private key (mode {mode:o}): `chmod 600` it, or make another if they did", path.display())]
    OthersMayRead {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A private key that is another user's, and not root's.
    #[error("{}: this private key belongs to user {owner}, who may read and change it: `chown` it, or make another", path.display())]
    OthersOwn {
        /// The file.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// What is in a file, or in a text (then without a name), is not what was asked for.
    #[error("{}{fault}", path.as_ref().map_or_else(String::new, |path| format!("{}: ", path.display())))]
    Content {
        /// The file.
        path: Option<PathBuf>,
        /// What is wrong with it.
        fault: String,
    },
    /// A listener has nothing to prove itself with.
    #[error(
        "{endpoint}: to listen in TLS give an identity: .identity(), `[tls] identity` or --identity (`mancom key new FILE` makes one)"
    )]
    NoIdentity {
        /// The endpoint, as given.
        endpoint: String,
    },
    /// An attribute that says nothing where it stands, or nothing that can be read.
    #[error("{endpoint}: `{attribute}` {fault}")]
    Attribute {
        /// The endpoint, as given.
        endpoint: String,
        /// The attribute's name.
        attribute: &'static str,
        /// What is wrong with it.
        fault: Cow<'static, str>,
    },
    /// The name to ask for is none that TLS knows.
    #[error("`{name}` is no name that TLS can ask for: give one as `?name=HOST`")]
    Name {
        /// What was to be asked for.
        name: String,
    },
    /// A key is known already for this far end, and it is another.
    #[error(transparent)]
    Changed(Box<Changed>),
    /// Something that configuration names cannot be used.
    #[error("{at}: {source}")]
    Configured {
        /// File, line, column and key.
        at: String,
        /// What is wrong.
        #[source]
        source: Box<TlsError>,
    },
}

/// A far end that was known by one key shows another.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{}:{line}: {host} was known by the key {known} and now shows {shown}: somebody else answers there, or its key was changed; remove the line if you know that it was", path.display()
)]
#[non_exhaustive]
pub struct Changed {
    /// The list of known far ends.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// The far end.
    pub host: String,
    /// The key it was known by.
    pub known: PublicKey,
    /// The key it shows.
    pub shown: PublicKey,
}

impl TlsError {
    pub(super) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File {
            path: path.into(),
            source: Arc::new(source),
        }
    }

    pub(super) fn content(path: Option<&std::path::Path>, fault: impl ToString) -> Self {
        Self::Content {
            path: path.map(Into::into),
            fault: fault.to_string(),
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::File { source, .. } => source.kind(),
            Self::OthersMayRead { .. } | Self::OthersOwn { .. } => io::ErrorKind::PermissionDenied,
            Self::Content { .. } | Self::Changed(_) => io::ErrorKind::InvalidData,
            Self::NoIdentity { .. } | Self::Name { .. } | Self::Attribute { .. } => {
                io::ErrorKind::InvalidInput
            }
            Self::Configured { source, .. } => source.kind(),
        }
    }
}
