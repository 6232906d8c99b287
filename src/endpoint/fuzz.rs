//! Any text as an endpoint, as attributes, as a path and as a host.

use std::path::Path;

use super::{Attributes, Endpoint, EndpointError, MAX_TEXT};

/// Reads a text every way there is; what is printed of an endpoint is the endpoint.
///
/// # Panics
/// If that does not hold.
pub(crate) fn endpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            reads_back(&endpoint);
            changed(&endpoint);
        }
        Err(error) => told(text, &error),
    }
    for read in [text.parse(), Attributes::from_list(text)] {
        match read {
            Ok(attributes) => attributes_read_back(&attributes),
            Err(error) => told(text, &error),
        }
    }
    for scheme in ["unix", "mc+unix", "serial"] {
        if let Ok(at) = Endpoint::at_path(scheme, Path::new(text)) {
            assert_eq!(at.path(), Some(Path::new(text)));
            reads_back(&at);
        }
    }
}

fn reads_back(endpoint: &Endpoint) {
    let printed = endpoint.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(endpoint), "of `{printed}`");
    assert_eq!(endpoint.attributes().count(), endpoint.typed().len());
    if let Some(at) = endpoint.socket_addr() {
        assert_eq!(Some(at.ip()), endpoint.ip());
        assert_eq!(Some(at.port()), endpoint.port());
    }
}

/// The same with something else in it.
fn changed(endpoint: &Endpoint) {
    reads_back(&endpoint.clone().without_attributes());
    if let Ok(same) = endpoint.clone().with_host(endpoint.host().unwrap_or("h")) {
        assert_eq!(&same, endpoint);
    }
    for more in [
        endpoint.clone().with_attribute("advertise", "a=b&c,ä"),
        endpoint.clone().with_host("2001:db8::7"),
        Ok(endpoint.clone().with_port(7000)),
    ]
    .into_iter()
    .flatten()
    {
        // A port may make it longer than what is read.
        if more.to_string().len() <= MAX_TEXT {
            reads_back(&more);
        }
    }
}

fn attributes_read_back(attributes: &Attributes) {
    let printed = attributes.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(attributes), "of `{printed}`");
}

/// A fault has a place in the text and words for it.
fn told(text: &str, error: &EndpointError) {
    let columns = text.chars().count() + 1;
    let inside = |column| (1..=columns).contains(&column);
    assert!(error.column().is_none_or(inside), "{error:?}");
    assert!(!error.to_string().is_empty());
}
