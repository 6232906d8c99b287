//! `mancom wait LABEL`: for scripts and units, until a network fits.
//!
//! Prints the name of the network that matches. On a time-out stderr says what every network lacks, and
//! stdout stays empty without `--json`; [`JSON`] says what that prints.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::patience::patiently;
use crate::view::{self, View};
use crate::{Global, duration, label, scan};
use std::time::Duration;

/// What `--json` prints.
const JSON: &str =
    r#"The network that matches, or { "blocked": .. } with an explanation if the time is over."#;

/// Wait until a network matches a label: exit 0 then, 4 when the time is over.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON, view::NETWORK, view::BLOCKED]))]
pub(crate) struct Wait {
    /// What the network must be: `require=wifi`, `if=eth0`, `any`.
    label: String,
    /// The longest wait, in seconds or as 250ms, 10m, 12h; without it, for ever.
    /// 0 looks once, when the networks are known.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
}

impl Wait {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.lasting_manager().await?;
        let label = label::parse(&self.label, |name| manager.label(name))?;
        let mut matching = manager.matching(label);
        if self.timeout == Some(Duration::ZERO) {
            scan::complete(&manager).await;
        }
        if let Some(timeout) = self.timeout {
            matching = matching.within(timeout);
        }
        let waited = patiently(matching.into_future()).await;
        let network = match waited.map_err(mancom::Error::from) {
            Ok(network) => network,
            Err(error) => {
                if let Some(blocked) = error.blocked() {
                    output.object(|| serde_json::json!({ "blocked": blocked }))?;
                }
                return Err(error.into());
            }
        };
        output.print(
            || View::of(&network).object(),
            |_| format!("{}\n", network.name()),
        )?;
        Ok(Exit::Fine)
    }
}
