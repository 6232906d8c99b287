//! What the error of each operation answers to [`crate::Error`], and the ways between them.

use std::io;
use std::sync::Arc;

use super::config::ConfigError;
use super::{BuildError, ShutdownError};
use crate::deferral::MatchError;
use crate::endpoint::{AttributeError, EndpointError};
use crate::error::{Error, Fault};
use crate::label::LabelError;
use crate::label::matching::{Blocked, RuleError};
use crate::proto::pull::PullScheduleError;
use crate::stream::{AcceptError, ConnectError, ListenError, MessageError, SessionError};

/// Into [`Error`], and back out of an `io::Error` in which one travelled, be it alone or as `Error`.
macro_rules! operations {
    ($($operation:ty)*) => {
        $(impl From<$operation> for Error {
            fn from(error: $operation) -> Self {
                Error::new(error)
            }
        })*

        /// Gives back a mancom error that travelled inside `error`.
        impl From<io::Error> for Error {
            fn from(error: io::Error) -> Self {
                let error = match error.downcast::<Error>() {
                    Ok(inside) => return inside,
                    Err(error) => error,
                };
                $(let error = match error.downcast::<$operation>() {
                    Ok(inside) => return Error::new(inside),
                    Err(error) => error,
                };)*
                Error::new(error)
            }
        }
    };
}

operations! {
    MatchError ConnectError ListenError AcceptError SessionError MessageError
    BuildError ConfigError ShutdownError LabelError RuleError EndpointError
    AttributeError PullScheduleError
}

/// Into `io::Error`, for those whose own module does not.
macro_rules! into_io {
    ($($operation:ty)*) => {$(
        impl From<$operation> for io::Error {
            fn from(error: $operation) -> Self {
                Error::new(error).into()
            }
        }
    )*};
}

into_io! {
    ConnectError ListenError AcceptError SessionError MessageError
    BuildError ConfigError ShutdownError LabelError RuleError EndpointError
    AttributeError PullScheduleError
}

#[cfg(feature = "tls")]
mod tls {
    use std::io;

    use super::{Error, Fault};
    use crate::tls::{KeyError, TlsError};

    into_io! { TlsError KeyError }

    impl From<TlsError> for Error {
        fn from(error: TlsError) -> Self {
            Error::new(error)
        }
    }

    impl From<KeyError> for Error {
        fn from(error: KeyError) -> Self {
            Error::new(error)
        }
    }

    impl Fault for TlsError {
        fn kind(&self) -> io::ErrorKind {
            self.kind()
        }
    }

    impl Fault for KeyError {
        fn kind(&self) -> io::ErrorKind {
            io::ErrorKind::InvalidInput
        }
    }
}

impl Fault for BuildError {
    fn kind(&self) -> io::ErrorKind {
        match self {
            BuildError::NoRuntime => io::ErrorKind::Unsupported,
            BuildError::AlreadyInstalled => io::ErrorKind::AlreadyExists,
            BuildError::Config(error) => error.kind(),
            BuildError::TooManyLimits { .. } => io::ErrorKind::InvalidInput,
        }
    }
}

impl Fault for ConfigError {
    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

impl Fault for ShutdownError {
    fn is_timed_out(&self) -> bool {
        true
    }

    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::TimedOut
    }
}

impl Fault for LabelError {
    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::InvalidInput
    }
}

impl Fault for RuleError {
    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::InvalidInput
    }
}

impl Fault for EndpointError {
    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::InvalidInput
    }
}

impl Fault for AttributeError {
    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::InvalidInput
    }
}

impl Fault for PullScheduleError {
    fn kind(&self) -> io::ErrorKind {
        io::ErrorKind::InvalidInput
    }
}

impl Fault for MatchError {
    fn blocked(&self) -> Option<&Blocked> {
        self.blocked()
    }

    fn is_timed_out(&self) -> bool {
        self.is_timed_out()
    }

    fn kind(&self) -> io::ErrorKind {
        io::Error::from(self.clone()).kind()
    }
}

impl Fault for ConnectError {
    fn blocked(&self) -> Option<&Blocked> {
        self.blocked()
    }

    fn is_timed_out(&self) -> bool {
        self.is_timed_out()
    }

    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

impl Fault for ListenError {
    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

impl Fault for AcceptError {
    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

impl Fault for SessionError {
    fn blocked(&self) -> Option<&Blocked> {
        self.blocked()
    }

    fn is_timed_out(&self) -> bool {
        match self {
            SessionError::GraceExpired { .. } => true,
            SessionError::Match(error) => error.is_timed_out(),
            _ => false,
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

impl Fault for MessageError {
    fn blocked(&self) -> Option<&Blocked> {
        self.blocked()
    }

    fn is_timed_out(&self) -> bool {
        self.is_timed_out()
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn kind(&self) -> io::ErrorKind {
        self.kind()
    }
}

/// A free function without a manager: its builder fails with this when it is awaited.
macro_rules! unmanaged {
    ($($operation:ident)*) => {$(
        impl From<BuildError> for $operation {
            fn from(error: BuildError) -> Self {
                match error {
                    BuildError::NoRuntime => $operation::NoRuntime,
                    error => $operation::Manager(Arc::new(error)),
                }
            }
        }
    )*};
}

unmanaged! { MatchError ConnectError ListenError }
