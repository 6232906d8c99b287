//! Configuration: what the operator of a host says about its networks, what traffic it allows on
//! them, and names for labels.
//!
//! ```toml
//! unknown = "allow"             # or "deny": a fact nobody knows counts against a network
//!
//! [networks."wwan*"]            # by interface name, * for any characters; the first match in file order
//! kind = "cellular"             # ethernet wifi bluetooth cellular satellite vpn loopback other
//! metered = true                # its bytes cost money
//! roaming = false               # it is a foreign operator's
//! constrained = false           # it asks for restraint
//! bypass_vpn = false            # traffic may use it beside a VPN
//! rtt = "60ms"                  # hints until measured: round trip,
//! up = "5Mbit"                  # bits a second to the network
//! down = "10Mbit"               # and from it,
//! loss = "2%"                   # packets lost
//!
//! [labels.photos]               # defaults of operations with this label, each unsaid by default:
//! label = "background large prohibit=metered require=wifi"
//! within = "12h"                # deadline, waiting included
//! grace = "1h"                  # how long a session outlives its last path, else the stream's 10 minutes
//! relax_after = "6h"            # after waiting this long,
//! relax_to = "background large" # this takes the label's place; both or neither
//! stop = "5s"                   # how long `run` lets its work finish when the match is lost, else not at all
//!
//! [[policy]]                    # any number of rules, whatever a label says
//! forbid = "background large"   # an urgency, small or large, or both; or any
//! on = "metered"                # traits and kinds, all of them, and if=wwan*
//!
//! [[limit]]                     # any number: what some traffic may cost on some networks
//! label = "background"          # as of a rule's `forbid`, or a label's name, or a pattern of such; default any
//! on = "metered if=wwan*"       # as of a rule's `on`; default every network, each by itself
//! rate = "1 MB/s"               # bytes a second, sent; or as in 8Mbit
//! bytes = "500 MB"              # both ways, in each
//! per = "month"                 # hour day week month, of the calendar in UTC, or as in 12h
//!
//! [state]
//! folder = "/var/lib/mancom"    # what was spent is kept there; default `mancom` in `$XDG_STATE_HOME`
//!
//! [scout]                       # read once, when the manager is made
//! socket = "/run/mancom/scout.sock" # the networks as a system-wide scout sees them; default: as this process does
//! fallback = true               # the default: as this process does while that cannot be reached
//!
//! [tls]                         # of mcs:// and tls://, where code and command line say nothing
//! identity = "/etc/mancom/key.pem"   # this host's private key, as `mancom key new` makes it
//! certificate = "/etc/mancom/chain.pem" # its certificates, if they are in a file of their own
//! pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"] # listeners to believe, else
//! ca = "/etc/mancom/ca.pem"     # such with a certificate of these; default: what the host trusts
//! clients = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"] # whom to let in, by key, or
//! client_ca = "/etc/mancom/ca.pem" # by authority; default: everybody
//! require_client = true         # nobody without a key; default: as `clients` and `client_ca` imply
//!
//! [monitor]                     # read once, too
//! enabled = true                # the inspection socket; default: where `#[mancom::main]` runs
//! folder = "/run/user/1000/mancom" # of the sockets; default: `mancom` in `$XDG_RUNTIME_DIR`
//! ```
//!
//! Every key may be left out, but for a label's `label` and a rule's two; a limit has a `rate`, or `bytes`
//! and `per`, or all three. A label's name is any text
//! that is no label itself, as `any` and `require=wifi` are. What is not stated of a network
//! is as the system knows it.
//!
//! # Layers
//!
//! Three, the later ones stronger, key by key: the system's `/etc/mancom.toml`, the user's
//! `$XDG_CONFIG_HOME/mancom/mancom.toml` (`~/.config` without the variable), and one file named by
//! `--config`, by [`ManagerBuilder::config_file`](super::ManagerBuilder::config_file) or else by
//! `MANCOM_CONFIG`. The first two may be absent, a file that was named may not. Network patterns of a
//! stronger layer are tried before those of a weaker one. Rules and limits add up, those of a stronger
//! layer first: no layer can take another's away.
//!
//! # Limits
//!
//! All sessions and plain connections of a process share a limit, and all processes that share the state
//! file its bytes. Each network that fits has a rate and bytes of its own. Payload, frame headers and
//! repetitions count, what mancom does not see (handshakes, TCP and below) does not: allow a tenth for it.
//! `kB` is 1,000 and `KiB` 1,024 bytes. When the bytes are spent the network admits that traffic no more: it
//! waits or goes by another network, and [`why`](crate::Manager::explain) says so and until when. At the end
//! of the period it goes on. What is spent is seen within a frame of the process's own traffic; what other
//! processes spend once it saves its own. That is when it begins to spend and every second that it does: a
//! process that is killed loses at most what it spent since. A plain connection without a hook whose bytes are spent fails.
//!
//! # Changes
//!
//! A manager that read files reads them again when one changes, appears or goes, be it by a rename or
//! behind a link, once they were quiet for 50 ms; on SIGHUP if asked
//! ([`Manager::reload_on_hangup`](super::Manager::reload_on_hangup)); and by
//! [`Manager::reload`](super::Manager::reload). Facts, policy, limits and names take effect (what was spent
//! of a limit stays spent, as long as its `label`, `on` and `per` are the same), `[tls]` for what is begun
//! later, and operations that wait are judged again once. Those already made keep their label and deadline. Where anything is wrong the old
//! configuration stays in force and every fault is logged.
//!
//! # Text
//!
//! Durations are numbers with `ms`, `s`, `m`, `h` or `d`, as in `1.5s` or `1h30m`; rates are bits a
//! second with `bit`, `kbit`, `Mbit` or `Gbit`; shares are percent to one place. Paths are absolute. An
//! unknown key or word is an error with its place and the nearest known word: a misspelt `metered` must
//! not cost money. All faults of all layers are told together, 64 at most by their place. A file is UTF-8,
//! at most 1 MiB, and a plain file (or `/dev/null`): nothing waits for a pipe.

#[cfg(feature = "config")]
pub(super) mod changes;
mod error;
#[cfg(feature = "config")]
pub(super) mod file;
mod limit;
#[cfg(feature = "config")]
mod text;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "config")]
mod tree;
#[cfg(feature = "config")]
mod units;

#[cfg(feature = "config")]
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, ConfigFault};

use crate::label::matching::{Policy, Rule};
use crate::label::{Label, LabelError, nearest};
use crate::scout::{Facts, Overrides};
use crate::stream::LabelDefaults;

/// Facts of networks, labels by name, and how unknown facts are judged. See the
/// [module](crate::manager::config) for the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The files that were read, weakest first.
    files: Vec<PathBuf>,
    /// By pattern, in the order in which they are tried.
    networks: Vec<(String, Facts)>,
    labels: BTreeMap<String, NamedLabel>,
    rules: Vec<Rule>,
    limits: Vec<limit::Written>,
    state: Option<PathBuf>,
    unknown_denied: Option<bool>,
    scout: Watch,
    monitor: Monitor,
    #[cfg(feature = "tls")]
    tls: tls::Written,
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
    /// How long the work of a [`run`](crate::run) may take to finish when its match is lost; by
    /// default it is dropped at once.
    pub stop: Option<Duration>,
}

impl Config {
    /// The label of this name.
    pub fn label(&self, name: &str) -> Option<&NamedLabel> {
        self.labels.get(name)
    }

    /// The label of this name, for those who must have one.
    ///
    /// # Errors
    ///
    /// [`LabelError::NotDefined`], with the nearest name, if there is none of this name.
    pub fn named(&self, name: &str) -> Result<Label, LabelError> {
        match self.label(name) {
            Some(named) => Ok(named.label),
            None => {
                let known = self.labels().map(|(name, _)| name);
                let nearest = nearest(name, known).map(str::to_owned);
                let name = name.to_owned();
                Err(LabelError::NotDefined { name, nearest })
            }
        }
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
            defaults.stop = named.stop;
        }
        defaults
    }

    /// Every label's name.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, Label)> {
        self.labels
            .iter()
            .map(|(name, named)| (name.clone(), named.label))
    }

    /// The files that were read, weakest first; none of a [text](Config::parse).
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is stated of networks, by pattern of interface names, in the order in which they are tried.
    pub fn networks(&self) -> impl Iterator<Item = (&str, &Facts)> {
        self.networks
            .iter()
            .map(|(pattern, facts)| (pattern.as_str(), facts))
    }

    /// The folder of what is kept from one process to the next, if one is named.
    pub fn state_folder(&self) -> Option<&PathBuf> {
        self.state.as_ref()
    }

    /// Where the networks come from.
    pub fn scout(&self) -> &Watch {
        &self.scout
    }

    /// What others may see of this process.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// What TLS starts from, with what code says above it.
    #[cfg(feature = "tls")]
    pub(super) fn tls(&self, given: &crate::tls::Defaults) -> crate::tls::Defaults {
        self.tls.beneath(given)
    }

    /// What it states of networks, for a [`Scout`](crate::Scout) of one's own.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for (pattern, facts) in &self.networks {
            overrides.push(pattern, facts.clone());
        }
        overrides
    }

    /// How unknown facts are judged, and the rules of all layers, the stronger layers' first.
    pub fn policy(&self) -> Policy {
        Policy {
            unknown_denied: self.unknown_denied.unwrap_or_default(),
            rules: self.rules.as_slice().into(),
        }
    }
}
