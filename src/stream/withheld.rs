//! A listener's session that a spent budget holds back: listed and explained as any operation.
//!
//! A dialler's stands in line by its roamer, for any network that would do. A listener dials none: it has
//! the networks that its paths are on, and waits for the budget to be renewed there.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use super::driver::Driver;
use super::standing::{News, Standing};
use super::whereabouts::destination;
use crate::deferral::Want;
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::network::Network;
use crate::proto::session::CloseReason;

/// What is held back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) label: Label,
    /// A network that would carry it if its budget were not spent, and who is at the other end there.
    pub(super) on: Network,
    pub(super) peer: Endpoint,
}

/// Where a listener's session stands; nowhere, until something of it was held back.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    standing: Option<Standing>,
    waits: bool,
}

impl Withheld {
    /// Looks where something may have changed, and stands in line while a budget holds something back.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>, driver: &Arc<Driver>) {
        let look = driver.with(|state, _| {
            let look = std::mem::take(&mut state.unsettled) || self.waits;
            look.then(|| state.held_back())
        });
        match look {
            Some(Some(held)) => self.stand(driver, &held),
            Some(None) => (self.standing, self.waits) = (None, false),
            None => {}
        }
        if let Some(standing) = &mut self.standing
            && standing.poll(cx) == Poll::Ready(News::Cancelled)
        {
            driver.abort(CloseReason::Aborted);
        }
    }

    fn stand(&mut self, driver: &Driver, held: &Held) {
        self.waits = true;
        let registry = driver.context.registry();
        let to = destination(&held.peer, &[], &*driver.context);
        // Another network that matches is of no use here.
        let elsewhere = registry.candidates(&held.label, &to).is_ok();
        let label = match elsewhere {
            true => held.label.try_interface(held.on.name()),
            false => Ok(held.label),
        };
        let want = Want {
            destination: to,
            ..Want::new(label.unwrap_or(held.label))
        };
        let standing = self.standing.take();
        let mut standing = standing.unwrap_or_else(|| Standing::new(driver.operation()));
        standing.wait(registry, want, None);
        self.standing = Some(standing);
    }
}
