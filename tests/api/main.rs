//! What holds for the public interface and the source as a whole.

#[cfg(all(feature = "macros", feature = "test-util"))]
mod connect;
mod layers;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod macros;
mod types;
