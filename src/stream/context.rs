//! What streams need of the layers above, and nothing more of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::config::Settings;
use super::reuse::Sessions;
use super::tracker::Tracker;
use crate::account::{Accounts, Limit};
use crate::deferral::Registry;
use crate::label::Label;
use crate::transport;

/// The assembled thing as streams see it; the manager implements it.
pub trait Context: Debug + Send + Sync + 'static {
    /// Waiting, matching and the snapshots.
    fn registry(&self) -> &Arc<Registry>;
    /// Transports by scheme.
    fn transports(&self) -> &transport::Registry;
    /// Defaults of streams.
    fn settings(&self) -> &Settings;
    /// What the configuration says of operations with this label now.
    fn defaults(&self, label: &Label) -> LabelDefaults;
    /// What TLS starts from.
    #[cfg(feature = "tls")]
    fn tls(&self) -> crate::tls::Defaults;
    /// Where sessions register, so that a shutdown can wait for them.
    fn tasks(&self) -> &Tracker;
    /// The sessions that another `connect` may share.
    fn sessions(&self) -> &Sessions;
    /// What the sessions over these networks tell each other.
    fn accounts(&self) -> &Arc<Accounts>;
    /// What traffic may cost now; told anew as another policy is.
    fn limits(&self) -> Arc<[Limit]>;
}

/// What an operation with a label starts from where its builder says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct LabelDefaults {
    /// The deadline.
    pub within: Option<Duration>,
    /// How long a session outlives its last path.
    pub grace: Option<Duration>,
    /// After waiting this long, this label takes the other's place.
    pub relax: Option<(Duration, Label)>,
    /// How long the work of a `run` may take to finish when its match is lost.
    pub stop: Option<Duration>,
}
