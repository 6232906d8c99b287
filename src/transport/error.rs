//! One form for this module's errors: what failed, where, and the system's own error as the source.

use crate::endpoint::{AttributeError, Endpoint};
use std::error::Error;
use std::fmt;
use std::io;

#[derive(Debug)]
struct Explained {
    text: String,
    source: Option<io::Error>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Explained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// An error and what caused it, each once: such a text is often all that is printed.
pub(super) fn told(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// `source` with a text that says where it happened; the kind is kept.
pub(super) fn explain(source: io::Error, text: impl fmt::Display) -> io::Error {
    let text = format!("{text}: {}", told(&source));
    caused(source, text)
}

/// As [`explain`], of an error whose words are enough: what caused it is there for who asks for sources.
#[cfg(feature = "quic")]
pub(super) fn place(source: io::Error, text: impl fmt::Display) -> io::Error {
    let text = format!("{text}: {source}");
    caused(source, text)
}

/// As [`explain`], with what can be done about it at the end.
pub(super) fn advise(source: io::Error, text: impl fmt::Display, advice: &str) -> io::Error {
    let text = format!("{text}: {}; {advice}", told(&source));
    caused(source, text)
}

fn caused(source: io::Error, text: String) -> io::Error {
    io::Error::new(
        source.kind(),
        Explained {
            text,
            source: Some(source),
        },
    )
}

/// An attribute of this endpoint whose value is none.
pub(super) fn misread(endpoint: &Endpoint) -> impl Fn(AttributeError) -> io::Error {
    |error| io::Error::new(io::ErrorKind::InvalidInput, endpoint.misread(error))
}

/// An error of our own.
pub(super) fn fail(kind: io::ErrorKind, text: impl fmt::Display) -> io::Error {
    io::Error::new(
        kind,
        Explained {
            text: text.to_string(),
            source: None,
        },
    )
}
