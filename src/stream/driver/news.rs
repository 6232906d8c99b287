//! What the core reports, and whom it concerns.

use std::task::Waker;
use std::time::Instant;

use super::super::events::{PathEvent, PathInfo};
use super::state::{State, Waiters, add};
use crate::proto::session::{CloseReason, Event, PathEnd, PathId, StreamId};

impl State {
    pub(super) fn take_event(&mut self, now: Instant, event: Event) -> bool {
        match event {
            Event::Readable(id) => self.wake_one(id, |waiters| &mut waiters.read),
            Event::Writable(id) => self.wake_one(id, |waiters| &mut waiters.write),
            Event::Shut(id) => self.wake_one(id, |waiters| &mut waiters.shut),
            Event::Incoming => self.wake.extend(self.accepting.call()),
            Event::PathClosed(path, end) => self.path_closed(now, path, end),
            Event::PathCarries(_)
            | Event::PeerAddresses
            | Event::Stranded
            | Event::PathFacts(_)
            | Event::PathStalled(_) => self.unsettled = true,
            Event::PathSuspect(path) => self.path_doubted(path, PathEvent::Suspect),
            Event::PathTrusted(path) => self.path_doubted(path, PathEvent::Trusted),
            Event::MessageReady => self.message_ready(),
            Event::MessageRoom(urgency) => self.message_room(urgency),
            Event::MessageSettled(id, fate) => self.message_settled(id, fate),
            Event::Closed(reason) => {
                self.transmit(now);
                self.session_closed(reason);
            }
        }
        matches!(
            event,
            Event::PathClosed(..)
                | Event::Stranded
                | Event::PathFacts(_)
                | Event::PathCarries(_)
                | Event::PeerAddresses
                | Event::PathStalled(_)
                | Event::PathSuspect(_)
                | Event::PathTrusted(_)
                | Event::Closed(_)
        )
    }

    pub(super) fn wake_one(
        &mut self,
        id: StreamId,
        which: impl FnOnce(&mut Waiters) -> &mut Option<Waker>,
    ) {
        if let Some((_, waiters)) = self.waiters.iter_mut().find(|(known, _)| *known == id) {
            self.wake.extend(which(waiters).take());
        }
    }

    fn path_doubted(&mut self, path: PathId, event: fn(PathInfo) -> PathEvent) {
        // Of one whose network is away that is known, and no word of it stands before it is back.
        let link = self.links.iter().find(|link| link.path == path);
        if let Some(link) = link.filter(|link| !link.is_away()) {
            let event = event(self.info(link));
            tracing::debug!(target: "mancom::session", %event);
            self.publish(event);
        }
        self.unsettled = true;
    }

    pub(super) fn path_closed(&mut self, now: Instant, path: PathId, end: PathEnd) {
        let Some(at) = self.links.iter().position(|link| link.path == path) else {
            return;
        };
        let stats = self.core.path_stats(path).unwrap_or_default();
        let mut info = self.info(&self.links[at]);
        let mut link = self.links.swap_remove(at);
        self.end_fees(now, &mut link);
        add(&mut self.totals, &link, stats);
        info.stats = stats;
        // Of a path given up in order, it is no news that its link ended.
        let failed = link.dead.clone().filter(|_| end != PathEnd::Retired);
        let why = failed.unwrap_or_else(|| path_end(end).into());
        tracing::debug!(target: "mancom::session", path = %info, %why, "path down");
        self.publish(PathEvent::Down { path: info, why });
        if end == PathEnd::SessionClosed {
            // Its last words are on their way; those of any other path go again by another.
            self.parted.push(link.io);
        }
        self.unsettled = true;
    }

    pub(super) fn session_closed(&mut self, reason: CloseReason) {
        for (_, waiters) in &mut self.waiters {
            let Waiters { read, write, shut } = waiters;
            self.wake.extend(
                [read.take(), write.take(), shut.take()]
                    .into_iter()
                    .flatten(),
            );
        }
        self.wake.extend(self.accepting.dissolve());
        self.wake.extend(self.closing.dissolve());
        self.end_messages();
        if !self.subscribers.is_closed() {
            let why = self.closed_error(reason).to_string().into();
            self.publish(PathEvent::Closed { why });
            self.subscribers.close(&mut self.wake);
        }
    }
}

fn path_end(end: PathEnd) -> String {
    match end {
        PathEnd::Lost => "lost".into(),
        PathEnd::Replaced => "replaced by a new connection".into(),
        PathEnd::Silent => "silent: it owed an answer".into(),
        PathEnd::Retired => "given up for a better one".into(),
        PathEnd::Forbidden => "no longer allowed by the label".into(),
        PathEnd::Protocol(error) => error.to_string(),
        PathEnd::SessionClosed => "the session is over".into(),
    }
}
