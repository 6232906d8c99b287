//! The layers of configuration, and how they lie above each other.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::Faults;
use super::text::Parsed;
use super::tree::Source;
use super::{Config, ConfigError, ConfigFault, Monitor, Watch};
use crate::scout::Facts;

/// More than any configuration needs; a wrong path to a large file must not fill the memory.
const LARGEST: u64 = 1 << 20;

/// Where each layer is, weakest first.
#[derive(Debug, Clone)]
pub(in crate::manager) struct Layers(pub(super) Vec<Layer>);

#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) path: PathBuf,
    /// Whether it must exist, for it was named.
    pub(super) named: bool,
}

impl Layers {
    /// The layers of this process; `named` outranks `MANCOM_CONFIG`.
    pub(in crate::manager) fn of_process(named: Option<&Path>) -> Self {
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
        let system = cfg!(unix).then(|| PathBuf::from("/etc/mancom.toml"));
        let user = user.map(|path| path.join("mancom/mancom.toml"));
        let named = named
            .map(Path::to_owned)
            .or_else(|| variable("MANCOM_CONFIG").map(PathBuf::from));
        // A file that is named is read once, as the strongest.
        let found = [system, user].into_iter().flatten();
        let found = found.filter(|path| named.as_ref() != Some(path));
        let layer = |named| move |path| Layer { path, named };
        let mut layers: Vec<_> = found.map(layer(false)).collect();
        layers.extend(named.map(layer(true)));
        Layers(layers)
    }

    /// The files, whether they exist or not.
    pub(in crate::manager) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|layer| layer.path.as_path())
    }

    /// Reads them all, also after a fault in one.
    pub(in crate::manager) fn load(&self) -> Result<Config, ConfigError> {
        let (mut config, mut faults) = (Config::default(), Faults::default());
        let (mut labels, mut whole) = (Vec::new(), true);
        for Layer { path, named } in &self.0 {
            match read(path) {
                Ok(text) => match layer(path, text) {
                    Ok(above) => {
                        config = config.under(above.config);
                        labels.extend(above.named);
                        whole &= above.whole;
                        faults.append(above.faults);
                    }
                    Err(more) => {
                        whole = false;
                        faults.append(more);
                    }
                },
                Err(error) if is_absent(&error) && !named => {}
                Err(source) => {
                    whole = false;
                    faults.push(|| {
                        let path = path.clone();
                        ConfigFault::Unreadable { path, source }
                    });
                }
            }
        }
        // What a name means is known once all layers are: where one cannot be read, none is.
        if whole {
            config.check_limits(&labels, &mut faults);
            faults.sort_by_layer(|file| {
                self.paths()
                    .position(|path| *path.to_string_lossy() == *file)
            });
        }
        match faults.is_empty() {
            true => Ok(config),
            false => Err(faults.into()),
        }
    }
}

/// What one file says.
fn layer(path: &Path, text: Vec<u8>) -> Result<Parsed, Faults> {
    let name = path.to_string_lossy();
    let text = String::from_utf8(text).map_err(|error| {
        let right = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..right]);
        let source = Source::new(&text, &name);
        source.fault_at(right, "", "this is no UTF-8");
        source.into_faults()
    })?;
    let mut parsed = Config::parse_layer(&text, &name);
    parsed.config.files.push(path.to_owned());
    Ok(parsed)
}

impl Config {
    /// The layers of this host: the system's, the user's, and above them `path`, or without one the file
    /// that `MANCOM_CONFIG` names.
    ///
    /// # Errors
    ///
    /// Every fault of every layer: a named file that is missing, any that cannot be read or is no
    /// plain file, and each place in a text that is wrong.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        Layers::of_process(path).load()
    }

    /// These files and nothing else, each above those before it. All must exist.
    ///
    /// # Errors
    ///
    /// As of [`load`](Config::load).
    pub fn from_files<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
    ) -> Result<Config, ConfigError> {
        let named = |path: P| Layer {
            path: path.into(),
            named: true,
        };
        Layers(files.into_iter().map(named).collect()).load()
    }

    /// This configuration where `above` says nothing, key by key.
    fn under(self, above: Config) -> Config {
        let mut networks = above.networks;
        let place = |(place, (pattern, _)): (usize, &(String, Facts))| (pattern.clone(), place);
        let places: HashMap<String, usize> = networks.iter().enumerate().map(place).collect();
        for (pattern, facts) in self.networks {
            match places.get(&pattern) {
                Some(&place) => networks[place].1.complete(facts),
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
            named.stop = stronger.stop.or(named.stop);
        }
        let mut files = self.files;
        files.extend(above.files);
        let mut rules = above.rules;
        rules.extend(self.rules);
        let mut limits = above.limits;
        limits.extend(self.limits);
        Config {
            files,
            networks,
            labels,
            rules,
            limits,
            state: above.state.or(self.state),
            unknown_denied: above.unknown_denied.or(self.unknown_denied),
            scout: Watch {
                socket: above.scout.socket.or(self.scout.socket),
                fallback: above.scout.fallback.or(self.scout.fallback),
            },
            monitor: Monitor {
                enabled: above.monitor.enabled.or(self.monitor.enabled),
                folder: above.monitor.folder.or(self.monitor.folder),
            },
            #[cfg(feature = "tls")]
            tls: self.tls.under(above.tls),
        }
    }
}

/// A layer that is not there, be it that the way to it ends at a file.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// The file's bytes, without waiting for them: a pipe, a terminal or a socket could keep it for ever.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if path == Path::new("/dev/null") {
        return Ok(Vec::new());
    }
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        let fault = "not a plain file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
    }
    let mut text = Vec::new();
    let taken = File::open(path)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if taken as u64 > LARGEST {
        let fault = format!("over {LARGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, fault));
    }
    Ok(text)
}
