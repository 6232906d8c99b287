//! Where traffic goes, as `mancom why --to` takes it: an endpoint, or a host with or without a port.

use crate::exit::{Exit, Failure};
use crate::output::say;
use mancom::label::matching::Destination;
use mancom::transport::Registry;
use mancom::{Endpoint, Error, Scout};
use std::net::IpAddr;
use std::time::Duration;

/// The longest a name is looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// The destination that a text names; a name is looked up as any program would.
pub(crate) async fn resolved(text: &str, scout: &Scout) -> Result<Destination, Failure> {
    let Some(host) = host(text, scout)? else {
        return Ok(Destination::Host);
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Destination::of([ip]));
    }
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host.as_str(), 0))).await;
    let unknown = match found {
        Ok(Ok(found)) => return Ok(Destination::of(found.map(|socket| socket.ip()))),
        Ok(Err(error)) => format!("{host} is not known here ({error})"),
        Err(_) => format!("{host} was not found in {LOOKUP:?}"),
    };
    say(format_args!("{unknown}: explained as a name"));
    Ok(Destination::Name)
}

/// The host, a name or an address; `None` for an endpoint within this host.
fn host(text: &str, scout: &Scout) -> Result<Option<String>, Failure> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(Some(text.to_owned()));
    }
    let endpoint = match is_endpoint(text) {
        true => endpoint(text, scout)?,
        false => place(text)?,
    };
    Ok(endpoint.host().map(str::to_owned))
}

/// With slashes, or of a scheme that does without them.
fn is_endpoint(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default();
    let carrier = scheme.rsplit('+').next();
    text.contains("://") || text != scheme && matches!(carrier, Some("unix" | "mem" | "channel"))
}

fn endpoint(text: &str, scout: &Scout) -> Result<Endpoint, Failure> {
    let endpoint: Endpoint = text
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, Error::from(error)))?;
    match Registry::built_in(scout).get(endpoint.carrier()) {
        Ok(_) => Ok(endpoint),
        Err(error) => Err(Failure::new(Exit::Usage, format!("--to `{text}`: {error}"))),
    }
}

/// `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`: what stands in an endpoint between scheme and
/// attributes.
fn place(text: &str) -> Result<Endpoint, Failure> {
    let wrong = |what: String| {
        let expected = "a host, HOST:PORT or an endpoint is expected, IPv6 with a port in brackets";
        let told = format!("--to `{text}`: {what}; {expected}");
        Err(Failure::new(Exit::Usage, told))
    };
    if text.contains(['?', '/']) {
        return wrong("neither a host nor an endpoint".to_owned());
    }
    match format!("tcp://{text}").parse::<Endpoint>() {
        Ok(endpoint) => Ok(endpoint),
        Err(error) => wrong(error.fault().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Option<String>, String> {
        host(text, &Scout::fixed([])).map_err(|failure| {
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            failure.message
        })
    }

    #[test]
    fn a_host_is_found_with_and_without_a_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("example.com:80", "example.com"),
            ("example.com", "example.com"),
            ("unix", "unix"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("mc://example.com:7000?label=background", "example.com"),
        ] {
            assert_eq!(found(text), Ok(Some(expected.to_owned())), "{text}");
        }
        for text in [
            "unix:/run/x.sock",
            "mc+unix:/run/x.sock",
            "mem:x",
            "mem://x",
        ] {
            assert_eq!(found(text), Ok(None), "{text}");
        }
    }

    // behaviour: T4
    #[test]
    fn what_is_no_place_is_refused_with_what_is_wrong() {
        for (text, told) in [
            ("192.0.2.1:99999", "`99999` is neither a port"),
            (":::", "--to `:::`: "),
            ("", "the host is missing"),
            (":80", "the host is missing"),
            ("[::1", "--to `[::1`: "),
            ("a b", "blank"),
            ("http://x", "no transport for `http`"),
            ("tpc://x:80", "did you mean `tcp`?"),
            ("channel:photos", "no transport for `channel`"),
            ("mc://x:99999", "`99999` is neither a port"),
            ("example.com/x", "neither a host nor an endpoint"),
            ("example.com?x", "neither a host nor an endpoint"),
            ("mailto:x", "`x` is neither a port"),
        ] {
            let message = found(text).expect_err(text);
            assert!(message.contains(told), "{text}: {message}");
        }
    }
}
