//! `mancom label TEXT`: what a label means.
//!
//! [`JSON`] says what `--json` prints.

use crate::Global;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use mancom::label::{Scope, Size, Urgency};
use mancom::manager::config::Config;
use mancom::{Label, LabelError, Prop};
use serde_json::{Value, json};

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out:
  { "label": "background require=wifi prohibit=metered", "urgency": "background", "size": null,
    "scope": "auto", "require": ["wifi"], "prefer": [], "avoid": [], "prohibit": ["metered"],
    "interface": null, "ignore_cost": false, "redundant": false, "bypass_vpn": false }
size is null, "small", "large" or a number of bytes; prefer keeps the order of the label."#;

/// Explain a label, or say what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON]))]
pub(crate) struct Explain {
    /// The label, as one argument or several: `interactive prohibit=metered`.
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
}

impl Explain {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let config = Config::load(global.config.as_deref())
            .map_err(|error| Failure::new(Exit::Usage, mancom::Error::from(error)))?;
        let label = parse(&self.text.join(" "), |name| config.named(name))?;
        output.print(|| object(&label), |output| output.table(&rows(&label)))?;
        Ok(Exit::Fine)
    }
}

/// A label from an argument, else the label of this name in the configuration; a bad one is shown with
/// a caret under what is wrong, and with the name most like it.
pub(crate) fn parse(
    text: &str,
    named: impl FnOnce(&str) -> Result<Label, LabelError>,
) -> Result<Label, Failure> {
    text.parse().or_else(|error| {
        named(text).map_err(|unnamed| {
            let nearest = match unnamed {
                LabelError::NotDefined { nearest, .. } => nearest,
                _ => None,
            };
            Failure::new(Exit::Usage, pointed_out(text, &error, nearest.as_deref()))
        })
    })
}

/// The error with what was perhaps meant, and below it the label with a caret under the column that
/// the error names.
fn pointed_out(text: &str, error: &LabelError, name: Option<&str>) -> String {
    let said = error.to_string();
    let said = match (name, said.strip_suffix('?')) {
        (None, _) => said,
        (Some(name), None) => format!("{said}; did you mean `{name}`?"),
        (Some(name), Some(suggests)) => format!("{suggests} or `{name}`?"),
    };
    match column(error) {
        Some(column) => format!("{said}\n  {text}\n  {:>column$}", '^'),
        None => said,
    }
}

/// Counted in characters from 1.
fn column(error: &LabelError) -> Option<usize> {
    match error {
        LabelError::Contradiction { column, .. } | LabelError::InterfaceName { column } => *column,
        LabelError::UnknownWord { column, .. }
        | LabelError::MissingValue { column, .. }
        | LabelError::Size { column, .. }
        | LabelError::Repeated { column, .. }
        | LabelError::TwoValues { column, .. }
        | LabelError::NotAlone { column } => Some(*column),
        _ => None,
    }
}

fn words(props: impl Iterator<Item = Prop>) -> Vec<&'static str> {
    props.map(Prop::word).collect()
}

fn object(label: &Label) -> Value {
    let size = match label.size() {
        Size::Small => json!("small"),
        Size::Large => json!("large"),
        Size::Bytes(bytes) => json!(bytes),
        _ => Value::Null,
    };
    json!({
        "label": label.to_string(),
        "urgency": label.urgency().word(),
        "size": size,
        "scope": label.scoped().word(),
        "require": words(label.required().iter()),
        "prefer": words(label.prefers()),
        "avoid": words(label.avoided().iter()),
        "prohibit": words(label.prohibited().iter()),
        "interface": label.interface_name(),
        "ignore_cost": label.ignores_cost(),
        "redundant": label.is_redundant(),
        "bypass_vpn": label.bypasses_vpn(),
    })
}

/// The label itself, then a row for each thing it says.
fn rows(label: &Label) -> Vec<Vec<String>> {
    let mut rows = vec![
        vec!["label".to_owned(), label.to_string()],
        vec!["urgency".to_owned(), urgency(label.urgency()).to_owned()],
    ];
    let mut row = |name: &str, meaning: String| rows.push(vec![name.to_owned(), meaning]);
    match label.size() {
        Size::Small => row("size", "small: the shortest round trip counts".to_owned()),
        Size::Large => row("size", "large: the most bandwidth counts".to_owned()),
        Size::Bytes(bytes) => row(
            "size",
            format!("{bytes} bytes: round trip and bandwidth count"),
        ),
        _ => {}
    }
    if label.scoped() != Scope::Auto {
        row("scope", label.scoped().to_string());
    }
    let required = label.required();
    let kinds = words(required.iter().filter(|prop| prop.is_kind()));
    if !kinds.is_empty() {
        row(
            "require",
            format!("a network that is {}", kinds.join(" or ")),
        );
    }
    let traits = words(required.traits());
    if !traits.is_empty() {
        row(
            "require",
            format!("a network that is {}", traits.join(" and ")),
        );
    }
    for (name, meaning, props) in [
        (
            "prohibit",
            "never a network that is",
            words(label.prohibited().iter()),
        ),
        (
            "prefer",
            "in this order, given a choice:",
            words(label.prefers()),
        ),
        (
            "avoid",
            "only where nothing else is:",
            words(label.avoided().iter()),
        ),
    ] {
        if !props.is_empty() {
            row(name, format!("{meaning} {}", props.join(", ")));
        }
    }
    if let Some(interface) = label.interface_name() {
        row("interface", format!("{interface} and no other"));
    }
    if label.ignores_cost() {
        row("cost", "does not count".to_owned());
    }
    if label.is_redundant() {
        row(
            "redundant",
            "may go over several networks at once".to_owned(),
        );
    }
    if label.bypasses_vpn() {
        row("vpn", "may be bypassed".to_owned());
    }
    rows
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Interactive => "interactive: sent before everything else",
        Urgency::Background => "background: sent when nothing more urgent waits",
        _ => "default: after interactive, before background",
    }
}
