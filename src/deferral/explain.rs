//! Why operations wait: one by one, and all of them as a list.

use super::line::{Stamp, View};
use super::operation::OperationId;
use super::registry::{Key, Registry};
use super::table::{BATCH, Listed, Unmatched};
use crate::label::Label;
use crate::label::matching::{self, Blocked, Destination, Shift};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// One waiting operation, as listed by [`Registry::pending`].
///
/// As JSON (feature `serde`), times in milliseconds and no key ever left out:
///
/// ```json
/// { "id": "op-17", "kind": "connect", "label": "require=wifi", "name": "photos", "first": null,
///   "to": "anywhere", "age_ms": 1500.0, "deadline_ms": 58500.0,
///   "relax": { "after_ms": 8500.0, "label": "any" }, "priority": 0, "blocked": { } }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pending {
    /// Its number.
    pub id: OperationId,
    /// What waits: `matching`, `run`, `connect`, ..
    pub kind: &'static str,
    /// The label in force.
    pub label: Label,
    /// The configuration's name of that label, if it has one.
    pub name: Option<Arc<str>>,
    /// The label first asked for, where a looser one took over.
    pub first: Option<Label>,
    /// Where it goes.
    pub destination: Destination,
    /// How long it has waited, time asleep counted.
    pub age: Duration,
    /// What is left of its `within`.
    pub deadline: Option<Duration>,
    /// How long until a looser label takes over, and which.
    pub relax: Option<(Duration, Label)>,
    /// Woken before those of a lower priority with the same label and destination.
    pub priority: i8,
    /// Why it waits, one value for all of a label and destination, whose `waited` is `None`: see
    /// `age`. `None` if it was just matched.
    pub blocked: Option<Arc<Blocked>>,
}

/// The histories that were asked for last: a crowd that runs out of time at once asks for few.
#[derive(Debug, Default)]
pub(super) struct Histories {
    of: Stamp,
    pub(super) known: HashMap<(Label, Destination), Vec<Shift>>,
}

/// So many of them are kept.
const HISTORIES: usize = 32;

impl Registry {
    /// Why nothing matches now, with the history of the reasons; `None` if something does.
    pub fn why(&self, label: &Label, to: &Destination) -> Option<Box<Blocked>> {
        let snapshot = self.snapshot();
        let what = Unmatched::asked(*label, to);
        self.try_explain(&self.view(&snapshot), &what)
    }

    /// Everything that waits for a network, in order of its number. Costs a look at each label and
    /// destination.
    pub fn pending(&self) -> Vec<Pending> {
        self.first_pending(usize::MAX)
    }

    /// How many operations wait for a network.
    pub fn waiting(&self) -> usize {
        self.numbers().len()
    }

    /// Every wait in no order, those of a moment or, in a crowd, of several: the lock is let go
    /// between.
    fn numbers(&self) -> Vec<(OperationId, Key)> {
        let (mut found, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            next = self.table().numbers(from, &mut found);
        }
        found
    }

    /// So many of [`pending`](Self::pending), those of the lowest numbers.
    pub(crate) fn first_pending(&self, most: usize) -> Vec<Pending> {
        let mut numbers = self.numbers();
        numbers.sort_unstable();
        numbers.truncate(most);
        let mut listed = Vec::with_capacity(numbers.len());
        for some in numbers.chunks(BATCH) {
            let table = self.table();
            listed.extend(some.iter().filter_map(|one| table.listed(*one)));
        }
        let (snapshot, settings) = (self.snapshot(), self.settings());
        let view = self.view_with(&snapshot, settings);
        let mut reasons: HashMap<Key, Option<Arc<Blocked>>> = HashMap::new();
        let explain = |listed: Listed| {
            let blocked = reasons.entry(listed.line).or_insert_with(|| {
                let blocked = view.look(&listed.label, &listed.to).err();
                blocked.map(|blocked| Arc::from(self.annotated(&view, blocked)))
            });
            let left = |at: Instant| at.saturating_duration_since(view.now());
            Pending {
                blocked: blocked.clone(),
                id: listed.operation.id(),
                kind: listed.operation.kind(),
                label: listed.label,
                name: view.settings.name(&listed.label),
                first: listed.strict,
                destination: listed.to,
                age: view.now().saturating_duration_since(listed.since),
                deadline: listed.deadline.map(left),
                relax: listed.relax.map(|(at, label)| (left(at), label)),
                priority: listed.priority,
            }
        };
        listed.into_iter().map(explain).collect()
    }

    /// The explanation for one that got no match in this view: nothing matched, or it was held back.
    pub(super) fn explain(&self, view: &View<'_>, what: &Unmatched) -> Box<Blocked> {
        self.try_explain(view, what).unwrap_or_else(|| {
            let held = Blocked::held_back(what.label, what.to.clone(), view.snapshot);
            let mut blocked = self.annotated(view, Box::new(held));
            let waited = |since| view.now().saturating_duration_since(since);
            blocked.waited = what.since.map(waited);
            blocked
        })
    }

    pub(super) fn try_explain(&self, view: &View<'_>, what: &Unmatched) -> Option<Box<Blocked>> {
        let look = |label| {
            let blocked = view.look(label, &what.to).err()?;
            Some(self.annotated(view, blocked))
        };
        let mut blocked = look(&what.label)?;
        let waited = |since| view.now().saturating_duration_since(since);
        blocked.waited = what.since.map(waited);
        blocked.relaxed = what.strict.as_ref().and_then(look);
        Some(blocked)
    }

    /// With what matching itself does not know: the name, the moment, and what was before.
    fn annotated(&self, view: &View<'_>, mut blocked: Box<Blocked>) -> Box<Blocked> {
        blocked.name = view.settings.name(&blocked.label);
        blocked.now = Some(view.now());
        blocked.history = self.history(view, &blocked.label, &blocked.destination);
        blocked
    }

    fn history(&self, view: &View<'_>, label: &Label, to: &Destination) -> Vec<Shift> {
        let asked = (*label, to.clone());
        let histories = || {
            let known = self.histories.lock();
            known.unwrap_or_else(PoisonError::into_inner)
        };
        {
            let mut histories = histories();
            if histories.of != view.stamp() {
                *histories = Histories::default();
                histories.of = view.stamp();
            }
            if let Some(known) = histories.known.get(&asked) {
                return known.clone();
            }
        }
        let mut snapshots = self.scout().history();
        // What is published meanwhile is no part of this moment.
        snapshots.retain(|(_, snapshot)| snapshot.generation() <= view.snapshot.generation());
        let history = matching::history(&snapshots, label, to, &view.settings.policy);
        let mut histories = histories();
        if histories.of == view.stamp() && histories.known.len() < HISTORIES {
            histories.known.insert(asked, history.clone());
        }
        history
    }
}

#[cfg(feature = "serde")]
mod serial {
    use super::{OperationId, Pending};
    use crate::label::Label;
    use serde::ser::SerializeStruct;
    use serde::{Serialize, Serializer};
    use std::time::Duration;

    /// As it is printed: `"op-17"`.
    impl Serialize for OperationId {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    #[derive(Serialize)]
    struct Relax {
        after_ms: f64,
        label: Label,
    }

    impl Serialize for Pending {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.serialize_with(&self.blocked, serializer)
        }
    }

    impl Pending {
        /// With this in the place of the explanation.
        pub(crate) fn serialize_with<S: Serializer>(
            &self,
            blocked: &impl Serialize,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            let millis = |time: Duration| time.as_secs_f64() * 1000.0;
            let relax = self.relax.map(|(after, label)| Relax {
                after_ms: millis(after),
                label,
            });
            let mut out = serializer.serialize_struct("Pending", 11)?;
            out.serialize_field("id", &self.id)?;
            out.serialize_field("kind", self.kind)?;
            out.serialize_field("label", &self.label)?;
            out.serialize_field("name", &self.name)?;
            out.serialize_field("first", &self.first)?;
            out.serialize_field("to", &self.destination)?;
            out.serialize_field("age_ms", &millis(self.age))?;
            out.serialize_field("deadline_ms", &self.deadline.map(millis))?;
            out.serialize_field("relax", &relax)?;
            out.serialize_field("priority", &self.priority)?;
            out.serialize_field("blocked", blocked)?;
            out.end()
        }
    }
}
