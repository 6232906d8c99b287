//! In which order messages that arrived are delivered and handed out.
//!
//! What comes after a message waits for one thing at a time, and is looked at again when that changes; so
//! a chain of any length costs its links.

use super::MAX_UNSETTLED;
use super::entry::Stage;
use super::incoming::{Incoming, LAST};

impl Incoming {
    /// The highest number below that is not closed.
    fn open_below(&self, below: u64) -> Option<u64> {
        let last = below.checked_sub(1)?;
        match self.closed.next_after(last) {
            Some((start, _)) if start <= last => start.checked_sub(1),
            _ => Some(last),
        }
    }

    /// What a message waits for before it is delivered, or before it is handed out.
    fn waits_for(&self, seq: u64) -> Option<u64> {
        let entry = self.entries.get(&seq)?;
        let handing_out = entry.stage == Stage::Delivered;
        let mut named = entry.after.iter().rev();
        if let Some(before) = named.find_map(|before| self.blocks(*before, handing_out)) {
            return Some(before);
        }
        match handing_out {
            true => self.unread_below(entry.below),
            false => self.open_below(entry.below),
        }
    }

    /// What of a message that another names keeps that one from being delivered, or handed out.
    fn blocks(&self, before: u64, handing_out: bool) -> Option<u64> {
        let unread = handing_out && self.entries.contains_key(&before);
        if !self.is_closed(before) || unread {
            return Some(before);
        }
        let forgotten = self.forgotten.intersects(before, before + 1);
        (handing_out && forgotten).then(|| self.unread_below(before))?
    }

    /// The highest number below whose message is not handed out.
    fn unread_below(&self, below: u64) -> Option<u64> {
        self.open_below(below).or_else(|| {
            let (seq, _) = self.entries.range(..below).next_back()?;
            Some(*seq)
        })
    }

    /// What comes after a forgotten message comes after what that came after, which nobody may have told
    /// here: so after all that has a lower number.
    pub(super) fn mind_forgotten(&mut self, seq: Option<u64>) {
        if let Some(seq) = seq {
            self.forgotten.insert(seq, seq + 1);
        }
        let first = self.entries.first_key_value().map(|(seq, _)| *seq);
        let unread = self.watermark().min(first.unwrap_or(LAST));
        self.forgotten.remove_below(unread);
        // Too many to tell apart: then those between count as forgotten.
        let mut ranges = self.forgotten.iter();
        let two = ranges.next().zip(ranges.next());
        drop(ranges);
        if self.forgotten.len() > MAX_UNSETTLED
            && let Some(((start, _), (_, end))) = two
        {
            self.forgotten.insert(start, end);
        }
    }

    /// Lets messages go on as far as they can, and what waits for them.
    pub(super) fn advance(&mut self, mut todo: Vec<u64>) {
        while let Some(seq) = todo.pop() {
            loop {
                let waits_for = match self.entries.get(&seq) {
                    Some(entry) if matches!(entry.stage, Stage::Held | Stage::Delivered) => {
                        self.waits_for(seq)
                    }
                    _ => None,
                };
                let Some(entry) = self.entries.get_mut(&seq) else {
                    break;
                };
                if let Some(before) = waits_for {
                    if entry.waits_for != Some(before) {
                        entry.waits_for = Some(before);
                        let rank = entry.rank;
                        self.waiting.entry(before).or_default().push(seq);
                        self.raise(before, rank);
                    }
                    break;
                }
                match entry.stage {
                    Stage::Parts if entry.is_complete() => entry.stage = Stage::Held,
                    Stage::Held => {
                        entry.stage = Stage::Delivered;
                        self.have.remove(&seq);
                        self.close(seq, &mut todo);
                    }
                    Stage::Delivered => {
                        entry.stage = Stage::Ready;
                        entry.after = Vec::new();
                        let id = entry.id.unwrap_or_default();
                        self.ready.insert((entry.rank, id, seq));
                        break;
                    }
                    _ => break,
                }
            }
        }
        self.todo = todo;
    }

    /// A number is closed: whoever waits for that is looked at again.
    pub(super) fn close(&mut self, seq: u64, todo: &mut Vec<u64>) {
        self.closed.insert(seq, seq + 1);
        self.news.insert(seq, seq + 1);
        self.wake(seq, todo);
    }

    pub(super) fn wake(&mut self, seq: u64, todo: &mut Vec<u64>) {
        for waiting in self.waiting.remove(&seq).unwrap_or_default() {
            if let Some(entry) = self.entries.get_mut(&waiting)
                && entry.waits_for == Some(seq)
            {
                entry.waits_for = None;
                todo.push(waiting);
            }
        }
    }

    /// A message is at least so urgent, and so is what it waits for.
    pub(super) fn raise(&mut self, seq: u64, rank: usize) {
        let mut next = Some(seq);
        while let Some(entry) = next.and_then(|seq| self.entries.get_mut(&seq)) {
            let seq = next.unwrap_or_default();
            if entry.rank <= rank {
                return;
            }
            if entry.stage == Stage::Ready {
                let id = entry.id.unwrap_or_default();
                self.ready.remove(&(entry.rank, id, seq));
                self.ready.insert((rank, id, seq));
            }
            entry.rank = rank;
            next = entry.waits_for;
        }
    }

    /// A message of this rank comes after all below.
    pub(super) fn raise_below(&mut self, below: u64, rank: usize) {
        let before = self.floors[rank];
        if below <= before {
            return;
        }
        for floor in &mut self.floors[rank..] {
            *floor = below.max(*floor);
        }
        let raised: Vec<u64> = (self.entries.range(before..below))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in raised {
            self.raise(seq, rank);
        }
    }
}
