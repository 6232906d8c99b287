//! What holds for the public interface and the source as a whole.

mod hostile;
mod layers;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod macros;
mod raw;
mod types;
