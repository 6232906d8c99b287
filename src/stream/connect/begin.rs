//! The first path stands: a stream begins.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::First;
use super::plan::Plan;
use crate::clock::Clock;
use crate::label::Label;
use crate::network::Network;
use crate::proto::session::Session as Core;
use crate::proto::session::handshake::Agreed;
use crate::stream::McStream;
use crate::stream::driver::{self, Driver};
use crate::stream::error::ConnectError;
use crate::stream::hooks::{self, DynHook};
use crate::stream::plain::Plain;
use crate::stream::report::Stopwatch;
use crate::stream::reuse::Who;
use crate::stream::roam::Roamer;
use crate::stream::tend::Target;
use crate::transport::ByteLink;

/// A path of a session to share is looked for once in the time for which one may be silent, but no more
/// and no less often than this.
const LEAST_LOOK: Duration = Duration::from_millis(100);
const MOST_LOOK: Duration = Duration::from_secs(1);

impl Plan {
    /// The first path stands: the session, its task, and its first stream.
    pub(super) fn begin(
        self,
        first: First,
        way: Option<Network>,
        label: Label,
        hook: Option<Box<dyn DynHook>>,
    ) -> McStream {
        match first {
            First::Plain(link) => self.begin_plain(link, way, label, hook),
            First::Session(link, agreed) => {
                let stream = self.begin_session(link, *agreed, way, label);
                observed(stream, hook)
            }
        }
    }

    /// One more stream of a session with the same far end, if there is one that lives.
    pub(super) async fn share(
        &mut self,
        hook: &mut Option<Box<dyn DynHook>>,
    ) -> Result<Option<McStream>, ConnectError> {
        for who in Who::wanted(&self.given, (&self.asks, self.only.as_ref())) {
            let Some(driver) = self.context.sessions().find(&who) else {
                continue;
            };
            // A listener's end opens where it was found.
            let label = match driver.destination() {
                Some(_) => self.wait().await?.label,
                None => self.label,
            };
            // One that ends just now, or has all the streams it may, is none to share.
            let Ok(id) = driver.open(label) else {
                continue;
            };
            let stream = McStream::session_stream(Arc::clone(&driver), id, label);
            match self.carried(&driver, label).await {
                Ok(true) => return Ok(Some(observed(stream, hook.take()))),
                Ok(false) => {}
                Err(error) => {
                    stream.abort();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Where there is a deadline, waits until then for a path that carries a stream of a session that is
    /// shared; whether the session is alive. The stream is open meanwhile, for what is dialled depends on
    /// what is to be carried.
    async fn carried(&mut self, driver: &Arc<Driver>, label: Label) -> Result<bool, ConnectError> {
        if self.deadline.is_none() || driver.is_carried(&label) {
            return Ok(true);
        }
        let watch = Stopwatch::new();
        let stall = self.context.settings().stall;
        let look = stall.clamp(LEAST_LOOK, MOST_LOOK);
        let mut events = driver.events();
        // It may be in a back-off that is longer than the deadline.
        driver.operation().nudge();
        while !driver.is_carried(&label) {
            tokio::select! {
                biased;
                () = Clock::reached(self.deadline) => return Err(self.uncarried(driver, &watch).await),
                event = events.next() => if event.is_none() {
                    return Ok(false);
                },
                () = self.operation.nudged() => driver.operation().nudge(),
                // A silent path that moves again is no event.
                () = tokio::time::sleep(look) => {}
            }
        }
        Ok(true)
    }

    /// The deadline passed without a path of the session that was to be shared: no network matches, or
    /// nobody answered over those that do.
    async fn uncarried(&mut self, driver: &Driver, watch: &Stopwatch) -> ConnectError {
        let mut way = None;
        if driver.destination().is_some() {
            match self.wait().await {
                Ok(matched) => way = matched.networks.into_iter().next(),
                Err(error) => return error,
            }
        }
        self.unanswered(way.as_ref(), watch)
    }

    fn begin_plain(
        self,
        link: Box<dyn ByteLink>,
        way: Option<Network>,
        label: Label,
        hook: Option<Box<dyn DynHook>>,
    ) -> McStream {
        let context = Arc::clone(&self.context);
        let rate_limit = self.asks.rate_limit;
        let target = Target {
            context: self.context,
            endpoint: self.asks.endpoint.clone(),
            secure: self.asks.secure,
            destination: self.destination,
            only: self.only,
            label,
            grace: self.asks.grace,
        };
        let plain = Plain::new(link, way, hook, Some(target), &context);
        plain.limit(rate_limit);
        plain.set_report(self.report);
        McStream::plain_stream(plain, label)
    }

    fn begin_session(
        self,
        link: Box<dyn ByteLink>,
        agreed: Agreed,
        way: Option<Network>,
        label: Label,
    ) -> McStream {
        let (path, remote) = (agreed.path, agreed.remote);
        let (now, first) = (Clock::now(), way.clone());
        let config = self.context.settings().core(self.asks.rate_limit);
        let core = Core::new(agreed, config, now);
        let alive = self.context.tasks().enter();
        let driver = Driver::new(
            core,
            Arc::clone(&self.context),
            label,
            Some(self.destination.clone()),
            &self.asks,
        );
        driver.set_report(self.report);
        driver
            .attach(path, link, way, remote)
            .expect("the first path of a new session");
        let who = Who::of(&driver, Some(&self.given), (&self.asks, self.only.as_ref()));
        self.context.sessions().enter(who, &driver);
        let id = driver
            .open(label)
            .expect("the first stream of a new session");
        let roamer = Roamer::new(
            self.context,
            self.asks,
            self.destination,
            self.only,
            first,
            driver.operation(),
        );
        driver::spawn(Arc::clone(&driver), Some(roamer), alive, || {});
        McStream::session_stream(driver, id, label)
    }
}

/// With a hook that is told what becomes of its session.
fn observed(stream: McStream, hook: Option<Box<dyn DynHook>>) -> McStream {
    if let Some(hook) = hook {
        let carrier = Arc::downgrade(&stream.carrier);
        tokio::spawn(hooks::observe(stream.events(), carrier, hook));
    }
    stream
}
