//! Limits in force: who keeps them, and what happens when a budget is spent.
//!
//! ```text
//!   configuration, builder ──▶ limits ──▶ sessions, by their context
//!   a budget is spent, a period is over, the clock was set ──▶ judge: policy = the configured one
//!                                                              and a rule a spent budget ──▶ registry
//!   when something is spent, then every second that more is, at the end
//!                                             ──▶ state file, joined with what others spent
//! ```
//!
//! A network whose budget is spent admits the label no more, as a rule of the policy would have it: what
//! waits says why, and goes on when the next period begins.
//!
//! Where limits come into force, and at the end, the thread that does it reads the file itself, and writes it
//! only if it has to say something else: nothing may go before what was spent is known, and a runtime that
//! ends runs no task more. In between it is a thread of the blocking pool.
//!
//! A process that is killed loses what it spent since the last time it saved: what went in a second, and
//! what went while a disk wrote. No thread of the runtime waits for the lock of the state file: where
//! others hold it, it is tried again where that may take its time.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::config::Config;
use crate::account::{Accounts, Limit, MAX_LIMITS, NetworkTraffic, Saved, Spending};
use crate::clock::Clock;
use crate::deferral::Registry;
use crate::label::matching::Policy;

/// What is spent is saved at once, and then this often while more is.
const SAVE: Duration = Duration::from_secs(1);
/// Where a thread may wait it waits so long for the lock of the state file.
const PATIENCE: Duration = Duration::from_secs(1);
/// And at the end of a manager, which may be on the runtime's thread.
const PARTING: Duration = Duration::from_millis(50);
/// The wall clock is looked at so often: it may be set.
const LOOK: Duration = Duration::from_secs(3_600);

/// The limits of one manager.
#[derive(Debug)]
pub(super) struct Limits {
    accounts: Arc<Accounts>,
    registry: Arc<Registry>,
    /// Those given in code, before the configuration's.
    #[cfg(feature = "config")]
    given: Vec<Limit>,
    terms: Mutex<Terms>,
    /// Rises with each judgement, so that an older one does not have the last word.
    turn: AtomicU64,
    saved: Option<Saved>,
    /// Told when other limits are in force.
    changed: Arc<Notify>,
    /// That the state file cannot be used was said.
    complained: AtomicBool,
    /// Others held the state file's lock: it is to be tried again.
    owed: AtomicBool,
}

/// What is judged by.
#[derive(Debug)]
struct Terms {
    policy: Policy,
    limits: Arc<[Limit]>,
}

/// The task that judges and saves, once there is a budget. It ends with the manager.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) limits: Arc<Limits>,
    runtime: Handle,
    task: OnceLock<AbortHandle>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(task) = self.task.get() else { return };
        task.abort();
        if self.limits.accounts.is_unsaved(&self.limits.all()) {
            self.limits.save(PARTING);
        }
    }
}

impl Keeper {
    /// Puts the limits in force, with what was spent of them before.
    pub(super) fn start(
        accounts: Arc<Accounts>,
        registry: Arc<Registry>,
        given: Vec<Limit>,
        (config, policy): (&Config, Policy),
        saved: Option<Saved>,
    ) -> Self {
        let limits = Arc::new(Limits {
            accounts,
            registry,
            terms: Mutex::new(Terms {
                policy,
                limits: Limits::join(&given, config),
            }),
            #[cfg(feature = "config")]
            given,
            turn: AtomicU64::new(0),
            saved,
            changed: Arc::default(),
            complained: AtomicBool::new(false),
            owed: AtomicBool::new(false),
        });
        let keeper = Self {
            limits,
            runtime: Handle::current(),
            task: OnceLock::new(),
        };
        if keeper.limits.has_budgets() {
            keeper.limits.save(Duration::ZERO);
            keeper.limits.judge();
            keeper.keep();
        }
        keeper
    }

    /// Another configuration is in force, and with it perhaps another policy.
    #[cfg(feature = "config")]
    pub(super) fn set(&self, config: &Config, policy: Option<Policy>) {
        self.limits.set(config, policy);
        if self.limits.has_budgets() {
            self.keep();
        }
    }

    /// How many were given in code.
    #[cfg(feature = "config")]
    pub(super) fn given(&self) -> usize {
        self.limits.given.len()
    }

    fn keep(&self) {
        let spawn = || {
            self.runtime
                .spawn(self.limits.clone().keep())
                .abort_handle()
        };
        self.task.get_or_init(spawn);
    }
}

impl Limits {
    fn join(given: &[Limit], config: &Config) -> Arc<[Limit]> {
        let all = given.iter().cloned().chain(config.limits());
        all.take(MAX_LIMITS).collect()
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those in force, the ones given in code first.
    pub(super) fn all(&self) -> Arc<[Limit]> {
        self.terms().limits.clone()
    }

    #[cfg(feature = "config")]
    fn set(&self, config: &Config, policy: Option<Policy>) {
        let limits = Self::join(&self.given, config);
        let other = {
            let mut terms = self.terms();
            if let Some(policy) = policy {
                terms.policy = policy;
            }
            let other = terms.limits != limits;
            terms.limits = limits;
            other
        };
        if other && self.has_budgets() {
            self.save(Duration::ZERO);
        }
        self.judge();
        if other {
            self.registry.revise();
            self.changed.notify_one();
        }
    }

    /// What was spent of each budget in its present period.
    pub(super) fn spending(&self) -> Vec<Spending> {
        let spending = self.accounts.spending(&self.all(), Clock::wall());
        spending.into_iter().map(|(spending, _)| spending).collect()
    }

    /// The limits in force, for who looks from outside.
    #[cfg(all(unix, feature = "inspect"))]
    pub(super) fn told(&self) -> Vec<serde_json::Value> {
        let told = |limit: &Limit| {
            let (label, on) = limit.about().split_once(" on ").unwrap_or_default();
            let (bytes, per) = limit.budget().unzip();
            serde_json::json!({
                "limit": limit.to_string(), "label": label, "on": on,
                "rate": limit.bytes_a_second(), "bytes": bytes, "per": per.map(|per| per.to_string()),
                "file": **limit.file(), "line": limit.line(),
            })
        };
        self.all().iter().map(told).collect()
    }

    /// Bytes by network, whether it is metered, urgency and direction.
    #[cfg_attr(
        not(all(unix, feature = "inspect")),
        expect(dead_code, reason = "for who looks from outside")
    )]
    pub(super) fn traffic(&self) -> Vec<NetworkTraffic> {
        self.accounts.traffic()
    }

    fn has_budgets(&self) -> bool {
        self.terms().limits.iter().any(|l| l.budget().is_some())
    }

    /// Judges by what is spent now; how long that holds. No lock is held, for wakers run: of two that
    /// do this at once the later one has the last word.
    fn judge(&self) -> Duration {
        let mut turn = self.turn.fetch_add(1, Ordering::SeqCst) + 1;
        loop {
            let (mut policy, limits) = {
                let terms = self.terms();
                (terms.policy.clone(), terms.limits.clone())
            };
            let now = Clock::wall();
            let spending = self.accounts.spending(&limits, now);
            let ends = spending.iter().map(|(spending, _)| spending.renewed);
            let next = ends.min().map_or(LOOK, |at| {
                Duration::from_secs(at.saturating_sub(now).max(1)).min(LOOK)
            });
            let spent: Vec<_> = spending.into_iter().filter_map(|(_, rule)| rule).collect();
            if !spent.is_empty() {
                policy.rules = policy.rules.iter().cloned().chain(spent).collect();
            }
            self.registry.set_policy(policy);
            match self.turn.load(Ordering::SeqCst) {
                same if same == turn => return next,
                newer => turn = newer,
            }
        }
    }

    /// Judges anew when it may come out otherwise, and saves what was spent.
    async fn keep(self: Arc<Self>) {
        let mut last: Option<Instant> = None;
        loop {
            // Made before the look: nothing is spent unseen in between.
            let mut spent = std::pin::pin!(self.accounts.spent());
            spent.as_mut().enable();
            let changed = self.changed.notified();
            let jumped = Clock::jumped();
            if !self.has_budgets() {
                changed.await;
                continue;
            }
            let next = self.judge();
            let owed = self.owed.load(Ordering::Relaxed) || self.accounts.is_unsaved(&self.all());
            let saves = self.saved.is_some() && owed;
            let wait = last.map_or(Duration::ZERO, |at| SAVE.saturating_sub(at.elapsed()));
            tokio::select! {
                () = spent => {}
                () = changed => {}
                () = jumped => {}
                () = tokio::time::sleep(next) => {}
                () = tokio::time::sleep(wait), if saves => {
                    let limits = self.clone();
                    let _ = tokio::task::spawn_blocking(move || limits.save(PATIENCE)).await;
                    last = Some(Instant::now());
                }
            }
        }
    }

    /// Joins what was spent here with what others spent, by way of the state file, for whose lock the
    /// thread waits no longer than this.
    fn save(&self, patience: Duration) {
        let Some(saved) = &self.saved else {
            return;
        };
        let (limits, now) = (self.all(), Clock::wall());
        let joined = saved.update(patience, |file| self.accounts.reconcile(&limits, file, now));
        let locked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.owed
            .store(joined.as_ref().is_err_and(locked), Ordering::Relaxed);
        if let Err(error) = joined
            && (patience > Duration::ZERO || !locked(&error))
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            let folder = saved.folder().display();
            tracing::warn!(target: "mancom::limits", %folder, %error, "what is spent is not kept");
        }
    }
}
