//! What the bytes of a connection count for, and the limits it is under.

use super::Plain;
use super::state::State;
use crate::clock::Clock;

impl Plain {
    /// Looks up what its label and its network are asked for now.
    pub(super) fn set_terms(&self, state: &mut State) {
        let accounts = self.context.accounts();
        let network = state.network.as_ref();
        state.row = Some(accounts.row(network));
        let limits = self.context.limits();
        let gates = match network.filter(|_| !limits.is_empty()) {
            Some(network) => {
                let policy = self.context.registry().policy();
                let who = (self.number, Clock::wall());
                let mut gates = accounts.gates(&limits, network, &policy, who);
                gates.retain(|gate| gate.traffic().includes(&state.label));
                gates
            }
            None => Vec::new(),
        };
        state.limit.set_gates(gates);
    }
}
