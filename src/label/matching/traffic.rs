//! Some traffic, for rules and limits that are about more than one label.

use std::sync::Arc;

use super::policy::{RuleError, columns, cut};
use crate::label::{Label, Size, Urgency, nearest};

/// From so many bytes on, `size=N` is large: the amount by which the rank measures large traffic.
const LARGE: u64 = 1 << 20;

/// Some traffic: of one urgency, small or large, both, or with one of some labels. By default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    urgency: Option<Urgency>,
    /// Whether it must be large, or small.
    large: Option<bool>,
    labels: Option<Arc<[Label]>>,
}

impl Traffic {
    /// What has one of these labels, whatever interface they name.
    pub fn with_labels(labels: impl IntoIterator<Item = Label>) -> Self {
        let labels = labels.into_iter().map(|label| label.without_interface());
        Self {
            labels: Some(labels.collect()),
            ..Self::default()
        }
    }

    /// Whether it is all there is.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether traffic of this label belongs to it.
    #[must_use]
    pub fn includes(&self, label: &Label) -> bool {
        self.urgency
            .is_none_or(|urgency| urgency == label.urgency())
            && self.large.is_none_or(|large| match label.size() {
                Size::Unspecified => false,
                Size::Small => !large,
                Size::Large => large,
                Size::Bytes(n) => large && n >= LARGE,
            })
            && (self.labels.as_deref())
                .is_none_or(|labels| labels.contains(&label.without_interface()))
    }

    /// Reads the words of one urgency, one size or both, or `any`; `part` is what errors call it.
    pub(crate) fn parse(text: &str, part: &'static str) -> Result<Self, RuleError> {
        const WORDS: [&str; 6] = [
            "interactive",
            "default",
            "background",
            "small",
            "large",
            "any",
        ];
        let (mut urgency, mut large, mut any) = (None, None, None);
        for (column, word) in columns(text) {
            let (slot, others) = match word {
                "interactive" | "default" | "background" => (&mut urgency, any),
                "small" | "large" => (&mut large, any),
                "any" => (&mut any, urgency.or(large)),
                _ => {
                    return Err(RuleError::UnknownWord {
                        part,
                        column,
                        word: cut(word),
                        nearest: nearest(word, WORDS),
                    });
                }
            };
            if let Some(earlier) = slot.replace(word).or(others) {
                return Err(RuleError::Conflict {
                    part,
                    column,
                    earlier: cut(earlier),
                    word: cut(word),
                });
            }
        }
        if urgency.or(large).or(any).is_none() {
            return Err(RuleError::Empty {
                part,
                example: match part {
                    "forbid" => "`any` forbids all traffic",
                    _ => "`any` is all traffic",
                },
            });
        }
        Ok(Self {
            urgency: urgency.map(|word| match word {
                "interactive" => Urgency::Interactive,
                "background" => Urgency::Background,
                _ => Urgency::Default,
            }),
            large: large.map(|word| word == "large"),
            labels: None,
        })
    }
}
