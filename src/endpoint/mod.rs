//! Endpoints: where to connect or listen, as a URI whose query is a list of attributes.
//!
//! ```text
//!  scheme://host[:port[-port]][?attribute[=value]&..]   tcp tls udp multicast quic airhook mc mcs mc+airhook
//!  scheme:/path  or  scheme:///path                     unix mc+unix mcs+unix
//!  scheme:name   or  scheme://name                      channel mem
//! ```
//!
//! | scheme | is | beneath it |
//! | --- | --- | --- |
//! | `mc`, `mcs` | a session, in clear or in TLS | `tcp` |
//! | `mc+X`, `mcs+X` | the same over another transport | `X` |
//! | `mem` | a session in this process | `mem` |
//! | `tls` | a plain stream in TLS | `tcp` |
//! | `mc+quic`, `quic` | a session, a plain stream; QUIC is in TLS by itself | `quic` |
//! | `tcp`, `unix`, .. | a plain transport | itself |
//! | `channel` | a service name of the configuration | |
//!
//! Rules, after RFC 3986 where it applies:
//!
//! - Schemes and host names are compared in lower case, attributes in the order of their names;
//!   what `Display` prints parses back to an equal endpoint.
//! - IPv6 addresses stand in brackets, without a zone: the network decides the link.
//! - Percent-encoding is read in paths, names and the query, and must be UTF-8 without NUL; `+`
//!   is a plus.
//! - A scheme that nobody here knows is no error here: transports are registered at run time. It
//!   may have a host, a port and a path.
//! - A path or port that nothing would use is an error, as are user names and fragments.
//!
//! # Limits
//!
//! 2,048 bytes of text, read or printed, 253 of a host name, 64 attributes.

mod attributes;
mod error;
#[cfg(feature = "test-util")]
pub(crate) mod fuzz;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

pub use attributes::{AttributeError, Attributes};
pub use error::{EndpointError, EndpointFault};

/// Bytes of an endpoint's text.
pub(crate) const MAX_TEXT: usize = 2048;
/// Attributes of one endpoint.
pub(crate) const MAX_ATTRIBUTES: usize = 64;

/// Where to connect or listen, as a URI.
///
/// ```
/// use mancom::Endpoint;
///
/// let at: Endpoint = "tcp://0.0.0.0:7000-7010?nodelay&advertise=photos.example".parse()?;
/// assert_eq!(at.scheme(), "tcp");
/// assert_eq!(at.ports(), Some(7000..=7010));
/// assert!(at.has("nodelay"));
/// assert_eq!(at.attribute("advertise"), Some("photos.example"));
/// # Ok::<(), mancom::EndpointError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    scheme: String,
    place: Place,
    attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Host {
        host: Host,
        ports: Option<(u16, u16)>,
        /// Empty, or from its first slash; only for schemes that nobody here knows.
        path: String,
    },
    Path(String),
    Name(String),
}

/// A name in lower case, or an address as it is printed, and the address itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Host {
    text: String,
    ip: Option<IpAddr>,
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self {
            text: ip.to_string(),
            ip: Some(ip),
        }
    }
}

/// What stands behind a scheme's colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Host,
    Path,
    Name,
    /// A scheme that nobody here knows: whatever is written.
    Any,
}

impl Shape {
    fn of(scheme: &str) -> Self {
        match carrier(scheme) {
            "tcp" | "udp" | "multicast" | "quic" | "airhook" => Shape::Host,
            "unix" => Shape::Path,
            "mem" | "channel" => Shape::Name,
            _ => Shape::Any,
        }
    }
}

/// The transport that a session's scheme names: `unix` of `mc+unix`.
fn beneath(scheme: &str) -> Option<&str> {
    ["mc+", "mcs+"]
        .into_iter()
        .find_map(|prefix| scheme.strip_prefix(prefix))
}

fn carrier(scheme: &str) -> &str {
    match beneath(scheme).unwrap_or(scheme) {
        "mc" | "mcs" | "tls" => "tcp",
        other => other,
    }
}

impl Endpoint {
    /// An address and port of this scheme: `tcp`, `mc`, ..
    ///
    /// # Errors
    ///
    /// If `scheme` is no scheme, or one without addresses.
    pub fn at(scheme: &str, address: SocketAddr) -> Result<Self, EndpointError> {
        let text = format!("{scheme}://{address}");
        let endpoint: Self = text.parse()?;
        if endpoint.ip().is_none() {
            return Err(EndpointError::new(&text, None, EndpointFault::NoAddress));
        }
        Ok(endpoint)
    }

    /// A path of this scheme: `unix`, `mc+unix`, ..
    ///
    /// # Errors
    ///
    /// If `scheme` is no scheme, or one without paths; if the path is not UTF-8, empty or too long.
    pub fn at_path(scheme: &str, path: &Path) -> Result<Self, EndpointError> {
        let fault = |fault| EndpointError::new(&path.to_string_lossy(), None, fault);
        let text = path
            .to_str()
            .ok_or_else(|| fault(EndpointFault::Encoding))?;
        // Two slashes at the start of a path would be read as a host.
        let slashes = if text.starts_with("//") { "//" } else { "" };
        format!("{scheme}:{slashes}{}", Encoded(text, PATH)).parse()
    }

    /// The scheme, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host, a name or an address without brackets.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Host { host, .. } => Some(&host.text),
            _ => None,
        }
    }

    /// The host, where it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.place {
            Place::Host { host, .. } => host.ip,
            _ => None,
        }
    }

    /// The port, where there is exactly one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.ports()
            .filter(|ports| ports.start() == ports.end())
            .map(|ports| *ports.start())
    }

    /// The ports: one, or those of a range to try in order.
    #[must_use]
    pub fn ports(&self) -> Option<RangeInclusive<u16>> {
        match self.place {
            Place::Host {
                ports: Some((first, last)),
                ..
            } => Some(first..=last),
            _ => None,
        }
    }

    /// The address and port, where both are literal and single.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip()?, self.port()?))
    }

    /// The path of a `unix` endpoint, or what follows the host of a scheme unknown here.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(path) => Some(Path::new(path)),
            Place::Host { path, .. } if !path.is_empty() => Some(Path::new(path)),
            _ => None,
        }
    }

    /// The name of a `mem` or `channel` endpoint.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.place {
            Place::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The value of an attribute; empty for one without a value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.text(name)
    }

    /// Whether an attribute is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.attributes.text(name).is_some()
    }

    /// Every attribute and its value, in order of name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter()
    }

    /// Whether it is a session of mancom's rather than a plain transport.
    #[must_use]
    pub fn is_session(&self) -> bool {
        matches!(self.scheme.as_str(), "mc" | "mcs" | "mem") || beneath(&self.scheme).is_some()
    }

    /// Whether it names one place to connect to: a host and one port other than 0.
    pub(crate) fn dialable(&self) -> Result<(), EndpointError> {
        match self.port() {
            Some(port) if port > 0 => Ok(()),
            _ => {
                let scheme = self.scheme.clone();
                Err(EndpointError::new(
                    &self.to_string(),
                    None,
                    EndpointFault::NoPort { scheme },
                ))
            }
        }
    }

    /// Whether it runs in TLS, as whatever travels over QUIC does.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.scheme.as_str(), "mcs" | "tls")
            || self.carrier() == "quic"
            || self.scheme.starts_with("mcs+")
    }

    /// The scheme of the transport beneath: `tcp` for `mc`, `mcs` and `tls`, `unix` for
    /// `mc+unix`, else its own.
    #[must_use]
    pub fn carrier(&self) -> &str {
        carrier(&self.scheme)
    }

    /// Whether it cannot lie beyond this host: a loopback address, `localhost`, a Unix socket.
    /// `mem` depends on the scout, and upper layers decide.
    #[must_use]
    pub fn is_host_scope(&self) -> bool {
        match &self.place {
            Place::Host { host, .. } => match host.ip {
                Some(ip) => ip.to_canonical().is_loopback(),
                None => {
                    let name = host.text.strip_suffix('.').unwrap_or(&host.text);
                    name == "localhost" || name.ends_with(".localhost")
                }
            },
            Place::Path(_) => self.carrier() == "unix",
            Place::Name(_) => false,
        }
    }

    /// The same at another host; an endpoint without a host stays as it is.
    ///
    /// # Errors
    ///
    /// If `host` is neither a name nor an address.
    pub fn with_host(mut self, host: &str) -> Result<Self, EndpointError> {
        if let Place::Host { host: old, .. } = &mut self.place {
            *old = parse::host(host).map_err(|fault| EndpointError::new(host, None, fault))?;
        }
        self.bounded()
    }

    /// The same at another address; an endpoint without a host stays as it is.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        if let Place::Host { host, .. } = &mut self.place {
            *host = ip.into();
        }
        self
    }

    /// The same at one port; an endpoint without a host stays as it is.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        if let Place::Host { ports, .. } = &mut self.place {
            *ports = Some((port, port));
        }
        self
    }

    /// The same with an attribute, in place of one of that name; an empty value makes a flag.
    ///
    /// # Errors
    ///
    /// If the name is empty, a text has a NUL, or there would be too much.
    pub fn with_attribute(mut self, name: &str, value: &str) -> Result<Self, EndpointError> {
        self.attributes.set(name, value)?;
        self.bounded()
    }

    /// The same with these attributes too; where both have one of a name, the new one counts.
    ///
    /// # Errors
    ///
    /// If there would be too much.
    pub fn with_attributes(mut self, more: &Attributes) -> Result<Self, EndpointError> {
        self.attributes.merge(more)?;
        self.bounded()
    }

    /// The attributes, to be read by type.
    #[must_use]
    pub fn typed(&self) -> &Attributes {
        &self.attributes
    }

    /// What is wrong with this endpoint where a stream is wanted and its transport carries datagrams.
    pub(crate) fn of_datagrams(&self) -> EndpointError {
        let scheme = self.scheme.clone();
        EndpointError::new(&self.to_string(), None, EndpointFault::Datagrams { scheme })
    }

    /// What is wrong with this endpoint where one of its attributes is.
    pub(crate) fn misread(&self, error: AttributeError) -> EndpointError {
        EndpointError::new(&self.to_string(), None, error.into())
    }

    /// The same without its attributes, as one endpoint is compared with another.
    #[must_use]
    pub fn without_attributes(mut self) -> Self {
        self.attributes = Attributes::new();
        self
    }

    /// The same without these attributes.
    #[cfg(feature = "tls")]
    pub(crate) fn without(mut self, attributes: &[&str]) -> Self {
        for name in attributes {
            self.attributes.remove(name);
        }
        self
    }

    fn bounded(self) -> Result<Self, EndpointError> {
        let text = self.to_string();
        if text.len() > MAX_TEXT {
            return Err(EndpointError::new(&text, None, EndpointFault::TooLong));
        }
        Ok(self)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse::endpoint(text)
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<&Endpoint> for Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        endpoint.clone()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        match &self.place {
            Place::Host { host, ports, path } => {
                match host.ip {
                    Some(IpAddr::V6(ip)) => write!(f, "//[{ip}]")?,
                    _ => write!(f, "//{}", host.text)?,
                }
                match ports {
                    Some((first, last)) if first == last => write!(f, ":{first}")?,
                    Some((first, last)) => write!(f, ":{first}-{last}")?,
                    None => {}
                }
                write!(f, "{}", Encoded(path, PATH))?;
            }
            // Two slashes at the start of a path would be read as a host.
            Place::Path(path) if path.starts_with("//") => write!(f, "//{}", Encoded(path, PATH))?,
            Place::Path(path) => write!(f, "{}", Encoded(path, PATH))?,
            Place::Name(name) if self.scheme == "channel" => write!(f, "{}", Encoded(name, NAME))?,
            Place::Name(name) => write!(f, "//{}", Encoded(name, NAME))?,
        }
        if !self.attributes.is_empty() {
            write!(f, "?{}", self.attributes)?;
        }
        Ok(())
    }
}

/// What is written as it is, beside letters, digits and `-._~`.
const NAME: &[u8] = b"@";
const PATH: &[u8] = b"/@:+,=!$'()*;";
const VALUE: &[u8] = b"/@:+,=!$'()*;?";

/// A text with all but the plain characters percent-encoded (RFC 3986 section 2.1).
struct Encoded<'a>(&'a str, &'static [u8]);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if plain || self.1.contains(&byte) {
                f.write_char(byte.into())?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
mod serial {
    use std::fmt;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Endpoint;

    /// The text form.
    impl Serialize for Endpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    /// The text form.
    impl<'de> Deserialize<'de> for Endpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl de::Visitor<'_> for Text {
                type Value = Endpoint;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an endpoint such as `mc://photos.example:7000`")
                }

                fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoint, E> {
                    text.parse().map_err(E::custom)
                }
            }
            deserializer.deserialize_str(Text)
        }
    }
}
