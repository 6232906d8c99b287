//! When a carrier may be lost, so that the kernel tells it at once.
//!
//! The kernel tells of carriers at most once a second (`net/core/link_watch.c`), and that is once for all its namespaces
//! together: of twelve worlds nearly every loss was told 0.2 to 0.8 s late, because of one in another world. Then it is
//! silence that a program notices, which is another bar. So losses have slots:
//!
//! ```text
//!  losses   |A                    |B                    |C                    |D
//!  returns                         .A                    .B                    .C
//!           0                     2.2 s                 4.4                   6.6
//! ```
//!
//! A return is told at once, even within that second, and does not prolong it; where there was none it begins one. Just
//! after a slot, used or not, it is in nobody's way. What is told late begins a second too, when it is told: two of them fit
//! between slots, so that a stranger spoils one loss and not those after it.
//!
//! Slots are counted by the machine's clock, and who takes one locks the byte of its number of the device that all links
//! are made by: worlds of other labs keep out as well. What else changes a carrier on this machine does not: a world that
//! is made, a test with interfaces of its own. How late the kernel was is therefore a column.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::requires::TUN;
use crate::system;

/// From slot to slot, in milliseconds.
const EVERY: u64 = 2200;
/// A return comes this long after a slot.
const BEHIND: u64 = 100;
/// For how long a carrier is gone, in milliseconds.
pub(super) const GONE: u64 = EVERY + BEHIND;
/// Who waits for a slot or has one: as many as use every slot, a try taking four.
pub(super) const AT_ONCE: usize = 5;
/// More than there are ever jobs that wait.
const MOST: u64 = 1000;

/// A moment to lose a carrier at, nobody else's while this lives.
#[derive(Debug)]
pub(super) struct Slot {
    /// In nanoseconds, as [`crate::clock`] counts them.
    pub(super) at: u64,
    _locked: File,
}

impl Slot {
    /// The first that is free, not before this; mended [`GONE`] later, the carrier is in nobody's way.
    ///
    /// # Errors
    ///
    /// If a thousand are taken, or this system cannot lock.
    pub(super) fn take(earliest: u64) -> io::Result<Self> {
        Self::of(TUN.as_ref(), earliest)
    }

    fn of(locks: &Path, earliest: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(locks)?;
        let every = EVERY * 1_000_000;
        let first = earliest.div_ceil(every);
        for number in first..first + MOST {
            if system::lock_byte(file.as_fd(), number)? {
                return Ok(Self {
                    at: number * every,
                    _locked: file,
                });
            }
        }
        Err(io::Error::other("too many carriers wait to be lost"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the kernel tells of no other loss, and what it may be late itself, in milliseconds.
    const SECOND: u64 = 1000;
    const SLACK: u64 = 50;

    #[test]
    fn no_change_of_a_carrier_falls_into_the_second_before_a_loss() {
        let losses = || (0..10).map(|slot| slot * EVERY);
        let changes = || losses().flat_map(|lost| [lost, lost + GONE]);
        for loss in losses() {
            for change in changes().filter(|&change| change < loss) {
                assert!(loss - change >= SECOND + SLACK, "{change} before {loss}");
            }
        }
    }

    #[test]
    fn a_loss_that_is_told_late_makes_no_other_late() {
        let told = SECOND;
        assert!(told + SECOND + SLACK <= EVERY);
    }

    #[test]
    fn a_slot_is_nobody_elses_until_it_is_given_back() {
        let locks = tempfile::NamedTempFile::new().unwrap();
        let take = |earliest| Slot::of(locks.path(), earliest).unwrap();
        let ms = 1_000_000;
        let first = take(EVERY * ms - 1);
        let second = take(EVERY * ms);
        let third = take(EVERY * ms + 1);
        assert_eq!(
            [first.at, second.at, third.at].map(|at| at / ms),
            [EVERY, 2 * EVERY, 3 * EVERY]
        );
        drop(second);
        assert_eq!(take(0).at, 0);
        assert_eq!(take(EVERY * ms).at / ms, 2 * EVERY);
    }

    #[test]
    fn slots_of_the_machine_can_be_locked() {
        if !Path::new(TUN).exists() {
            eprintln!("SKIP there is no {TUN}, and so no lab");
            return;
        }
        let now = crate::clock::now();
        let (one, other) = (Slot::take(now).unwrap(), Slot::take(now).unwrap());
        assert!(one.at >= now && other.at >= one.at + EVERY * 1_000_000);
    }
}
