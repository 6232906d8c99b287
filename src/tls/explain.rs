//! Why a TLS handshake failed, in words that say what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::verify::Stranger;

/// The same error in words; the source goes where all it says more is how programmers call it.
pub(super) fn explained(error: io::Error) -> io::Error {
    let Some(inner) = error.get_ref() else {
        return error;
    };
    let tls = inner.downcast_ref::<Error>();
    let text = match tls {
        Some(tls) => text(tls),
        // What rustls says with the system's errors.
        None => match inner.to_string() {
            said if said.contains("close_notify") => TORN.into(),
            said if said == "message buffer full" => LONG.into(),
            _ => return error,
        },
    };
    let kind = error.kind();
    // When it was right, or will be, is not in the text.
    let tells_more = matches!(
        tls,
        Some(Error::InvalidCertificate(
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
        ))
    );
    let source = tells_more.then_some(error);
    io::Error::new(kind, Explained { text, source })
}

/// The same of an error that ended a handshake.
pub(super) fn unspoken(error: io::Error) -> io::Error {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => {
            let text =
                "the far end closed the connection in the TLS handshake: it may not speak TLS";
            let source = Explained {
                text: text.into(),
                source: Some(error),
            };
            io::Error::new(ConnectionReset, source)
        }
        _ => explained(error),
    }
}

#[derive(Debug)]
struct Explained {
    text: String,
    source: Option<io::Error>,
}

impl std::fmt::Display for Explained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref()?.get_ref().map(|inner| inner as _)
    }
}

const TORN: &str = "the far end closed the connection without the word for it (TLS close_notify): \
    what it had to say may be cut short";
const LONG: &str = "what the far end says in the TLS handshake is longer than 64 KiB, most likely its \
    chain of certificates";
const UNKNOWN: &str = "the far end's certificate is of an authority that is not trusted here: give \
    that authority's (.ca(), --ca), or pin the key (.pin(), --pin)";
const BARE: &str = "one side has a bare key (RFC 7250) where the other wants a certificate, or the \
    other way round: pin the key (.pin(), --pin) of a far end without a certificate, and give \
    authorities (.ca(), --ca) for one that knows no bare keys";

const OTHER: &str = "the far end's certificate is for another name";
/// So many of a certificate's names are told.
const NAMES: usize = 8;
const OLD: &str = "the far end speaks another version of TLS: sessions and bare keys need 1.3, tls:// with \
    certificates 1.2";
const AUTHORITY: &str = "the far end shows a certificate that is an authority's (as `openssl req -x509` \
    makes them): pin its key (.pin(), --pin), or give it one of its own (`basicConstraints=CA:FALSE`)";

fn text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::NoCertificatesPresented => {
            "the far end shows neither a certificate nor a key, which is required here".into()
        }
        Error::NoApplicationProtocol => "the two ends have no protocol in common (ALPN)".into(),
        Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge
            | InvalidMessage::HandshakePayloadTooLarge
            | InvalidMessage::MessageTooLarge,
        ) => LONG.into(),
        Error::InvalidMessage(_) => "what answers there does not speak TLS".into(),
        Error::PeerIncompatible(fault) => incompatible(fault),
        Error::PeerMisbehaved(fault) => misbehaves(&format!("{fault:?}")),
        Error::InappropriateMessage { got_type, .. } => undue(&format!("{got_type:?}")),
        Error::InappropriateHandshakeMessage { got_type, .. } => undue(&format!("{got_type:?}")),
        Error::General(fault) => format!("TLS: {}", worded(fault)),
        error => format!("TLS: {}", worded(&error.to_string())),
    }
}

fn misbehaves(fault: &str) -> String {
    format!("the far end breaks the rules of TLS: {}", worded(fault))
}

fn undue(message: &str) -> String {
    format!("{}, which is not due", misbehaves(message))
}

fn incompatible(fault: &PeerIncompatible) -> String {
    match fault {
        PeerIncompatible::IncorrectCertificateTypeExtension
        | PeerIncompatible::UnsolicitedCertificateTypeExtension => BARE.into(),
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => OLD.into(),
        fault => format!(
            "the far end speaks TLS in no way that is spoken here: {}",
            worded(&format!("{fault:?}"))
        ),
    }
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Other(other) => match other.0.downcast_ref::<Stranger>() {
            Some(stranger) => stranger.to_string(),
            None => chained(&other.0.to_string()),
        },
        CertificateError::UnknownIssuer => UNKNOWN.into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the far end's certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the far end's certificate is not valid yet: is the clock right here?".into()
        }
        CertificateError::NotValidForName => format!("{OTHER} (`?name=HOST` asks for one)"),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            let shown = names(presented);
            format!("{OTHER} than {expected} (`?name=HOST` asks for one): {shown}")
        }
        CertificateError::BadSignature => {
            "the far end's certificate is not signed by the authority that it names".into()
        }
        CertificateError::BadEncoding => "the far end's certificate cannot be read".into(),
        // Most likely another authority of the same name is trusted, which has another kind of key.
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => UNKNOWN.into(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "the far end's certificate is signed in a way that is not taken here".into()
        }
        CertificateError::InvalidPurposeContext { .. } => {
            format!("the far end's certificate is for another use: {fault}")
        }
        fault => unusable(&fault.to_string()),
    }
}

/// Those that a certificate is for, a few of them; each comes with its kind, as `DnsName("host")`, and with
/// whatever letters were signed.
fn names(presented: &[String]) -> String {
    let name = |told: &String| {
        let mut parts = told.split(['(', '"', ')']).filter(|part| !part.is_empty());
        let (kind, name) = (parts.next().unwrap_or_default(), parts.next());
        name.map_or_else(|| worded(kind), |name| name.escape_debug().to_string())
    };
    let some: Vec<String> = presented.iter().take(NAMES).map(name).collect();
    let more = presented.len() - some.len();
    match (some.len(), more) {
        (0, _) => "it is for none".into(),
        (_, 0) => format!("it is for {}", some.join(", ")),
        (..) => format!("it is for {} and {more} more", some.join(", ")),
    }
}

/// Of the chain that leads to the certificate; the library that looks at it tells these by their names alone.
fn chained(fault: &str) -> String {
    match fault {
        "CaUsedAsEndEntity" => AUTHORITY.into(),
        "EndEntityUsedAsCa" => {
            "the far end's certificate is signed by one that is no authority's".into()
        }
        "NameConstraintViolation" => {
            "the far end's certificate is for a name that its authority may not vouch for".into()
        }
        "PathLenConstraintViolated" | "MaximumPathDepthExceeded" => {
            "the far end's certificate has more authorities above it than may be".into()
        }
        "UnsupportedCertVersion" => {
            "the far end's certificate, or one above it, is not of version 3 (of X.509)".into()
        }
        fault => unusable(fault),
    }
}

fn unusable(fault: &str) -> String {
    let fault = worded(fault);
    format!("the far end's certificate, or one above it, cannot be used: {fault}")
}

/// The words that names for programmers are made of, wherever they stand in a text; other words stay.
pub(super) fn worded(text: &str) -> String {
    let is_name = |word: &str| {
        let mut letters = word.chars().skip_while(|c| c.is_uppercase());
        letters.any(char::is_uppercase) && word.chars().all(char::is_alphanumeric)
    };
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let (name, end) = match word.char_indices().last() {
            Some((at, last)) if !last.is_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        if !is_name(name) {
            words.push_str(word);
            continue;
        }
        let letters: Vec<char> = name.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let after = |of: usize| letters.get(of).is_some_and(|next| next.is_lowercase());
            if at > 0 && letter.is_uppercase() && (after(at - 1) || after(at + 1)) {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        words.push_str(end);
    }
    words
}

fn alerted(alert: AlertDescription) -> String {
    let name = worded(&format!("{alert:?}"));
    match alert {
        AlertDescription::CertificateRequired => {
            "the far end requires a certificate or key of this side: give one (.identity(), --identity)"
                .into()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!("the far end does not accept this side's certificate or key ({name})")
        }
        AlertDescription::HandshakeFailure => {
            format!("the far end refused the TLS handshake; {BARE}")
        }
        AlertDescription::NoApplicationProtocol => {
            "the far end speaks none of the protocols asked for (ALPN), and nothing without one".into()
        }
        AlertDescription::ProtocolVersion => OLD.into(),
        AlertDescription::UnrecognisedName => {
            "the far end knows nothing of the name asked for (`?name=HOST` asks for another)".into()
        }
        _ => format!("the far end refused the TLS handshake ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ContentType, ExtendedKeyPurpose, HandshakeType, OtherError, PeerMisbehaved};

    use super::*;

    fn of_chain(name: &str) -> Error {
        let other = OtherError(Arc::new(io::Error::other(name.to_owned())));
        CertificateError::Other(other).into()
    }

    fn said(error: Error) -> String {
        let error = explained(io::Error::new(io::ErrorKind::InvalidData, error));
        assert!(std::error::Error::source(&error).is_none(), "{error:?}");
        error.to_string()
    }

    #[test]
    fn each_says_in_words_what_it_is() {
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("localhost").expect("a name"),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        let purpose = CertificateError::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::ClientAuth],
        };
        let namesake = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![42],
            public_key_algorithm_id: vec![42],
        };
        let algorithm = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![42],
            supported_algorithms: Vec::new(),
        };
        let undue = Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::Finished],
            got_type: HandshakeType::ServerHello,
        };
        let data = Error::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ApplicationData,
        };
        let long = vec!["DnsName(\"MyHost.example\")"; 100];
        for (error, words) in [
            (of_chain("CaUsedAsEndEntity"), "pin its key"),
            (of_chain("EndEntityUsedAsCa"), "no authority's"),
            (of_chain("NameConstraintViolation"), "may not vouch for"),
            (of_chain("PathLenConstraintViolated"), "more authorities"),
            (of_chain("UnsupportedCertVersion"), "version 3"),
            (of_chain("MalformedExtensions"), ": malformed extensions"),
            (of_chain("UnknownCRLReason"), ": unknown crl reason"),
            (
                name(&[]).into(),
                "than localhost (`?name=HOST` asks for one): it is for none",
            ),
            (
                name(&long[..2]).into(),
                ": it is for MyHost.example, MyHost.example",
            ),
            (name(&long).into(), "MyHost.example and 92 more"),
            (
                name(&["IpAddress(::1)", "DirectoryName", "DnsName(\"a\u{1b}\")"]).into(),
                "it is for ::1, directory name, a\\u{1b}",
            ),
            (
                purpose.into(),
                "for another use: certificate does not allow",
            ),
            (namesake.into(), "not trusted here: give that authority's"),
            (algorithm.into(), "signed in a way that is not taken here"),
            (CertificateError::BadEncoding.into(), "cannot be read"),
            (
                CertificateError::UnhandledCriticalExtension.into(),
                ": unhandled critical extension",
            ),
            (undue, "rules of TLS: server hello, which is not due"),
            (data, "application data, which is not due"),
            (
                PeerMisbehaved::SelectedUnofferedPsk.into(),
                "TLS: selected unoffered psk",
            ),
            (
                PeerIncompatible::Tls12NotOffered.into(),
                "sessions and bare keys need 1.3",
            ),
            (
                PeerIncompatible::NoCipherSuitesInCommon.into(),
                "here: no cipher suites in common",
            ),
            (
                PeerIncompatible::UnsolicitedCertificateTypeExtension.into(),
                "bare key",
            ),
            (Error::NoApplicationProtocol, "no protocol in common (ALPN)"),
            (Error::DecryptError, "TLS: cannot decrypt"),
            (
                Error::General("peer is incompatible: NoKxGroupsInCommon".into()),
                "TLS: peer is incompatible: no kx groups in common",
            ),
            (
                InvalidMessage::InvalidContentType.into(),
                "does not speak TLS",
            ),
            (
                InvalidMessage::HandshakePayloadTooLarge.into(),
                "longer than 64 KiB",
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "(unknown ca)",
            ),
            (
                Error::AlertReceived(AlertDescription::BadRecordMac),
                "(bad record mac)",
            ),
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                "need 1.3",
            ),
            (
                Error::AlertReceived(AlertDescription::UnrecognisedName),
                "`?name=HOST`",
            ),
        ] {
            let text = said(error);
            assert!(text.contains(words), "{text}");
            // No name for programmers is left.
            let others = ["MyHost", "basicConstraints", "KiB"];
            let text = others
                .iter()
                .fold(text, |text, word| text.replace(word, ""));
            let letters: Vec<char> = text.chars().collect();
            let camel = |two: &[char]| two[0].is_lowercase() && two[1].is_uppercase();
            assert!(!letters.windows(2).any(camel), "{text}");
        }
    }

    #[test]
    fn when_a_certificate_was_right_is_its_cause() {
        let fault = CertificateError::ExpiredContext {
            time: rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(9)),
            not_after: rustls::pki_types::UnixTime::since_unix_epoch(Default::default()),
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, Error::from(fault));
        let error = explained(error);
        assert!(error.to_string().ends_with("has expired"), "{error}");
        let cause = std::error::Error::source(&error).expect("a cause");
        assert!(cause.to_string().contains("9 seconds ago"), "{cause}");
    }
}
