//! The task of a plain stream: it sees the loss, and with a hook it puts another connection there.
//!
//! ```text
//!   well ──lost──► teardown ──► match? ──► connect ──► setup ──► resume ──► replay, our end ──► well
//!                                 ▲           │ failed: back-off │ a better match: dropped
//!                                 └───────────┴──────────────────┘        grace over: the stream fails
//! ```
//!
//! It holds the stream weakly and ends with it. Everything from the loss to the resumption, the hook's
//! own work included, has the stream's grace.

use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::connect::pinned;
use super::context::Context;
use super::dial;
use super::error::{Cause, SessionError};
use super::hooks::{Carried, DynHook, Resume};
use super::pace::{Pace, backoff};
use super::plain::{Fresh, Look, Plain};
use super::report::Stopwatch;
use super::roam::changed;
use super::secure::Secure;
use crate::clock::Clock;
use crate::deferral::{Operation, Want};
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::Destination;
use crate::network::Network;
use crate::transport::ByteLink;

/// How long a hook's `setup` may take on one connection: a server that falls silent in it is one
/// that does not answer.
const SETUP: Duration = Duration::from_secs(30);

/// Where a plain stream goes and what it may use.
pub(super) struct Target {
    pub(super) context: Arc<dyn Context>,
    pub(super) endpoint: Endpoint,
    pub(super) secure: Secure,
    pub(super) destination: Destination,
    /// Only the network of this name.
    pub(super) only: Option<Arc<str>>,
    pub(super) label: Label,
    pub(super) grace: Duration,
}

pub(super) fn spawn(
    plain: Weak<Plain>,
    news: Arc<Notify>,
    hook: Option<Box<dyn DynHook>>,
    target: Target,
) -> AbortHandle {
    let task = tokio::spawn(async move {
        let tending = Tending {
            plain: plain.clone(),
            news,
            target,
            pace: Pace::default(),
        };
        let guarded = AssertUnwindSafe(tending.run(hook)).catch_unwind().await;
        let error = match guarded {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => SessionError::Hook(io::Error::other(panic_text(&*panic)).into()),
        };
        if let Some(plain) = plain.upgrade() {
            plain.fail(error);
        }
    });
    task.abort_handle()
}

/// What a hook that panicked said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the hook panicked: {}",
        text.unwrap_or("it did not say why")
    )
}

struct Tending {
    plain: Weak<Plain>,
    news: Arc<Notify>,
    target: Target,
    pace: Pace,
}

impl Tending {
    async fn run(mut self, hook: Option<Box<dyn DynHook>>) -> Result<(), SessionError> {
        let Some(mut hook) = hook else {
            return self.watch().await;
        };
        while let Some(carried) = self.until_lost().await {
            let (deadline, mut tried) = (Clock::deadline(self.target.grace), None);
            let rebuilt = tokio::select! {
                biased;
                rebuilt = self.rebuild(&mut *hook, carried, &mut tried) => rebuilt,
                () = Clock::reached(deadline) => Err(self.grace_expired()),
            };
            let (fresh, resume) = match rebuilt {
                Err(SessionError::GraceExpired { grace, blocked, .. }) => {
                    return Err(SessionError::GraceExpired {
                        grace,
                        blocked,
                        tried,
                    });
                }
                rebuilt => rebuilt?,
            };
            let from = match resume {
                Resume::Continue => None,
                Resume::ReplayFrom(offset) => Some(offset),
                Resume::Fail => {
                    return Err(SessionError::Hook(
                        io::Error::other("the hook gave up").into(),
                    ));
                }
            };
            let Some(plain) = self.plain.upgrade() else {
                return Ok(());
            };
            plain.resume(fresh, from)?;
        }
        Ok(())
    }

    /// Without a hook: until the connection is lost, or its network was down for the grace.
    async fn watch(&self) -> Result<(), SessionError> {
        let registry = self.target.context.registry();
        let mut snapshots = changed(registry.snapshots());
        let mut revised = changed(registry.revised());
        let mut until = None;
        loop {
            let Some(plain) = self.plain.upgrade() else {
                return Ok(());
            };
            match plain.look(&registry.snapshot()) {
                Look::Away => until = until.or_else(|| Clock::deadline(self.target.grace)),
                Look::Well => until = None,
                Look::Lost(_) | Look::Over => return Ok(()),
            }
            drop(plain);
            tokio::select! {
                () = self.news.notified() => {}
                receiver = &mut snapshots => snapshots = changed(receiver),
                receiver = &mut revised => revised = changed(receiver),
                () = Clock::reached(until) => return Err(self.grace_expired()),
            }
        }
    }

    /// Resolves when the connection is lost, also by its network's going; `None` once nothing can
    /// happen to the stream any more.
    async fn until_lost(&self) -> Option<Carried> {
        let registry = self.target.context.registry();
        let mut snapshots = changed(registry.snapshots());
        let mut revised = changed(registry.revised());
        let mut settled = false;
        loop {
            match self.plain.upgrade()?.look(&registry.snapshot()) {
                Look::Lost(carried) => return Some(carried),
                Look::Over => return None,
                Look::Well | Look::Away => {}
            }
            tokio::select! {
                () = self.news.notified() => settled = false,
                receiver = &mut snapshots => snapshots = changed(receiver),
                receiver = &mut revised => revised = changed(receiver),
                () = self.settled(), if !settled => settled = true,
            }
        }
    }

    async fn settled(&self) {
        std::future::poll_fn(|cx| match self.plain.upgrade() {
            Some(plain) => plain.poll_settled(cx),
            None => Poll::Ready(()),
        })
        .await;
    }

    fn grace_expired(&self) -> SessionError {
        let label = self.wanted().unwrap_or(self.target.label);
        let blocked = self
            .target
            .context
            .registry()
            .candidates(&label, &self.target.destination);
        let blocked = blocked.err().map(Arc::from);
        SessionError::GraceExpired {
            grace: self.target.grace,
            blocked,
            tried: None,
        }
    }

    /// The stream's label of now, with what `.on()` asks.
    fn wanted(&self) -> Option<Label> {
        let label = self.plain.upgrade()?.label();
        // A label set since may name another interface: then nothing matches both.
        pinned(label, self.target.only.as_deref()).ok()
    }

    /// Tears down, then tries network after network until a connection is set up.
    async fn rebuild(
        &mut self,
        hook: &mut dyn DynHook,
        carried: Carried,
        tried: &mut Option<Cause>,
    ) -> Result<(Fresh, Resume), SessionError> {
        hook.teardown(carried).await;
        let mut failures = 0;
        let operation = self.plain.upgrade().map(|plain| plain.operation());
        // Without the stream nobody is left to name it.
        let operation = operation.unwrap_or_else(|| Operation::named(Operation::RESUME));
        loop {
            if let Some(hold) = self.pace.hold(Clock::now()) {
                tokio::time::sleep(hold).await;
            }
            let label = self.wanted().unwrap_or(self.target.label);
            let want = Want {
                destination: self.target.destination.clone(),
                ..Want::new(label)
            };
            let registry = Arc::clone(self.target.context.registry());
            let best = registry
                .wait(want, &operation)
                .await?
                .networks
                .into_iter()
                .next();
            self.pace.begin(Clock::now());
            let outranked = self.outranked(label, best.as_ref());
            let outcome = tokio::select! {
                biased;
                outcome = self.attempt(hook, best.clone(), &label, carried) => outcome,
                () = outranked => {
                    failures = 0;
                    continue;
                }
            };
            match outcome {
                Ok(set_up) => return Ok(set_up),
                Err(error) => {
                    tracing::debug!(target: "mancom::session", network = ?best, %error, "reconnection failed");
                    *tried = Some(error.into());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff(failures)) => failures += 1,
                () = self.outranked(label, best.as_ref()) => failures = 0,
                () = operation.nudged() => {}
            }
        }
    }

    async fn attempt(
        &self,
        hook: &mut dyn DynHook,
        network: Option<Network>,
        label: &Label,
        carried: Carried,
    ) -> io::Result<(Fresh, Resume)> {
        let Target {
            context,
            endpoint,
            secure,
            ..
        } = &self.target;
        let mut link = dial::reach_securely(
            context,
            ((endpoint, &[]), secure),
            network.as_ref(),
            label,
            &mut Stopwatch::new(),
        )
        .await?;
        let mut counted = Counted {
            link: &mut *link,
            written: 0,
        };
        let late = |_| {
            let text = format!("the hook did not finish its setup within {SETUP:?}");
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let setup = tokio::time::timeout(SETUP, hook.setup(&mut counted, carried));
        let resume = setup.await.map_err(late)??;
        let preamble = counted.written;
        Ok((
            Fresh {
                link,
                network,
                preamble,
            },
            resume,
        ))
    }

    /// Resolves when another network than this one matches best, or this one no more.
    async fn outranked(&self, label: Label, than: Option<&Network>) {
        let registry = self.target.context.registry();
        let mut snapshots = registry.snapshots();
        loop {
            if snapshots.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let best = registry.candidates(&label, &self.target.destination).ok();
            let best = best.as_ref().and_then(|networks| networks.first());
            if best.map(Network::id) != than.map(Network::id) {
                return;
            }
        }
    }
}

/// Counts what a hook writes, which is none of the stream's bytes.
struct Counted<'a> {
    link: &'a mut dyn ByteLink,
    written: u64,
}

impl AsyncRead for Counted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.link).poll_write(cx, data))?;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.link).poll_shutdown(cx)
    }
}
