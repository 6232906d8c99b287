//! Counts what has to finish before a program may end, and tells listeners to stop.
//!
//! A session enters when it is made and leaves with the last thing it has to say; a listener
//! watches for [`Tracker::closing`]. A shutdown is then two lines: [`Tracker::close`], and
//! [`Tracker::wait_empty`] with a bound of its own.
//!
//! One `watch` value is the whole state, so that no wake-up is lost between a look at the count
//! and the wait for it. Its size does not depend on how many entered.

use std::sync::Arc;

use tokio::sync::watch;

/// A count of living sessions and a flag that says "no more"; clones share both.
#[derive(Debug, Clone)]
pub struct Tracker(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    alive: usize,
    closing: bool,
}

impl Tracker {
    /// Nothing entered, open.
    pub fn new() -> Self {
        Tracker(Arc::new(watch::Sender::new(State::default())))
    }

    /// Counts one more until the guard is dropped. Entering is possible after [`Tracker::close`]
    /// too: a session whose handshake was under way then is waited for like the others.
    #[must_use = "dropping the guard leaves at once"]
    pub fn enter(&self) -> Guard {
        self.0.send_modify(|state| state.alive += 1);
        Guard(self.clone())
    }

    /// How many have entered and not left.
    pub fn alive(&self) -> usize {
        self.0.borrow().alive
    }

    /// Tells listeners to stop. It does not end what has entered.
    pub fn close(&self) {
        self.0.send_modify(|state| state.closing = true);
    }

    /// Whether [`Tracker::close`] was called.
    pub fn is_closing(&self) -> bool {
        self.0.borrow().closing
    }

    /// Resolves when [`Tracker::close`] is called, at once if it was.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn closing(&self) {
        self.wait(|state| state.closing).await;
    }

    /// Resolves when nobody is left, at once if nobody is.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn wait_empty(&self) {
        self.wait(|state| state.alive == 0).await;
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        let mut state = self.0.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = state.wait_for(until).await.map(drop);
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Tracker::new()
    }
}

/// One that has entered; dropping it leaves.
#[derive(Debug)]
pub struct Guard(Tracker);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.alive -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn waits_until_the_last_guard_is_dropped() {
        let tracker = Tracker::new();
        timeout(Duration::ZERO, tracker.wait_empty()).await.unwrap();
        let (first, second) = (tracker.enter(), tracker.clone().enter());
        drop(first);
        assert!(
            timeout(Duration::from_secs(60), tracker.wait_empty())
                .await
                .is_err()
        );
        let waiting = tokio::spawn({
            let tracker = tracker.clone();
            async move { tracker.wait_empty().await }
        });
        tokio::task::yield_now().await;
        drop(second);
        waiting.await.unwrap();
        assert_eq!(tracker.alive(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_wakes_those_who_wait_for_it_and_later_ones() {
        let tracker = Tracker::new();
        let waiting = tokio::spawn({
            let tracker = tracker.clone();
            async move { tracker.closing().await }
        });
        tokio::task::yield_now().await;
        assert!(!tracker.is_closing() && !waiting.is_finished());
        tracker.close();
        waiting.await.unwrap();
        timeout(Duration::ZERO, tracker.closing()).await.unwrap();
    }
}
