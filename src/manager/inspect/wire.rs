//! What is said on an inspection socket: one JSON object a line, each way.
//!
//! The process speaks first, and once; then each question has one answer, in order. Whoever asks closes.
//!
//! | question | answer |
//! | --- | --- |
//! | (none: on connecting) | `{"mancom": 1, "pid": 4711, "name": "uploader", "version": "0.1.0"}` |
//! | `{"ask": "ops"}` | `{"ops": [..], "explanations": [..], "truncated": false}` |
//! | `{"ask": "nudge", "op": "op-17"}` | `{"nudged": 1}`; 0 if it does not wait |
//! | `{"ask": "nudge", "op": "all"}` | `{"nudged": 3}` |
//! | `{"ask": "cancel", "op": "op-17"}` | `{"cancelled": 1}`; 0 if it does not wait |
//! | `{"ask": "status"}` | `{"status": {"pid", "name", "version", "source", "pending", "sessions", "limits", "traffic", "spending", "snapshot"}}` |
//! | anything else | `{"error": "in words"}` |
//!
//! `"mancom"` is the version of the protocol, 1. Within a version keys and questions are added, none
//! changes its meaning; unknown keys are ignored. `snapshot` is the
//! [`Snapshot`](crate::Snapshot), `source` says where it comes from.
//!
//! `traffic` has bytes as [`NetworkTraffic`](crate::account::NetworkTraffic): `{"network": "wwan0", "metered":
//! true, "urgency": "background", "sent": 7, "received": 0}`, its urgency `null` for what is no payload.
//! `limits` has those in force: `{"limit": "500 MB a month for any on metered", "label": "any", "on":
//! "metered", "rate": null, "bytes": 500000000, "per": "month", "file": "", "line": 0}`.
//! `spending` has what budgets were spent of: [`Spending`](crate::account::Spending).
//!
//! `ops` are those of [`Pending`](crate::deferral::Pending), the first by number, but for `"blocked"`: what
//! waits with one label for one destination waits for one reason, so an explanation stands once among
//! the `explanations`, and `"blocked": 3` is the fourth of them. `null` stays `null`. Ten thousand operations
//! of one label are 1.8 MB so, however many networks there are to speak of.
//!
//! After a question that is too long, or is no line within 5 s, the process closes. To who may not ask it
//! says `{"error": ..}` and nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::deferral::{OperationId, Pending};

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;
/// Bytes of a question, the end of its line included.
pub(super) const LONGEST_QUESTION: u64 = 64 << 10;
/// Bytes of an answer, the end of its line included.
pub(super) const LONGEST_ANSWER: u64 = 16 << 20;
/// Operations in an answer.
pub(super) const MOST_OPERATIONS: usize = 10_000;
/// Connections a process serves at once.
pub(super) const CONNECTIONS: usize = 16;
/// How long the next question, or the taking of an answer, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Room for what stands around the operations of an answer.
const FRAME: usize = 64;

/// What the process says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) mancom: u32,
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) version: String,
}

/// What is asked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(super) enum Question {
    Ops,
    Nudge { op: Named },
    Cancel { op: Named },
    Status,
}

/// Which operation is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Named {
    All,
    One(OperationId),
}

impl Serialize for Named {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Named::All => serializer.serialize_str("all"),
            Named::One(id) => serializer.collect_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "all" => Ok(Named::All),
            text => text
                .parse()
                .map(Named::One)
                .map_err(serde::de::Error::custom),
        }
    }
}

/// One line without its end; `None` at an orderly end.
///
/// # Errors
///
/// `InvalidData` for one that is too long or that nothing ends.
pub(super) async fn line(
    from: &mut (impl AsyncBufRead + Unpin),
    most: u64,
) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(most).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no line within {most} bytes"),
        )),
    }
}

/// Any value as a line.
pub(super) fn to_line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// An operation, and which of the explanations is its own.
struct Told<'a>(&'a Pending, Option<usize>);

impl Serialize for Told<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_with(&self.1, serializer)
    }
}

/// The answer to `ops`: as many as there is room for.
pub(super) fn operations(pending: &[Pending], room: usize) -> io::Result<Vec<u8>> {
    let mut line = br#"{"ops":["#.to_vec();
    let (mut explanations, mut known) = (Vec::new(), HashMap::new());
    let mut told = 0;
    for operation in pending.iter().take(MOST_OPERATIONS) {
        let before = (line.len(), explanations.len());
        if told > 0 {
            line.push(b',');
        }
        let place = match &operation.blocked {
            Some(blocked) => {
                let next = known.len();
                let place = *known.entry(Arc::as_ptr(blocked)).or_insert(next);
                if place == next {
                    if next > 0 {
                        explanations.push(b',');
                    }
                    serde_json::to_writer(&mut explanations, blocked)?;
                }
                Some(place)
            }
            None => None,
        };
        serde_json::to_writer(&mut line, &Told(operation, place))?;
        if line.len() + explanations.len() + FRAME > room {
            line.truncate(before.0);
            explanations.truncate(before.1);
            break;
        }
        told += 1;
    }
    let truncated = told < pending.len();
    line.extend_from_slice(br#"],"explanations":["#);
    line.append(&mut explanations);
    line.extend(format!("],\"truncated\":{truncated}}}\n").bytes());
    Ok(line)
}
