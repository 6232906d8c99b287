//! The layers of configuration, and how they lie above each other.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Monitor, Watch};
use crate::scout::Facts;

/// More than any configuration needs; a wrong path to a large file must not fill the memory.
const LARGEST: u64 = 1 << 20;

/// Where each layer is, weakest first.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) system: Option<PathBuf>,
    pub(super) user: Option<PathBuf>,
    pub(super) named: Option<PathBuf>,
}

impl Layers {
    /// The layers of this process; `named` outranks `MANCOM_CONFIG`.
    fn of_process(named: Option<&Path>) -> Self {
        Layers::from_environment(named, |variable| {
            env::var_os(variable).filter(|value| !value.is_empty())
        })
    }

    pub(super) fn from_environment(
        named: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let home = || Some(PathBuf::from(variable("HOME")?).join(".config"));
        let user = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        // The XDG base directory specification: a relative path there is to be ignored.
        let user = user.filter(|path| path.is_absolute()).or_else(home);
        Layers {
            system: cfg!(unix).then(|| PathBuf::from("/etc/mancom.toml")),
            user: user.map(|path| path.join("mancom/mancom.toml")),
            named: named
                .map(Path::to_owned)
                .or_else(|| variable("MANCOM_CONFIG").map(PathBuf::from)),
        }
    }

    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for path in [&self.system, &self.user].into_iter().flatten() {
            match read(path) {
                Ok(text) => config = config.under(Config::parse(&text, &path.to_string_lossy())?),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(ConfigError::unreadable(path, error)),
            }
        }
        if let Some(path) = &self.named {
            let text = read(path).map_err(|error| ConfigError::unreadable(path, error))?;
            config = config.under(Config::parse(&text, &path.to_string_lossy())?);
        }
        Ok(config)
    }
}

impl Config {
    /// The layers of this host: the system's, the user's, and above them `path`, or without one the file
    /// that `MANCOM_CONFIG` names.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] for a named file that is missing, and for any that cannot be read;
    /// [`ConfigError::Invalid`] for a wrong text.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        Layers::of_process(path).load()
    }

    /// This configuration where `above` says nothing, key by key.
    fn under(self, above: Config) -> Config {
        let mut networks = above.networks;
        for (pattern, facts) in self.networks {
            match networks.iter_mut().find(|(same, _)| *same == pattern) {
                Some((_, stronger)) => *stronger = either(stronger.clone(), facts),
                None => networks.push((pattern, facts)),
            }
        }
        let mut labels = self.labels;
        for (name, stronger) in above.labels {
            let named = labels.entry(name).or_insert(stronger);
            named.label = stronger.label;
            named.within = stronger.within.or(named.within);
            named.grace = stronger.grace.or(named.grace);
            named.relax = stronger.relax.or(named.relax);
        }
        Config {
            networks,
            labels,
            unknown_denied: above.unknown_denied.or(self.unknown_denied),
            scout: Watch {
                socket: above.scout.socket.or(self.scout.socket),
                fallback: above.scout.fallback.or(self.scout.fallback),
            },
            monitor: Monitor {
                enabled: above.monitor.enabled.or(self.monitor.enabled),
                folder: above.monitor.folder.or(self.monitor.folder),
            },
        }
    }
}

fn either(stronger: Facts, weaker: Facts) -> Facts {
    Facts {
        kind: stronger.kind.or(weaker.kind),
        metered: stronger.metered.or(weaker.metered),
        roaming: stronger.roaming.or(weaker.roaming),
        constrained: stronger.constrained.or(weaker.constrained),
        bypass_vpn: stronger.bypass_vpn.or(weaker.bypass_vpn),
        rtt: stronger.rtt.or(weaker.rtt),
        up: stronger.up.or(weaker.up),
        down: stronger.down.or(weaker.down),
    }
}

/// A layer that is not there, be it that the way to it ends at a file.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    let taken = file.take(LARGEST + 1).read_to_string(&mut text)?;
    if taken as u64 > LARGEST {
        let fault = format!("over {LARGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, fault));
    }
    Ok(text)
}
