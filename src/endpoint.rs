//! Endpoints: URIs with typed attributes.

/// Where to connect or listen, as a URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: String,
}

/// A text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad endpoint")]
pub struct EndpointError {}

#[allow(missing_docs)]
impl Endpoint {
    pub fn scheme(&self) -> &str {
        &self.scheme
    }
}
impl From<std::convert::Infallible> for EndpointError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;
    fn try_from(text: &str) -> Result<Self, EndpointError> {
        let (scheme, _) = text.split_once(':').ok_or(EndpointError {})?;
        Ok(Endpoint {
            scheme: scheme.into(),
        })
    }
}
