//! What is told of a stream: its events, its figures, and samples for the scout.

use super::super::events::{Events, NetworkBytes, PathEvent, PathInfo, StreamStats};
use super::Plain;
use super::state::State;
use crate::clock::Clock;
use crate::network::{Network, NetworkId};
use crate::proto::session::PathStats;
use crate::scout::Sample;

impl Plain {
    pub(in crate::stream) fn events(&self) -> Events {
        self.with(|state| {
            let open = state.link.is_some().then(|| state.info());
            state.subscribers.subscribe(open.map(PathEvent::Up))
        })
    }

    pub(in crate::stream) fn paths(&self) -> Vec<PathInfo> {
        self.with(|state| state.link.iter().map(|_| state.info()).collect())
    }

    pub(in crate::stream) fn stats(&self) -> StreamStats {
        self.with(|state| {
            let info = state.info();
            StreamStats {
                written: state.written,
                acknowledged: state
                    .acknowledged()
                    .or(state.carried.acknowledged)
                    .unwrap_or(0),
                read: state.read,
                networks: vec![NetworkBytes {
                    name: info.name.clone(),
                    bytes: info.stats,
                }],
            }
        })
    }
}

impl State {
    /// What there is to tell of the present connection, when it is time to.
    pub(super) fn sample(&mut self) -> Option<(NetworkId, Sample)> {
        let link = self.link.as_deref()?;
        self.gauge
            .sample(Clock::recent(), self.network.as_ref(), link)
    }

    pub(super) fn info(&self) -> PathInfo {
        PathInfo {
            path: (0, self.connections),
            network: self.network.as_ref().map(Network::id),
            name: self.network.as_ref().map(|network| network.name().into()),
            kind: self.network.as_ref().map(Network::kind),
            lane: false,
            carries: true,
            suspect: false,
            rtt: None,
            bandwidth: None,
            outstanding: 0,
            stats: PathStats {
                payload_sent: self.written + self.resent,
                payload_resent: self.resent,
                payload_received: self.read,
                ..PathStats::default()
            },
        }
    }

    pub(super) fn publish(&mut self, event: PathEvent) {
        self.subscribers.publish(&event, &mut self.wake);
    }

    pub(super) fn close_events(&mut self) {
        self.subscribers.close(&mut self.wake);
    }
}
