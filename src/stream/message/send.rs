//! Sending a message that is there whole.

use std::future::{Future, IntoFuture, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::driver::{Driver, Turn};
use super::super::session::Held;
use super::{MessageError, MessageId};
use crate::clock::Clock;
use crate::deferral::{Op, Operation};
use crate::label::Label;
use crate::proto::session::messages::Order;

/// What is to be sent, and how.
#[derive(Debug, Clone)]
pub(in crate::stream) struct Parcel {
    pub(in crate::stream) label: Label,
    /// `None` for a message that is written piece by piece.
    pub(in crate::stream) bytes: Option<Bytes>,
    pub(in crate::stream) order: Order,
    pub(in crate::stream) expires: Option<Instant>,
    /// From then on this label takes the other's place, unless some of it was sent.
    pub(in crate::stream) relax: Option<(Instant, Label)>,
}

/// What both builders of a message ask.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) held: Arc<Held>,
    label: Label,
    order: Order,
    lifetime: Option<Duration>,
    pub(super) operation: Operation,
}

impl Asked {
    pub(super) fn new(held: Arc<Held>, label: Label, kind: &'static str) -> Self {
        Self {
            held,
            label,
            order: Order::Sent,
            lifetime: None,
            operation: Operation::named(kind),
        }
    }

    pub(super) fn after(&mut self, ids: impl IntoIterator<Item = MessageId>) {
        match &mut self.order {
            Order::After(known) => known.extend(ids),
            Order::AfterAll => {}
            order => *order = Order::After(ids.into_iter().collect()),
        }
    }

    pub(super) fn after_all(&mut self) {
        self.order = Order::AfterAll;
    }

    pub(super) fn lifetime(&mut self, lifetime: Duration) {
        self.lifetime = Some(lifetime);
    }

    /// Waits for room, in line with the others of its urgency.
    pub(super) async fn submit(mut self, bytes: Option<Bytes>) -> Result<MessageId, MessageError> {
        let driver = self.held.driver().ok_or(MessageError::NotMancom)?;
        let defaults = driver.context.defaults(&self.label);
        let relax = defaults.relax;
        if let Order::After(ids) = &mut self.order {
            ids.sort_unstable();
            ids.dedup();
        }
        let parcel = Parcel {
            label: self.label,
            bytes,
            order: self.order,
            expires: self.lifetime.or(defaults.within).and_then(Clock::deadline),
            relax: relax.and_then(|(after, label)| Some((Clock::deadline(after)?, label))),
        };
        submit(driver, &parcel).await
    }
}

async fn submit(driver: &Arc<Driver>, parcel: &Parcel) -> Result<MessageId, MessageError> {
    let mut turn = Turn::to_send(driver, parcel.label.urgency());
    let mut late = std::pin::pin!(Clock::reached(parcel.expires));
    poll_fn(|cx| {
        let coop = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        let taken = turn.poll_send(cx, parcel);
        if taken.is_ready() || late.as_mut().poll(cx).is_pending() {
            if taken.is_ready() {
                coop.made_progress();
            }
            return taken;
        }
        Poll::Ready(Err(MessageError::Expired))
    })
    .await
}

/// Sends a message; a builder, see [`Session::send`](super::super::Session::send).
#[must_use = "a builder does nothing until it is awaited"]
#[derive(Debug)]
pub struct SendMessage {
    asked: Asked,
    bytes: Bytes,
}

/// The setters that both builders have.
macro_rules! setters {
    () => {
        /// It comes after these, sent here earlier, and after nothing else, and is given up if one of them
        /// is; called again, after those too. `.after([])` is ordered after nothing. They may be 4,096, each
        /// counted once; more is refused with
        /// [`TooManyDependencies`](super::MessageError::TooManyDependencies).
        ///
        /// Default: in the order sent among those of the same urgency that have this default too. One of
        /// them that is given up takes no other with it.
        pub fn after(mut self, ids: impl IntoIterator<Item = MessageId>) -> Self {
            self.asked.after(ids);
            self
        }

        /// It comes after everything sent so far, but for what is given up.
        pub fn after_all(mut self) -> Self {
            self.asked.after_all();
            self
        }

        /// Gives it up unless the peer has it by then, waiting and time asleep included. What a network has
        /// taken before it went silent may arrive all the same, and then it counts as delivered. Default: the
        /// deadline (`within`) that the configuration says of the label, else it lives as long as the
        /// session.
        pub fn lifetime(mut self, lifetime: std::time::Duration) -> Self {
            self.asked.lifetime(lifetime);
            self
        }

        /// The operation's handle. What waits for a network is told of the
        /// [session](super::super::Session::operation), which waits with it.
        pub fn operation(&self) -> crate::deferral::Operation {
            self.asked.operation.clone()
        }
    };
}
pub(super) use setters;

impl SendMessage {
    pub(in crate::stream) fn new(held: Arc<Held>, label: Label, bytes: Bytes) -> Self {
        let asked = Asked::new(held, label, "send");
        Self { asked, bytes }
    }

    setters!();
}

impl IntoFuture for SendMessage {
    type Output = Result<MessageId, MessageError>;
    type IntoFuture = Op<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { asked, bytes } = self;
        Op::new(asked.operation.clone(), asked.submit(Some(bytes)))
    }
}
