//! `mancom status`: every network of this host, and with `--facts` all that is known of each.
//!
//! [`JSON`] and [`view::NETWORK`] say what `--json` prints.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::view::{self, View};
use crate::{Global, scan};
use mancom::Network;
use serde_json::json;

/// What `--json` prints.
const JSON: &str = r#"One object; generation is that of the snapshot, source where the networks come from:
  { "generation": 7, "complete": true, "source": "netlink", "networks": [ .. ] }"#;

/// Show every network of this host as mancom sees it.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON, view::NETWORK]))]
pub(crate) struct Status {
    /// Only the networks of these names.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Everything known of each network, where it comes from and how long it has been so.
    #[arg(long)]
    facts: bool,
}

impl Status {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.manager().await?;
        let snapshot = scan::complete(&manager).await;
        let missing = self
            .names
            .iter()
            .find(|name| snapshot.by_name(name).is_none());
        if let Some(name) = missing {
            return Err(Failure::new(
                Exit::Failed,
                format!("there is no network `{name}`"),
            ));
        }
        let asked = |network: &&Network| {
            self.names.is_empty() || self.names.iter().any(|name| name == network.name())
        };
        let networks: Vec<View> = snapshot
            .networks()
            .iter()
            .filter(asked)
            .map(View::of)
            .collect();
        output.print(
            || {
                json!({
                    "generation": snapshot.generation(),
                    "complete": snapshot.is_complete(),
                    "source": manager.scout().source(),
                    "networks": networks.iter().map(View::object).collect::<Vec<_>>(),
                })
            },
            |output| match self.facts {
                true => {
                    let tables = networks.iter().map(|view| output.table(&view.facts()));
                    tables.collect::<Vec<_>>().join("\n")
                }
                false => {
                    let rows =
                        std::iter::once(View::header()).chain(networks.iter().map(View::row));
                    output.table(&rows.collect::<Vec<_>>())
                }
            },
        )?;
        Ok(Exit::Fine)
    }
}
