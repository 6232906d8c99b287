//! `mancom status`: every network of this host.
//!
//! With `--json`, one object: `generation` and `complete` of the snapshot, and `networks`, each as
//! [`crate::view`] documents it.

use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{Global, view};
use serde_json::json;
use std::time::Duration;

/// Show every network of this host as mancom sees it.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP)]
pub(crate) struct Status {}

/// How long to wait for the first whole scan; what is known by then is shown as incomplete.
const FIRST_SCAN: Duration = Duration::from_secs(3);

impl Status {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.manager().await?;
        let mut snapshots = manager.snapshots();
        let scan = snapshots.wait_for(|snapshot| snapshot.is_complete());
        let complete = matches!(tokio::time::timeout(FIRST_SCAN, scan).await, Ok(Ok(_)));
        if !complete {
            say("the networks are not all known yet");
        }
        let snapshot = manager.snapshot();
        let networks: Vec<view::View> = snapshot.networks().iter().map(view::View::of).collect();
        output.print(
            || {
                json!({
                    "generation": snapshot.generation(),
                    "complete": complete,
                    "networks": networks.iter().map(view::View::object).collect::<Vec<_>>(),
                })
            },
            |output| {
                let rows: Vec<Vec<String>> = std::iter::once(view::View::header())
                    .chain(networks.iter().map(view::View::row))
                    .collect();
                output.table(&rows)
            },
        )?;
        Ok(Exit::Fine)
    }
}
