//! What must hold in a storm, after it, and at the end.

use super::super::*;
use super::world::{World, byte};
use crate::proto::pair::anywhere;

/// How a storm ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calm {
    CutAll,
    SpareOne,
    MendAll,
}

impl World {
    /// Receives what there is: each message that was sent, once.
    fn receive(&mut self) {
        let now = self.pair.now();
        for end in End::BOTH {
            while let Some(got) = self.pair.session(end).recv_message(now) {
                let sent = self.messages[end.other() as usize].remove(&got.id);
                assert_eq!(sent, Some((got.label, got.bytes)), "{:?}", got.id);
            }
        }
    }

    /// What was read is what was written, as far as it goes, labels included.
    pub(super) fn check_prefixes(&self) {
        for (id, directions) in &self.written {
            for end in End::BOTH {
                let side = &self.pair.sides[end.other() as usize];
                let Some(read) = side.read.get(id) else {
                    continue;
                };
                let written = &directions[end as usize];
                assert!(read.len() <= written.length, "more read than written");
                for (offset, got) in read.iter().enumerate() {
                    assert_eq!(*got, byte(end, *id, offset), "{id:?} {end:?} at {offset}");
                }
                // behaviour: I5
                let mut at = 0;
                for (until, label) in side.labels.get(id).into_iter().flatten() {
                    let run = written.labels.partition_point(|(end, _)| *end <= at);
                    assert_eq!(written.labels[run].1, *label, "{id:?} at {at}");
                    assert!(*until <= written.labels[run].0, "a read crossed a label");
                    at = *until;
                }
            }
        }
        for side in &self.pair.sides {
            for event in &side.events {
                let broke = matches!(event, Event::PathClosed(_, PathEnd::Protocol(_)));
                assert!(!broke, "{event:?} between honest ends");
            }
            assert_eq!(side.session.closed(), None);
            let session = &side.session;
            assert!(session.buffered() <= session.config().worst_case_memory());
            for path in session.paths.iter().flatten() {
                assert!(path.outbox.control_left() <= 2 * path::MAX_ANSWERS);
            }
            let open = session
                .open_slots()
                .map(|slot| session.paths[slot].is_some());
            assert_eq!(open.collect::<Vec<_>>(), vec![true; session.paths().len()]);
            // Every byte stands in one place, and is counted there.
            for stream in session.streams.values() {
                stream.send.check();
            }
        }
    }

    fn read_everything(&mut self) {
        for id in self.streams.clone() {
            for end in End::BOTH {
                let _ = self.pair.read_all(end, id);
            }
        }
    }

    /// A path that carries both ways, of which the facts are made to admit everything.
    fn healthy(&mut self) -> Option<PathId> {
        let now = self.pair.now();
        let mut paths = self.pair.paths().into_iter();
        let path = paths.find(|path| {
            let carries = self.pair.sides.iter().all(|side| {
                let slot = side.session.slot(*path);
                let state = slot.and_then(|slot| side.session.paths[slot].as_ref());
                state.is_some_and(|state| state.carries())
            });
            carries && self.pair.is_up(*path)
        })?;
        for end in End::BOTH {
            self.pair.session(end).update_path(now, path, anywhere());
        }
        Some(path)
    }

    /// The storm is over: links work again, and facts forbid nothing. What stays of the paths is a
    /// matter of `calm`.
    fn calm(&mut self, calm: Calm) {
        let spared = self.healthy().filter(|_| calm == Calm::SpareOne);
        let now = self.pair.now();
        for path in self.pair.paths() {
            match calm {
                Calm::MendAll => {
                    for end in End::BOTH {
                        self.pair.darken(path, end, false);
                        self.pair.session(end).update_path(now, path, anywhere());
                    }
                }
                Calm::CutAll | Calm::SpareOne if Some(path) != spared => self.pair.cut(path),
                Calm::CutAll | Calm::SpareOne => {}
            }
        }
        self.pair.run(Duration::from_millis(200));
        if self.healthy().is_none() {
            self.pair.dial(0).expect("the session lives");
        }
    }

    /// Whether everything arrived that nobody cut off.
    fn is_settled(&self) -> bool {
        self.messages.iter().all(BTreeMap::is_empty)
            && self.written.iter().all(|(id, directions)| {
                End::BOTH.into_iter().all(|end| {
                    let written = &directions[end as usize];
                    let read = self.pair.sides[end.other() as usize].read.get(id);
                    let session = &self.pair.sides[end as usize].session;
                    let shut = !written.shut
                        || self.released[id][end as usize]
                        || session.is_shut(*id) == Ok(true);
                    written.cut_off || (read.map_or(0, Vec::len) == written.length && shut)
                })
            })
    }

    /// After the storm: everything arrives that nobody cut off.
    pub(super) fn settle(&mut self, calm: Calm) {
        self.calm(calm);
        for _ in 0..600 {
            self.pair.run(Duration::from_millis(100));
            self.read_everything();
            self.receive();
            if self.is_settled() {
                break;
            }
        }
        self.check_prefixes();
        assert!(self.messages.iter().all(BTreeMap::is_empty), "{self:#?}");
        for (id, directions) in &self.written {
            for end in End::BOTH {
                let written = &directions[end as usize];
                if written.cut_off {
                    continue;
                }
                let read = &self.pair.sides[end.other() as usize].read;
                let read = read.get(id).map_or(0, Vec::len);
                assert_eq!(read, written.length, "{id:?} {end:?}\n{self:#?}");
                if written.shut && !self.released[id][end as usize] {
                    let session = &self.pair.sides[end as usize].session;
                    assert_eq!(session.is_shut(*id), Ok(true), "{id:?} {end:?}");
                }
            }
        }
    }

    /// And the session ends well.
    pub(super) fn close(&mut self) {
        let now = self.pair.now();
        for end in End::BOTH {
            for id in self.streams.clone() {
                self.pair.session(end).release(now, id);
            }
            self.pair.session(end).close(now);
        }
        self.pair.run(Duration::from_secs(5));
        for end in End::BOTH {
            let session = self.pair.session(end);
            assert_eq!(
                session.closed(),
                Some(CloseReason::Finished),
                "{session:#?}"
            );
            assert!(session.streams.is_empty());
            assert!(session.paths().is_empty());
        }
    }
}
