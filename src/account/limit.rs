//! What some traffic may cost on some networks: bytes a second, and bytes a period.

use std::fmt;
use std::sync::Arc;

use crate::label::matching::{Policy, RuleError, Traffic, networks_of, words};
use crate::label::{Label, Props};
use crate::network::{Network, name_fits};

pub use crate::proto::schedule::budget::Period;

/// A rate, a budget, or both, for some traffic on some networks. Each network that fits has a rate and a
/// budget of its own, which all sessions and plain connections of the process share.
///
/// Printed as what it is about: `background on metered`.
///
/// ```
/// use mancom::account::{Limit, Period};
///
/// let limit = Limit::new("background", "metered if=wwan*")?
///     .rate(1_000_000)                         // bytes a second
///     .bytes(500_000_000, Period::Month);
/// assert_eq!(limit.to_string(), "500 MB a month for background on metered if=wwan*");
/// # Ok::<(), mancom::label::matching::RuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    traffic: Traffic,
    on: Props,
    interface: Option<Arc<str>>,
    /// What it is about, in words: by these limits are the same, here and in the state file.
    about: Arc<str>,
    rate: Option<u64>,
    bytes: Option<(u64, Period)>,
    file: Arc<str>,
    line: u32,
}

impl Limit {
    /// Of all traffic that has every word of `label`, on the networks that have every word of `on`.
    /// Without [`rate`](Self::rate) and [`bytes`](Self::bytes) it limits nothing.
    ///
    /// The words are those of a [`Rule`](crate::label::matching::Rule): of `label` one urgency, one
    /// size, both, or `any`; of `on` properties (`metered`, `cellular`) and at most one `if=PATTERN`.
    /// `if=*` is every network. What uses no network is not limited.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a part without words, an unknown word, and words that exclude each other.
    pub fn new(label: &str, on: &str) -> Result<Self, RuleError> {
        Self::concerning(Traffic::parse(label, "label")?, &words(label), on)
    }

    /// Of the traffic with one of these labels, whatever interfaces they name.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new), for `on`.
    pub fn of(labels: impl IntoIterator<Item = Label>, on: &str) -> Result<Self, RuleError> {
        let labels: Vec<_> = labels.into_iter().collect();
        let texts = labels.iter().map(|label| format!("`{label}`"));
        let text = texts.collect::<Vec<_>>().join(" or ");
        Self::concerning(Traffic::with_labels(labels), &text, on)
    }

    fn concerning(traffic: Traffic, text: &str, on: &str) -> Result<Self, RuleError> {
        let (props, interface) = networks_of(on)?;
        Ok(Self {
            traffic,
            on: props,
            interface: interface.map(Into::into),
            about: format!("{text} on {}", words(on)).into(),
            rate: None,
            bytes: None,
            file: "".into(),
            line: 0,
        })
    }

    /// At most so many bytes in any second, sent; at least 1. Frame headers and repetitions count, the
    /// headers of TCP and below do not; 5 % of it is kept back for what a socket takes late. What is
    /// received is the sender's to limit.
    #[must_use]
    pub fn rate(mut self, bytes_a_second: u64) -> Self {
        self.rate = Some(bytes_a_second.max(1));
        self
    }

    /// At most so many bytes in each period, sent and received. Once they are spent the network admits
    /// the traffic no more until the next period. Of less than 64 bytes nothing is left.
    ///
    /// What the peer may send already when they are spent still comes: at most a receive window (4 MiB
    /// unless [`Settings`](crate::stream::Settings) says otherwise) of each stream, and of each urgency of messages.
    #[must_use]
    pub fn bytes(mut self, bytes: u64, per: Period) -> Self {
        self.bytes = Some((bytes, per));
        self
    }

    /// Where it stands, for explanations.
    #[must_use]
    pub fn written_in(mut self, file: &str, line: u32) -> Self {
        (self.file, self.line) = (file.into(), line);
        self
    }

    /// What it is about, as in `background on metered`.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Bytes a second, if they are limited.
    #[must_use]
    pub fn bytes_a_second(&self) -> Option<u64> {
        self.rate
    }

    /// Bytes a period, if they are limited.
    #[must_use]
    pub fn budget(&self) -> Option<(u64, Period)> {
        self.bytes
    }

    /// The file it stands in; empty where it was given in code.
    #[must_use]
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The line it stands in.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// What it is about.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Whether it is about this network. What nobody knows of it counts as the policy has it.
    pub(crate) fn covers(&self, network: &Network, policy: &Policy) -> bool {
        let named = self.interface.as_deref();
        named.is_none_or(|pattern| name_fits(pattern, network.name()))
            && (self.on.iter()).all(|prop| policy.holds(network, prop))
    }

    /// By what its rate is the same as another's.
    pub(super) fn rate_key(&self) -> Option<String> {
        Some(format!("{} B/s for {}", self.rate?, self.about))
    }

    /// By what its budget is the same as another's, however large each is.
    pub(super) fn budget_key(&self) -> Option<String> {
        let (_, period) = self.bytes?;
        Some(format!("{period} {}", self.about))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.rate) {
            (Some((bytes, period @ Period::Every(_))), _) => {
                write!(f, "{} in {period} for ", Amount(bytes))?;
            }
            (Some((bytes, period)), _) => write!(f, "{} a {period} for ", Amount(bytes))?,
            (None, Some(rate)) => write!(f, "{}/s for ", Amount(rate))?,
            (None, None) => {}
        }
        f.write_str(&self.about)
    }
}

/// Bytes in the largest unit that leaves no fraction: `500 MB`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount(pub(crate) u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 8] = [
            (1_000_000_000_000, "TB"),
            (1 << 40, "TiB"),
            (1_000_000_000, "GB"),
            (1 << 30, "GiB"),
            (1_000_000, "MB"),
            (1 << 20, "MiB"),
            (1_000, "kB"),
            (1 << 10, "KiB"),
        ];
        let whole = |(unit, _): &&(u64, &str)| self.0 > 0 && self.0.is_multiple_of(*unit);
        match UNITS.iter().find(whole) {
            Some((unit, word)) => write!(f, "{} {word}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}
