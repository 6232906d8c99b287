//! What sessions measured of the networks they use: round trip, bandwidth, loss.
//!
//! ```text
//! samples ──smooth──▶ now ──moved by a fifth──▶ shown ──▶ snapshot, before the configuration's hints
//! ```
//!
//! Samples come by the thousand and each tells little, so they are smoothed, by what each can be:
//!
//! - A round trip and a loss scatter about their mean: a moving average with the weight 1/8 for the
//!   newest, as RFC 6298 section 2.3 has it.
//! - A bandwidth can only be measured too small, for the sender had not enough or others were there:
//!   the largest of the last 30 to 60 s of samples, so that a network that became slow shows it.
//!
//! A snapshot shows an estimate anew only where it moved by a fifth or more from what is shown, and
//! by something that matters at all: 1 ms, or 5 packets in a thousand.
//!
//! Estimates belong to an interface, by index and name, and outlive its epochs; but a new epoch may
//! be another place, so that its first sample counts alone. A figure without a new sample for ten
//! minutes is forgotten, and the configuration's hint counts again. 256 networks are kept.

use crate::network::{Aspect, Network, NetworkSpec};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The name under which measurements stand among an aspect's sources.
pub(super) const SOURCE: &str = "measured";
/// A figure that is not renewed is forgotten after this.
pub(super) const KEPT: Duration = Duration::from_secs(600);
/// Of more networks than this the one without a sample for the longest is forgotten.
const NETWORKS: usize = 256;
/// A peak is that of this pane and the one before it.
const PANE: Duration = Duration::from_secs(30);
/// Nobody measures a longer round trip.
const LONGEST: Duration = Duration::from_secs(3600);

/// What somebody measured of one network just now; `None` for what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sample {
    /// A round-trip time; more than an hour counts as one.
    pub rtt: Option<Duration>,
    /// Bits a second that went out while there was more to send.
    pub up: Option<u64>,
    /// Bits a second that came in while there was more to come.
    pub down: Option<u64>,
    /// Packets of a thousand that were lost; more than that count as all.
    pub loss: Option<u16>,
}

/// What was measured of one network, smoothed; snapshots show it in coarser steps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The network's name.
    pub network: String,
    /// The round-trip time.
    pub rtt: Option<Duration>,
    /// Bits a second towards the network.
    pub up: Option<u64>,
    /// Bits a second from the network.
    pub down: Option<u64>,
    /// Packets of a thousand that were lost.
    pub loss: Option<u16>,
    /// How long ago the last sample came, time asleep counted.
    pub age: Duration,
    /// How many samples there were since the estimate began.
    pub samples: u64,
}

/// All estimates of one scout, by interface.
#[derive(Debug, Default)]
pub(super) struct Estimates(BTreeMap<u32, Kept>);

/// What is kept of one network.
#[derive(Debug)]
struct Kept {
    name: String,
    samples: u64,
    at: Instant,
    /// In the order of [`FIGURES`].
    figures: [Option<Figure>; 4],
}

/// What there is to measure, how it is smoothed, and the least change that matters.
const FIGURES: [(Aspect, How, u64); 4] = [
    (Aspect::Rtt, How::Mean, 1_000_000),
    (Aspect::Up, How::Peak, 1),
    (Aspect::Down, How::Peak, 1),
    (Aspect::Loss, How::Mean, 5 * LOSS),
];
/// A loss of one in a thousand, as it is kept.
const LOSS: u64 = 1000;

#[derive(Debug, Clone, Copy)]
enum How {
    Mean,
    Peak,
}

/// One figure: how it is now, and what is shown of it. A time in nanoseconds, a loss in millionths.
#[derive(Debug, Clone, Copy)]
struct Figure {
    now: u64,
    shown: u64,
    at: Instant,
    epoch: u32,
    /// The peaks of the pane under way and of the one before it.
    panes: [u64; 2],
    began: Instant,
}

impl Sample {
    fn figures(self) -> [Option<u64>; 4] {
        let nanoseconds = |rtt: Duration| rtt.min(LONGEST).as_nanos() as u64;
        let loss = self.loss.map(|loss| u64::from(loss.min(1000)) * LOSS);
        [self.rtt.map(nanoseconds), self.up, self.down, loss]
    }
}

impl Figure {
    fn first(at: Instant, epoch: u32, sample: u64) -> Self {
        Figure {
            now: sample,
            shown: sample,
            at,
            epoch,
            panes: [sample, 0],
            began: at,
        }
    }

    fn take(&mut self, now: Instant, epoch: u32, sample: u64, how: How) {
        if epoch != self.epoch {
            let shown = self.shown;
            *self = Figure {
                shown,
                ..Figure::first(now, epoch, sample)
            };
            return;
        }
        self.at = now;
        self.now = match how {
            How::Mean => ((u128::from(self.now) * 7 + u128::from(sample) + 4) / 8) as u64,
            How::Peak => self.peak(now, sample),
        };
    }

    fn peak(&mut self, now: Instant, sample: u64) -> u64 {
        let since = now.saturating_duration_since(self.began);
        if since >= PANE {
            let before = if since < 2 * PANE { self.panes[0] } else { 0 };
            self.panes = [sample, before];
            self.began = now;
        }
        self.panes[0] = self.panes[0].max(sample);
        self.panes[0].max(self.panes[1])
    }

    /// Whether what is shown is a fifth off or more; it is right again then.
    fn show(&mut self, least: u64) -> bool {
        let off = self.now.abs_diff(self.shown);
        let moved = off >= least && u128::from(off) * 5 >= u128::from(self.shown);
        if moved {
            self.shown = self.now;
        }
        moved
    }
}

impl Estimates {
    /// Takes a sample; true if what is shown has to change.
    pub(super) fn report(&mut self, now: Instant, network: &Network, sample: Sample) -> bool {
        let samples = sample.figures();
        if samples.iter().all(Option::is_none) {
            return false;
        }
        let (id, name) = (network.id(), network.name());
        let kept = self.0.get(&id.index()).filter(|kept| kept.name == name);
        if kept.is_none() {
            self.make_room(id.index());
        }
        let kept = self.0.entry(id.index()).or_insert_with(|| Kept {
            name: name.to_owned(),
            samples: 0,
            at: now,
            figures: [None; 4],
        });
        kept.samples = kept.samples.saturating_add(1);
        kept.at = now;
        let mut changed = kept.forget(now);
        for ((figure, sample), (_, how, least)) in kept.figures.iter_mut().zip(samples).zip(FIGURES)
        {
            match (figure, sample) {
                (_, None) => {}
                (Some(figure), Some(sample)) => {
                    figure.take(now, id.epoch(), sample, how);
                    changed |= figure.show(least);
                }
                (none, Some(sample)) => {
                    *none = Some(Figure::first(now, id.epoch(), sample));
                    changed = true;
                }
            }
        }
        changed
    }

    /// Forgets what this index stood for, and the oldest network if there are too many.
    fn make_room(&mut self, index: u32) {
        self.0.remove(&index);
        if self.0.len() >= NETWORKS {
            let oldest = self.0.iter().min_by_key(|(_, kept)| kept.at);
            if let Some(index) = oldest.map(|(index, _)| *index) {
                self.0.remove(&index);
            }
        }
    }

    /// Forgets what is too old; true if what is shown has to change.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        let mut changed = false;
        for kept in self.0.values_mut() {
            changed |= kept.forget(now);
        }
        self.0
            .retain(|_, kept| kept.figures.iter().any(Option::is_some));
        changed
    }

    /// When [`Estimates::forget`] has something to do, if nothing comes before.
    pub(super) fn stale_at(&self) -> Option<Instant> {
        let figures = self.0.values().flat_map(|kept| kept.figures).flatten();
        figures.map(|figure| figure.at + KEPT).min()
    }

    /// Lets what is measured of this interface win over hints.
    pub(super) fn apply(&self, now: Instant, index: u32, spec: &mut NetworkSpec) {
        let kept = self.0.get(&index).filter(|kept| kept.name == spec.name);
        let Some(kept) = kept else {
            return;
        };
        for (figure, (aspect, ..)) in kept.figures.iter().zip(FIGURES) {
            let Some(figure) = figure.filter(|figure| !figure.is_stale(now)) else {
                continue;
            };
            match aspect {
                Aspect::Rtt => spec.rtt = Some(Duration::from_nanos(figure.shown)),
                Aspect::Up => spec.up = Some(figure.shown),
                Aspect::Down => spec.down = Some(figure.shown),
                _ => spec.loss = Some(per_mille(figure.shown)),
            }
            spec.notes.won(aspect, SOURCE);
        }
    }

    /// What is kept, in order of index.
    pub(super) fn list(&self, now: Instant) -> Vec<Estimate> {
        let list = self.0.values().filter_map(|kept| {
            let fresh = |figure: Option<Figure>| figure.filter(|f| !f.is_stale(now)).map(|f| f.now);
            let [rtt, up, down, loss] = kept.figures.map(fresh);
            let some = rtt.or(up).or(down).or(loss);
            some.map(|_| Estimate {
                network: kept.name.clone(),
                rtt: rtt.map(Duration::from_nanos),
                up,
                down,
                loss: loss.map(per_mille),
                age: now.saturating_duration_since(kept.at),
                samples: kept.samples,
            })
        });
        list.collect()
    }
}

impl Kept {
    fn forget(&mut self, now: Instant) -> bool {
        let mut forgotten = false;
        for figure in &mut self.figures {
            forgotten |= figure.take_if(|figure| figure.is_stale(now)).is_some();
        }
        forgotten
    }
}

impl Figure {
    fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= KEPT
    }
}

fn per_mille(millionths: u64) -> u16 {
    ((millionths + LOSS / 2) / LOSS) as u16
}

#[cfg(test)]
mod tests;
