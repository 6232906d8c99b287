//! Endpoints: URIs with typed attributes. (A stand-in: the endpoint module replaces this file.)
#![allow(missing_docs, clippy::missing_errors_doc)]
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

/// Where to connect or listen, as a URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: String,
    host: Option<String>,
    ports: Option<(u16, u16)>,
    rest: Option<String>,
    query: Vec<(String, Option<String>)>,
}

/// A text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad endpoint")]
pub struct EndpointError {}

impl Endpoint {
    pub fn scheme(&self) -> &str {
        &self.scheme
    }
    pub fn carrier(&self) -> &str {
        match &*self.scheme {
            "mc" | "mcs" => "tcp",
            other => other,
        }
    }
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.as_deref()?.parse().ok()
    }
    pub fn port(&self) -> Option<u16> {
        self.ports.map(|p| p.0)
    }
    pub fn ports(&self) -> Option<RangeInclusive<u16>> {
        self.ports.map(|(a, b)| a..=b)
    }
    pub fn path(&self) -> Option<&Path> {
        (self.scheme == "unix").then_some(Path::new(self.rest.as_deref()?))
    }
    pub fn name(&self) -> Option<&str> {
        (self.scheme == "mem").then_some(self.rest.as_deref()?)
    }
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, v)| v.as_deref())
    }
    pub fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(n, _)| n == name)
    }
    #[must_use]
    pub fn with_port(&self, port: u16) -> Endpoint {
        Endpoint {
            ports: Some((port, port)),
            ..self.clone()
        }
    }
    #[must_use]
    pub fn with_host(&self, host: &str) -> Endpoint {
        Endpoint {
            host: Some(host.to_owned()),
            ..self.clone()
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once(':').ok_or(EndpointError {})?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let query = query
            .split('&')
            .filter(|t| !t.is_empty())
            .map(|t| match t.split_once('=') {
                Some((n, v)) => (n.to_owned(), Some(v.to_owned())),
                None => (t.to_owned(), None),
            })
            .collect();
        let mut it = Endpoint {
            scheme: scheme.to_owned(),
            host: None,
            ports: None,
            rest: None,
            query,
        };
        if matches!(scheme, "mem" | "unix") {
            it.rest = Some(rest.to_owned());
            return Ok(it);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((h, p)) if !p.contains(']') => (h, p),
            _ => (rest, ""),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        it.host = (!host.is_empty()).then(|| host.to_owned());
        if !port.is_empty() {
            let (a, b) = port.split_once('-').unwrap_or((port, port));
            let one = |t: &str| t.parse().map_err(|_| EndpointError {});
            it.ports = Some((one(a)?, one(b)?));
        }
        Ok(it)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.scheme {
            "unix" => write!(f, "unix:")?,
            other => write!(f, "{other}://")?,
        }
        if let Some(rest) = &self.rest {
            write!(f, "{rest}")?;
        }
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            Some(host) => write!(f, "{host}")?,
            None => {}
        }
        match self.ports {
            Some((a, b)) if a == b => write!(f, ":{a}")?,
            Some((a, b)) => write!(f, ":{a}-{b}")?,
            None => {}
        }
        for (i, (n, v)) in self.query.iter().enumerate() {
            write!(f, "{}{n}", if i == 0 { '?' } else { '&' })?;
            if let Some(v) = v {
                write!(f, "={v}")?;
            }
        }
        Ok(())
    }
}
