//! Which parts of a message are where, on the sending side.
//!
//! A message is counted in units: unit 0 is its head (label, number, what it comes after), unit n+1 the
//! n-th byte of its payload. So an empty message has something to send, to lose and to acknowledge too.

use crate::proto::session::MAX_PATHS;
use crate::proto::session::ranges::Ranges;

/// Ranges reported out of order that are remembered; a peer that reports more gets duplicates.
const MAX_SACKED: usize = 256;

/// Units under way over each path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flying {
    pub(super) all: [u64; MAX_PATHS],
    /// Those of them that nobody waits for.
    pub(super) background: [u64; MAX_PATHS],
}

impl Flying {
    fn add(&mut self, flight: &Flight, units: u64) {
        let slot = usize::from(flight.slot);
        self.all[slot] += units;
        if flight.background {
            self.background[slot] += units;
        }
    }

    fn remove(&mut self, flight: &Flight, units: u64) {
        let slot = usize::from(flight.slot);
        self.all[slot] -= units;
        if flight.background {
            self.background[slot] -= units;
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    start: u64,
    end: u64,
    slot: u8,
    background: bool,
}

/// A part to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    /// It went out before.
    pub(super) resent: bool,
}

#[derive(Debug)]
pub(super) struct Parts {
    total: u64,
    /// Nothing from here on was ever taken.
    fresh: u64,
    /// Taken, and given back before any of it was written.
    back: Ranges,
    /// Sent by a path that is gone or no longer trusted.
    lost: Ranges,
    /// The peer said that it has these.
    had: Ranges,
    flights: Vec<Flight>,
}

impl Parts {
    /// Of a message of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        Self {
            total: length as u64 + 1,
            fresh: 0,
            back: Ranges::default(),
            lost: Ranges::default(),
            had: Ranges::default(),
            flights: Vec::new(),
        }
    }

    /// Something waits to be sent.
    pub(super) fn wants(&self) -> bool {
        self.fresh < self.total || !self.back.is_empty() || !self.lost.is_empty()
    }

    /// Every unit was taken by a path.
    pub(super) fn is_whole(&self) -> bool {
        self.fresh == self.total && self.back.is_empty()
    }

    /// The peer has every unit.
    pub(super) fn is_had(&self) -> bool {
        self.had.first() == Some((0, self.total))
    }

    /// What goes next, with at most so many bytes of payload: what was lost before what was not sent.
    pub(super) fn next(&self, limit: u64) -> Option<Part> {
        let fresh = (self.fresh < self.total).then_some((self.fresh, self.total));
        let (range, resent) = match self.lost.first() {
            Some(range) => (range, true),
            None => (self.back.first().or(fresh)?, false),
        };
        let (start, end) = range;
        let most = limit.max(1).saturating_add(u64::from(start == 0));
        Some(Part {
            start,
            end: end.min(start.saturating_add(most)),
            resent,
        })
    }

    pub(super) fn take(&mut self, part: Part, slot: u8, background: bool, flying: &mut Flying) {
        let Part { start, end, .. } = part;
        self.lost.remove(start, end);
        self.back.remove(start, end);
        self.fresh = self.fresh.max(end);
        let flight = Flight {
            start,
            end,
            slot,
            background,
        };
        flying.add(&flight, end - start);
        match self.flights.last_mut() {
            Some(last)
                if last.end == start && last.slot == slot && last.background == background =>
            {
                last.end = end;
            }
            _ => self.flights.push(flight),
        }
    }

    /// Ends the flights over `slot` (all slots if `None`) between two units.
    fn land(&mut self, slot: Option<u8>, start: u64, end: u64, flying: &mut Flying) {
        let mut rest = Vec::new();
        self.flights.retain_mut(|flight| {
            let other = slot.is_some_and(|slot| slot != flight.slot);
            if other || flight.end <= start || flight.start >= end {
                return true;
            }
            let landed = flight.end.min(end) - flight.start.max(start);
            flying.remove(flight, landed);
            if flight.end > end {
                rest.push(Flight {
                    start: end,
                    ..*flight
                });
            }
            flight.end = start;
            flight.start < flight.end
        });
        self.flights.append(&mut rest);
    }

    /// Takes back a part meant for a path of which nothing was written.
    pub(super) fn untake(&mut self, part: Part, slot: u8, flying: &mut Flying) {
        let Part { start, end, resent } = part;
        self.land(Some(slot), start, end, flying);
        let missing = missing(&self.had, start, end);
        if resent {
            missing.for_each(|(s, e)| self.lost.insert(s, e));
        } else {
            missing.for_each(|(s, e)| self.back.insert(s, e));
        }
    }

    /// What flew over a path is to be sent again; whether anything did.
    pub(super) fn lose(&mut self, slot: u8, flying: &mut Flying) -> bool {
        let before = self.flights.len();
        let (lost, had) = (&mut self.lost, &self.had);
        self.flights.retain(|flight| {
            if flight.slot != slot {
                return true;
            }
            flying.remove(flight, flight.end - flight.start);
            for (start, end) in missing(had, flight.start, flight.end) {
                lost.insert(start, end);
            }
            false
        });
        self.flights.len() < before
    }

    /// Whether units were all taken once, so that the peer may have them.
    pub(super) fn was_sent(&self, start: u64, end: u64) -> bool {
        end <= self.fresh && !self.back.intersects(start, end)
    }

    /// The peer has these.
    pub(super) fn had(&mut self, start: u64, end: u64, flying: &mut Flying) {
        if self.had.len() >= MAX_SACKED && !self.had.intersects(start, end) {
            return;
        }
        self.had.insert(start, end);
        self.lost.remove(start, end);
        self.land(None, start, end, flying);
    }

    /// Nothing more of it is to be sent.
    pub(super) fn clear(&mut self, flying: &mut Flying) {
        for flight in self.flights.drain(..) {
            flying.remove(&flight, flight.end - flight.start);
        }
        self.fresh = self.total;
        self.back.clear();
        self.lost.clear();
    }
}

/// What of a range is not in a set.
fn missing(had: &Ranges, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
    let mut gaps = Vec::new();
    let mut at = start;
    while at < end {
        match had.next_after(at) {
            Some((s, e)) if s < end => {
                if at < s {
                    gaps.push((at, s));
                }
                at = e;
            }
            _ => {
                gaps.push((at, end));
                break;
            }
        }
    }
    gaps.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(parts: &mut Parts, limit: u64, slot: u8, flying: &mut Flying) -> Part {
        let part = parts.next(limit).expect("something to send");
        parts.take(part, slot, false, flying);
        part
    }

    #[test]
    fn an_empty_message_has_a_head_to_send_and_to_lose() {
        let (mut parts, mut flying) = (Parts::new(0), Flying::default());
        let part = take(&mut parts, 100, 2, &mut flying);
        assert_eq!((part.start, part.end, part.resent), (0, 1, false));
        assert!(parts.is_whole() && !parts.wants());
        assert_eq!(flying.all[2], 1);
        assert!(parts.lose(2, &mut flying));
        assert_eq!(flying, Flying::default());
        let part = parts.next(100).expect("lost");
        assert_eq!((part.start, part.end, part.resent), (0, 1, true));
    }

    #[test]
    fn the_head_goes_with_a_full_part_and_what_was_had_is_not_sent_again() {
        let (mut parts, mut flying) = (Parts::new(250), Flying::default());
        let ends: Vec<u64> = (0..3)
            .map(|slot| take(&mut parts, 100, slot, &mut flying).end)
            .collect();
        assert_eq!(ends, [101, 201, 251]);
        parts.had(150, 251, &mut flying);
        assert_eq!(flying.all[..3], [101, 49, 0]);
        parts.lose(1, &mut flying);
        let again = take(&mut parts, 100, 0, &mut flying);
        assert_eq!((again.start, again.end, again.resent), (101, 150, true));
        parts.had(0, 150, &mut flying);
        assert!(parts.is_had());
        assert_eq!(flying, Flying::default());
    }

    #[test]
    fn what_was_taken_back_unwritten_is_not_counted_as_sent() {
        let (mut parts, mut flying) = (Parts::new(300), Flying::default());
        let first = take(&mut parts, 100, 0, &mut flying);
        let second = take(&mut parts, 100, 1, &mut flying);
        parts.untake(first, 0, &mut flying);
        assert!(!parts.is_whole());
        assert!(!parts.was_sent(0, 1));
        assert!(parts.was_sent(second.start, second.end));
        assert_eq!(parts.next(1000), Some(first));
        assert_eq!((flying.all[0], flying.all[1]), (0, 100));
    }
}
