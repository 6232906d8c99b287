//! Who is woken when a session's sockets have news.
//!
//! The sockets know one waker, the session's. It wakes the *steward*: the task that last returned
//! `Pending` from a read or a write of this session, which is about to look anyway; no other task
//! stands on the data path. A reader comes before a writer: what arrives goes straight into its buffer.
//! A steward that is woken and does not look until the sockets have nothing more (its future was
//! dropped, or it had enough) is covered by the driver, which looks itself once nobody did for
//! [`WATCH`]. Without a steward the driver is woken at once.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// How long a woken steward may stay away before the driver does its work.
pub(super) const WATCH: Duration = Duration::from_millis(10);

/// The session's lock is held: a wake-up waits until it is free.
const LOCKED: u8 = 1;
/// A wake-up came meanwhile.
const DEFERRED: u8 = 2;
/// The driver came meanwhile.
const WANTED: u8 = 4;

/// What came while the session's lock was held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meanwhile(u8);

#[derive(Debug, Default)]
pub(super) struct Wakers {
    lock: AtomicU8,
    steward: Mutex<Option<Waker>>,
    driver: AtomicWaker,
    /// The sockets have news that nobody looked at to its end.
    ready: AtomicBool,
    /// How often somebody looked.
    looks: AtomicU32,
    /// The driver is to look at the sockets now.
    summoned: AtomicBool,
    /// The driver watches whether the steward comes.
    watching: AtomicBool,
}

impl Wakers {
    /// The session's lock was taken; from here to `unlocked` no waker runs.
    pub(super) fn locked(&self) {
        self.lock.fetch_or(LOCKED, Ordering::AcqRel);
    }

    /// To be called while the lock is still held, and [`meanwhile`](Self::meanwhile) after it.
    #[must_use]
    pub(super) fn unlocked(&self) -> Meanwhile {
        Meanwhile(self.lock.swap(0, Ordering::AcqRel))
    }

    /// Wakes whom the lock kept waiting.
    pub(super) fn meanwhile(&self, Meanwhile(came): Meanwhile) {
        if came & DEFERRED != 0 {
            self.wake_now();
        }
        if came & WANTED != 0 {
            self.nudge();
        }
    }

    /// Whether the session's lock is held: whoever holds it wakes the driver after it.
    pub(super) fn wants_lock(&self) -> bool {
        let held = self.lock.fetch_or(WANTED, Ordering::AcqRel) & LOCKED != 0;
        if !held {
            self.lock.fetch_and(!WANTED, Ordering::AcqRel);
        }
        held
    }

    /// Makes this task the steward.
    pub(super) fn set_steward(&self, waker: &Waker) {
        let mut steward = self.steward();
        match &mut *steward {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Somebody looks at the sockets from here on.
    pub(super) fn looking(&self) {
        self.ready.store(false, Ordering::Release);
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Whoever looked had enough before the sockets had nothing more.
    pub(super) fn looked_away(&self) {
        self.ready.store(true, Ordering::Release);
        if !self.watching.swap(true, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// Whether the sockets have news that nobody looked at to its end.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// How often somebody looked; the driver's measure of whether anybody does.
    pub(super) fn looks(&self) -> u32 {
        self.looks.load(Ordering::Relaxed)
    }

    pub(super) fn register_driver(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    /// The driver looks at everything once more.
    pub(super) fn summon(&self) {
        self.summoned.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// The driver's timers or paths changed; the sockets need no look.
    pub(super) fn nudge(&self) {
        self.driver.wake();
    }

    pub(super) fn take_summons(&self) -> bool {
        self.summoned.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Acquire)
    }

    /// The watch is over: whether the steward stayed away.
    pub(super) fn end_watch(&self) -> bool {
        self.watching.store(false, Ordering::Release);
        self.ready.load(Ordering::Acquire)
    }

    /// Wakes the steward, or summons the driver.
    pub(super) fn wake_now(&self) {
        self.ready.store(true, Ordering::Release);
        let steward = self.steward().take();
        match steward {
            Some(steward) => {
                if !self.watching.swap(true, Ordering::AcqRel) {
                    self.driver.wake();
                }
                steward.wake();
            }
            None => self.summon(),
        }
    }

    fn steward(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.steward.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A socket polled under the lock may wake at once (tokio's budget is one reason).
        if self.lock.fetch_or(DEFERRED, Ordering::AcqRel) & LOCKED == 0 {
            self.lock.fetch_and(!DEFERRED, Ordering::AcqRel);
            self.wake_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn wakes_the_steward_once_and_sets_the_driver_to_watch() {
        let wakers = Arc::new(Wakers::default());
        let (steward, waker) = counter();
        let (driver, driver_waker) = counter();
        wakers.register_driver(&driver_waker);
        wakers.set_steward(&waker);
        let socket = Waker::from(Arc::clone(&wakers));
        socket.wake_by_ref();
        assert_eq!(steward.0.load(Ordering::SeqCst), 1);
        assert_eq!(driver.0.load(Ordering::SeqCst), 1);
        assert!(wakers.is_watching());
        assert!(!wakers.take_summons());
        assert!(wakers.end_watch(), "nobody looked");
    }

    #[test]
    fn runs_no_waker_while_the_lock_is_held() {
        let wakers = Arc::new(Wakers::default());
        let (steward, waker) = counter();
        wakers.set_steward(&waker);
        wakers.locked();
        Waker::from(Arc::clone(&wakers)).wake();
        assert_eq!(steward.0.load(Ordering::SeqCst), 0);
        let meanwhile = wakers.unlocked();
        assert_eq!(steward.0.load(Ordering::SeqCst), 0);
        wakers.meanwhile(meanwhile);
        assert_eq!(steward.0.load(Ordering::SeqCst), 1);
        wakers.set_steward(&waker);
        wakers.locked();
        wakers.meanwhile(wakers.unlocked());
        assert_eq!(
            steward.0.load(Ordering::SeqCst),
            1,
            "nothing came meanwhile"
        );
    }

    #[test]
    fn wakes_the_driver_that_came_while_the_lock_was_held_and_no_other_time() {
        let wakers = Wakers::default();
        let (driver, waker) = counter();
        wakers.register_driver(&waker);
        assert!(!wakers.wants_lock());
        wakers.locked();
        wakers.meanwhile(wakers.unlocked());
        assert_eq!(driver.0.load(Ordering::SeqCst), 0, "it need not wait");
        wakers.locked();
        assert!(wakers.wants_lock());
        let meanwhile = wakers.unlocked();
        assert_eq!(driver.0.load(Ordering::SeqCst), 0, "the lock is held still");
        wakers.meanwhile(meanwhile);
        assert_eq!(driver.0.load(Ordering::SeqCst), 1);
        assert!(!wakers.wants_lock());
    }

    #[test]
    fn summons_the_driver_where_there_is_no_steward() {
        let wakers = Arc::new(Wakers::default());
        let (driver, driver_waker) = counter();
        wakers.register_driver(&driver_waker);
        Waker::from(Arc::clone(&wakers)).wake();
        assert_eq!(driver.0.load(Ordering::SeqCst), 1);
        assert!(wakers.take_summons());
        wakers.looking();
        assert!(!wakers.end_watch());
    }
}
