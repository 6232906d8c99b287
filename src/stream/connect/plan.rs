//! A `connect` that runs: rounds over the networks that match, until one answers.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Tried;
use super::{Connect, pinned};
use crate::clock::Clock;
use crate::deferral::{MatchError, Matched, Operation};
use crate::endpoint::Endpoint;
use crate::label::Label;
use crate::label::matching::{Blocked, Destination};
use crate::network::Network;
use crate::stream::McStream;
use crate::stream::asked::{Asks, Unfit};
use crate::stream::context::Context;
use crate::stream::error::{Attempt, Attempts, ConnectError};
use crate::stream::hooks::DynHook;
use crate::stream::pace::Pace;
use crate::stream::report::{ConnectReport, Stopwatch};
use crate::stream::secure::Secure;
use crate::stream::whereabouts::{check_place, destination, is_far, nearer};

/// The pause after the first round over all matching networks; later ones are 1.6 times longer.
const ROUND: Duration = Duration::from_millis(320);

/// A `connect` whose arguments were found good.
pub(super) struct Plan {
    pub(super) context: Arc<dyn Context>,
    pub(super) given: Endpoint,
    /// The same for people.
    pub(super) endpoint: String,
    /// A session with the same far end will do.
    pub(super) shares: bool,
    pub(super) asks: Asks,
    pub(super) destination: Destination,
    pub(super) label: Label,
    pub(super) deadline: Option<Instant>,
    pub(super) started: Instant,
    pub(super) relax: Option<(Duration, Label)>,
    pub(super) no_wait: bool,
    /// Only the network of this name.
    pub(super) only: Option<Arc<str>>,
    pub(super) operation: Operation,
    pub(super) attempts: Attempts,
    pub(super) report: ConnectReport,
}

impl Plan {
    pub(super) async fn of(connect: Connect, started: Instant) -> Result<Self, ConnectError> {
        let context = connect.context?;
        let given = connect.endpoint?;
        let asked = connect.asked;
        let (transport, rate_limit) = asked.check(&*context, &given)?;
        check_place(&given)?;
        let (endpoint, others) = nearer(given.clone()).await;
        asked.check_clear(&given, &endpoint, &*transport)?;
        let secure = Secure::to_dial(&context, &given, asked.tls).await;
        let secure = secure.map_err(Unfit::Tls)?;
        let defaults = context.defaults(&connect.label);
        let within = connect.within.or(defaults.within);
        let relax = connect.relax.or(defaults.relax);
        let only: Option<Arc<str>> = connect.only.map(|network| network.name().into());
        // Found now rather than when the wait begins or the looser label takes over.
        for label in [Some(connect.label), relax.map(|(_, label)| label)]
            .into_iter()
            .flatten()
        {
            pinned(label, only.as_deref()).map_err(MatchError::from)?;
        }
        let grace = asked.grace.or(defaults.grace);
        let grace = grace.unwrap_or(context.settings().grace);
        Ok(Self {
            endpoint: given.to_string(),
            destination: destination(&endpoint, &others, &*context),
            asks: Asks {
                named: endpoint.ip().is_some_and(is_far).then_some(given.clone()),
                endpoint,
                others: others.into(),
                grace,
                anonymous: asked.anonymous,
                priority: asked.priority,
                rate_limit,
                secure,
            },
            shares: connect.shares && given.is_session(),
            label: connect.label,
            deadline: within.and_then(|limit| started.checked_add(limit)),
            started,
            relax,
            no_wait: connect.no_wait,
            only,
            operation: asked.operation,
            attempts: Attempts::to(&given.to_string()),
            report: ConnectReport::to(&given.to_string()),
            given,
            context,
        })
    }

    pub(super) async fn run(
        mut self,
        mut hook: Option<Box<dyn DynHook>>,
    ) -> Result<McStream, ConnectError> {
        if self.shares
            && let Some(stream) = self.share(&mut hook).await?
        {
            return Ok(stream);
        }
        let mut round = 0;
        let mut pace = Pace::default();
        loop {
            while let Some(hold) = pace.hold(Clock::now()) {
                self.pause(hold).await?;
            }
            let Matched {
                networks, label, ..
            } = self.wait().await?;
            // Whether an address is this host's own was not known before the first look was whole.
            let (endpoint, others) = self.asks.place();
            self.destination = destination(endpoint, others, &*self.context);
            pace.begin(Clock::now());
            let ways: Vec<Option<Network>> = match self.destination {
                Destination::Host => vec![None],
                _ => networks.into_iter().map(Some).collect(),
            };
            let (mut answered, mut silent, mut hopeless) = (false, false, true);
            for way in ways {
                let mut watch = Stopwatch::new();
                match self.bounded(way.clone(), label, &mut watch).await? {
                    Tried::First(first) => {
                        let name = way.as_ref().map(Network::name);
                        self.report.note(self.started, name, &watch, None);
                        return Ok(self.begin(first, way, label, hook));
                    }
                    Tried::Gone => self.note(way.as_ref(), &watch, went()),
                    Tried::Failed(error) => {
                        let error = error.into_io();
                        answered = true;
                        silent |= error.kind() == io::ErrorKind::TimedOut;
                        hopeless &= is_hopeless(&error);
                        self.note(way.as_ref(), &watch, error);
                    }
                }
            }
            // Whoever sets a deadline says how long silence is to be borne.
            let borne = silent && self.deadline.is_some();
            round += u32::from(answered && !borne);
            if answered && (hopeless || round >= self.context.settings().connect_rounds) {
                return Err(self.failed(None));
            }
            if answered {
                let exponent = i32::try_from(round.saturating_sub(1)).unwrap_or(i32::MAX);
                self.pause(ROUND.mul_f64(1.6_f64.powi(exponent))).await?;
            }
        }
    }

    pub(super) fn note(&mut self, way: Option<&Network>, watch: &Stopwatch, error: io::Error) {
        tracing::debug!(
            target: "mancom::session",
            op = %self.operation.id(), network = way.map(Network::name), %error,
            "attempt failed"
        );
        let (name, error) = (way.map(Network::name), Arc::new(error));
        self.report.note(self.started, name, watch, Some(&error));
        self.attempts.push(Attempt {
            network: name.map(Into::into),
            error,
        });
    }

    pub(super) fn late(&mut self, blocked: Option<Box<Blocked>>) -> ConnectError {
        ConnectError::TimedOut {
            endpoint: self.endpoint.clone(),
            waited: Clock::now().saturating_duration_since(self.started),
            attempts: std::mem::take(&mut self.attempts),
            blocked,
        }
    }

    pub(super) fn failed(&mut self, blocked: Option<Box<Blocked>>) -> ConnectError {
        let attempts = std::mem::take(&mut self.attempts);
        ConnectError::Failed {
            endpoint: self.endpoint.clone(),
            attempts,
            blocked,
        }
    }
}

fn went() -> io::Error {
    io::Error::new(
        io::ErrorKind::NetworkDown,
        "it went before the far end answered",
    )
}

/// What another try in a second will not change.
fn is_hopeless(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, PermissionDenied, Unsupported};

    matches!(
        error.kind(),
        InvalidInput | InvalidData | Unsupported | PermissionDenied
    )
}
