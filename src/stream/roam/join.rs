//! What becomes of an attempt: a path that joins, or a network that rests.

use std::sync::Arc;
use std::time::Duration;

use super::super::dial::DialError;
use super::super::driver::Driver;
use super::Roamer;
use super::dials::{Attempt, Dialled};
use super::view::{LANES, View};
use crate::clock::Clock;
use crate::network::{Network, NetworkId};
use crate::proto::session::handshake::{HandshakeError, Security};
use crate::proto::session::{CloseReason, PathId};

/// Refusals as unknown, this far apart, before a session in clear believes them. In TLS it is the listener
/// itself that says it, and one will do.
const FORGOTTEN: (u32, Duration) = (3, Duration::from_secs(1));

impl Roamer {
    pub(super) fn dialled(
        &mut self,
        driver: &Arc<Driver>,
        attempt: Attempt,
        result: Result<Dialled, DialError>,
    ) {
        let id = attempt.id();
        match result {
            Ok(dialled) => {
                self.rests.succeeded(attempt.of());
                self.told = None;
                self.forgotten = (0, None);
                self.last_network = id;
                self.join(driver, attempt, dialled);
            }
            Err(error) => {
                tracing::debug!(target: "mancom::session", network = ?id, %error, "attempt failed");
                self.count_forgotten(driver, id, &error);
                self.rest(&attempt, &error);
            }
        }
    }

    /// The new path is in use; what it replaces is given up, in order where that still moves.
    pub(super) fn join(&mut self, driver: &Arc<Driver>, attempt: Attempt, dialled: Dialled) {
        let Dialled { path, link, facts } = dialled;
        let Some(view) = View::of(driver, &mut self.given_up) else {
            return;
        };
        let id = attempt.id();
        if !attempt.is_lane()
            && let Some(lane) = view.at(attempt.slot + LANES)
            && lane.id() != id
        {
            self.drop_path(driver, lane.path, "its network is another now");
        }
        if driver.attach(path, link, attempt.way, facts).is_err() || path.id >= LANES {
            return;
        }
        let others = view.open.iter().filter(|open| open.path.id != path.id);
        let others = others.filter(|open| !open.is_lane() && !open.given_up);
        let unwell = others.clone().filter(|open| !open.is_well());
        // One whose network is away is lost once this one carries.
        for silent in unwell.filter(|open| !open.is_away()) {
            if self.limit() == 1 || silent.id() == id {
                self.drop_path(driver, silent.path, "silent: nothing was acknowledged");
            }
        }
        // It was silent when this one was dialled, and is no more.
        let twins = others
            .clone()
            .filter(|open| open.is_well() && open.id() == id);
        for twin in twins {
            self.retire(driver, &view, twin.path);
        }
        let others = others.filter(|open| open.id() != id);
        let well: Vec<PathId> = others
            .filter(|open| open.is_well())
            .map(|o| o.path)
            .collect();
        if let Some(replaced) = attempt.instead_of.filter(|path| well.contains(path)) {
            self.retire(driver, &view, replaced);
        }
        let left = well
            .iter()
            .filter(|path| Some(**path) != attempt.instead_of);
        let beyond = (left.clone().count() + 1).saturating_sub(self.limit());
        for path in left.take(beyond) {
            self.retire(driver, &view, *path);
        }
    }

    pub(super) fn rest(&mut self, attempt: &Attempt, error: &DialError) {
        let name = attempt.way.as_ref().map(Network::name);
        let name = name.map_or_else(String::new, |name| format!("{name}: "));
        let why = format!("{name}{error}");
        self.rests.failed(Clock::now(), attempt.of(), why);
    }

    /// "Unknown session" ends one attempt; said three times where the session last worked, while it
    /// works nowhere else, it is believed; in TLS at once.
    pub(super) fn count_forgotten(
        &mut self,
        driver: &Arc<Driver>,
        id: Option<NetworkId>,
        error: &DialError,
    ) {
        let DialError::Handshake(HandshakeError::UnknownSession) = error else {
            return;
        };
        if driver.credentials().security() > Security::Clear {
            return driver.abort(CloseReason::Forgotten);
        }
        let now = Clock::now();
        let works = driver.with(|state, _| {
            let mut open = state
                .open_paths()
                .filter_map(|(path, _)| state.core.path_state(path));
            open.any(|open| open.silent.is_none())
        });
        let apart = self
            .forgotten
            .1
            .is_none_or(|last| now.duration_since(last) >= FORGOTTEN.1);
        if works || !apart || (self.last_network.is_some() && self.last_network != id) {
            return;
        }
        self.forgotten = (self.forgotten.0 + 1, Some(now));
        if self.forgotten.0 >= FORGOTTEN.0 {
            driver.abort(CloseReason::Forgotten);
        }
    }
}
