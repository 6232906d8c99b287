//! What the configuration says of matching and of names; replaced whole while operations wait.

use crate::label::Label;
use crate::label::matching::Policy;
use std::collections::HashMap;
use std::sync::Arc;

/// What a registry judges and explains with.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    /// Rises with each other policy: what was judged by an older one is judged again.
    pub(super) revision: u64,
    names: Arc<Names>,
}

/// The configuration's names of labels.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Label, Arc<str>>);

impl Names {
    /// Of several for equal labels the first counts.
    pub(super) fn new(names: impl IntoIterator<Item = (String, Label)>) -> Self {
        let mut known = HashMap::new();
        for (name, label) in names {
            known.entry(label).or_insert_with(|| name.into());
        }
        Names(known)
    }
}

impl Settings {
    pub(super) fn new(policy: Policy) -> Self {
        Settings {
            policy,
            ..Settings::default()
        }
    }

    /// The same with this policy; `None` if it is that already.
    pub(super) fn with_policy(&self, policy: Policy) -> Option<Self> {
        (self.policy != policy).then(|| Settings {
            policy,
            revision: self.revision + 1,
            names: self.names.clone(),
        })
    }

    /// The same with these names.
    pub(super) fn with_names(&self, names: Names) -> Self {
        Settings {
            names: Arc::new(names),
            ..self.clone()
        }
    }

    /// The configuration's name of this label.
    pub(super) fn name(&self, label: &Label) -> Option<Arc<str>> {
        self.names.0.get(label).cloned()
    }
}
