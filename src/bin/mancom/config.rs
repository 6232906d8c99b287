//! `mancom config check [FILE...]`: whether the configuration is right, and what it says.
//!
//! Without files, those of the host and `--config`; with files, these alone, each above those before
//! it. Exit 0 if all is right, 2 with every fault on stderr if not. [`JSON`] says what
//! `--json` prints.

use crate::Global;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use mancom::account::Limit;
use mancom::manager::config::{Config as Configuration, ConfigError, ConfigFault, NamedLabel};
use mancom::scout::Facts;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Check the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Check(Check),
}

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out, and what is not said is null:
  { "faults": [ { "file": "mancom.toml", "line": 2, "column": 8, "field": "networks.wlan0.kind",
    "text": "unknown kind `wfi`, did you mean `wifi`?" } ], "more": 0, "config": null }
  { "faults": [], "more": 0, "config": { "files": ["/etc/mancom.toml"], "unknown": "allow",
    "networks": [ { "pattern": "wwan*", "kind": "cellular", "metered": true, "roaming": null,
    "constrained": null, "bypass_vpn": null, "rtt_ms": 60.0, "up_bits": null,
    "down_bits": 10000000, "loss_permille": null } ],
    "labels": [ { "name": "photos", "label": "background large", "within_ms": 43200000.0,
    "grace_ms": null, "relax_after_ms": null, "relax_to": null, "stop_ms": null } ],
    "rules": [ { "rule": "forbid background on metered", "file": "/etc/mancom.toml",
    "line": 12 } ], "limits": [ { "about": "background on metered", "rate": 1000000,
    "bytes": 500000000, "per": "month", "file": "/etc/mancom.toml", "line": 16 } ],
    "state": { "folder": null }, "scout": { "socket": null, "fallback": null },
    "monitor": { "enabled": null, "folder": null } } }
line and column of a file that cannot be read are null. networks and rules are in the order in
which they are tried; more counts the faults beyond those listed."#;

/// Say everything that is wrong with the configuration, or else what it says.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON]))]
struct Check {
    /// The files to check, each above those before it. Without any, those in use on this host.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Config {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let What::Check(check) = &self.what;
        let read = match check.files.as_slice() {
            [] => Configuration::load(global.config.as_deref()),
            files => Configuration::from_files(files),
        };
        match read {
            Ok(config) => {
                output.print(|| right(&config), |output| output.table(&rows(&config)))?;
                Ok(Exit::Fine)
            }
            Err(error) => {
                output.object(|| wrong(&error))?;
                Err(Failure::new(Exit::Usage, mancom::Error::from(error)))
            }
        }
    }
}

fn wrong(error: &ConfigError) -> Value {
    let faults = error.faults().iter().map(|fault| match fault {
        ConfigFault::Invalid {
            file,
            line,
            column,
            field,
            fault,
        } => json!({
            "file": file, "line": line, "column": column, "field": field, "text": fault,
        }),
        ConfigFault::Unreadable { path, source } => json!({
            "file": path.to_string_lossy(), "line": null, "column": null, "field": "",
            "text": source.to_string(),
        }),
        other => json!({
            "file": "", "line": null, "column": null, "field": "", "text": other.to_string(),
        }),
    });
    json!({ "faults": faults.collect::<Vec<_>>(), "more": error.more(), "config": null })
}

fn right(config: &Configuration) -> Value {
    let files = config.files().iter().map(|file| file.to_string_lossy());
    let policy = config.policy();
    let rules = policy
        .rules
        .iter()
        .map(|rule| json!({ "rule": rule.to_string(), "file": rule.file(), "line": rule.line() }));
    let networks = config
        .networks()
        .map(|(pattern, facts)| network(pattern, facts));
    let labels = config.labels().map(|(name, named)| label(name, named));
    json!({ "faults": [], "more": 0, "config": {
        "files": files.collect::<Vec<_>>(),
        "unknown": unknown(config),
        "networks": networks.collect::<Vec<_>>(),
        "labels": labels.collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
        "limits": config.limits().map(|limit| limited(&limit)).collect::<Vec<_>>(),
        "state": { "folder": config.state_folder() },
        "scout": { "socket": config.scout().socket, "fallback": config.scout().fallback },
        "monitor": { "enabled": config.monitor().enabled, "folder": config.monitor().folder },
    }})
}

fn limited(limit: &Limit) -> Value {
    let (bytes, per) = limit.budget().unzip();
    json!({
        "about": limit.about(),
        "rate": limit.bytes_a_second(),
        "bytes": bytes,
        "per": per.map(|per| per.to_string()),
        "file": &**limit.file(),
        "line": limit.line(),
    })
}

fn network(pattern: &str, facts: &Facts) -> Value {
    json!({
        "pattern": pattern,
        "kind": facts.kind.map(|kind| kind.word()),
        "metered": facts.metered,
        "roaming": facts.roaming,
        "constrained": facts.constrained,
        "bypass_vpn": facts.bypass_vpn,
        "rtt_ms": millis(facts.rtt),
        "up_bits": facts.up,
        "down_bits": facts.down,
        "loss_permille": facts.loss,
    })
}

fn label(name: &str, named: &NamedLabel) -> Value {
    json!({
        "name": name,
        "label": named.label.to_string(),
        "within_ms": millis(named.within),
        "grace_ms": millis(named.grace),
        "relax_after_ms": millis(named.relax.map(|(after, _)| after)),
        "relax_to": named.relax.map(|(_, looser)| looser.to_string()),
        "stop_ms": millis(named.stop),
    })
}

fn millis(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64() * 1000.0)
}

fn unknown(config: &Configuration) -> &'static str {
    match config.policy().unknown_denied {
        true => "deny",
        false => "allow",
    }
}

/// A row for each thing that is said.
fn rows(config: &Configuration) -> Vec<Vec<String>> {
    let mut rows = vec![["WHAT", "NAME", "SAYS"].map(str::to_owned).to_vec()];
    let mut row =
        |what: &str, name: String, says: String| rows.push(vec![what.to_owned(), name, says]);
    for file in config.files() {
        row("file", file.display().to_string(), String::new());
    }
    row("unknown", String::new(), unknown(config).to_owned());
    for (pattern, facts) in config.networks() {
        row("network", pattern.to_owned(), stated(facts));
    }
    for (name, named) in config.labels() {
        row("label", name.to_owned(), named.label.to_string());
        row("", String::new(), defaults(named));
    }
    for rule in config.policy().rules.iter() {
        let place = format!("{}:{}", rule.file(), rule.line());
        row("rule", place, rule.to_string());
    }
    for limit in config.limits() {
        let place = format!("{}:{}", limit.file(), limit.line());
        row("limit", place, limit.about().to_owned());
        let budget = limit.budget();
        let said = [
            (
                "rate",
                limit.bytes_a_second().map(|rate| format!("{rate}B/s")),
            ),
            ("bytes", budget.map(|(bytes, _)| format!("{bytes}B"))),
            ("per", budget.map(|(_, per)| per.to_string())),
        ];
        row("", String::new(), words(said));
    }
    let state = config
        .state_folder()
        .map(|folder| folder.display().to_string());
    row("state", String::new(), words([("folder", state)]));
    let (scout, monitor) = (config.scout(), config.monitor());
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let fallback = scout.fallback.map(|fallback| fallback.to_string());
    let scout = [("socket", path(&scout.socket)), ("fallback", fallback)];
    row("scout", String::new(), words(scout));
    let enabled = monitor.enabled.map(|enabled| enabled.to_string());
    let monitor = [("enabled", enabled), ("folder", path(&monitor.folder))];
    row("monitor", String::new(), words(monitor));
    // What nothing is said of needs no row.
    rows.retain(|row| !row[1].is_empty() || !row[2].is_empty());
    rows
}

fn stated(facts: &Facts) -> String {
    let yes = |fact: Option<bool>| fact.map(|fact| fact.to_string());
    words([
        ("kind", facts.kind.map(|kind| kind.to_string())),
        ("metered", yes(facts.metered)),
        ("roaming", yes(facts.roaming)),
        ("constrained", yes(facts.constrained)),
        ("bypass_vpn", yes(facts.bypass_vpn)),
        ("rtt", facts.rtt.map(span)),
        ("up", facts.up.map(rate)),
        ("down", facts.down.map(rate)),
        (
            "loss",
            facts
                .loss
                .map(|loss| format!("{}%", f64::from(loss) / 10.0)),
        ),
    ])
}

fn defaults(named: &NamedLabel) -> String {
    words([
        ("within", named.within.map(span)),
        ("grace", named.grace.map(span)),
        ("relax_after", named.relax.map(|(after, _)| span(after))),
        (
            "relax_to",
            named
                .relax
                .map(|(_, looser)| format!("{:?}", looser.to_string())),
        ),
        ("stop", named.stop.map(span)),
    ])
}

/// As in the file, what is not said left out.
fn words<const N: usize>(said: [(&str, Option<String>); N]) -> String {
    let said = said
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    said.collect::<Vec<_>>().join(" ")
}

/// In the largest unit that leaves no fraction.
fn span(time: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let millis = time.as_millis();
    match UNITS
        .iter()
        .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit))
    {
        Some((unit, word)) => format!("{}{word}", millis / unit),
        None => format!("{}ms", time.as_secs_f64() * 1000.0),
    }
}

/// In the largest unit that leaves no fraction.
fn rate(bits: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "Gbit"), (1_000_000, "Mbit"), (1000, "kbit")];
    match UNITS.iter().find(|(unit, _)| bits.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", bits / unit),
        None => format!("{bits}bit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_rates_are_shown_as_they_are_written() {
        let shown = |millis| span(Duration::from_millis(millis));
        let spans = [0, 60, 1500, 5000, 90_000, 43_200_000, 172_800_000].map(shown);
        assert_eq!(spans, ["0ms", "60ms", "1500ms", "5s", "90s", "12h", "2d"]);
        let rates = [300, 64_000, 10_000_000, 2_000_000_000].map(rate);
        assert_eq!(rates, ["300bit", "64kbit", "10Mbit", "2Gbit"]);
    }
}
