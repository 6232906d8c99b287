//! So many bytes a day: what labels may spend on networks.
//!
//! A rule is for labels and networks by pattern, in which `*` stands for any characters: `background*`
//! on `wwan*` may spend 500 MB a day. Each network that fits has an allowance of its own. A period begins
//! with its first byte and ends that long after, by the wall clock, for it outlives the process: what was
//! spent is state that a program keeps where it likes.
//!
//! A clock that goes back does not renew an allowance, unless by more than a period: then it was wrong
//! before.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::network::name_fits;

/// Rules of one table.
pub const MAX_RULES: usize = 64;
/// Networks whose spending is kept; of more, that which is renewed first is forgotten.
pub const MAX_NETWORKS: usize = 1024;

/// What labels that fit may spend on each network that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rule {
    /// A pattern of a label's text, or of the name that the configuration gives it.
    pub label: String,
    /// A pattern of a network's name.
    pub network: String,
    /// Bytes a period.
    pub bytes: u64,
    /// Seconds of a period, at least 1.
    pub seconds: u64,
}

/// What was spent by one rule on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Spent {
    /// The rule's pattern of labels.
    pub label: String,
    /// The rule's pattern of networks.
    pub pattern: String,
    /// The network.
    pub network: String,
    /// Since when: seconds since 1970.
    pub began: u64,
    /// Bytes spent since.
    pub used: u64,
}

/// One allowance in its present period.
#[derive(Debug, Clone, Copy)]
struct Period {
    began: u64,
    used: u64,
}

/// What may be spent, and what was.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    rules: Vec<Rule>,
    /// By rule and network.
    periods: BTreeMap<(usize, String), Period>,
}

impl Budgets {
    /// Rules beyond [`MAX_RULES`] are left out.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            rules: rules.into_iter().take(MAX_RULES).collect(),
            periods: BTreeMap::new(),
        }
    }

    /// Bytes that a label may still spend on a network; `None` if no rule is for them. Of several
    /// rules the narrowest counts.
    #[must_use]
    pub fn left(&self, now: SystemTime, label: &str, network: &str) -> Option<u64> {
        let now = seconds(now);
        let left = |index: usize| {
            self.rules[index]
                .bytes
                .saturating_sub(self.used(now, index, network))
        };
        self.fitting(label, network).map(left).min()
    }

    /// When a label that may spend nothing on a network may again; `None` if it may.
    #[must_use]
    pub fn resets(&self, now: SystemTime, label: &str, network: &str) -> Option<SystemTime> {
        let at = seconds(now);
        let ends = self.fitting(label, network).filter_map(|index| {
            let rule = &self.rules[index];
            if self.used(at, index, network) < rule.bytes {
                return None;
            }
            let period = self.periods.get(&(index, network.to_owned()));
            // Of a rule that allows nothing no period begins.
            let began = period.map_or(at, |period| period.began);
            Some(began.saturating_add(rule.seconds.max(1)))
        });
        UNIX_EPOCH.checked_add(Duration::from_secs(ends.max()?))
    }

    /// A label spent so many bytes on a network, whether or not it might.
    pub fn spend(&mut self, now: SystemTime, label: &str, network: &str, bytes: u64) {
        let now = seconds(now);
        let fitting: Vec<usize> = self.fitting(label, network).collect();
        for index in fitting {
            let used = self.used(now, index, network).saturating_add(bytes);
            let kept = self.period(now, index, network);
            let began = kept.map_or(now, |period| period.began);
            self.keep((index, network.to_owned()), Period { began, used });
        }
    }

    /// What was spent in the periods that are not over, for a file, or a listing.
    #[must_use]
    pub fn spent(&self, now: SystemTime) -> Vec<Spent> {
        let now = seconds(now);
        let current = |((index, network), _): (&(usize, String), _)| {
            let Period { began, used } = self.period(now, *index, network)?;
            let rule = &self.rules[*index];
            Some(Spent {
                label: rule.label.clone(),
                pattern: rule.network.clone(),
                network: network.clone(),
                began,
                used,
            })
        };
        self.periods.iter().filter_map(current).collect()
    }

    /// Takes up what was spent before; what no rule is for any more is forgotten.
    pub fn restore(&mut self, spent: impl IntoIterator<Item = Spent>) {
        for spent in spent {
            let same = |rule: &Rule| rule.label == spent.label && rule.network == spent.pattern;
            if let Some(index) = self.rules.iter().position(same) {
                let Spent { began, used, .. } = spent;
                self.keep((index, spent.network), Period { began, used });
            }
        }
    }

    fn fitting(&self, label: &str, network: &str) -> impl Iterator<Item = usize> {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(move |(index, rule)| {
            (name_fits(&rule.label, label) && name_fits(&rule.network, network)).then_some(index)
        })
    }

    /// The period that is not over.
    fn period(&self, now: u64, index: usize, network: &str) -> Option<Period> {
        let period = self.periods.get(&(index, network.to_owned())).copied()?;
        let long = self.rules[index].seconds.max(1);
        let over = now >= period.began.saturating_add(long);
        let wrong = now.saturating_add(long) < period.began;
        (!over && !wrong).then_some(period)
    }

    fn used(&self, now: u64, index: usize, network: &str) -> u64 {
        let period = self.period(now, index, network);
        period.map_or(0, |period| period.used)
    }

    fn keep(&mut self, key: (usize, String), period: Period) {
        self.periods.insert(key, period);
        if self.periods.len() <= MAX_NETWORKS {
            return;
        }
        let ends = |(key, period): (&(usize, String), &Period)| {
            let seconds = self.rules[key.0].seconds;
            (period.began.saturating_add(seconds), key.clone())
        };
        if let Some((_, first)) = self.periods.iter().map(ends).min() {
            self.periods.remove(&first);
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
