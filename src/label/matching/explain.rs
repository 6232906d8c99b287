//! The explanation of no match, for people; `serial` has the form for programs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admit::{Admission, View};
use super::reason::essential;
use super::{Assumption, Destination, Policy, Reason, Shift, hint};
use crate::clock::Clock;
use crate::label::Label;
use crate::network::{Aspect, Network, Snapshot};

/// Changes told to people; programs get all.
const TOLD_SHIFTS: usize = 4;

/// An age below this is not told.
const MOMENT: Duration = Duration::from_millis(100);

/// Names told of networks that share a line.
const TOLD_NAMES: usize = 6;

/// The explanation of no match: every network with every reason.
///
/// `Display` takes several lines; [`Blocked::hint`] is the smallest change in one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Blocked {
    /// What was asked for.
    pub label: Label,
    /// The configuration's name of the label, if it has one; filled in by those who know it.
    pub name: Option<Arc<str>>,
    /// Where it was to go.
    pub destination: Destination,
    /// The snapshot it was asked of; 0 where none was.
    pub generation: u64,
    /// Whether that snapshot was whole.
    pub complete: bool,
    /// Reasons that are no network's: the scout is starting, this host is prohibited.
    pub reasons: Vec<Reason>,
    /// Every network, in order of id.
    pub networks: Vec<Refusal>,
    /// How long an operation waited; filled in by those who wait.
    pub waited: Option<Duration>,
    /// The last 16 changes of the reasons, oldest first; filled in by those who keep snapshots.
    pub history: Vec<Shift>,
    /// The same for the label first asked for, where a looser one took its place meanwhile.
    pub relaxed: Option<Box<Blocked>>,
    /// When it was explained, by the clock that counts time asleep; without it no age is told.
    pub(crate) now: Option<Instant>,
    /// What it was judged by.
    pub(super) policy: Policy,
}

/// One network that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The network.
    pub network: Network,
    /// Everything that fails; empty only while the scout is starting.
    pub reasons: Vec<Reason>,
    /// What was taken for granted.
    pub assumptions: Vec<Assumption>,
    /// The VPN that it would bypass.
    pub(super) vpn: Option<Network>,
}

impl View<'_> {
    /// Why nothing matches.
    pub(super) fn explain(&self) -> Blocked {
        let refuse = |network: &Network| {
            let Admission {
                reasons,
                assumptions,
            } = self.admit(network);
            let vpn = reasons.iter().find_map(|reason| match reason {
                Reason::BypassesVpn { vpn } => self.snapshot.by_name(vpn),
                _ => None,
            });
            Refusal {
                network: network.clone(),
                reasons,
                assumptions,
                vpn: vpn.cloned(),
            }
        };
        let complete = self.snapshot.is_complete();
        Blocked {
            label: self.label,
            destination: self.to.clone(),
            generation: self.snapshot.generation(),
            complete,
            reasons: match complete {
                true => Vec::new(),
                false => vec![Reason::ScoutStarting],
            },
            networks: self.snapshot.networks().iter().map(refuse).collect(),
            policy: self.policy.clone(),
            ..Blocked::default()
        }
    }
}

impl Refusal {
    /// Where that on which a reason rests came from, as [`Network::sources`] names it; `None`
    /// where nobody said.
    #[must_use]
    pub fn source(&self, reason: &Reason) -> Option<&str> {
        let (network, aspect) = self.rests_on(reason)?;
        network.sources(aspect).next()
    }

    /// For how long that on which a reason rests has been so, time asleep counted; `None` for a
    /// network that no scout published.
    #[must_use]
    pub fn age(&self, reason: &Reason) -> Option<Duration> {
        self.age_at(reason, Clock::now())
    }

    pub(super) fn age_at(&self, reason: &Reason, now: Instant) -> Option<Duration> {
        let (network, aspect) = self.rests_on(reason)?;
        Some(now.saturating_duration_since(network.since(aspect)?))
    }

    /// A reason as it is said of this network: with why it is down.
    #[must_use]
    pub fn text(&self, reason: &Reason) -> String {
        match (reason, self.network.why_down()) {
            (Reason::Down, [_, ..]) => {
                format!("{reason}: {}", self.network.why_down().join(", "))
            }
            _ => reason.to_string(),
        }
    }

    fn rests_on(&self, reason: &Reason) -> Option<(&Network, Aspect)> {
        let network = match reason {
            Reason::BypassesVpn { .. } => self.vpn.as_ref()?,
            _ => &self.network,
        };
        Some((network, reason.aspect()?))
    }

    /// What is said of it in one line, without what follows from its being down or loopback.
    fn line(&self, now: Option<Instant>) -> String {
        if self.reasons.contains(&Reason::Loopback) {
            return format!(": {}", Reason::Loopback);
        }
        let mut line = String::new();
        let mut mark = ": ";
        let mut reasons = essential(&self.reasons).peekable();
        while let Some(reason) = reasons.next() {
            line += mark;
            line += &self.text(reason);
            mark = "; ";
            let origin = self.origin(reason, now);
            let next = reasons.peek().map(|next| self.origin(next, now));
            if next.is_none_or(|next| next != origin) {
                line += &origin;
            }
        }
        for assumption in &self.assumptions {
            line += &format!("{mark}{assumption}");
            mark = "; ";
        }
        line
    }

    /// ` (netlink, for 12 s)`. How long a network has had its kind and its name tells nobody
    /// anything, nor does the moment since somebody began to look.
    fn origin(&self, reason: &Reason, now: Option<Instant>) -> String {
        let lasts = matches!(reason.aspect(), Some(Aspect::Kind | Aspect::Name));
        let age = now.filter(|_| !lasts);
        let age = age.and_then(|now| self.age_at(reason, now));
        let age = age.filter(|age| *age >= MOMENT).map(span);
        match (self.source(reason), age) {
            (Some(source), Some(age)) => format!(" ({source}, for {age})"),
            (Some(source), None) => format!(" ({source})"),
            (None, Some(age)) => format!(" (for {age})"),
            (None, None) => String::new(),
        }
    }
}

/// A time as people say it: `0.4 s`, `12 s`, `5 min`, `3 h`, `2 d`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        s @ 10..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

impl Blocked {
    /// Of an operation whose time ran out while it was held back although something matched.
    pub(crate) fn held_back(label: Label, to: Destination, snapshot: &Snapshot) -> Self {
        Self {
            label,
            destination: to,
            generation: snapshot.generation(),
            complete: snapshot.is_complete(),
            reasons: vec![Reason::HeldBack],
            ..Self::default()
        }
    }

    /// The same, after an operation has waited so long.
    #[must_use]
    pub fn after(mut self, waited: Duration) -> Self {
        self.waited = Some(waited);
        self
    }

    /// The same, with the ages of its reasons as of now.
    #[must_use]
    pub fn dated(mut self) -> Self {
        self.now = Some(Clock::now());
        self
    }

    /// The smallest change that would help: `needs wifi; wlan0 exists but is down`.
    ///
    /// Every network is considered, with what would have to change of it (come up, be signed in
    /// to, get an address or a route) and with the words of the label that stand against it. A
    /// change that can happen by itself is smaller than one of the label, and that smaller than
    /// one of the system's policy.
    #[must_use]
    pub fn hint(&self) -> String {
        hint::of(self)
    }

    /// What is said of the networks, those of which the same is said in one line.
    fn lines(&self) -> Vec<String> {
        struct Line<'a> {
            names: Vec<&'a str>,
            /// With and without ages.
            said: [String; 2],
        }
        let mut lines: Vec<Line<'_>> = Vec::new();
        for refusal in &self.networks {
            let name = refusal.network.name();
            let said = [self.now, None].map(|now| refusal.line(now));
            match lines.iter_mut().find(|line| line.said[1] == said[1]) {
                Some(line) => {
                    line.names.push(name);
                    if line.said[0] != said[0] {
                        line.said[0] = said[1].clone();
                    }
                }
                None => lines.push(Line {
                    names: vec![name],
                    said,
                }),
            }
        }
        let tell = |line: Line<'_>| {
            let told = line.names.len().min(TOLD_NAMES);
            let more = match line.names.len() - told {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = line.names[..told].join(", ");
            // One word is right before every verb.
            match line.said[0].strip_prefix(": ") {
                Some(said) if told > 1 => format!("{names}{more}: each {said}"),
                _ => format!("{names}{}", line.said[0]),
            }
        };
        lines.into_iter().map(tell).collect()
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = match self.reasons[..] {
            [Reason::HeldBack] => "a network matches",
            _ => "no network matches",
        };
        match &self.name {
            Some(name) => write!(f, "{none} `{name}` ({})", self.label)?,
            None => write!(f, "{none} `{}`", self.label)?,
        }
        if self.destination != Destination::Unnamed {
            write!(f, " to {}", self.destination)?;
        }
        write!(f, " (snapshot {}", self.generation)?;
        if let Some(waited) = self.waited {
            write!(f, ", waited {}", span(waited))?;
        }
        f.write_str(")")?;
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        for line in self.lines() {
            write!(f, "\n  {line}")?;
        }
        if let Some(now) = self.now {
            let told = self.history.len().saturating_sub(TOLD_SHIFTS);
            for shift in &self.history[told..] {
                let age = now.saturating_duration_since(shift.at);
                write!(f, "\n  {} ago {shift}", span(age))?;
            }
        }
        write!(f, "\n  hint: {}", self.hint())?;
        match &self.relaxed {
            Some(first) => write!(f, "\nfirst asked for: {first}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Blocked {}
