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
