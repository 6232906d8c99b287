//! `mancom ops`: what the processes of this user wait for, and why.
//!
//! A process is seen if it has an inspection socket: those of `#[mancom::main]` have one, and the
//! subcommands that last; others where their configuration says `[monitor] enabled = true`.
//! [`JSON`] and [`view::BLOCKED`] say what `--json` prints.

use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{Global, view};
use mancom::manager::config::Config;
use mancom::manager::inspect::{Answered, InspectError, Operations, Process, Waiting, folder, ops};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out:
  { "processes": [ { "pid": 4711, "name": "uploader", "error": null, "truncated": false,
    "ops": [ { "id": "op-17", "kind": "stream", "label": "require=wifi", "name": null,
    "first": null, "to": ["192.0.2.1"], "age_ms": 61000.0, "deadline_ms": 539000.0,
    "relax": { "after_ms": 8500.0, "label": "any" }, "priority": 0, "blocked": { .. } } ] } ] }
The name of an operation is what the configuration calls its label; first and relax tell of a looser
label that took over or will, else they are null. deadline_ms is what is left. blocked is the whole
explanation, null for what was just matched. A process that did not answer is listed with its error
and without ops, and the exit is 1; one with truncated waits for more than it lists. The name of a
process is null if it did not say it."#;

/// List what the processes of this user wait for, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON, view::BLOCKED]))]
pub(crate) struct Ops {
    /// Of this process only.
    #[arg(long)]
    pid: Option<u32>,
}

impl Ops {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let folder = place(global)?;
        let asked = ops(&folder, self.pid).await.map_err(failure)?;
        output.print(|| object(&asked), |output| table(output, &asked))?;
        if asked.is_empty() {
            say(nobody(&folder, self.pid));
            if self.pid.is_some() {
                return Ok(Exit::Failed);
            }
        } else if asked.iter().all(|one| waiting(one).is_empty()) {
            say("nothing waits for a network");
        }
        Ok(complain(&asked))
    }
}

/// A process and what it waits for.
pub(crate) type Asked = Answered<Operations>;

pub(crate) fn waiting(asked: &Asked) -> &[Waiting] {
    asked.answer.as_ref().map_or(&[], |answer| &answer.ops)
}

/// The folder that the configuration names.
pub(crate) fn place(global: &Global) -> Result<PathBuf, Failure> {
    let config = Config::load(global.config.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, mancom::Error::from(error)))?;
    Ok(folder(config.monitor()))
}

/// Says who did not answer.
pub(crate) fn complain<T>(asked: &[Answered<T>]) -> Exit {
    let errors = asked.iter().filter_map(|one| one.answer.as_ref().err());
    let told = errors.map(|error| say(words(error))).count();
    if told == 0 { Exit::Fine } else { Exit::Failed }
}

/// The error with what the system said.
pub(crate) fn words(error: &InspectError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

pub(crate) fn failure(error: InspectError) -> Failure {
    Failure::new(Exit::Failed, words(&error))
}

pub(crate) fn nobody(folder: &Path, pid: Option<u32>) -> String {
    let who = pid.map_or_else(
        || "no process".to_owned(),
        |pid| format!("no process {pid}"),
    );
    format!("{who} has an inspection socket in {}", folder.display())
}

fn object(asked: &[Asked]) -> Value {
    let one = |asked: &Asked| {
        let answer = asked.answer.as_ref();
        json!({
            "pid": asked.process.pid(),
            "name": asked.process.name(),
            "error": answer.err().map(words),
            "truncated": answer.is_ok_and(|answer| answer.truncated),
            "ops": waiting(asked),
        })
    };
    json!({ "processes": asked.iter().map(one).collect::<Vec<_>>() })
}

fn table(output: &Output, asked: &[Asked]) -> String {
    let header = [
        "PROCESS", "OP", "KIND", "LABEL", "TO", "WAITING", "DEADLINE", "WHY",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for one in asked {
        rows.extend(waiting(one).iter().map(|op| row(&one.process, op)));
        if one.answer.as_ref().is_ok_and(|answer| answer.truncated) {
            let pid = one.process.pid();
            rows.push(vec![pid.to_string(), "...".to_owned()]);
        }
    }
    match rows.len() {
        1 => String::new(),
        _ => output.table(&rows),
    }
}

fn row(process: &Process, waiting: &Waiting) -> Vec<String> {
    let name = process.name().unwrap_or_default();
    let cells = [
        format!("{} {name}", process.pid()),
        waiting.id().to_string(),
        waiting.kind().to_owned(),
        waiting.label_name().unwrap_or(waiting.label()).to_owned(),
        waiting.destination(),
        view::age(waiting.age()),
        waiting.deadline().map_or_else(String::new, view::age),
        waiting
            .hint()
            .unwrap_or("a network matches: about to try it")
            .to_owned(),
    ];
    cells
        .map(|cell| cell.replace(char::is_control, " "))
        .to_vec()
}
