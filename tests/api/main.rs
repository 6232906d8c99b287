//! What holds for the public interface and the source as a whole.

mod aborted;
#[cfg(all(feature = "airhook", feature = "test-util"))]
mod airhook;
#[cfg(feature = "test-util")]
mod conformance;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod connect;
mod futures;
#[cfg(target_os = "linux")]
mod given_up;
#[cfg(all(feature = "macros", feature = "config", target_os = "linux"))]
mod hangup;
mod hostile;
mod layers;
mod limits;
mod listening;
#[cfg(all(feature = "airhook", feature = "test-util"))]
mod lossy;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod macros;
#[cfg(all(feature = "macros", feature = "test-util"))]
mod messages;
#[cfg(feature = "quic")]
mod quic;
mod raw;
#[cfg(feature = "tls")]
mod reuse;
#[cfg(all(target_os = "linux", feature = "test-util"))]
mod serial;
#[cfg(feature = "tls")]
mod tls;
mod types;
