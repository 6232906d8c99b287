//! What holds for the public interface and the source as a whole.

#[cfg(all(feature = "macros", feature = "test-util"))]
mod connect;
mod futures;
mod hostile;
mod layers;
mod listening;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod macros;
mod raw;
mod types;
