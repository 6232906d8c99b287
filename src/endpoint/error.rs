//! What can be wrong with an endpoint, and where.

use std::convert::Infallible;

use super::{AttributeError, MAX_ATTRIBUTES, MAX_TEXT};

/// A text that is no endpoint: the text, the place and the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`{}: {fault}", place(*column))]
pub struct EndpointError {
    text: String,
    column: Option<usize>,
    fault: EndpointFault,
}

impl EndpointError {
    pub(super) fn new(text: &str, column: Option<usize>, fault: EndpointFault) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            column,
            fault,
        }
    }

    /// Where in the text, in characters from 1; `None` if it was put together rather than read.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &EndpointFault {
        &self.fault
    }
}

fn place(column: Option<usize>) -> String {
    column.map_or_else(String::new, |column| format!(", column {column}"))
}

/// What is wrong with the text of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointFault {
    /// No `scheme:` at its start.
    #[error("an endpoint starts with its scheme, as in tcp://host:port")]
    NoScheme,
    /// Longer than any endpoint.
    #[error("longer than {MAX_TEXT} bytes")]
    TooLong,
    /// Nothing where the host should be.
    #[error("the host is missing")]
    NoHost,
    /// A session over what is no transport: another session, or TLS.
    #[error(
        "{scheme} names no transport for the session: mcs:// is one in TLS over TCP, mcs+unix: over a Unix socket"
    )]
    Layers {
        /// The scheme.
        scheme: String,
    },
    /// A scheme with a host, without `//`.
    #[error("{scheme} is followed by `//` and a host")]
    NoSlashes {
        /// The scheme.
        scheme: String,
    },
    /// A host before the path of a scheme that has none.
    #[error("{scheme} has a path and no host: {scheme}:/path or {scheme}:///path")]
    HostBeforePath {
        /// The scheme.
        scheme: String,
    },
    /// Neither a name nor an address.
    #[error("`{0}` is neither a host name nor an address")]
    Host(String),
    /// An address given to a scheme without addresses.
    #[error("the scheme has no addresses")]
    NoAddress,
    /// An IPv6 zone.
    #[error("an address has no zone here: the network decides the link")]
    Zone,
    /// No port number, or no range of them.
    #[error("`{0}` is neither a port (0 to 65535) nor a range such as 7000-7010")]
    Port(String),
    /// No port, port 0 or a range of them, where one is to be connected to.
    #[error("to connect, name one port, as in {scheme}://host:7000")]
    NoPort {
        /// The scheme.
        scheme: String,
    },
    /// Datagrams, where a stream is asked for.
    #[error(
        "{scheme} carries datagrams, and a stream needs bytes in order: mc+airhook:// has both"
    )]
    Datagrams {
        /// The scheme.
        scheme: String,
    },
    /// A path that nothing would use.
    #[error("{scheme} has no path")]
    Path {
        /// The scheme.
        scheme: String,
    },
    /// Nothing where the path should be.
    #[error("the path is missing")]
    NoPath,
    /// Nothing where the name should be, or a slash in it.
    #[error("{scheme} is followed by a name without slashes")]
    Name {
        /// The scheme.
        scheme: String,
    },
    /// `user@`.
    #[error("an endpoint has no user name")]
    User,
    /// `#fragment`.
    #[error("an endpoint has no fragment; write # as %23")]
    Fragment,
    /// A blank or control character.
    #[error("a blank or control character must be percent-encoded")]
    Blank,
    /// A percent sign without two hexadecimal digits, or what is not UTF-8 or has a NUL.
    #[error("not a percent-encoding of UTF-8 without NUL")]
    Encoding,
    /// `?=value` or `&&`.
    #[error("an attribute without a name")]
    NoAttributeName,
    /// An attribute twice.
    #[error("the attribute `{0}` is said twice")]
    Repeated(String),
    /// An attribute whose value is not of its kind.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// More attributes than anything needs.
    #[error("more than {MAX_ATTRIBUTES} attributes")]
    TooManyAttributes,
}

impl From<Infallible> for EndpointError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
