//! Which part of which message goes on a path next.

use super::outgoing::Outgoing;
use super::parts::Part;
use super::record::Record;
use crate::label::{Label, Urgency};
use crate::proto::session::Session;
use crate::proto::session::choose::{Chooser, Judge, Round};
use crate::proto::session::frame::{MAX_NAMED, PartHeader};
use crate::proto::session::outbox::{Back, Parcel};
use crate::proto::session::plan::COPIES;
use crate::proto::session::send::{Asking, Verdict};

/// Payload below this goes with its header in one piece: a reference costs more.
const SMALL: usize = 1024;

impl Session {
    /// Plans messages of an urgency on a path, at most so many parts and up to so many unwritten bytes;
    /// whether there were any.
    pub(in crate::proto::session) fn plan_messages(
        &mut self,
        slot: usize,
        turn: Urgency,
        round: &mut Round,
        limit: usize,
        most: &mut usize,
    ) -> bool {
        let mut planned = false;
        while *most > 0 && self.messages.waits(turn) {
            let path = self.paths[slot].as_ref();
            let queued = path.map_or(usize::MAX, |path| path.outbox.before(turn));
            // What was starved goes whatever else is queued.
            let full = queued >= limit && round.starved.is_none();
            if full || !self.plan_part(slot, turn, round) {
                break;
            }
            planned = true;
            *most -= 1;
        }
        planned
    }

    fn plan_part(&mut self, slot: usize, turn: Urgency, round: &mut Round) -> bool {
        let Some(limit) = self.metered(round) else {
            return false;
        };
        let judge = Judge::of(&self.policy, self.role);
        let mut chooser = Chooser::of(judge, &mut self.paths, round, (slot, turn));
        let out = &mut self.messages.out;
        let mut allowed = (0, None);
        let head = out.next(turn as usize, |label, id| {
            let length = out.records.get(&id).map_or(0, |record| record.bytes.len());
            match chooser.verdict(Asking::Bytes(label, length as u64)) {
                Verdict::Here { chunk, copy } => {
                    allowed = (chunk, copy);
                    true
                }
                Verdict::Elsewhere | Verdict::Nowhere => false,
            }
        });
        let (Some(head), Some(path)) = (head, self.paths[slot].as_mut()) else {
            return false;
        };
        // A number that a waiting frame uses cannot be given another meaning before that is sent.
        if path.outbox.has_frames() && path.numbers.would_redefine(&head.label) {
            return false;
        }
        let (chunk, copy) = allowed;
        let most = chunk.min(limit as u64);
        let Some(part) = out.part(head.id, most) else {
            return false;
        };
        let back = match part.resent || copy.is_some() {
            true => Back::Lost,
            false => Back::Fresh,
        };
        let urgency = round.rank(turn);
        self.push_part(slot, head.id, part, (urgency, part.resent, back));
        self.messages.out.take(head.id, part, slot as u8);
        self.notice(round.now, turn);
        let length = part.end - part.start;
        round.backlog = round.backlog.saturating_sub(length);
        round.flown[slot] += length;
        self.spend(round.now, length, copy.is_some());
        if let Some(other) = copy {
            self.push_part_copy(usize::from(other), head.id, part, &head.label, turn);
        }
        true
    }

    /// The same part goes by a second path too, if that is not busy with others.
    fn push_part_copy(
        &mut self,
        slot: usize,
        id: u64,
        part: Part,
        label: &Label,
        urgency: Urgency,
    ) {
        if let Some(path) = self.paths[slot].as_mut()
            && path.outbox.before(urgency) < COPIES
            && !(path.outbox.has_frames() && path.numbers.would_redefine(label))
        {
            self.push_part(slot, id, part, (urgency, true, Back::Copy));
        }
    }

    fn push_part(
        &mut self,
        slot: usize,
        id: u64,
        part: Part,
        (urgency, resent, back): (Urgency, bool, Back),
    ) {
        let out = &self.messages.out;
        let (Some(path), Some(record)) = (self.paths[slot].as_mut(), out.records.get(&id)) else {
            return;
        };
        let number = path.numbers.number(&record.label, &mut path.outbox.control);
        let parcel = out.parcel(id, record, part, number);
        path.outbox
            .push_parcel(parcel, &record.label, urgency, resent, back);
    }

    /// What became more urgent while it was planned goes before what did not.
    pub(super) fn raise_planned(&mut self) {
        for (id, rank) in std::mem::take(&mut self.messages.out.raised) {
            let source = crate::proto::session::Source::Message(id);
            for path in self.paths.iter_mut().flatten() {
                path.outbox.raise(source, super::outgoing::URGENCIES[rank]);
            }
        }
    }
}

impl Outgoing {
    /// The frame of a part.
    fn parcel(&self, id: u64, record: &Record, part: Part, number: u8) -> Parcel {
        let whole = record.bytes.len();
        let byte = |unit: u64| usize::try_from(unit.saturating_sub(1)).unwrap_or(whole);
        let (start, end) = (byte(part.start), byte(part.end).min(whole));
        let payload = record.bytes.slice(start.min(end)..end);
        let header = PartHeader {
            waiting: self.is_pressed(&record.label),
            label: number,
            seq: record.seq.unwrap_or_default(),
            length: whole as u32,
            offset: start.min(end) as u32,
            payload: payload.len() as u32,
        };
        let mut head = match part.start {
            0 => {
                let (below, after) = self.named_on_the_wire(record);
                header.encode_first(id, below, &after)
            }
            _ => header.encode(),
        };
        let lead = head.len();
        let small = payload.len() < SMALL;
        if small {
            head.extend_from_slice(&payload);
        }
        Parcel {
            id,
            start: part.start,
            end: part.end,
            head,
            lead,
            body: if small { Default::default() } else { payload },
        }
    }

    /// What a head says of those it comes after: a number below which it comes after all, or a few.
    fn named_on_the_wire(&self, record: &Record) -> (u64, Vec<u64>) {
        let live = record.place.after.iter();
        let live = live.filter_map(|id| self.records.get(id)?.seq);
        let seqs = live.chain(record.place.seqs.iter().copied());
        let seqs: Vec<u64> = seqs.filter(|seq| *seq >= record.place.below).collect();
        match seqs.len() > MAX_NAMED {
            true => (seqs.iter().max().map_or(0, |last| last + 1), Vec::new()),
            false => (record.place.below, seqs),
        }
    }
}
