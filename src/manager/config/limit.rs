//! `[[limit]]` as it is written, and what it comes to once every layer is known.

use super::Config;
#[cfg(feature = "config")]
use super::error::{ConfigFault, Faults};
#[cfg(feature = "config")]
use super::tree::Entry;
#[cfg(feature = "config")]
use crate::account::MAX_LIMITS;
use crate::account::{Limit, Period};
#[cfg(feature = "config")]
use crate::label::{matching::RuleError, nearest};
use crate::network::name_fits;

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Placed {
    pub(super) text: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) field: String,
}

#[cfg(feature = "config")]
impl Placed {
    /// That this is wrong there.
    fn fault(&self, fault: String) -> ConfigFault {
        ConfigFault::Invalid {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            field: self.field.clone(),
            fault,
        }
    }
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
    pub(super) place: Placed,
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
            let mut limit = limit.written_in(&written.place.file, written.line);
            if let Some(rate) = written.rate {
                limit = limit.rate(rate);
            }
            if let Some((bytes, per)) = written.bytes.zip(written.per) {
                limit = limit.bytes(bytes, per);
            }
            Some(limit)
        })
    }

    /// Notes each limit that is about no traffic at all: a name that nothing has, not even one of `named`,
    /// the labels that are written with a fault. And where there are too many.
    #[cfg(feature = "config")]
    pub(super) fn check_limits(&self, named: &[String], faults: &mut Faults) {
        if let Err(fault) = self.check_room(0) {
            faults.push(|| fault);
        }
        for label in self.limits.iter().filter_map(|limit| limit.label.as_ref()) {
            let text = label.text.as_str();
            let known = || {
                let right = self.labels().map(|(name, _)| name);
                right.chain(named.iter().map(String::as_str))
            };
            // Words that contradict each other were told where they stand.
            let unknown = Limit::new(text, "if=*")
                .is_err_and(|error| matches!(error, RuleError::UnknownWord { .. }));
            if !unknown || known().any(|name| name_fits(text, name)) {
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
            faults.push(|| label.fault(fault));
        }
    }

    /// Notes the first limit for which there is no room beside so many given in code.
    #[cfg(feature = "config")]
    pub(in crate::manager) fn check_room(&self, given: usize) -> Result<(), ConfigFault> {
        let Some(first) = self.limits.get(MAX_LIMITS.saturating_sub(given)) else {
            return Ok(());
        };
        let all = self.limits.len();
        let beside = match given {
            0 => String::new(),
            given => format!(" beside {given} given in code"),
        };
        let fault = format!("{all} limits{beside} are too many: from here on beyond {MAX_LIMITS}");
        Err(first.place.fault(fault))
    }
}
