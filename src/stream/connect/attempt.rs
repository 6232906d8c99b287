//! One attempt by one network.

use std::io;

use super::plan::Plan;
use crate::clock::Clock;
use crate::label::Label;
use crate::network::Network;
use crate::proto::session::handshake::Agreed;
use crate::stream::dial::{self, DialError};
use crate::stream::error::ConnectError;
use crate::stream::report::Stopwatch;
use crate::transport::ByteLink;

/// How one attempt ended.
pub(super) enum Tried {
    First(First),
    Failed(DialError),
    /// Its network went before anybody answered.
    Gone,
}

/// The first path, and what was agreed on it.
pub(super) enum First {
    Session(Box<dyn ByteLink>, Box<Agreed>),
    Plain(Box<dyn ByteLink>),
}

impl Plan {
    /// One attempt within the deadline, given up when its network goes.
    pub(super) async fn bounded(
        &mut self,
        way: Option<Network>,
        label: Label,
        watch: &mut Stopwatch,
    ) -> Result<Tried, ConnectError> {
        let attempt = async {
            match self.attempt(way.clone(), &label, watch).await {
                Ok(first) => Tried::First(first),
                Err(error) => Tried::Failed(error),
            }
        };
        let tried = tokio::select! {
            biased;
            tried = attempt => Some(tried),
            () = self.leaves(way.as_ref(), label) => Some(Tried::Gone),
            () = Clock::reached(self.deadline) => None,
        };
        watch.stop();
        match tried {
            // The socket may tell of the loss before the snapshot does.
            Some(Tried::Failed(_)) if !self.admits(way.as_ref(), label) => Ok(Tried::Gone),
            Some(tried) => Ok(tried),
            None => Err(self.unanswered(way.as_ref(), watch)),
        }
    }

    /// The deadline passed during an attempt.
    pub(super) fn unanswered(&mut self, way: Option<&Network>, watch: &Stopwatch) -> ConnectError {
        let text = "no answer before the deadline";
        let error = io::Error::new(io::ErrorKind::TimedOut, text);
        self.note(way, watch, error);
        self.late(None)
    }

    async fn attempt(
        &self,
        way: Option<Network>,
        label: &Label,
        watch: &mut Stopwatch,
    ) -> Result<First, DialError> {
        let (context, on) = (&self.context, way.as_ref());
        if self.asks.endpoint.is_session() {
            let (link, agreed) = dial::hello(context, &self.asks, on, label, watch).await?;
            Ok(First::Session(link, Box::new(agreed)))
        } else {
            let place = (self.asks.place(), &self.asks.secure);
            let link = dial::reach_securely(context, place, on, label, watch).await?;
            Ok(First::Plain(link))
        }
    }
}
