//! `mancom limits`: what traffic may cost in the processes of this user, what was spent of it, and the
//! bytes that went.
//!
//! A process is seen if it has an inspection socket, as by `mancom ops`. [`JSON`] says what `--json` prints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mancom::manager::inspect::{Answered, Status, statuses};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::ops::{complain, failure, nobody, place, words};
use crate::output::{Output, say};
use crate::{Global, view};

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out:
  { "processes": [ { "pid": 4711, "name": "uploader", "error": null,
    "limits": [ { "limit": "500 MB a month for any on metered", "label": "any", "on": "metered",
    "rate": null, "bytes": 500000000, "per": "month", "file": "/etc/mancom.toml", "line": 3 } ],
    "spending": [ { "limit": "500 MB a month for any on metered", "network": "wwan0", "used": 12000,
    "bytes": 500000000, "renewed": 1795996800 } ],
    "traffic": [ { "network": "wwan0", "metered": true, "urgency": "background", "sent": 12000,
    "received": 90 } ] } ] }
rate is bytes a second; bytes count both ways in each period of per; renewed is in seconds after the
beginning of 1970. spending has a budget on each network where it is known, traffic what went since the
process began: urgency is null for what is no payload, network for what uses none. A process that did
not answer is listed with its error, and the exit is 1."#;

/// List what traffic may cost, what was spent of it, and the bytes that went.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON]))]
pub(crate) struct Limits {
    /// Of this process only.
    #[arg(long)]
    pid: Option<u32>,
}

type Asked = Answered<Status>;

impl Limits {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let folder = place(global)?;
        let asked = statuses(&folder, self.pid).await.map_err(failure)?;
        output.print(|| object(&asked), |output| tables(output, &asked))?;
        let of = |part| asked.iter().any(|one| !all(one, part).is_empty());
        if asked.is_empty() {
            say(nobody(&folder, self.pid));
            if self.pid.is_some() {
                return Ok(Exit::Failed);
            }
        } else if !of(Part::Limits) {
            say("nothing is limited");
        }
        Ok(complain(&asked))
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Limits,
    Spending,
    Traffic,
}

/// Of an older version that does not tell it, nothing.
fn all(asked: &Asked, part: Part) -> &[Value] {
    let value = asked.answer.as_ref().ok().map(|status| match part {
        Part::Limits => &status.limits,
        Part::Spending => &status.spending,
        Part::Traffic => &status.traffic,
    });
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn object(asked: &[Asked]) -> Value {
    let one = |asked: &Asked| {
        json!({
            "pid": asked.process.pid(),
            "name": asked.process.name(),
            "error": asked.answer.as_ref().err().map(words),
            "limits": all(asked, Part::Limits),
            "spending": all(asked, Part::Spending),
            "traffic": all(asked, Part::Traffic),
        })
    };
    json!({ "processes": asked.iter().map(one).collect::<Vec<_>>() })
}

fn tables(output: &Output, asked: &[Asked]) -> String {
    let limits = ["PROCESS", "LIMIT", "NETWORK", "USED", "RENEWED IN"];
    let traffic = [
        "PROCESS", "NETWORK", "METERED", "URGENCY", "SENT", "RECEIVED",
    ];
    let limited = asked.iter().flat_map(limits_of).collect();
    let moved = asked.iter().flat_map(traffic_of).collect();
    let tables = [
        table(output, &limits, limited),
        table(output, &traffic, moved),
    ];
    let told: Vec<_> = tables
        .into_iter()
        .filter(|table| !table.is_empty())
        .collect();
    told.join("\n")
}

fn table(output: &Output, header: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header = header.iter().map(|word| (*word).to_owned()).collect();
    let clean = |row: Vec<String>| {
        let cells = row.into_iter();
        cells
            .map(|cell| cell.replace(char::is_control, " "))
            .collect()
    };
    let rows = std::iter::once(header).chain(rows.into_iter().map(clean));
    output.table(&rows.collect::<Vec<_>>())
}

fn process(asked: &Asked) -> String {
    let name = asked.process.name().unwrap_or_default();
    format!("{} {name}", asked.process.pid())
}

/// A row for each network on which a limit was spent of, or one for what nothing was spent of.
fn limits_of(asked: &Asked) -> Vec<Vec<String>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let mut rows = Vec::new();
    for limit in all(asked, Part::Limits) {
        let name = text(&limit["limit"]);
        let spending = all(asked, Part::Spending).iter();
        let mut of: Vec<_> = spending
            .filter(|of| of["limit"] == limit["limit"])
            .collect();
        // Twice the same limit is listed once.
        of.dedup();
        if of.is_empty() {
            rows.push(vec![process(asked), name, text(&limit["on"])]);
            continue;
        }
        for one in of {
            let renewed = one["renewed"].as_u64().unwrap_or_default();
            let left = Duration::from_secs(renewed.saturating_sub(now));
            rows.push(vec![
                process(asked),
                name.clone(),
                text(&one["network"]),
                format!("{} of {} B", one["used"], one["bytes"]),
                view::age(left),
            ]);
        }
    }
    rows
}

fn traffic_of(asked: &Asked) -> Vec<Vec<String>> {
    let row = |one: &Value| {
        vec![
            process(asked),
            text(&one["network"]),
            if one["metered"] == true { "yes" } else { "no" }.to_owned(),
            text(&one["urgency"]),
            one["sent"].to_string(),
            one["received"].to_string(),
        ]
    };
    all(asked, Part::Traffic).iter().map(row).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
