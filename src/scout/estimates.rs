//! What sessions measured of the networks they use: round trip, bandwidth, loss.
//!
//! Samples come by the thousand, so a snapshot shows an estimate anew only where it moved by a fifth
//! from what is shown. An estimate without a new sample for ten minutes is forgotten, and the
//! configuration's hint counts again.

use crate::network::{Aspect, Network, NetworkSpec};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The name under which measurements stand among an aspect's sources.
pub(super) const SOURCE: &str = "measured";
/// An estimate that is not renewed is forgotten after this.
pub(super) const KEPT: Duration = Duration::from_secs(600);

/// What somebody measured of one network just now; `None` for what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sample {
    /// A smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Bits a second that went out while there was more to send.
    pub up: Option<u64>,
    /// Bits a second that came in while there was more to come.
    pub down: Option<u64>,
    /// Packets of a thousand that were lost.
    pub loss: Option<u16>,
}

/// One estimate as it is kept.
#[derive(Debug, Clone, Default)]
struct Kept {
    name: String,
    sample: Sample,
    at: Option<Instant>,
}

/// All estimates of one scout, by interface.
#[derive(Debug, Default)]
pub(super) struct Estimates {
    kept: BTreeMap<u32, Kept>,
}

impl Estimates {
    /// Takes a sample; true if what is shown has to change.
    pub(super) fn report(&mut self, now: Instant, network: &Network, sample: Sample) -> bool {
        let kept = self.kept.entry(network.id().index()).or_default();
        network.name().clone_into(&mut kept.name);
        let changed = kept.sample != sample;
        kept.sample = sample;
        kept.at = Some(now);
        changed
    }

    /// Lets what is measured of this interface win over hints.
    pub(super) fn apply(&self, now: Instant, index: u32, spec: &mut NetworkSpec) {
        let Some(kept) = self.kept.get(&index) else {
            return;
        };
        let old = kept
            .at
            .is_none_or(|at| now.saturating_duration_since(at) > KEPT);
        if old || kept.name != spec.name {
            return;
        }
        let Sample {
            rtt,
            up,
            down,
            loss,
        } = kept.sample;
        for (aspect, said) in [
            (Aspect::Rtt, rtt.is_some()),
            (Aspect::Up, up.is_some()),
            (Aspect::Down, down.is_some()),
            (Aspect::Loss, loss.is_some()),
        ] {
            if said {
                spec.notes.won(aspect, SOURCE);
            }
        }
        spec.rtt = rtt.or(spec.rtt);
        spec.up = up.or(spec.up);
        spec.down = down.or(spec.down);
        spec.loss = loss.or(spec.loss);
    }
}
