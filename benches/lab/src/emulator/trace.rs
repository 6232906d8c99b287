//! Recorded networks.

use std::io;
use std::path::Path;
use std::time::Duration;

/// The capacity of a link over time: when one packet of 1500 bytes may cross. It repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {}

impl Trace {
    /// Reads mahimahi's format: each line is a millisecond at which 1500 bytes may cross, the
    /// last one is the length of the trace.
    pub(crate) fn mahimahi(_path: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Times within and out of reach, drawn from two distributions of lines
    /// `seconds cumulative-probability`. Equal seeds give equal times.
    pub(crate) fn on_off_from_cdf(
        _encounter: &Path,
        _disconnect: &Path,
        _seed: u64,
    ) -> io::Result<OnOff> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// An endless iterator: how long the network is in reach, and how long it then is not.
#[derive(Clone, Debug)]
pub(crate) struct OnOff {}

impl Iterator for OnOff {
    type Item = (Duration, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
