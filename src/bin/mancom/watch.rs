//! `mancom watch [LABEL]`: what changes, as it changes.
//!
//! First the networks as they are, then a line a change until a signal, or until `--count` of them.
//! [`JSON`] says what the lines are for programs.
//!
//! Where the networks come from may change too, say when a daemon is lost and when it is back: that goes
//! to stderr, and with `--json` it is also a line.

use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::view::{self, View};
use crate::{Global, label, scan};
use mancom::label::matching::{Destination, candidates};
use mancom::network::{Aspect, State};
use mancom::{Label, Manager, Network, Snapshot};
use serde_json::{Value, json};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What `--json` prints.
const JSON: &str = r#"An object a line; a key is never left out:
  { "event": "down", "time_ms": 1790000000123, "generation": 8, "name": "wlan0", "id": "3.1",
    "changes": [ { "fact": "carrier", "was": "yes", "now": "no" } ], "network": { .. } }
The events:
  there     is so at the beginning
  appeared  an interface that is not usable yet
  up        became usable, under a new id
  down      is no longer usable; why_down of network says why
  renamed   the same interface under another name; changes has both
  changed   is as usable as before, and something of it differs
  gone      the interface is gone; network is what it was last
A down and an up between two looks is an up with another id, and so is what is left of a network
that lost its last address beyond the link. With a LABEL there is a line more whenever the networks
that match it change, best first; with none, hint is the smallest change that would help:
  { "event": "match", "time_ms": 1790000000123, "generation": 8, "label": "require=wifi",
    "label_name": null, "networks": ["wlan0"], "hint": null }
label_name is the configuration's name of the label, if it has one. When a daemon is lost or back,
a line that --count does not count:
  { "event": "source", "time_ms": 1790000000123,
    "source": "daemon /run/scout.sock (reconnecting: it closed the connection)" }"#;

/// Print every change of the networks until a signal.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON, view::NETWORK]))]
pub(crate) struct Watch {
    /// Tell also which networks match this label, whenever that changes.
    label: Option<String>,
    /// End after so many lines, those of the beginning not counted.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.lasting_manager().await?;
        let label = match &self.label {
            Some(text) => Some(label::parse(text, |name| manager.label(name))?),
            None => None,
        };
        let mut snapshots = manager.snapshots();
        let mut sources = manager.scout().sources();
        let mut known = scan::complete(&manager).await;
        // Why not all are known is worth a word.
        if known.is_complete() {
            sources.mark_unchanged();
        }
        snapshots.mark_unchanged();
        let mut lines = Lines { output, left: None };
        // Listened to from here on: the first line may be answered by a signal.
        let mut ended = pin!(crate::signals::ended());
        tokio::select! {
            biased;
            _ = &mut ended => return Ok(Exit::Fine),
            () = std::future::ready(()) => {}
        }
        for network in known.networks() {
            lines.print(&Event::new("there", &known, network, None))?;
        }
        let mut matched = None;
        lines.matches(&manager, label, &known, &mut matched)?;
        if lines.left.is_none() {
            lines.left = self.count;
        }
        // One that came while the first lines were printed.
        snapshots.mark_changed();
        while lines.left != Some(0) {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        say("the scout ended: no network will be seen any more");
                        return Ok(Exit::Failed);
                    }
                }
                Ok(()) = sources.changed() => {
                    let source = sources.borrow_and_update().clone();
                    lines.source(&source)?;
                    continue;
                }
                _ = &mut ended => return Ok(Exit::Fine),
            }
            let now = snapshots.borrow_and_update().clone();
            for event in difference(&known, &now) {
                lines.print(&event)?;
            }
            lines.matches(&manager, label, &now, &mut matched)?;
            known = now;
        }
        Ok(Exit::Fine)
    }
}

struct Lines<'a> {
    output: &'a Output,
    /// So many are still to be printed, if there is a bound.
    left: Option<u64>,
}

impl Lines<'_> {
    fn print(&mut self, event: &Event) -> io::Result<()> {
        self.line(|| event.object(), || event.text())
    }

    fn line(
        &mut self,
        object: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.left == Some(0) {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        if !self.output.line(object, text)? {
            self.left = Some(0);
        }
        Ok(())
    }

    /// Tells people and, as a line of its own, programs.
    fn source(&mut self, source: &str) -> io::Result<()> {
        say(format_args!("scout: {source}"));
        let time = now().as_millis() as u64;
        let object = || json!({ "event": "source", "time_ms": time, "source": source });
        if !self.output.object_line(object)? {
            self.left = Some(0);
        }
        Ok(())
    }

    /// A line if other networks match than at the last one.
    fn matches(
        &mut self,
        manager: &Manager,
        label: Option<Label>,
        snapshot: &Snapshot,
        told: &mut Option<Vec<String>>,
    ) -> io::Result<()> {
        let Some(label) = label else {
            return Ok(());
        };
        let found = candidates(snapshot, &label, &Destination::Unnamed, &manager.policy());
        let (names, hint) = match found {
            Ok(networks) => (networks.iter().map(|n| n.name().to_owned()).collect(), None),
            Err(blocked) => (Vec::new(), Some(blocked.hint())),
        };
        if told.as_ref() == Some(&names) {
            return Ok(());
        }
        let time = now();
        let name = manager.label_name(&label);
        let called = match &name {
            Some(name) => format!("`{name}` ({label})"),
            None => format!("`{label}`"),
        };
        self.line(
            || {
                json!({
                    "event": "match",
                    "time_ms": time.as_millis() as u64,
                    "generation": snapshot.generation(),
                    "label": label,
                    "label_name": name,
                    "networks": names,
                    "hint": hint,
                })
            },
            || match &hint {
                Some(hint) => format!("{} nothing matches {called}: {hint}", clock(time)),
                None => format!("{} {called} matches {}", clock(time), names.join(", ")),
            },
        )?;
        *told = Some(names);
        Ok(())
    }
}

/// One line.
struct Event {
    what: &'static str,
    time: Duration,
    generation: u64,
    network: Network,
    /// Each aspect that differs, with what it was.
    changes: Vec<(Aspect, Option<String>)>,
}

impl Event {
    fn new(
        what: &'static str,
        snapshot: &Snapshot,
        network: &Network,
        was: Option<&Network>,
    ) -> Self {
        let differs = |aspect: Aspect| {
            let before = was?.value(aspect);
            (before != network.value(aspect)).then_some((aspect, before))
        };
        Event {
            what,
            time: now(),
            generation: snapshot.generation(),
            network: network.clone(),
            changes: Aspect::ALL.into_iter().filter_map(differs).collect(),
        }
    }

    fn object(&self) -> Value {
        let changes = self.changes.iter().map(|(aspect, was)| {
            json!({ "fact": aspect.word(), "was": was, "now": self.network.value(*aspect) })
        });
        json!({
            "event": self.what,
            "time_ms": self.time.as_millis() as u64,
            "generation": self.generation,
            "name": self.network.name(),
            "id": self.network.id().to_string(),
            "changes": changes.collect::<Vec<_>>(),
            "network": View::of(&self.network).object(),
        })
    }

    fn text(&self) -> String {
        let mut line = format!("{} {} {}", clock(self.time), self.network.name(), self.what);
        if self.what == "there" || self.what == "appeared" {
            let kinds = self.network.kinds();
            line += &format!(": {kinds}, {}", value(self.network.value(Aspect::State)));
        }
        for (place, (aspect, was)) in self.changes.iter().enumerate() {
            let mark = if place == 0 { ":" } else { "," };
            let now = value(self.network.value(*aspect));
            line += &format!("{mark} {aspect} {} -> {now}", value(was.clone()));
        }
        line
    }
}

fn value(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".to_owned())
}

/// What happened between two snapshots, in order of index; an interface is the same by its index.
fn difference(old: &Arc<Snapshot>, new: &Arc<Snapshot>) -> Vec<Event> {
    let mut events = Vec::new();
    let before = |index| {
        let mut all = old.networks().iter();
        all.find(|network| network.id().index() == index)
    };
    for was in old.networks() {
        let index = was.id().index();
        if new.networks().iter().all(|now| now.id().index() != index) {
            events.push(Event::new("gone", new, was, None));
        }
    }
    for now in new.networks() {
        let was = before(now.id().index());
        let Some(what) = happened(was, now) else {
            continue;
        };
        events.push(Event::new(what, new, now, was));
    }
    events
}

fn happened(was: Option<&Network>, now: &Network) -> Option<&'static str> {
    let usable = |network: &Network| matches!(network.state(), State::Up | State::Suspended);
    let Some(was) = was else {
        return Some(if usable(now) { "up" } else { "appeared" });
    };
    match (usable(was), usable(now)) {
        (true, true) if was.id() != now.id() => Some("up"),
        (false, true) => Some("up"),
        (true, false) => Some("down"),
        _ if was.name() != now.name() => Some("renamed"),
        _ if was != now => Some("changed"),
        _ => None,
    }
}

/// The time of day by the wall clock.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// In UTC: a command has no business with time zones.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let millis = time.subsec_millis();
    format!("{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60)
}
