//! [`Error`]: what any operation of mancom may fail with, for functions that do several.
//!
//! Each operation has an error type of its own, small and complete. `Error` holds any of them behind
//! one pointer, so that `?` works throughout a program, and answers the three questions that programs
//! ask: [what blocks it](Error::blocked), [did the time run out](Error::is_timed_out), [did it end
//! well](Error::is_closed). It crosses `std::io::Error` in both directions without losing anything,
//! because `AsyncRead`, `AsyncWrite` and hooks speak that.
//!
//! This file knows no operation: what one has to answer is the trait [`Fault`], and it stands below
//! every layer for that reason.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::label::matching::Blocked;

/// What an operation's error tells [`Error`].
pub(crate) trait Fault: StdError + Any + Send + Sync {
    /// The explanation of no match, where that is the reason.
    fn blocked(&self) -> Option<&Blocked> {
        None
    }
    /// A deadline, a lifetime or a grace ran out.
    fn is_timed_out(&self) -> bool {
        false
    }
    /// An end that was asked for by this program or its peer.
    fn is_closed(&self) -> bool {
        false
    }
    /// The nearest word of the standard library.
    fn kind(&self) -> io::ErrorKind;
}

/// Any error of mancom; one pointer.
///
/// Made with `?` or `Error::from` of the error of any operation, or of a [`std::io::Error`]; turns into
/// a `std::io::Error` the same way, and finds itself again inside one. `Debug` prints what `Display`
/// prints and then its sources, a line each, for `main` returns it; what was said is not repeated.
///
/// ```
/// fn read() -> Result<(), mancom::Error> {
///     Err(std::io::Error::from(std::io::ErrorKind::NotFound))?
/// }
/// let error = std::io::Error::from(read().unwrap_err());
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// ```
pub struct Error(Box<Box<dyn Fault>>);

impl Error {
    pub(crate) fn new(fault: impl Fault) -> Self {
        Error(Box::new(Box::new(fault)))
    }

    /// Every network with every reason why it did not match, if that is what went wrong.
    pub fn blocked(&self) -> Option<&Blocked> {
        self.0.blocked()
    }

    /// Whether a deadline, a lifetime or a grace ran out.
    pub fn is_timed_out(&self) -> bool {
        self.0.is_timed_out()
    }

    /// Whether this is an end that was asked for: an `accept` or a `recv` after which nothing comes.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The error inside, if it is a `T`.
    pub(crate) fn downcast<T: Any>(self) -> Result<T, Error> {
        let inside: &dyn Any = &**self.0;
        if !inside.is::<T>() {
            return Err(self);
        }
        let inside: Box<dyn Any> = *self.0;
        Ok(*inside.downcast().expect("the type was asked for above"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(self, f)
    }
}

/// An error as people want to see it also where `Debug` prints it: what it says, then its sources, each
/// on a line of its own and once.
pub(crate) fn tell(error: &dyn StdError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut said = error.to_string();
    f.write_str(&said)?;
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !said.contains(&more) {
            write!(f, "\n  because {more}")?;
            said.push_str(&more);
        }
        source = error.source();
    }
    Ok(())
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl Fault for io::Error {
    fn is_timed_out(&self) -> bool {
        io::Error::kind(self) == io::ErrorKind::TimedOut
    }

    fn kind(&self) -> io::ErrorKind {
        io::Error::kind(self)
    }
}

/// Keeps the error inside, with a fitting [`io::ErrorKind`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = error.0.kind();
        match error.downcast::<io::Error>() {
            Ok(error) => error,
            Err(error) => io::Error::new(kind, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::ParseIntError;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the number")]
    struct Bad(#[source] ParseIntError);

    impl Fault for Bad {
        fn kind(&self) -> io::ErrorKind {
            io::ErrorKind::InvalidInput
        }
        fn is_closed(&self) -> bool {
            true
        }
    }

    fn bad() -> Error {
        Error::new(Bad("x".parse::<u8>().unwrap_err()))
    }

    #[test]
    fn is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Option<Error>>(), size_of::<usize>());
    }

    #[test]
    fn debug_prints_display_then_the_sources() {
        assert_eq!(bad().to_string(), "cannot read the number");
        assert_eq!(
            format!("{:?}", bad()),
            "cannot read the number\n  because invalid digit found in string"
        );
    }

    // behaviour: D9
    #[test]
    fn survives_a_journey_inside_an_io_error() {
        let io = io::Error::from(bad());
        assert_eq!(io.kind(), io::ErrorKind::InvalidInput);
        let back = Error::from(io);
        assert!(back.is_closed() && !back.is_timed_out());
        assert!(back.source().unwrap().is::<ParseIntError>());
        assert!(back.downcast::<Bad>().is_ok());
    }

    // behaviour: D9
    #[test]
    fn an_io_error_comes_out_as_it_went_in() {
        let io = io::Error::from(Error::from(io::Error::from_raw_os_error(111)));
        assert_eq!(io.raw_os_error(), Some(111));
        let late = Error::from(io::Error::from(io::ErrorKind::TimedOut));
        assert!(late.is_timed_out() && late.blocked().is_none());
    }
}
