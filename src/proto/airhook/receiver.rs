//! What came, and which messages did not.
//!
//! ```text
//!   sequence of a packet, from the highest so far:   -255 .. -1   0          1 .. 255   any other
//!                                                    old          repeated   new        rejected
//! ```
//!
//! A new packet tells the number of its first message: what lies between that and the number expected
//! was missed. Missed numbers go into every packet, until the peer acknowledged one that carried them. A
//! packet that leaves some out acknowledges nothing that came after them, or they would count as come.

use std::collections::VecDeque;

/// The most numbers missed and not yet known to the peer to be missed, and the most that one packet can
/// speak of: the peer has no more unconfirmed.
pub(super) const MAX_NUMBERS: usize = 255;

/// After so many sequences of which the peer was not told that they came, it is told.
pub(super) const MAX_UNTOLD: u16 = 64;

/// Where a packet stands among those that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    New,
    Repeated,
    Old,
    Far,
}

#[derive(Debug, Clone, Copy)]
struct Missed {
    number: u8,
    /// Our packet that first told the peer.
    carried: Option<u16>,
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// The highest sequence received; 0 before the first.
    highest: u16,
    /// The number of the next message.
    expected: u8,
    /// In the order of missing, so those not carried yet are the last.
    missed: VecDeque<Missed>,
    /// The highest sequence received when the last packet of ours that can tell the peer was made.
    told: u16,
    /// The highest sequence up to which every missed number was carried.
    safe: u16,
}

impl Receiver {
    /// That of a new peer whose first packet has this sequence.
    pub(super) fn at(sequence: u16) -> Self {
        Self {
            highest: sequence.wrapping_sub(1),
            told: sequence.wrapping_sub(1),
            ..Self::default()
        }
    }

    pub(super) fn observed(&self) -> u8 {
        self.highest.to_be_bytes()[1]
    }

    /// What may be acknowledged without the missed numbers that were not carried. Of what came before the
    /// peer was known that is nothing.
    pub(super) fn observed_safely(&self) -> u8 {
        self.safe.to_be_bytes()[1]
    }

    /// How many sequences came of which no packet of ours, in a sequence of its own, told.
    pub(super) fn untold(&self) -> u16 {
        self.highest.wrapping_sub(self.told)
    }

    /// The highest sequence received, and the number that comes next.
    #[cfg(feature = "test-util")]
    pub(super) fn stands(&self) -> (u16, u8) {
        (self.highest, self.expected)
    }

    pub(super) fn place(&self, sequence: u16) -> Place {
        match sequence.wrapping_sub(self.highest) {
            0 => Place::Repeated,
            1..=255 => Place::New,
            0xff01.. => Place::Old,
            _ => Place::Far,
        }
    }

    /// How many messages a new packet says were missed.
    pub(super) fn gap(&self, number: u8) -> usize {
        usize::from(number.wrapping_sub(self.expected))
    }

    /// How many missed numbers remain after an acknowledgement up to a sequence of ours.
    pub(super) fn remaining(&self, acknowledged: u16) -> usize {
        self.missed.len() - self.told(acknowledged)
    }

    fn told(&self, acknowledged: u16) -> usize {
        let before = |carried: u16| acknowledged.wrapping_sub(carried) < 0x8000;
        let told = self.missed.iter();
        told.take_while(|missed| missed.carried.is_some_and(before))
            .count()
    }

    /// The peer has our packets up to this sequence.
    pub(super) fn acknowledged(&mut self, sequence: u16) {
        self.missed.drain(..self.told(sequence));
    }

    /// A new packet came, whose `count` messages begin with `number`.
    pub(super) fn advance(&mut self, sequence: u16, number: u8, count: usize) {
        if number == self.expected && self.carried() == self.missed.len() {
            self.safe = sequence;
        }
        self.highest = sequence;
        while self.expected != number {
            self.missed.push_back(Missed {
                number: self.expected,
                carried: None,
            });
            self.expected = self.expected.wrapping_add(1);
        }
        self.expected = number.wrapping_add(count.to_le_bytes()[0]);
    }

    /// Missed numbers that the peer is not known to know of.
    pub(super) fn missed(&self) -> impl ExactSizeIterator<Item = u8> {
        self.missed.iter().map(|missed| missed.number)
    }

    /// How many of them a packet has carried.
    pub(super) fn carried(&self) -> usize {
        self.missed
            .partition_point(|missed| missed.carried.is_some())
    }

    /// A packet with a sequence of its own carries them all.
    pub(super) fn carry(&mut self, sequence: u16) {
        self.told = self.highest;
        self.safe = self.highest;
        for missed in self.missed.iter_mut().rev() {
            if missed.carried.is_some() {
                break;
            }
            missed.carried = Some(sequence);
        }
    }
}
