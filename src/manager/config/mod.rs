//! Configuration: what the operator of a host says about its networks, and names for labels.
//!
//! ```toml
//! unknown = "deny"              # a fact nobody knows counts against a network; default "allow"
//!
//! [networks."wwan*"]            # by interface name, with * as a wildcard; the first match in file order
//! kind = "cellular"             # ethernet wifi bluetooth cellular satellite vpn loopback other
//! metered = true                # also roaming, constrained, bypass_vpn
//! rtt = "60ms"                  # hints until measured: rtt, up, down
//! down = "10Mbit"
//!
//! [labels.photos]
//! label = "background large prohibit=metered require=wifi"
//! within = "12h"                # defaults of operations with this label
//! grace = "1h"
//! ```
//!
//! Three layers, the later ones stronger, key by key: the system's `/etc/mancom.toml`, the user's
//! `$XDG_CONFIG_HOME/mancom/mancom.toml` (`~/.config` without the variable), and one file named by
//! `--config`, by [`ManagerBuilder::config_file`](super::ManagerBuilder::config_file) or else by
//! `MANCOM_CONFIG`. The first two may be absent, a file that was named may not. Network patterns of a
//! stronger layer are tried before those of a weaker one.
//!
//! Durations are numbers with `ms`, `s`, `m`, `h` or `d`, as in `1.5s` or `1h30m`; rates are bits a
//! second with `bit`, `kbit`, `Mbit` or `Gbit`. An unknown key or word is an error with its place and
//! the nearest known word: a misspelt `metered` must not cost money. A file is at most 1 MiB.

mod error;
#[cfg(feature = "config")]
mod file;
#[cfg(feature = "config")]
mod text;
#[cfg(feature = "config")]
mod units;

#[cfg(feature = "config")]
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;

use crate::label::Label;
use crate::label::matching::Policy;
use crate::scout::{Facts, Overrides};
use crate::stream::LabelDefaults;

/// Facts of networks, labels by name, and how unknown facts are judged. See the
/// [module](crate::manager::config) for the text.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// By pattern, in the order in which they are tried.
    networks: Vec<(String, Facts)>,
    labels: BTreeMap<String, NamedLabel>,
    unknown_denied: Option<bool>,
    scout: Watch,
    monitor: Monitor,
}

/// `[scout]`: where the networks come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Watch {
    /// The socket of a scout that runs for the whole system (`mancom scout`); without one this
    /// process looks for itself.
    pub socket: Option<PathBuf>,
    /// Whether this process looks for itself while that scout cannot be reached. Default: yes.
    pub fallback: Option<bool>,
}

/// `[monitor]`: what others may see of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Monitor {
    /// Whether this process has an inspection socket. Default: where `#[mancom::main]` runs.
    pub enabled: Option<bool>,
    /// The folder of the inspection sockets. Default: `$XDG_RUNTIME_DIR/mancom`, else
    /// `/run/user/UID/mancom`, else `mancom-UID` in the folder for temporary files.
    pub folder: Option<PathBuf>,
}

/// A label of the configuration, and what operations with it start from.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NamedLabel {
    /// What the traffic needs.
    pub label: Label,
    /// The deadline of an operation that sets none; none by default.
    pub within: Option<Duration>,
    /// How long a session outlives its last path; the stream's own default if not said.
    pub grace: Option<Duration>,
    /// After waiting this long, an operation goes by this label; never by default.
    pub relax: Option<(Duration, Label)>,
}

impl Config {
    /// The label of this name.
    pub fn label(&self, name: &str) -> Option<&NamedLabel> {
        self.labels.get(name)
    }

    /// Every label, by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &NamedLabel)> {
        self.labels
            .iter()
            .map(|(name, named)| (name.as_str(), named))
    }

    /// What the configuration says of an operation with this label. Two names for one label share the
    /// first one's, by name.
    pub(super) fn defaults(&self, label: &Label) -> LabelDefaults {
        let mut defaults = LabelDefaults::default();
        if let Some(named) = self.labels.values().find(|named| named.label == *label) {
            defaults.within = named.within;
            defaults.grace = named.grace;
            defaults.relax = named.relax;
        }
        defaults
    }

    /// Where the networks come from.
    pub fn scout(&self) -> &Watch {
        &self.scout
    }

    /// What others may see of this process.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// What it states of networks, for a [`Scout`](crate::Scout) of one's own.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for (pattern, facts) in &self.networks {
            overrides.push(pattern, facts.clone());
        }
        overrides
    }

    pub(super) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        policy.unknown_denied = self.unknown_denied.unwrap_or(policy.unknown_denied);
        policy
    }
}
