//! Who the peer is, and whether it knows us.
//!
//! ```text
//!             a session without our number: a stranger, which is asked
//!               +---+
//!               v   |        echo        a packet with both     acknowledged
//!   nobody known ---+----> known ------> numbers was sent ----> confirmed: packets tell no session
//!                            ^                                        |
//!                            +------ the echo of another session -----+
//! ```
//!
//! - A session is known only when a packet tells its number *and* ours: who sends that has seen a packet
//!   of ours. What merely tells a number changes nothing; its sender gets a packet with both numbers, and
//!   if it is there, it answers with both. Another instance of the peer must also acknowledge what we
//!   sent since we met a stranger, so that it is there now.
//! - Until the peer is confirmed, a packet that tells no session counts only if it acknowledges one of
//!   ours that told both numbers. What an earlier instance of the peer sent acknowledges earlier ones.
//! - Once a stranger was met, our packets tell both numbers once more until the peer acknowledges one of
//!   them. Should the stranger be the peer's next instance, it must not take them for its own, and those
//!   made before are older than the one that asks it.
//! - While two strangers are about and none is known, no messages go: whoever is not the peer in the end
//!   must not have had any. Message numbers begin, for every instance but the first, where those to
//!   nobody in particular ended: so a stranger that took us for its peer then has not seen later ones.
//! - A session that was replaced does not come back: the last [`PAST`] of them are remembered.
//! - Until a new instance is confirmed, only [`CAUTIOUS_FLIGHT`] packets go, so that what an earlier one
//!   acknowledges cannot be mistaken for them.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::error::ReceiveError;
use super::packet::Packet;

/// Replaced sessions that are remembered.
pub(super) const PAST: usize = 16;
/// Packets under way to a new instance of the peer that is not confirmed.
pub(super) const CAUTIOUS_FLIGHT: usize = 16;

/// Whose a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The known peer's.
    Peer,
    /// The first peer's, which knows us.
    First(NonZeroU32),
    /// A later instance's, which knows us.
    Next(NonZeroU32),
    /// Of one that does not know us, or did once.
    Stranger(NonZeroU32),
}

#[derive(Debug, Default)]
pub(super) struct Peer {
    session: Option<NonZeroU32>,
    /// It knows that we know it.
    confirmed: bool,
    /// The first packet with its number and ours.
    introduced: Option<u16>,
    /// The last one that told its number without ours.
    stranger: Option<NonZeroU32>,
    /// There was another before it, and no peer is known yet.
    contested: bool,
    /// It is to be asked; before a peer is known every packet does.
    asks: bool,
    /// The last sequence before a stranger was met, after which the peer acknowledged nothing.
    doubted: Option<u16>,
    /// It replaced another.
    next: bool,
    past: VecDeque<NonZeroU32>,
}

/// Whether sequence `a` is not before `b`.
fn reaches(a: u16, b: u16) -> bool {
    a.wrapping_sub(b) < 0x8000
}

impl Peer {
    /// `seen` is the latest sequence of ours that the packet can mean to acknowledge.
    pub(super) fn whose(
        &self,
        ours: NonZeroU32,
        packet: &Packet<'_>,
        seen: u16,
    ) -> Result<Whose, ReceiveError> {
        let echo = packet.observed_session;
        if echo.is_some_and(|echo| echo != ours) {
            return Err(ReceiveError::OtherSession);
        }
        match packet.session {
            None if self.session.is_none() => Err(ReceiveError::NoSession),
            None => Ok(Whose::Peer),
            session if session == self.session => Ok(Whose::Peer),
            Some(session) if session == ours || self.past.contains(&session) => {
                Err(ReceiveError::PastSession)
            }
            Some(session) if echo.is_none() || !self.is_there(session, seen) => {
                Ok(Whose::Stranger(session))
            }
            Some(session) if self.session.is_none() => Ok(Whose::First(session)),
            Some(session) => Ok(Whose::Next(session)),
        }
    }

    /// Whether a session that knows us, and has seen this sequence of ours, is there now.
    fn is_there(&self, session: NonZeroU32, seen: u16) -> bool {
        match self.session {
            Some(_) => self
                .doubted
                .is_some_and(|met| met != seen && reaches(seen, met)),
            // Who answers our first packets is no stranger. Two that call at the same time have seen
            // nothing of each other that they could acknowledge.
            None => self.stranger.is_none_or(|stranger| stranger == session),
        }
    }

    /// Whether a packet of the peer that told no session counts, if it acknowledges up to this sequence.
    pub(super) fn admits(&self, acknowledged: u16) -> bool {
        self.confirmed
            || self
                .introduced
                .is_some_and(|introduced| reaches(acknowledged, introduced))
    }

    /// A session without our number came; `last` is the sequence of our last packet.
    pub(super) fn meet(&mut self, stranger: NonZeroU32, last: u16) {
        if self.session.is_some() {
            self.asks = true;
            self.doubted.get_or_insert(last);
        } else if self.stranger != Some(stranger) {
            self.introduced = None;
            self.contested |= self.stranger.is_some();
        }
        self.stranger = Some(stranger);
    }

    /// The peer is this one.
    pub(super) fn join(&mut self, session: NonZeroU32) {
        let asked = self.session.is_none() && self.stranger == Some(session);
        let past = self.session.replace(session);
        self.introduced = self.introduced.filter(|_| asked);
        self.confirmed = false;
        self.stranger = None;
        self.asks = false;
        self.doubted = None;
        self.next = past.is_some();
        self.past.extend(past);
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    /// The peer has our packets up to this sequence.
    pub(super) fn acknowledged(&mut self, sequence: u16) {
        self.confirmed |= self.session.is_some() && self.admits(sequence);
        if self
            .doubted
            .is_some_and(|at| at != sequence && reaches(sequence, at))
        {
            self.doubted = None;
        }
    }

    pub(super) fn session(&self) -> Option<NonZeroU32> {
        self.session
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) fn was_introduced(&self) -> bool {
        self.introduced.is_some()
    }

    /// Whose number packets tell as the peer's.
    pub(super) fn observed(&self) -> Option<NonZeroU32> {
        self.session.or(self.stranger)
    }

    /// Whether packets tell the numbers.
    pub(super) fn tells(&self) -> bool {
        !self.confirmed || self.doubted.is_some()
    }

    /// Whether a packet with both numbers is due that no packet has told yet.
    pub(super) fn introduces(&self) -> bool {
        !self.confirmed && self.introduced.is_none() && self.observed().is_some()
    }

    /// A new packet has both numbers.
    pub(super) fn introduce(&mut self, sequence: u16) {
        if self.introduces() {
            self.introduced = Some(sequence);
        }
    }

    /// A stranger that is to be asked beside the known peer.
    pub(super) fn asks(&self) -> Option<NonZeroU32> {
        self.stranger.filter(|_| self.asks)
    }

    /// Whether every packet after `last`, and only those, tells both numbers.
    pub(super) fn doubts(&self, last: u16) -> bool {
        self.doubted == Some(last)
    }

    pub(super) fn asked(&mut self) {
        self.asks = false;
    }

    /// The most packets under way with messages.
    pub(super) fn flight(&self) -> usize {
        match self.session {
            None if self.contested => 0,
            Some(_) if self.is_cautious() => CAUTIOUS_FLIGHT,
            _ => usize::MAX,
        }
    }

    /// Whether the peer is another than before, and not confirmed.
    pub(super) fn is_cautious(&self) -> bool {
        self.next && !self.confirmed
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Peer {
    pub(super) fn is_bounded(&self) -> bool {
        self.past.len() <= PAST
    }
}
