//! Whether the networks and the policy still admit the connection.

use std::io;

use tokio::sync::watch;

use super::super::error::SessionError;
use super::super::hooks::Carried;
use super::Plain;
use super::state::State;
use crate::label::Label;
use crate::label::matching::{PathFacts, Policy, permits};
use crate::network::{Network, Snapshot};

/// What the tending task finds.
pub(in crate::stream) enum Look {
    Well,
    /// Its network is down and keeps the address: as long as that lasts nothing is lost.
    Away,
    Lost(Carried),
    /// Nothing can happen to the stream any more.
    Over,
}

/// Why the present connection may no longer be used.
#[derive(Debug, thiserror::Error)]
enum Objection {
    #[error("network {0} is down")]
    Away(Network),
    #[error("network {0} went")]
    Gone(Network),
    #[error("network {0} no longer admits `{1}`")]
    Forbidden(Network, Label),
}

impl Plain {
    /// Whether the connection is lost or may no longer be used. Ends the stream where nothing
    /// follows a loss.
    pub(in crate::stream) fn look(&self, snapshot: &Snapshot) -> Look {
        self.with(|state| self.look_on(state, snapshot))
    }

    /// Whether bytes of this label may go out on the present connection.
    pub(in crate::stream) fn check_label(&self, label: &Label) -> io::Result<()> {
        self.with(|state| {
            self.follow(state);
            match &state.network {
                Some(network) if !state.permits(label, network, &self.policy()) => {
                    let text = format!("network {network} does not admit `{label}`");
                    Err(io::Error::new(io::ErrorKind::NetworkUnreachable, text))
                }
                _ => Ok(()),
            }
        })
    }

    fn look_on(&self, state: &mut State, snapshot: &Snapshot) -> Look {
        match state.objection(snapshot, &self.policy()) {
            None => {}
            Some(why) if self.hooked && !state.ended => state.drop_link(&why.to_string()),
            Some(Objection::Away(_)) => return Look::Away,
            Some(why) => {
                if matches!(why, Objection::Forbidden(..)) {
                    state.drop_link(&why.to_string());
                }
                let lost = io::Error::new(io::ErrorKind::NetworkDown, why.to_string());
                state.fail(SessionError::Lost(lost.into()));
            }
        }
        match &state {
            state if state.failed.is_some() || (state.ended && state.shut) => Look::Over,
            state if state.link.is_none() => Look::Lost(state.carried),
            _ => Look::Well,
        }
    }

    /// Looks at a newer snapshot and another policy, if there are such, before anything more is written.
    pub(super) fn follow(&self, state: &mut State) {
        let terms = state.terms.as_mut();
        if terms.is_some_and(|terms| terms.has_changed().unwrap_or(false)) {
            state
                .terms
                .iter_mut()
                .for_each(watch::Receiver::mark_unchanged);
            self.set_terms(state);
        }
        let Some((snapshots, revised)) = &mut state.news else {
            return;
        };
        let newer = snapshots.has_changed().unwrap_or(false);
        if newer | revised.has_changed().unwrap_or(false) {
            revised.mark_unchanged();
            let snapshot = snapshots.borrow_and_update().clone();
            self.look_on(state, &snapshot);
        }
    }

    fn policy(&self) -> Policy {
        let registry = self.registry.as_ref();
        registry.map_or_else(Policy::default, |registry| registry.policy())
    }
}

impl State {
    fn permits(&self, label: &Label, network: &Network, policy: &Policy) -> bool {
        permits(label, Some(network), &PathFacts::default(), true, policy)
    }

    /// What speaks against the present connection.
    fn objection(&mut self, snapshot: &Snapshot, policy: &Policy) -> Option<Objection> {
        let local = self.link.as_ref()?.local();
        let known = self.network.as_ref()?;
        let Some(now) = snapshot.successor(known, local) else {
            let same = snapshot.by_name(known.name());
            let own = same.into_iter().flat_map(Network::addresses);
            let keeps = own.into_iter().any(|address| Some(address.ip) == local);
            let objection = if keeps {
                Objection::Away
            } else {
                Objection::Gone
            };
            return Some(objection(known.clone()));
        };
        if !self.permits(&self.label, now, policy) {
            return Some(Objection::Forbidden(now.clone(), self.label));
        }
        self.network = Some(now.clone());
        None
    }
}
