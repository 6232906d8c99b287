//! What the system's configuration decides for every label.

use std::fmt;
use std::sync::Arc;

use super::{Reason, Traffic};
use crate::label::{Label, Prop, Props, nearest};
use crate::network::{Fact, Network, name_fits};

/// The system's policy for matching.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// `unknown = "deny"`: what nobody knows counts as metered, roaming, constrained and not
    /// validated. Default: no.
    pub unknown_denied: bool,
    /// What is forbidden whatever a label says. Default: nothing.
    pub rules: Arc<[Rule]>,
}

impl Policy {
    /// A fact as yes or no: a guess is believed, the unknown is decided by policy.
    pub(crate) fn count(&self, prop: Prop, fact: Fact) -> bool {
        fact.known()
            .unwrap_or((prop == Prop::Validated) != self.unknown_denied)
    }

    /// The same without what budgets that are spent add; `None` if none is.
    pub(crate) fn without_spent(&self) -> Option<Self> {
        let spent = |rule: &&Rule| rule.spent.is_some();
        self.rules.iter().find(spent)?;
        let lasting = self.rules.iter().filter(|rule| rule.spent.is_none());
        Some(Self {
            unknown_denied: self.unknown_denied,
            rules: lasting.cloned().collect(),
        })
    }

    /// Whether a network counts as having a property.
    pub(crate) fn holds(&self, network: &Network, prop: Prop) -> bool {
        self.count(prop, super::admit::fact(network, prop))
    }
}

/// A rule of the system's policy: some traffic is forbidden on some networks, whatever its label
/// says. Printed as `forbid background on metered`.
///
/// ```
/// use mancom::label::matching::{Policy, Rule};
///
/// let rule = Rule::new("background large", "metered if=wwan*", "/etc/mancom.toml", 12)?;
/// assert_eq!(rule.to_string(), "forbid background large on metered if=wwan*");
/// let mut policy = Policy::default();
/// policy.rules = [rule].into();
/// # Ok::<(), mancom::label::matching::RuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    traffic: Traffic,
    on: Props,
    interface: Option<Box<str>>,
    text: Arc<str>,
    file: Arc<str>,
    line: u32,
    /// It stands for a budget that is spent until then, in seconds after 1970.
    spent: Option<u64>,
}

/// A rule that means nothing. Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No word at all.
    #[error("`{part}` is empty; {example}")]
    Empty {
        /// `forbid` or `on`.
        part: &'static str,
        /// What could stand there.
        example: &'static str,
    },
    /// A word that means nothing here.
    #[error("`{part}`, column {column}: unknown word `{word}`{}", did_you_mean(*nearest))]
    UnknownWord {
        /// `forbid` or `on`.
        part: &'static str,
        /// Where it stands.
        column: usize,
        /// The word, cut to 32 characters.
        word: String,
        /// The known word most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// A word beside one that says the same, or leaves nothing to forbid.
    #[error("`{part}`, column {column}: `{word}` {}", beside(word, earlier))]
    Conflict {
        /// `forbid` or `on`.
        part: &'static str,
        /// Where the second stands.
        column: usize,
        /// The first, cut to 32 characters.
        earlier: String,
        /// The second, cut to 32 characters.
        word: String,
    },
}

impl RuleError {
    /// Which of the two texts is wrong: `forbid` or `on`.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        match self {
            RuleError::Empty { part, .. }
            | RuleError::UnknownWord { part, .. }
            | RuleError::Conflict { part, .. } => part,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

impl Rule {
    /// Forbids the traffic that has every word of `forbid` on the networks that have every word
    /// of `on`.
    ///
    /// `forbid` has one urgency (`interactive`, `default`, `background`), one size (`small`,
    /// `large`, which `size=1M` and more is too), or both, or is `any`. `on` has property words
    /// (`metered`, `cellular`) and at most one `if=PATTERN`, a pattern of interface names with
    /// `*`. What nobody knows of a network counts as [`Policy`] has it.
    ///
    /// `file` and `line` say where the rule stands, for explanations.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a part without words, an unknown word, and words that exclude each other
    /// or stand there twice.
    pub fn new(forbid: &str, on: &str, file: &str, line: u32) -> Result<Self, RuleError> {
        let traffic = Traffic::parse(forbid, "forbid")?;
        let (on_props, interface) = networks(on)?;
        Ok(Self {
            traffic,
            on: on_props,
            interface: interface.map(Into::into),
            text: format!("forbid {} on {}", words(forbid), words(on)).into(),
            file: file.into(),
            line,
            spent: None,
        })
    }

    /// Forbids some traffic on the network of this name until then, in seconds after 1970: what
    /// `text` allows of it is spent there.
    pub(crate) fn spent(
        traffic: Traffic,
        network: &str,
        text: impl Into<Arc<str>>,
        (file, line): (Arc<str>, u32),
        until: u64,
    ) -> Self {
        Self {
            traffic,
            on: Props::EMPTY,
            interface: Some(network.into()),
            text: text.into(),
            file,
            line,
            spent: Some(until),
        }
    }

    /// The file it stands in.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line it stands in.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Whether it is about this traffic.
    pub(super) fn concerns(&self, label: &Label) -> bool {
        self.traffic.includes(label)
    }

    /// Whether it is about networks of this name.
    pub(super) fn covers(&self, network: &Network) -> bool {
        let pattern = self.interface.as_deref();
        pattern.is_none_or(|pattern| name_fits(pattern, network.name()))
    }

    /// The properties that a network it forbids has.
    pub(super) fn on(&self) -> Props {
        self.on
    }

    /// Whether it says which interfaces it is about.
    pub(super) fn names_interfaces(&self) -> bool {
        self.interface.is_some()
    }

    pub(super) fn reason(&self) -> Reason {
        if let Some(until) = self.spent {
            return Reason::Spent {
                limit: self.text.clone(),
                file: self.file.clone(),
                line: self.line,
                until,
            };
        }
        Reason::Policy {
            rule: self.text.clone(),
            file: self.file.clone(),
            line: self.line,
            on: self.on,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Each word and its column.
pub(super) fn columns(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(|word| {
        let offset = word.as_ptr() as usize - text.as_ptr() as usize;
        (text[..offset].chars().count() + 1, word)
    })
}

pub(super) fn cut(word: &str) -> String {
    word.chars().take(32).collect()
}

/// Why a word cannot stand where it does.
fn beside(word: &str, earlier: &str) -> String {
    match word == earlier {
        true => "stands there twice".to_owned(),
        false => format!("cannot stand beside `{earlier}`"),
    }
}

/// The words of a text with one space between them.
pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The properties, and the pattern of names, of the networks meant.
pub(crate) fn networks(text: &str) -> Result<(Props, Option<&str>), RuleError> {
    const PART: &str = "on";
    let (mut props, mut interface) = (Props::EMPTY, None);
    for (column, word) in columns(text) {
        let conflict = |earlier: &str| RuleError::Conflict {
            part: PART,
            column,
            earlier: cut(earlier),
            word: cut(word),
        };
        match (Prop::from_word(word), word.strip_prefix("if=")) {
            (Some(prop), _) if props.contains(prop) => return Err(conflict(word)),
            (Some(prop), _) => props = props.with(prop),
            (None, Some(pattern)) if !pattern.is_empty() => {
                if let Some(earlier) = interface.replace(pattern) {
                    return Err(conflict(&format!("if={earlier}")));
                }
            }
            (None, _) => {
                let known = Prop::ALL.into_iter().map(Prop::word).chain(["if=*"]);
                return Err(RuleError::UnknownWord {
                    part: PART,
                    column,
                    word: cut(word),
                    nearest: nearest(word, known),
                });
            }
        }
    }
    if props.is_empty() && interface.is_none() {
        return Err(RuleError::Empty {
            part: PART,
            example: "`if=*` covers every network",
        });
    }
    Ok((props, interface))
}
