//! What another process says of itself and of its operations, as it is handed to whoever asked.

use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deferral::OperationId;

/// What a process waits for.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Operations {
    /// In order of their number.
    pub ops: Vec<Waiting>,
    /// There are more than an answer holds.
    pub truncated: bool,
}

/// One operation that waits in another process; serialized as
/// [`Pending`](crate::deferral::Pending) is, all that its process said included.
#[derive(Debug, Clone)]
pub struct Waiting {
    id: OperationId,
    said: Map<String, Value>,
    /// One value for all that wait for the same reason.
    blocked: Option<Arc<Value>>,
}

/// The answer to [`Question::Ops`](super::wire::Question::Ops).
#[derive(Deserialize)]
pub(super) struct Told {
    ops: Vec<Map<String, Value>>,
    explanations: Vec<Arc<Value>>,
    truncated: bool,
}

/// A process as it describes itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Its number.
    pub pid: u32,
    /// Its program.
    pub name: String,
    /// The version of mancom in it.
    pub version: String,
    /// Where its networks come from: see [`Scout::source`](crate::Scout::source).
    pub source: String,
    /// Operations that wait for a network.
    pub pending: usize,
    /// Sessions that have not ended.
    pub sessions: usize,
    /// The limits in force, in their order, as the wire has them: what each is about, its amounts and where
    /// it stands.
    #[serde(default)]
    pub limits: Value,
    /// Bytes by network, whether it is metered, urgency and direction: a list of
    /// [`NetworkTraffic`](crate::account::NetworkTraffic).
    #[serde(default)]
    pub traffic: Value,
    /// What was spent of budgets: a list of [`Spending`](crate::account::Spending).
    #[serde(default)]
    pub spending: Value,
    /// Its networks.
    snapshot: Value,
}

impl Told {
    /// The operations with their explanations back in their places; the text says what is strange.
    pub(super) fn together(self) -> Result<Operations, &'static str> {
        let explanations = &self.explanations;
        let ops = self.ops.into_iter().map(|said| waiting(said, explanations));
        Ok(Operations {
            ops: ops.collect::<Result<_, _>>()?,
            truncated: self.truncated,
        })
    }
}

fn waiting(
    mut said: Map<String, Value>,
    explanations: &[Arc<Value>],
) -> Result<Waiting, &'static str> {
    let id = said.get("id").and_then(Value::as_str);
    let id = id.and_then(|id| id.parse().ok());
    let id = id.ok_or("an operation without its number")?;
    let blocked = match said.remove("blocked") {
        None | Some(Value::Null) => None,
        Some(place) => {
            let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
            let blocked = place.and_then(|place| explanations.get(place));
            Some(blocked.ok_or("an explanation that is not there")?)
        }
    };
    Ok(Waiting {
        id,
        said,
        blocked: blocked.cloned(),
    })
}

impl Waiting {
    /// Its number in its process.
    #[must_use]
    pub fn id(&self) -> OperationId {
        self.id
    }

    /// What waits: `connect`, `stream`, ..
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The label in force, in its text form.
    #[must_use]
    pub fn label(&self) -> &str {
        self.text("label")
    }

    /// The configuration's name of that label, if it has one there.
    #[must_use]
    pub fn label_name(&self) -> Option<&str> {
        self.said.get("name")?.as_str()
    }

    /// Where it goes: `anywhere`, `host`, `name`, or addresses with a space between them.
    #[must_use]
    pub fn destination(&self) -> String {
        match self.said.get("to") {
            Some(Value::Array(all)) => {
                let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                all.join(" ")
            }
            _ => self.text("to").to_owned(),
        }
    }

    /// How long it has waited.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.time("age_ms").unwrap_or_default()
    }

    /// What is left of its time, if it has a deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.time("deadline_ms")
    }

    /// The smallest change that would help; `None` if it was just matched.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.blocked.as_ref()?.get("hint")?.as_str()
    }

    fn text(&self, key: &str) -> &str {
        self.said
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn time(&self, key: &str) -> Option<Duration> {
        let millis = self.said.get(key)?.as_f64()?;
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    }
}

impl Serialize for Waiting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.said.len() + 1))?;
        for (key, value) in &self.said {
            out.serialize_entry(key, value)?;
        }
        out.serialize_entry("blocked", &self.blocked.as_deref())?;
        out.end()
    }
}
