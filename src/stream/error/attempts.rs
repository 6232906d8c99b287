//! What was tried, and what the system said of it.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// One try to reach the far end over one network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The network's name; `None` where no network is used (loopback, Unix sockets).
    pub network: Option<Arc<str>>,
    /// What came of it.
    pub error: Arc<io::Error>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            Some(name) => write!(f, "{name}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

/// Every try of an operation, in order; at most the last 32. Its source is what the last one met.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// The endpoint, as given.
    to: String,
    all: Vec<Attempt>,
}

/// Attempts kept.
const TOLD: usize = 32;

impl Attempts {
    pub(in crate::stream) fn to(endpoint: &str) -> Self {
        Self {
            to: format!("{endpoint}: "),
            all: Vec::new(),
        }
    }

    pub(in crate::stream) fn push(&mut self, attempt: Attempt) {
        if self.all.len() == TOLD {
            self.all.remove(0);
        }
        self.all.push(attempt);
    }
}

/// Each outcome once and how often it was met, without the endpoint.
impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<(String, usize)> = Vec::new();
        for attempt in &self.all {
            let text = attempt.to_string().replacen(&self.to, "", 1);
            match told.iter_mut().find(|(known, _)| *known == text) {
                Some((_, times)) => *times += 1,
                None => told.push((text, 1)),
            }
        }
        for (i, (text, times)) in told.into_iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            f.write_str(&text)?;
            if times > 1 {
                write!(f, " ({times} times)")?;
            }
        }
        Ok(())
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        &self.all
    }
}

impl Error for Attempts {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.all.last().map(|attempt| &*attempt.error as _)
    }
}

/// An error of the system that several may have met; its source is the `io::Error` itself.
#[derive(Debug, Clone)]
pub struct Cause(Arc<io::Error>);

impl Deref for Cause {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl From<Arc<io::Error>> for Cause {
    fn from(error: Arc<io::Error>) -> Self {
        Self(error)
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
