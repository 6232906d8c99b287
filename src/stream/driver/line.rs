//! Who waits for the same thing, first come first served.

use std::collections::BTreeMap;
use std::task::Waker;

/// A place in a line; greater ones came later.
pub(super) type Ticket = u64;

/// Tasks in the order in which they came. Who is called keeps its place until it leaves: a wake-up that
/// its task never hears of is passed on by its leaving.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<Ticket, Option<Waker>>,
    issued: Ticket,
}

impl Line {
    /// Takes a place, or keeps the one it has.
    pub(super) fn stand(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) {
        let issued = &mut self.issued;
        let ticket = *ticket.get_or_insert_with(|| {
            *issued += 1;
            *issued
        });
        match self.waiting.entry(ticket).or_default() {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Whether nobody stands before it.
    pub(super) fn is_turn(&self, ticket: Option<Ticket>) -> bool {
        let first = self.waiting.first_key_value();
        first.is_none_or(|(first, _)| Some(*first) == ticket)
    }

    /// Gives up its place; whoever is first then is to look.
    #[must_use]
    pub(super) fn leave(&mut self, ticket: &mut Option<Ticket>) -> Option<Waker> {
        let ticket = ticket.take()?;
        let first = self.is_turn(Some(ticket));
        self.waiting.remove(&ticket);
        first.then(|| self.call()).flatten()
    }

    /// The first is to look.
    #[must_use]
    pub(super) fn call(&mut self) -> Option<Waker> {
        self.waiting.first_entry()?.get_mut().take()
    }

    /// Ends the line: everybody is to look, and nobody stands before anybody.
    pub(super) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting).into_values().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn is_woken(&self) -> bool {
            self.0.load(Ordering::SeqCst) > 0
        }
    }

    fn three() -> (Line, [Option<Ticket>; 3], [Arc<Count>; 3]) {
        let counts = [(); 3].map(|()| Arc::new(Count::default()));
        let (mut line, mut tickets) = (Line::default(), [None; 3]);
        for (ticket, count) in tickets.iter_mut().zip(&counts) {
            line.stand(ticket, &Waker::from(Arc::clone(count)));
        }
        (line, tickets, counts)
    }

    // behaviour: I10
    #[test]
    fn serves_in_the_order_of_arrival() {
        let (mut line, mut tickets, counts) = three();
        assert!(!line.is_turn(None), "a newcomer stands behind them");
        let mut called = line.call();
        for at in 0..3 {
            assert!(line.is_turn(tickets[at]));
            called.take().expect("it waits").wake();
            assert!(counts[at].is_woken());
            called = line.leave(&mut tickets[at]);
        }
        assert!(called.is_none());
        assert!(line.is_turn(None) && line.is_empty());
    }

    // behaviour: I10 R2
    #[test]
    fn a_call_that_nobody_hears_is_passed_on() {
        let (mut line, mut tickets, counts) = three();
        line.call().expect("it waits").wake();
        // Its future is dropped before it was polled again.
        line.leave(&mut tickets[0]).expect("the second").wake();
        assert!(counts[1].is_woken() && !counts[2].is_woken());
    }

    #[test]
    fn leaving_from_the_middle_calls_nobody() {
        let (mut line, mut tickets, _) = three();
        assert!(line.leave(&mut tickets[1]).is_none());
        assert!(line.leave(&mut tickets[1]).is_none(), "it is gone already");
        assert!(line.is_turn(tickets[0]));
        assert_eq!(line.dissolve().count(), 2);
        assert!(line.is_turn(tickets[2]), "nobody stands before it");
    }

    // behaviour: R1
    #[test]
    fn nothing_stays_of_a_million_that_came_and_went() {
        let mut line = Line::default();
        let waker = Waker::noop();
        for _ in 0..10 {
            let mut tickets = vec![None; 100_000];
            tickets
                .iter_mut()
                .for_each(|ticket| line.stand(ticket, waker));
            let late = tickets.len() / 2;
            for ticket in tickets[late..].iter_mut().rev() {
                assert!(line.leave(ticket).is_none());
            }
            let left = tickets[..late].iter_mut();
            let called = left.filter_map(|ticket| line.leave(ticket)).count();
            assert_eq!(called, late - 1);
            assert!(line.is_empty());
        }
    }
}
