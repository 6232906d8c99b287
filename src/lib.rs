//! mancom: a program says what its traffic needs, the library finds the network.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::print_stdout)]

mod clock;
pub mod endpoint;
pub mod label;
pub mod network;

pub mod proto;
pub mod scout;
pub mod transport;

pub mod deferral;

pub use endpoint::{Endpoint, EndpointError};
pub use label::{Label, LabelError, Prop, Scope};
pub use network::{Network, NetworkId, NetworkSpec, Snapshot};
pub use scout::Scout;
