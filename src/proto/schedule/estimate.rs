//! What so many bytes would take: time, bytes on metered networks, and energy.
//!
//! As bulk is striped: over the trusted paths of the best class whose bandwidth is known, shared so that
//! all are done at once, behind what is on its way already. Nothing else is foreseen: no network that
//! comes or goes, and no other session that begins.

use std::time::Duration;

use super::arrival::{self, MOST_BYTES, MOST_NANOS, Pipe};
use super::{Candidate, PATHS, chunk};
use crate::network::Kind;

/// A path for an estimate, and what its bytes cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The path.
    pub path: Candidate,
    /// What its network is.
    pub kind: Kind,
    /// Its bytes cost money.
    pub metered: bool,
}

/// What some bytes are expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Estimate {
    /// Until the last of them arrives.
    pub time: Duration,
    /// How many of them go over metered networks.
    pub metered: u64,
    /// What a program's [`Energy`] makes of them, in joules; 0 without one.
    pub joules: f64,
}

/// What a program knows of the energy that its radios take.
///
/// A closure will do:
///
/// ```
/// use std::time::Duration;
/// use mancom::network::Kind;
/// use mancom::proto::schedule::estimate::Energy;
///
/// let radios = |kind: Kind, bytes: u64, time: Duration| match kind {
///     // So much a byte, and what it takes to be awake.
///     Kind::Cellular => 8e-6 * bytes as f64 + 1.2 * time.as_secs_f64(),
///     _ => 1e-6 * bytes as f64,
/// };
/// assert!(radios.joules(Kind::Cellular, 1000, Duration::from_secs(1)) > 1.2);
/// ```
pub trait Energy {
    /// Joules that it takes to send so many bytes over a network of this kind in this time.
    fn joules(&self, kind: Kind, bytes: u64, time: Duration) -> f64;
}

impl<F: Fn(Kind, u64, Duration) -> f64> Energy for F {
    fn joules(&self, kind: Kind, bytes: u64, time: Duration) -> f64 {
        self(kind, bytes, time)
    }
}

/// Until the last of so many bytes arrives; `None` if no bandwidth is known, or if that is beyond what is
/// foreseen: 2^50 ns, some 13 days, or 2^50 bytes. `paths` are those that
/// carry payload and admit its label; more than [`PATHS`] are not looked at.
#[must_use]
pub fn time(bytes: u64, paths: &[Candidate]) -> Option<Duration> {
    Some(arrival::duration(share(bytes, paths)?.0))
}

/// What so many bytes take; `None` if no bandwidth is known, or if that is beyond 13 days or 2^50 bytes.
#[must_use]
pub fn estimate(bytes: u64, ways: &[Way], energy: Option<&dyn Energy>) -> Option<Estimate> {
    let mut paths = [Candidate::default(); PATHS];
    for (place, way) in paths.iter_mut().zip(ways) {
        *place = way.path;
    }
    let (done, shares) = share(bytes, &paths[..ways.len().min(PATHS)])?;
    let mut estimate = Estimate {
        time: arrival::duration(done),
        ..Estimate::default()
    };
    for (way, bytes) in ways.iter().zip(shares).filter(|(_, bytes)| *bytes > 0) {
        if way.metered {
            estimate.metered += bytes;
        }
        if let Some(energy) = energy {
            estimate.joules += energy.joules(way.kind, bytes, estimate.time);
        }
    }
    Some(estimate)
}

/// When all is there, in nanoseconds, and how much of it each path carries.
fn share(bytes: u64, paths: &[Candidate]) -> Option<(u128, [u64; PATHS])> {
    let paths = &paths[..paths.len().min(PATHS)];
    let best = paths.iter().map(|p| (p.suspect, p.class)).min()?;
    let stands = |path: &&Candidate| (path.suspect, path.class) == best;
    let general = |network| {
        let mut general = paths.iter().filter(stands).filter(|path| !path.lane);
        general.any(|path| path.network == network)
    };
    let mut pipes = [None; PATHS];
    for (pipe, path) in pipes.iter_mut().zip(paths) {
        if stands(&path) && !(path.lane && general(path.network)) {
            *pipe = Some(Pipe::of(path, paths)).filter(Pipe::is_known);
        }
    }
    let known = || pipes.iter().copied().flatten();
    // Less than a chunk is not shared.
    let first = known()
        .map(|pipe| pipe.completes(bytes.min(chunk(&pipe.measure))))
        .min()?;
    let done = arrival::shared(known(), bytes)?.max(first);
    if bytes > MOST_BYTES || done >= MOST_NANOS {
        return None;
    }
    let mut left = bytes;
    let mut shares = pipes.map(|pipe| {
        let share = pipe.map_or(0, |pipe| pipe.carries(done)).min(left);
        left -= share;
        share
    });
    // What was rounded goes with the largest share.
    let carrying = shares
        .iter_mut()
        .zip(&pipes)
        .filter(|(_, pipe)| pipe.is_some());
    if let Some((largest, _)) = carrying.max_by_key(|(share, _)| **share) {
        *largest += left;
    }
    Some((done, shares))
}
