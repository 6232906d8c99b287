//! What this session and the others of the process tell each other: see [`account`](crate::account).

use std::time::{Duration, Instant};

use super::sockets::Link;
use super::state::State;
use crate::account::{Member, Place};
use crate::network::Network;
use crate::proto::schedule::{PATHS, Surroundings};
use crate::proto::session::PathState;

/// What others have is looked up no more often than this.
const LOOK: Duration = Duration::from_millis(1);
/// That interactive traffic goes on is told no more often than this.
const NOTED: Duration = Duration::from_millis(10);
/// Who has something on the way or waiting says so again after this: it may have arrived.
const AGAIN: Duration = Duration::from_millis(20);

/// A session's part in the accounts.
#[derive(Debug)]
pub(super) struct Books {
    member: Member,
    /// When others were last looked at, and whether they had anything.
    looked: Option<Instant>,
    crowded: bool,
    /// What the core was told of ranks, and what it was told, and told us, of interactive traffic.
    ranked: bool,
    heard: Option<Instant>,
    noted: Option<Instant>,
    said: Option<Instant>,
}

impl Books {
    pub(super) fn new(member: Member) -> Self {
        Self {
            member,
            looked: None,
            crowded: false,
            ranked: false,
            heard: None,
            noted: None,
            said: None,
        }
    }

    /// When what we said is to be said again.
    pub(super) fn due(&self) -> Option<Instant> {
        let at = self.said.filter(|_| !self.member.said().is_empty())?;
        at.checked_add(AGAIN)
    }
}

impl State {
    /// Tells the core what the others have, if that may be news.
    pub(super) fn look_around(&mut self, now: Instant) {
        let Some(books) = &mut self.books else { return };
        let interactive = books.member.interactive();
        let ranked = books.member.is_ranked();
        let others = books.member.has_others();
        let since = |at| now.saturating_duration_since(at);
        let due = (others || books.crowded) && books.looked.is_none_or(|at| since(at) >= LOOK);
        if !due && (interactive, ranked) == (books.heard, books.ranked) {
            return;
        }
        let mut around = Surroundings {
            interactive: interactive.max(self.core.interactive_at()),
            ranked,
            ..Surroundings::default()
        };
        books.crowded = others;
        if others {
            for link in &self.links {
                let there = books.member.others(now, place(link));
                let slot = usize::from(link.path.id) % PATHS;
                around.foreign[slot] = there.background;
                around.outranked[slot] = there.outranked;
            }
        }
        (books.heard, books.ranked, books.looked) = (interactive, ranked, Some(now));
        self.core.surroundings(now, around);
    }

    /// Tells the others what this session has, if that is news.
    pub(super) fn tell_others(&mut self, now: Instant) {
        let Some(books) = &mut self.books else { return };
        if let Some(at) = self.core.interactive_at()
            && books.noted.is_none_or(|noted| at > noted + NOTED)
        {
            books.noted = Some(at);
            books.member.saw_interactive(at);
        }
        if books.member.is_alone() {
            return;
        }
        let waiting = match books.member.is_ranked() {
            true => self.core.waiting_urgencies(),
            false => 0,
        };
        // The usual case: nothing is said, and there is nothing to say.
        if waiting == 0 && books.member.said().is_empty() && !self.core.has_background() {
            return;
        }
        let (mut places, mut count) = ([(None, 0, 0); PATHS], 0);
        for link in self.links.iter().filter(|link| link.dead.is_none()) {
            let background = self.core.background_on(link.path);
            // Who waits for a path that nothing goes over stands in nobody's way.
            let moves = |state: PathState| state.carries && !state.suspect;
            let waiting = match waiting {
                0 => 0,
                _ if self.core.path_state(link.path).is_some_and(moves) => waiting,
                _ => 0,
            };
            if background == 0 && waiting == 0 {
                continue;
            }
            let at = place(link);
            match places[..count].iter_mut().find(|(known, ..)| *known == at) {
                Some((_, all, urgencies)) => {
                    *all += background;
                    *urgencies |= waiting;
                }
                None if count < PATHS => {
                    places[count] = (at, background, waiting);
                    count += 1;
                }
                None => {}
            }
        }
        let places = &places[..count];
        let due = books.due().is_some_and(|at| at <= now);
        if due || differs(books.member.said(), places) {
            books.member.say(now, places);
            books.said = Some(now);
        }
    }
}

/// Where the bytes of a path go.
fn place(link: &Link) -> Place {
    link.network.as_ref().map(Network::id).map(|id| id.index())
}

/// Whether it is worth saying: a packet, or the eighth part.
fn differs(said: &[(Place, u64, u8)], now: &[(Place, u64, u8)]) -> bool {
    let differs = |((place, before, waited), (now, background, waiting)): (
        &(Place, u64, u8),
        &(Place, u64, u8),
    )| {
        place != now
            || waited != waiting
            || (*before == 0) != (*background == 0)
            || before.abs_diff(*background) > (before / 8).max(1_500)
    };
    said.len() != now.len() || said.iter().zip(now).any(differs)
}
