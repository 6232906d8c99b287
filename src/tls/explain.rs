//! Why a TLS handshake failed, in words that say what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The same error in words; the source stays, unless it says the same for programmers.
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
    let source = match tls {
        // Around words of our own rustls puts none, but how they are made.
        None | Some(Error::InvalidCertificate(CertificateError::Other(_))) => None,
        Some(_) => Some(error),
    };
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

fn text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::NoCertificatesPresented => {
            "the far end shows neither a certificate nor a key, which is required here".into()
        }
        Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge
            | InvalidMessage::HandshakePayloadTooLarge
            | InvalidMessage::MessageTooLarge,
        ) => LONG.into(),
        Error::InvalidMessage(_) => "what answers there does not speak TLS".into(),
        Error::PeerIncompatible(PeerIncompatible::IncorrectCertificateTypeExtension) => BARE.into(),
        error => format!("TLS: {error}"),
    }
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Other(other) => other.0.to_string(),
        CertificateError::UnknownIssuer => UNKNOWN.into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the far end's certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the far end's certificate is not valid yet: is the clock right here?".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the far end's certificate is for another name (`?name=HOST` asks for one): {fault}"
            )
        }
        CertificateError::BadSignature => {
            "the far end's certificate is not signed by the authority that it names".into()
        }
        fault => format!("the far end's certificate: {fault}"),
    }
}

fn alerted(alert: AlertDescription) -> String {
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
            format!("the far end does not accept this side's certificate or key ({alert:?})")
        }
        AlertDescription::HandshakeFailure => {
            format!("the far end refused the TLS handshake; {BARE}")
        }
        AlertDescription::NoApplicationProtocol => {
            "the far end speaks none of the protocols asked for (ALPN)".into()
        }
        alert => format!("the far end refused the TLS handshake ({alert:?})"),
    }
}
