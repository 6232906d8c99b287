//! What the sessions of a process have on each network, so that they make way for one another.
//!
//! # The problem
//!
//! A queue in a modem does not know whose bytes stand in it. What one session sends in the background
//! is what another's keystroke waits behind, be it of another manager or on another runtime of this
//! process. So sessions tell here what they have under way, and look here before they plan.
//!
//! ```text
//!   session ── saw interactive traffic, has so much background on its way on eth0,
//!      │       has something of that urgency and priority waiting for eth0 ──────────► Accounts
//!      └◄── when somebody saw interactive traffic, what the others have on eth0, who goes first ──┘
//! ```
//!
//! # Rules
//!
//! - Accounts belong to a view of the networks: those of the system's scout are the process's, so that
//!   its runtimes share them; a fixed or scripted scout has its own, so that tests never meet.
//! - What a session said is gone with its `Member`, and counts no longer than one second unless it is
//!   said again: who is stuck holds nobody back.
//! - Networks are told apart by the interface's index; one place stands for what uses no network.
//!
//! # What traffic may cost
//!
//! Here also stand the [limits](Limit) of an operator: so many bytes a second, so many a month, for
//! some traffic on some networks, whichever session moves them.
//!
//! ```text
//!   session ── takes some, plans it, gives the rest back ──► purse of (limit, network) ──► state file
//!                                                               │ spent, or renewed
//!   waits, or goes by another network ◄── policy of each manager ◄┘
//! ```
//!
//! - A frame with its header counts when it is planned, by its label; taken back it counts no more. What
//!   arrives counts as payload of its label; everything else, both ways, counts where a limit is about all
//!   traffic. Handshakes of mancom, of TCP and below are not seen and not counted.
//! - Limits of the same traffic, networks and period are one purse, and the smallest of them counts.
//! - A rate is about what is sent. What is received counts towards bytes.
//! - Nothing is asked where no limit is configured: a path that has none compares with zero. Bytes are counted always, by [`NetworkTraffic`].
//!
//! # Bounds
//!
//! 64 limits of a manager, 1,024 pairs of limit and network, bytes of 256 networks told apart. A member
//! has at most 8 places, and an entry only where it has something to say. One lock, held for a few
//! look-ups and never while anything else is called; when interactive traffic was last seen, and whether
//! there is anything to look up at all, is told without it.

mod bytes;
mod ledger;
mod limit;
mod purse;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use bytes::NetworkTraffic;
pub(crate) use bytes::Row;
pub(crate) use ledger::MAX_LIMITS;
pub use ledger::Spending;
pub use limit::{Limit, Period};
pub(crate) use purse::Gate;
pub(crate) use saved::Saved;

/// What was said counts for so long.
pub(crate) const LAPSE: Duration = Duration::from_secs(1);
/// Networks on which one session has paths.
const PLACES: usize = 8;

/// Where bytes go: the index of an interface, or `None` where no network is used or none is known.
pub(crate) type Place = Option<u32>;

/// The accounts of one view of the networks.
#[derive(Debug, Default)]
pub struct Accounts {
    /// What the moments below are counted from.
    base: OnceLock<Instant>,
    /// When interactive traffic was last seen: microseconds after the base and one, 0 for never.
    interactive: AtomicU64,
    members: AtomicU32,
    /// Members whose priority is not the usual one.
    ranked: AtomicU32,
    /// Entries of the table.
    entries: AtomicU32,
    table: Mutex<Table>,
    ledger: ledger::Ledger,
    counters: bytes::Counters,
}

#[derive(Debug, Default)]
struct Table {
    numbers: u64,
    said: BTreeMap<Place, BTreeMap<u64, Said>>,
}

/// What one session said of one place.
#[derive(Debug, Clone, Copy)]
struct Said {
    background: u64,
    waiting: u8,
    priority: i8,
    at: Instant,
}

/// What the others have at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Others {
    /// Their background bytes on the way.
    pub(crate) background: u64,
    /// The urgencies, a bit each, of which something waits of a session with more priority.
    pub(crate) outranked: u8,
}

/// Those of the system's networks: the process's.
static OF_PROCESS: LazyLock<Arc<Accounts>> = LazyLock::new(Arc::default);

impl Accounts {
    /// Those of this process, for whoever uses the system's networks.
    pub(crate) fn of_process() -> Arc<Self> {
        Arc::clone(&OF_PROCESS)
    }

    /// A session of this priority begins.
    pub(crate) fn join(self: &Arc<Self>, priority: i8) -> Member {
        let number = self.number();
        self.members.fetch_add(1, Ordering::Relaxed);
        if priority != 0 {
            self.ranked.fetch_add(1, Ordering::Relaxed);
        }
        Member {
            accounts: Arc::clone(self),
            number,
            priority,
            said: Vec::new(),
        }
    }

    /// By which somebody is told from the others.
    pub(crate) fn number(&self) -> u64 {
        let mut table = self.lock();
        table.numbers += 1;
        table.numbers
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's part; what it said goes with it.
#[derive(Debug)]
pub(crate) struct Member {
    accounts: Arc<Accounts>,
    number: u64,
    priority: i8,
    /// Where it has an entry, and what it says.
    said: Vec<(Place, u64, u8)>,
}

impl Member {
    /// What it is called here.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether nobody else is there to make way for, or to be told of anything.
    pub(crate) fn is_alone(&self) -> bool {
        self.accounts.members.load(Ordering::Relaxed) == 1
    }

    /// Whether some session is to go before another: only then it matters what waits.
    pub(crate) fn is_ranked(&self) -> bool {
        self.accounts.ranked.load(Ordering::Relaxed) > 0
    }

    /// Whether others said anything.
    pub(crate) fn has_others(&self) -> bool {
        let entries = self.accounts.entries.load(Ordering::Relaxed);
        entries as usize > self.said.len()
    }

    /// When interactive traffic was last seen, by whomever.
    pub(crate) fn interactive(&self) -> Option<Instant> {
        let micros = self
            .accounts
            .interactive
            .load(Ordering::Relaxed)
            .checked_sub(1)?;
        self.accounts
            .base
            .get()?
            .checked_add(Duration::from_micros(micros))
    }

    /// Interactive traffic was seen then.
    pub(crate) fn saw_interactive(&self, at: Instant) {
        let base = *self.accounts.base.get_or_init(|| at);
        let micros = at.saturating_duration_since(base).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX - 1);
        self.accounts
            .interactive
            .fetch_max(micros + 1, Ordering::Relaxed);
    }

    /// Says what this session has at each place, as the whole truth: what is not named has nothing.
    pub(crate) fn say(&mut self, now: Instant, places: &[(Place, u64, u8)]) {
        let mut table = self.accounts.lock();
        let before = self.said.len();
        for (place, ..) in &self.said {
            if !places.iter().any(|(named, background, waiting)| {
                named == place && (*background > 0 || *waiting > 0)
            }) {
                table.forget(*place, self.number);
            }
        }
        self.said.clear();
        for (place, background, waiting) in places.iter().take(PLACES).copied() {
            if background == 0 && waiting == 0 {
                continue;
            }
            let priority = self.priority;
            let said = Said {
                background,
                waiting,
                priority,
                at: now,
            };
            table
                .said
                .entry(place)
                .or_default()
                .insert(self.number, said);
            self.said.push((place, background, waiting));
        }
        // Under the lock, so that the count is that of the table.
        let (more, fewer) = (
            self.said.len().saturating_sub(before),
            before.saturating_sub(self.said.len()),
        );
        self.accounts
            .entries
            .fetch_add(more as u32, Ordering::Relaxed);
        self.accounts
            .entries
            .fetch_sub(fewer as u32, Ordering::Relaxed);
    }

    /// What this session said last.
    pub(crate) fn said(&self) -> &[(Place, u64, u8)] {
        &self.said
    }

    /// What the others have there.
    pub(crate) fn others(&self, now: Instant, place: Place) -> Others {
        let table = self.accounts.lock();
        let mut others = Others::default();
        for (number, said) in table.said.get(&place).into_iter().flatten() {
            if *number == self.number || now.saturating_duration_since(said.at) > LAPSE {
                continue;
            }
            others.background = others.background.saturating_add(said.background);
            if said.priority > self.priority {
                others.outranked |= said.waiting;
            }
        }
        others
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.said.is_empty() {
            self.say(Instant::now(), &[]);
        }
        self.accounts.members.fetch_sub(1, Ordering::Relaxed);
        if self.priority != 0 {
            self.accounts.ranked.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Table {
    fn forget(&mut self, place: Place, number: u64) {
        if let Some(said) = self.said.get_mut(&place) {
            said.remove(&number);
            if said.is_empty() {
                self.said.remove(&place);
            }
        }
    }
}
