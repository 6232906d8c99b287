//! Bytes on their way: which, by which path, and how many.

use std::collections::VecDeque;

use super::MAX_PATHS;

/// Bytes on their way over one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) slot: u8,
    /// Nobody waits for them.
    pub(super) background: bool,
}

/// Flights by their offsets, which never overlap.
#[derive(Debug, Default)]
pub(super) struct Flights {
    list: VecDeque<Flight>,
    /// Bytes by slot, and those of them that nobody waits for.
    flying: [u64; MAX_PATHS],
    background: [u64; MAX_PATHS],
}

impl Flights {
    /// Bytes on their way, by slot.
    pub(super) fn by_slot(&self) -> &[u64; MAX_PATHS] {
        &self.flying
    }

    /// Those of them that nobody waits for.
    pub(super) fn background(&self) -> &[u64; MAX_PATHS] {
        &self.background
    }

    /// Bytes are on their way.
    pub(super) fn fly(&mut self, flight: Flight) {
        self.count(&flight);
        if let Some(last) = self.list.back_mut()
            && (last.slot, last.background) == (flight.slot, flight.background)
            && last.end == flight.start
        {
            last.end = flight.end;
            return;
        }
        let index = self.list.partition_point(|f| f.start < flight.start);
        self.list.insert(index, flight);
    }

    fn count(&mut self, flight: &Flight) {
        let slot = usize::from(flight.slot);
        self.flying[slot] += flight.end - flight.start;
        if flight.background {
            self.background[slot] += flight.end - flight.start;
        }
    }

    fn uncount(&mut self, flight: &Flight) {
        let slot = usize::from(flight.slot);
        self.flying[slot] -= flight.end - flight.start;
        if flight.background {
            self.background[slot] -= flight.end - flight.start;
        }
    }

    /// Nothing of this range flies any more.
    pub(super) fn ground(&mut self, start: u64, end: u64) {
        let touched = |flight: &Flight| flight.end > start && flight.start < end;
        let mut index = self.list.partition_point(|f| f.end <= start);
        while let Some(flight) = self.list.get(index).copied().filter(touched) {
            self.list.remove(index);
            self.uncount(&flight);
            let before = flight.start..flight.end.min(start);
            let after = flight.start.max(end)..flight.end;
            for rest in [before, after].into_iter().filter(|rest| !rest.is_empty()) {
                let rest = Flight {
                    start: rest.start,
                    end: rest.end,
                    ..flight
                };
                self.count(&rest);
                self.list.insert(index, rest);
                index += 1;
            }
        }
    }

    /// Everything below this offset has arrived.
    pub(super) fn settle(&mut self, acked: u64) {
        while let Some(front) = self.list.front().copied() {
            if front.start >= acked {
                break;
            }
            self.uncount(&front);
            self.list.pop_front();
            if front.end > acked {
                let rest = Flight {
                    start: acked,
                    ..front
                };
                self.count(&rest);
                self.list.push_front(rest);
            }
        }
    }

    /// Takes out what is on its way over one path.
    pub(super) fn lose(&mut self, slot: u8) -> Vec<Flight> {
        let (lost, kept) = std::mem::take(&mut self.list)
            .into_iter()
            .partition::<VecDeque<_>, _>(|flight| flight.slot == slot);
        self.list = kept;
        self.flying[usize::from(slot)] = 0;
        self.background[usize::from(slot)] = 0;
        Vec::from(lost)
    }

    /// What is counted is what there is; where that lies.
    #[cfg(test)]
    pub(super) fn check(&self) -> Vec<(u64, u64)> {
        let mut flying = [0; MAX_PATHS];
        let mut background = [0; MAX_PATHS];
        for flight in &self.list {
            let slot = usize::from(flight.slot);
            let length = flight.end - flight.start;
            flying[slot] += length;
            background[slot] += if flight.background { length } else { 0 };
        }
        assert_eq!((flying, background), (self.flying, self.background));
        self.list.iter().map(|f| (f.start, f.end)).collect()
    }
}
