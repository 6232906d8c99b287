//! `mancom key new [FILE]`, `mancom key show [FILE]`: who this end is in `mcs://` and `tls://`.
//!
//! The public key goes to stdout, alone on a line: what the other side pins. [`JSON`] says what `--json`
//! prints.

use crate::Global;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use mancom::Identity;
use serde_json::json;
use std::path::PathBuf;

/// Shown below `--help`.
const JSON: &str = r#"One object:
  { "file": "/home/me/.config/mancom/key.pem",
    "key": "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
file is that of the private key, key the public one."#;

/// Make and show keys that prove who this end is.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON]))]
pub(crate) struct Key {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a private key in a new file that only you can read, and print the public one.
    New {
        /// Default: mancom/key.pem in $XDG_CONFIG_HOME or ~/.config.
        file: Option<PathBuf>,
    },
    /// Print the public key of a private one.
    Show {
        /// As of `key new`.
        file: Option<PathBuf>,
    },
}

impl Key {
    pub(crate) fn run(&self, _: &Global, output: &Output) -> Result<Exit, Failure> {
        let wrong = |error: mancom::TlsError| Failure::new(Exit::Failed, error.to_string());
        let (file, identity) = match &self.what {
            What::New { file } => {
                let file = file.clone().map_or_else(own, Ok)?;
                if let Some(folder) = file.parent() {
                    let made = std::fs::create_dir_all(folder);
                    made.map_err(|error| {
                        let text = format!("{}: {error}", folder.display());
                        Failure::new(Exit::Failed, text)
                    })?;
                }
                (file.clone(), Identity::create(file).map_err(wrong)?)
            }
            What::Show { file } => {
                let file = file.clone().map_or_else(own, Ok)?;
                (file.clone(), Identity::from_file(file).map_err(wrong)?)
            }
        };
        let key = identity.public_key().to_string();
        let object = || json!({ "file": file.to_string_lossy(), "key": key });
        output.print(object, |_| format!("{key}\n"))?;
        Ok(Exit::Fine)
    }
}

/// The key of this user.
fn own() -> Result<PathBuf, Failure> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    match folder {
        Some(folder) => Ok(folder.join("mancom").join("key.pem")),
        None => Err(Failure::new(
            Exit::Usage,
            "there is no home folder here: name a file".to_owned(),
        )),
    }
}
