//! How a stream goes on, and how it ends.

use std::time::{Duration, Instant};

use super::incoming::PIECES;
use super::message::Body;
use super::pace::MOST_PIECES;
use super::{Airstream, FAREWELL, Fault, LINGER, Phase, SILENCE, Said};

impl Airstream {
    /// Says what is due, and ends what is at its end.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.keep_pace();
        if self.phase == Phase::Open && self.resetting.is_none() {
            self.cut(now);
            if self.incoming.is_stale() && !self.telling {
                self.telling = true;
                let limit = self.incoming.tell();
                self.say(now, Said::Limit, Body::Limit { limit });
            }
        }
        self.count_time(now);
        match self.owed.is_empty() {
            true => self.owed_since = None,
            false => _ = self.owed_since.get_or_insert(now),
        }
        let open = matches!(self.phase, Phase::Open);
        let said = self.closed.is_some() && (self.outgoing.is_done() || !open);
        let done = said || self.resetting.is_some();
        // Who neither hears nor speaks confirms nothing either.
        let alone = self.outgoing.is_stopped() && self.incoming.is_complete();
        if done && (self.owed.is_empty() || alone) {
            self.finished.get_or_insert(now);
        } else {
            self.finished = None;
        }
        if self.silent_at().is_some_and(|at| at <= now) {
            self.fail(Fault::Silent);
        } else if self.parts_at().is_some_and(|at| at <= now) {
            self.phase = Phase::Over;
        } else if self.lingers_until().is_some_and(|at| at <= now) {
            match self.resetting {
                None => self.reset(now, Fault::Lingered),
                Some(_) => self.phase = Phase::Over,
            }
        }
    }

    /// Pieces, as many as may be under way, and the end after the last.
    fn cut(&mut self, now: Instant) {
        loop {
            let (under_way, span) = self.under_way();
            // The peer keeps no more pieces than that after a gap.
            if under_way >= self.pace.pieces() || span >= PIECES as u64 {
                return;
            }
            let Some((offset, bytes)) = self.outgoing.next() else {
                if self.outgoing.uncut() == 0 {
                    self.counts.ran_dry(self.count);
                }
                break;
            };
            let bytes = bytes.as_slice();
            self.say(now, Said::Data, Body::Data { offset, bytes });
            self.outgoing.sent(self.count, bytes.len());
        }
        if let Some(offset) = self.outgoing.say_end() {
            self.say(now, Said::End, Body::End { offset });
        }
    }

    /// Whether something is under way, and whether more of it would be if a buffer were larger.
    fn count_time(&mut self, now: Instant) {
        let (under_way, span) = self.under_way();
        let full = under_way >= MOST_PIECES || span >= PIECES as u64;
        let held = self.outgoing.lacks_credit() || full && self.outgoing.uncut() > 0;
        let busy = self.outgoing.under_way() > 0;
        self.counts.see(now, busy, busy && held);
    }

    /// When the peer has been silent for too long.
    fn silent_at(&self) -> Option<Instant> {
        let since = self.owed_since?;
        let heard = self.hook.status().last_received;
        Some(heard.map_or(since, |heard| heard.max(since)) + SILENCE)
    }

    /// When it is over, or dead, if nothing happens before.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let ends = [self.parts_at(), self.lingers_until(), self.silent_at()];
        ends.into_iter().flatten().min()
    }

    /// When the last word was said long enough ago.
    fn parts_at(&self) -> Option<Instant> {
        let farewell = match self.phase {
            Phase::Open => FAREWELL,
            _ => Duration::ZERO,
        };
        self.finished.map(|at| at + farewell)
    }

    /// When a closed stream gives up.
    fn lingers_until(&self) -> Option<Instant> {
        match self.resetting {
            Some(since) => Some(since + FAREWELL * 5),
            None => self.closed.map(|at| at + LINGER),
        }
    }

    /// Another instance of the peer, or the first.
    pub(super) fn peer_is_new(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening => {
                // What went to the one before is not known to this one.
                if !self.owed.values().any(|owed| owed.said == Said::Open) {
                    self.say_open(now);
                }
            }
            Phase::Open => self.fail(Fault::Restarted),
            Phase::Waiting | Phase::Over => {}
        }
    }

    /// It ends before its time: the peer is told, and nothing else is said.
    pub(super) fn reset(&mut self, now: Instant, fault: Fault) {
        if self.resetting.is_some() || self.is_over() {
            return;
        }
        self.fault.get_or_insert(fault);
        let owed: Vec<_> = self.owed.keys().copied().collect();
        for id in owed {
            self.hook.discard(now, id);
        }
        self.owed.clear();
        self.outgoing.stop();
        self.incoming.stop();
        self.resetting = Some(now);
        self.closed.get_or_insert(now);
        self.say(now, Said::Reset, Body::Reset);
    }

    /// It is over at once.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
        self.phase = Phase::Over;
    }
}
