//! `[[limit]]` as it is written, and what it comes to once every layer is known.

use super::Config;
#[cfg(feature = "config")]
use super::error::{ConfigFault, Faults};
#[cfg(feature = "config")]
use super::tree::Entry;
use crate::account::{Limit, Period};
#[cfg(feature = "config")]
use crate::label::nearest;
use crate::network::name_fits;

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) text: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) field: String,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Written {
    /// Words of traffic, or a pattern of labels' names.
    pub(super) label: Option<Placed>,
    pub(super) on: Option<String>,
    pub(super) rate: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) per: Option<Period>,
    pub(super) file: String,
    pub(super) line: u32,
}

impl Written {
    fn label(&self) -> &str {
        self.label.as_ref().map_or("any", |label| &label.text)
    }

    fn on(&self) -> &str {
        self.on.as_deref().unwrap_or("if=*")
    }

    /// Words that contradict each other are no name either.
    #[cfg(feature = "config")]
    pub(super) fn check_words(&self, entries: &[Entry<'_>]) {
        use crate::label::matching::RuleError;
        let label = entries.iter().find(|entry| entry.key == "label");
        if let (Some(entry), Err(error)) = (label, Limit::new(self.label(), "if=*"))
            && !matches!(error, RuleError::UnknownWord { .. })
            && self.label.is_some()
        {
            entry.fault(error);
        }
    }
}

impl Config {
    /// What traffic may cost, the stronger layers' limits first.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        self.limits.iter().filter_map(|written| {
            let on = written.on();
            let limit = match Limit::new(written.label(), on) {
                Ok(limit) => limit,
                // What is no word of traffic is a name.
                Err(_) => {
                    let fits = |name: &str| name_fits(written.label(), name);
                    let named = self.labels().filter(|(name, _)| fits(name));
                    Limit::of(named.map(|(_, named)| named.label), on).ok()?
                }
            };
            let mut limit = limit.written_in(&written.file, written.line);
            if let Some(rate) = written.rate {
                limit = limit.rate(rate);
            }
            if let Some((bytes, per)) = written.bytes.zip(written.per) {
                limit = limit.bytes(bytes, per);
            }
            Some(limit)
        })
    }

    /// Notes each limit that is about no traffic at all: a name that nothing has.
    #[cfg(feature = "config")]
    pub(super) fn check_limits(&self, faults: &mut Faults) {
        for label in self.limits.iter().filter_map(|limit| limit.label.as_ref()) {
            let text = label.text.as_str();
            let known = || self.labels().map(|(name, _)| name);
            if Limit::new(text, "if=*").is_ok() || known().any(|name| name_fits(text, name)) {
                continue;
            }
            const WORDS: [&str; 6] = [
                "any",
                "interactive",
                "default",
                "background",
                "small",
                "large",
            ];
            let shown = super::tree::shortened(text);
            let fault = match nearest(text, WORDS.into_iter().chain(known())) {
                Some(near) => format!("no traffic and no label `{shown}`, did you mean `{near}`?"),
                None => format!(
                    "no traffic and no label `{shown}`; traffic is {}",
                    WORDS.join(", ")
                ),
            };
            let Placed {
                file,
                line,
                column,
                field,
                ..
            } = label.clone();
            faults.push(|| ConfigFault::Invalid {
                file,
                line,
                column,
                field,
                fault,
            });
        }
    }
}
