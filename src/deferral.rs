//! Stand-in: the one place where "no network fits" becomes waiting.
#![allow(missing_docs, clippy::missing_errors_doc)]

use std::error::Error as StdError;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::label::Label;
use crate::label::matching::{Blocked, Policy};
use crate::network::Network;
use crate::scout::Scout;

#[derive(Debug)]
pub struct Registry {
    scout: Scout,
    _policy: Policy,
}

impl Registry {
    pub fn new(scout: Scout, policy: Policy) -> Arc<Self> {
        Arc::new(Registry {
            scout,
            _policy: policy,
        })
    }
    pub fn cancel(&self, _what: impl Into<Which>) -> usize {
        0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId(u64);

#[derive(Debug, Clone, Default)]
pub struct Operation {}

impl Operation {
    pub fn new() -> Self {
        Operation {}
    }
}

#[derive(Debug)]
pub struct Which {}
impl From<Label> for Which {
    fn from(_: Label) -> Self {
        Which {}
    }
}

pub struct Op<T> {
    operation: Operation,
    future: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> std::fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Op").finish_non_exhaustive()
    }
}

impl<T> Op<T> {
    pub fn new(operation: Operation, future: impl Future<Output = T> + Send + 'static) -> Self {
        Op {
            operation,
            future: Box::pin(future),
        }
    }
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

#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    #[error("outside a tokio runtime")]
    NoRuntime,
    #[error("the manager of this runtime could not be made")]
    Manager(#[source] Arc<dyn StdError + Send + Sync>),
    #[error("no network in time")]
    TimedOut(Box<Blocked>),
}

impl MatchError {
    pub fn is_timed_out(&self) -> bool {
        matches!(self, MatchError::TimedOut(_))
    }
    pub fn blocked(&self) -> Option<&Blocked> {
        match self {
            MatchError::TimedOut(blocked) => Some(blocked),
            _ => None,
        }
    }
    fn kind(&self) -> std::io::ErrorKind {
        match self {
            MatchError::TimedOut(_) => std::io::ErrorKind::TimedOut,
            _ => std::io::ErrorKind::Other,
        }
    }
}

impl From<MatchError> for std::io::Error {
    fn from(error: MatchError) -> Self {
        std::io::Error::new(error.kind(), error)
    }
}

#[derive(Debug)]
#[must_use]
pub struct Matching(Result<Arc<Registry>, MatchError>, Option<Duration>);

impl Matching {
    pub fn new(registry: Result<Arc<Registry>, MatchError>, _label: Label) -> Self {
        Matching(registry, None)
    }
    pub fn within(mut self, d: Duration) -> Self {
        self.1 = Some(d);
        self
    }
}

impl IntoFuture for Matching {
    type Output = Result<Network, MatchError>;
    type IntoFuture = Op<Self::Output>;
    fn into_future(self) -> Self::IntoFuture {
        Op::new(Operation::new(), async move {
            let mut seen = self.0?.scout.snapshots();
            let wait = seen.wait_for(|s| !s.networks.is_empty());
            let found = match self.1 {
                None => wait.await,
                Some(d) => match tokio::time::timeout(d, wait).await {
                    Ok(found) => found,
                    Err(_) => return Err(MatchError::TimedOut(Box::default())),
                },
            };
            Ok(found.expect("the scout lives").networks[0].clone())
        })
    }
}

#[derive(Debug)]
#[must_use]
pub struct Run<F, Fut> {
    matching: Matching,
    f: F,
    _fut: std::marker::PhantomData<fn() -> Fut>,
}

impl<F, Fut> Run<F, Fut> {
    pub fn new(registry: Result<Arc<Registry>, MatchError>, label: Label, f: F) -> Self {
        Run {
            matching: Matching::new(registry, label),
            f,
            _fut: std::marker::PhantomData,
        }
    }
    pub fn within(mut self, d: Duration) -> Self {
        self.matching = self.matching.within(d);
        self
    }
}

impl<F, Fut, T, E> IntoFuture for Run<F, Fut>
where
    F: FnMut(Network) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    E: From<crate::Error> + 'static,
    T: 'static,
{
    type Output = Result<T, E>;
    type IntoFuture = Op<Self::Output>;
    fn into_future(mut self) -> Self::IntoFuture {
        Op::new(Operation::new(), async move {
            let network = self.matching.await.map_err(crate::Error::from)?;
            (self.f)(network).await
        })
    }
}
