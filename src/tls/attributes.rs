//! The attributes of secure endpoints, and which of them say nothing where they stand.

use super::TlsError;
use crate::endpoint::Endpoint;

/// Those that are not of the endpoint's transport.
pub(crate) const ATTRIBUTES: [&str; 4] = ["alpn", "bare", "name", "pin"];

/// Refuses those that would be taken and not heeded; a `listener` has fewer than a dialler.
pub(super) fn check(endpoint: &Endpoint, listener: bool) -> Result<(), TlsError> {
    for attribute in ATTRIBUTES.into_iter().filter(|name| endpoint.has(name)) {
        let fault = match attribute {
            "alpn" if endpoint.is_session() => {
                "is of tls:// and quic://: sessions have a protocol of their own"
            }
            "bare" if endpoint.is_session() => {
                "is of tls:// and quic://: sessions ask for a bare key where only keys are trusted"
            }
            "bare" | "name" if listener => {
                "is for who dials: a listener shows what its identity has"
            }
            "bare" if endpoint.typed().flag(attribute).is_err() => "is yes or no",
            _ => continue,
        };
        return Err(TlsError::Attribute {
            endpoint: endpoint.to_string(),
            attribute,
            fault: fault.into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_is_taken_where_it_says_something_and_nowhere_else() {
        // Of a dialler and of a listener.
        for (endpoint, taken) in [
            ("tls://a:1?alpn=h2", [true, true]),
            ("tls://a:1?bare", [true, false]),
            ("tls://a:1?bare=no", [true, false]),
            ("tls://a:1?bare=maybe", [false, false]),
            ("tls://a:1?name=b", [true, false]),
            ("tls://a:1?pin=x", [true, true]),
            ("mcs://a:1?alpn=h2", [false, false]),
            ("mcs://a:1?bare", [false, false]),
            ("mcs://a:1?name=b", [true, false]),
            ("mcs://a:1?pin=x", [true, true]),
            ("mcs+unix:///a?name=b", [true, false]),
            ("mcs://a:1?pin=x&alpn=h2", [false, false]),
            ("quic://a:1?alpn=h2", [true, true]),
            ("quic://a:1?bare", [true, false]),
            ("mc+quic://a:1?alpn=h2", [false, false]),
            ("mc+quic://a:1?bare", [false, false]),
        ] {
            let parsed: Endpoint = endpoint.parse().expect("an endpoint");
            for (listener, taken) in [false, true].into_iter().zip(taken) {
                let checked = check(&parsed, listener);
                assert_eq!(checked.is_ok(), taken, "{endpoint} {listener} {checked:?}");
            }
        }
    }
}
