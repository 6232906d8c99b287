//! Chance that repeats itself.

use crate::proto::session::handshake::Entropy;

/// A small generator of repeatable numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// Entropy for a handshake. Repeatable, so fit for tests and nothing else.
    pub fn entropy(&mut self) -> Entropy {
        let mut bytes = [0; 96];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes());
        }
        Entropy(bytes)
    }
}
