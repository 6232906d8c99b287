//! What was decided and why, in words.

use std::fmt;
use std::time::{Duration, Instant};

use super::PATHS;

/// Where a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Over the path of this slot.
    On(usize),
    /// Over both.
    Twice(usize, usize),
    /// Later: at this moment, or when a path has room or tells something new.
    Later(Option<Instant>),
    /// No path may carry it.
    Nowhere,
}

impl Choice {
    /// Whether the path of this slot carries the unit, or one copy of it.
    #[must_use]
    pub fn takes(self, slot: usize) -> bool {
        match self {
            Choice::On(one) => one == slot,
            Choice::Twice(one, other) => one == slot || other == slot,
            Choice::Later(_) | Choice::Nowhere => false,
        }
    }
}

/// A decision and its reasons. Displayed on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where it goes.
    pub choice: Choice,
    /// Why.
    pub trace: Trace,
}

/// Why a unit went where it did. Displayed on one line: `slot 0: later, 812 ms; slot 1: chosen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trace {
    /// What was said of each candidate, in the order given.
    pub verdicts: [Option<(u8, Reason)>; PATHS],
}

impl Trace {
    /// The same line with names of the caller's for the slots: `wlan0: later, 812 ms; wwan0: chosen`.
    pub fn named<F, N>(&self, name: F) -> impl fmt::Display + use<F, N>
    where
        F: Fn(u8) -> N,
        N: fmt::Display,
    {
        Named { trace: *self, name }
    }
}

struct Named<F> {
    trace: Trace,
    name: F,
}

impl<F: Fn(u8) -> N, N: fmt::Display> fmt::Display for Named<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (slot, reason)) in self.trace.verdicts.iter().flatten().enumerate() {
            let before = if place == 0 { "" } else { "; " };
            write!(f, "{before}{}: {reason}", (self.name)(*slot))?;
        }
        Ok(())
    }
}

/// What was said of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It takes the unit.
    Chosen,
    /// It takes a copy of it.
    Copied,
    /// Another path is of a better class.
    WorseClass,
    /// It is suspect, and another is not.
    Suspect,
    /// It is the lane, and this is bulk; or it is not, and there is a lane.
    Lane,
    /// A session of more priority has traffic of this urgency waiting for this network.
    Outranked,
    /// Others complete earlier: over this path it would be there after this time.
    Later(Duration),
    /// The gate is shut: so many bytes are outstanding, so many may be.
    Gate {
        /// Bytes outstanding.
        outstanding: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Chosen => f.write_str("chosen"),
            Reason::Copied => f.write_str("chosen too"),
            Reason::WorseClass => f.write_str("worse class"),
            Reason::Suspect => f.write_str("suspect"),
            Reason::Lane => f.write_str("lane"),
            Reason::Outranked => f.write_str("outranked"),
            Reason::Later(after) => write!(f, "later, {} ms", after.as_millis()),
            Reason::Gate {
                outstanding,
                allowed,
            } => write!(f, "gate, {outstanding} of {allowed} bytes outstanding"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named(|slot| format!("slot {slot}")).fmt(f)
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.choice {
            Choice::On(slot) => write!(f, "on {slot}")?,
            Choice::Twice(one, other) => write!(f, "on {one} and {other}")?,
            Choice::Later(_) => f.write_str("later")?,
            Choice::Nowhere => return f.write_str("nowhere"),
        }
        write!(f, " ({})", self.trace)
    }
}
