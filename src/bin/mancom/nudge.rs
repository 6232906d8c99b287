//! `mancom nudge OP`: makes what waits in another process retry at once.
//!
//! OP is as `mancom ops` shows it, `op-17`, with its process before it where two have one of that number:
//! `4711/op-17`. Exit 0 if it was nudged, 1 if nothing of that number waits.

use crate::Global;
use crate::exit::{Exit, Failure};
use crate::ops::{Asked, complain, failure, nobody, place, waiting};
use crate::output::Output;
use mancom::OperationId;
use mancom::manager::inspect::{Answered, nudge_all, ops};
use serde_json::json;
use std::path::Path;

/// What `--json` prints.
const JSON: &str = r#"  { "nudged": 1 }"#;

/// Make what waits in another process retry at once.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON]))]
pub(crate) struct Nudge {
    /// The operation as `mancom ops` shows it: `op-17`, or `PID/op-17`.
    #[arg(required_unless_present = "all", value_parser = one)]
    op: Option<One>,
    /// Everything that waits, in every process.
    #[arg(long, conflicts_with = "op")]
    all: bool,
    /// In this process only.
    #[arg(long)]
    pid: Option<u32>,
}

/// One operation, and its process if that was said.
#[derive(Debug, Clone, Copy)]
struct One {
    pid: Option<u32>,
    id: OperationId,
}

/// So many operations are named to who asked for one that is not there.
const NAMED: usize = 10;

fn one(text: &str) -> Result<One, String> {
    let (pid, id) = match text.split_once('/') {
        Some((pid, id)) => (Some(pid), id),
        None => (None, text),
    };
    let pid = pid.map(str::parse).transpose();
    let pid = pid.map_err(|_| "expected a process before the slash, as in 4711/op-17")?;
    let id = id
        .parse()
        .map_err(|error: mancom::deferral::OperationIdError| error.to_string())?;
    Ok(One { pid, id })
}

impl Nudge {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let of = self.op.and_then(|op| op.pid);
        if let (Some(one), Some(other)) = (of, self.pid)
            && one != other
        {
            let text = format!("process {one} is named, and --pid {other}");
            return Err(Failure::new(Exit::Usage, text));
        }
        let pid = of.or(self.pid);
        let folder = place(global)?;
        let Some(op) = self.op else {
            let asked = nudge_all(&folder, pid).await.map_err(failure)?;
            anybody(&asked, &folder, pid)?;
            let nudged = asked.iter().filter_map(|one| one.answer.as_ref().ok());
            told(output, nudged.sum())?;
            return Ok(complain(&asked));
        };
        let asked = ops(&folder, pid).await.map_err(failure)?;
        anybody(&asked, &folder, pid)?;
        let holder = holder(&asked, op.id)?;
        if !holder.process.nudge(op.id).await.map_err(failure)? {
            return Err(missing(&asked, op.id));
        }
        told(output, 1)?;
        Ok(Exit::Fine)
    }
}

fn anybody<T>(asked: &[Answered<T>], folder: &Path, pid: Option<u32>) -> Result<(), Failure> {
    match asked.is_empty() {
        true => Err(Failure::new(Exit::Failed, nobody(folder, pid))),
        false => Ok(()),
    }
}

fn told(output: &Output, nudged: usize) -> Result<(), Failure> {
    output.print(
        || json!({ "nudged": nudged }),
        |_| format!("nudged {nudged}\n"),
    )?;
    Ok(())
}

/// The one process in which this operation waits; those that list not all they wait for may be it.
fn holder(asked: &[Asked], id: OperationId) -> Result<&Asked, Failure> {
    let has = |one: &&Asked| waiting(one).iter().any(|op| op.id() == id);
    let may = |one: &&Asked| one.answer.as_ref().is_ok_and(|answer| answer.truncated);
    let mut holders: Vec<&Asked> = asked.iter().filter(has).collect();
    if holders.is_empty() {
        holders = asked.iter().filter(may).collect();
    }
    match holders[..] {
        [] => {
            complain(asked);
            Err(missing(asked, id))
        }
        [holder] => Ok(holder),
        _ => {
            let all = holders
                .iter()
                .map(|one| format!("{}/{id}", one.process.pid()));
            let all = all.collect::<Vec<_>>().join(" or ");
            let text = format!("more than one process may have {id}: say {all}");
            Err(Failure::new(Exit::Failed, text))
        }
    }
}

fn missing(asked: &[Asked], id: OperationId) -> Failure {
    let pending = asked.iter().flat_map(|one| {
        let pid = one.process.pid();
        let ops = waiting(one).iter();
        ops.map(move |op| format!("  {pid}/{} ({})", op.id(), op.label()))
    });
    let mut lines: Vec<String> = pending
        .filter(|line| !line.contains(char::is_control))
        .collect();
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    let text = match lines.is_empty() {
        true => format!("{id} does not wait, and nothing else does"),
        false => format!("{id} does not wait; what does:\n{}", lines.join("\n")),
    };
    Failure::new(Exit::Failed, text)
}
