//! Handles: the future of an operation, and what names it to others.

use super::registry::{Key, Registry};
use crate::label::Label;
use crate::label::matching::Blocked;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// The number of an operation, unique in this process; printed as `op-17`.
///
/// ```
/// use mancom::deferral::OperationId;
/// let id: OperationId = "op-17".parse()?;
/// assert_eq!(id.to_string(), "op-17");
/// # Ok::<_, mancom::deferral::OperationIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op-{}", self.0)
    }
}

/// A text that names no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no operation: expected a number such as op-17")]
pub struct OperationIdError {
    text: String,
}

impl FromStr for OperationId {
    type Err = OperationIdError;

    /// Reads `op-17` and the bare `17`.
    fn from_str(text: &str) -> Result<Self, OperationIdError> {
        let digits = text.strip_prefix("op-").unwrap_or(text);
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse() {
            Ok(number) if plain => Ok(OperationId(number)),
            _ => Err(OperationIdError { text: text.into() }),
        }
    }
}

/// A handle on an operation: names it, explains it, hurries it. Cheap to clone.
///
/// A builder owns one from its construction, so it can be taken before the future starts, and
/// stays valid, without effect, after the end.
#[derive(Clone)]
pub struct Operation(Arc<Shared>);

struct Shared {
    id: OperationId,
    kind: &'static str,
    /// Something happened to what this operation holds; see `Hold`.
    signal: AtomicBool,
    place: Mutex<Place>,
}

/// Where an operation stands while it is idle.
enum Place {
    /// It does not wait, or did not start.
    Busy,
    /// For a match, in this registry.
    Waiting(Weak<Registry>, Key),
    /// For the end of a back-off; the waker of that sleep.
    Backoff(Waker),
    /// The back-off was cut short.
    Nudged,
}

impl Operation {
    /// The kind of a session that waits for another path.
    pub(crate) const STREAM: &'static str = "stream";
    /// The kind of a plain stream that waits to be rebuilt.
    pub(crate) const RESUME: &'static str = "resume";

    /// A new operation that has not started and needs no word for what it is.
    #[expect(clippy::new_without_default, reason = "each is another operation")]
    pub fn new() -> Self {
        Operation::named("operation")
    }

    /// A new operation that has not started, and what it is in one word: `connect`.
    pub fn named(kind: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Operation(Arc::new(Shared {
            id: OperationId(NEXT.fetch_add(1, Ordering::Relaxed)),
            kind,
            signal: AtomicBool::new(false),
            place: Mutex::new(Place::Busy),
        }))
    }

    /// Its number, which `cancel` takes.
    pub fn id(&self) -> OperationId {
        self.0.id
    }

    /// What it is, in one word: `matching`, `run`, `connect`, ..
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// Whether there is something already that would be lost with it: a session, a plain stream.
    pub(super) fn is_established(&self) -> bool {
        matches!(self.kind(), Self::STREAM | Self::RESUME)
    }

    /// Tries again at once: the scout looks once more, the match is made once more, and a
    /// back-off ends. Does nothing to an operation that does not wait.
    pub fn nudge(&self) {
        let mut place = self.place();
        match &*place {
            Place::Waiting(registry, key) => {
                let found = registry.upgrade().map(|registry| (registry, *key));
                drop(place);
                if let Some((registry, key)) = found {
                    registry.nudge(key, self);
                }
            }
            Place::Backoff(_) => {
                let before = std::mem::replace(&mut *place, Place::Nudged);
                drop(place);
                if let Place::Backoff(waker) = before {
                    waker.wake();
                }
            }
            Place::Busy | Place::Nudged => {}
        }
    }

    /// Why it waits for a network, or `None` while it does not.
    pub fn blocked(&self) -> Option<Blocked> {
        let (registry, key) = match &*self.place() {
            Place::Waiting(registry, key) => (registry.upgrade()?, *key),
            _ => return None,
        };
        registry.blocked(key, self).map(|blocked| *blocked)
    }

    /// Resolves at the next [`nudge`](Operation::nudge): the other half of a back-off's `select!`.
    pub(crate) fn nudged(&self) -> Nudged {
        Nudged(self.clone())
    }

    pub(super) fn is(&self, other: &Operation) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn waits_in(&self, registry: &Arc<Registry>, key: Key) {
        *self.place() = Place::Waiting(Arc::downgrade(registry), key);
    }

    pub(super) fn waits_no_more(&self) {
        *self.place() = Place::Busy;
    }

    /// Told before the waker is called, so that a poll that finds nothing told can rest.
    pub(super) fn signal(&self) {
        self.0.signal.store(true, Ordering::Release);
    }

    pub(super) fn is_signalled(&self) -> bool {
        self.0.signal.load(Ordering::Acquire)
    }

    pub(super) fn clear_signal(&self) {
        self.0.signal.store(false, Ordering::Relaxed);
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // Each write is a whole value: a panic elsewhere leaves nothing half done.
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.0.id).finish()
    }
}

/// See [`Operation::nudged`].
#[derive(Debug)]
pub(crate) struct Nudged(Operation);

impl Future for Nudged {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut place = self.0.place();
        let next = match &*place {
            Place::Nudged => Place::Busy,
            _ => Place::Backoff(waker),
        };
        let told = matches!(next, Place::Busy);
        let before = std::mem::replace(&mut *place, next);
        drop(place);
        drop(before);
        if told { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Nudged {
    fn drop(&mut self) {
        let mut place = self.0.place();
        if matches!(&*place, Place::Backoff(_) | Place::Nudged) {
            let before = std::mem::replace(&mut *place, Place::Busy);
            drop(place);
            drop(before);
        }
    }
}

/// Which pending operations to withdraw: those of a label, or one.
///
/// With an [`Operation`] it is found at once; with a bare [`OperationId`] every pending operation
/// is looked at.
#[derive(Debug, Clone)]
pub struct Which(pub(super) Chosen);

#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Label(Label),
    Id(OperationId),
    Operation(Operation),
}

impl From<Label> for Which {
    fn from(label: Label) -> Self {
        Which(Chosen::Label(label))
    }
}

impl From<OperationId> for Which {
    fn from(id: OperationId) -> Self {
        Which(Chosen::Id(id))
    }
}

impl From<&Operation> for Which {
    fn from(operation: &Operation) -> Self {
        Which(Chosen::Operation(operation.clone()))
    }
}

impl Operation {
    /// The place in `registry` where this operation waits.
    pub(super) fn key_in(&self, registry: &Registry) -> Option<Key> {
        match &*self.place() {
            Place::Waiting(at, key) if std::ptr::eq(at.as_ptr(), registry) => Some(*key),
            _ => None,
        }
    }
}

/// The future of an operation: `Send + Unpin + 'static`, also where it came from `&self`.
///
/// What it does, and what dropping it loses, is told by the method that gave it.
#[must_use = "an operation does nothing unless awaited"]
pub struct Op<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    operation: Operation,
}

impl<T> Op<T> {
    /// `future`, known to others as `operation`.
    pub(crate) fn new(
        operation: Operation,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Op {
            future: Box::pin(future),
            operation,
        }
    }

    /// The handle that names it to others.
    pub fn operation(&self) -> Operation {
        self.operation.clone()
    }
}

impl<T> Future for Op<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.future.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Op").field(&self.operation.id()).finish()
    }
}
