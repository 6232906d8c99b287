//! The one place where "no network fits" becomes waiting.
mod error;
mod matching;
mod operation;
mod registry;
mod run;
mod table;
mod wait;

#[cfg(test)]
mod tests;

pub use error::MatchError;
pub use matching::Matching;
pub use operation::{Op, Operation, OperationId, OperationIdError, Which};
#[doc(hidden)]
pub use registry::Registry;
pub use registry::{Matched, Pending};
pub use run::{Run, Running};
#[doc(hidden)]
pub use wait::{Wait, Want};
