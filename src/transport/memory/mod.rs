//! Memory: connections inside this process, over the networks of a scripted or fixed scout.
//!
//! # The problem
//!
//! What roams must be tested for hours of roaming in milliseconds, the same each time. So this is a
//! network in one process: names instead of addresses, tokio's time (paused, it takes none), and the
//! scout's own snapshots as the only truth about which network is there.
//!
//! ```text
//!                 write            fly                    arrive        read
//!   dialler  ──> buffer ──> line at `up` ──> rtt/2 + jitter ──> buffer ──>  listener
//!            <──────────────────── the same, at `down` ────────────────────
//!                 one clock: stands still while the network is stalled
//! ```
//!
//! # Rules
//!
//! * Names belong to an [`Exchange`], one for each scout, so that two managers over one scout can
//!   meet and parallel tests cannot.
//! * A link dialled on a [`Bind`] travels on that network of the scout. It has half the network's
//!   round-trip time of delay each way and its `up` and `down` rate, as they are when a byte is
//!   written, always in order. Both ends are cut, with all that was not read, once the network's id
//!   is no longer in the snapshot or is down; an epoch later is another network. While it is stalled
//!   or suspended, bytes neither arrive nor are lost, and nobody is told.
//! * A link dialled unbound, or under a scout that is neither scripted nor fixed, is a straight pipe:
//!   no delay, no rate, no cut and no timer.
//! * No task: a link watches the networks itself while it is polled. Stalls that begin and end
//!   between two polls of both ends did not happen.
//! * Under a [pull schedule](PullSchedule) reading is a pull: outside the windows of its own transport
//!   object an end reads nothing, the end of the stream and errors included.
//! * Dialling takes one round trip, and no more than 5 s.
//!
//! # Limits
//!
//! 64 KiB each way unless [`Shape::buffer`] says otherwise, and what fits on the line (rate times
//! delay, at most 4 MiB) where rate and delay are known; an owned buffer is the sender's, and may be
//! more. The rate is each connection's own: two on one network do not share it.

mod exchange;
mod lane;
mod link;
mod owned;
mod pair;
mod pull;
mod store;
mod world;

#[cfg(test)]
pub(in crate::transport) mod tests;

pub use exchange::{Exchange, Faults};
pub use link::MemoryLink;

use super::error::fail;
use super::{Acceptor, Bind, BoxFuture, Characteristics, Link, PullSchedule, Transport};
use crate::endpoint::Endpoint;
use crate::scout::Scout;
use exchange::{BACKLOG, Listed, Listening};
use pair::{End, Making, Pair};
use pull::{Gate, Pulls};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use world::{Condition, Look, View, World};

/// How long dialling may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Connections in memory: `mem://name`.
#[derive(Debug)]
pub struct Memory {
    exchange: Arc<Exchange>,
    world: Option<World>,
    owner: u64,
    shape: Shape,
    pulls: Arc<Pulls>,
}

/// How the links of a [`Memory`] behave beyond what their network says; the dialler's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shape {
    /// Bytes a direction holds that were not read: 64 KiB by default.
    pub buffer: usize,
    /// Up to this much is added to the delay of each 4 KiB; none by default.
    pub jitter: Duration,
    /// Of the jitter: the same seed gives the same run.
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            buffer: 64 << 10,
            jitter: Duration::ZERO,
            seed: 0,
        }
    }
}

impl Shape {
    /// Bytes a direction holds that were not read, at least 1.
    #[must_use]
    pub fn buffer(self, bytes: usize) -> Self {
        Self {
            buffer: bytes,
            ..self
        }
    }

    /// Adds up to this much to the delay of each 4 KiB.
    #[must_use]
    pub fn jitter(self, most: Duration) -> Self {
        Self {
            jitter: most,
            ..self
        }
    }

    /// Chooses the run of the jitter.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl Memory {
    /// A transport over the names and, if they are simulated, the networks of `scout`.
    #[must_use]
    pub fn new(scout: &Scout) -> Self {
        let world = scout.is_simulated().then(|| World {
            snapshots: scout.snapshots(),
            stalls: scout.stalls(),
        });
        Self::over(scout.shared::<Exchange>(), world)
    }

    fn over(exchange: Arc<Exchange>, world: Option<World>) -> Self {
        Self {
            owner: exchange.owner(),
            exchange,
            world,
            shape: Shape::default(),
            pulls: Arc::new(Pulls::new(None)),
        }
    }

    /// Gives the links dialled through it another shape.
    #[must_use]
    pub fn with_shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The way to have connections of this scout's names lost.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults {
            exchange: Arc::clone(&self.exchange),
        }
    }

    fn view(&self, on: Option<&Bind>) -> Option<View> {
        Some(View {
            world: self.world.clone()?,
            network: on?.network.clone(),
        })
    }

    async fn dial(&self, to: &Endpoint, view: Option<View>) -> io::Result<Link> {
        let name = name_of(to)?;
        if let Some(view) = &view {
            round_trip(view.clone(), to).await?;
        }
        let network = view.as_ref().map(|view| view.network.name());
        let listening = self.exchange.find(name, network, to)?;
        let place = listening.queue.reserve().await.map_err(|_| {
            fail(
                io::ErrorKind::ConnectionRefused,
                format_args!("{to}: its listener stopped"),
            )
        })?;
        let ticket = self.exchange.ticket();
        let making = Making {
            buffer: self.shape.buffer,
            jitter: self.shape.jitter,
            seed: self.shape.seed.wrapping_add(ticket.number),
            cut_after: ticket.cut_after,
        };
        let look = view.as_ref().map_or_else(Look::unbound, View::look);
        let pair = Arc::new(Mutex::new(Pair::new(making, &look, Instant::now())));
        let (at, view) = (listening.at.clone(), view.as_ref());
        place.send(MemoryLink::new(
            Arc::clone(&pair),
            End::Listener,
            at,
            (self.owner, Gate::of(&listening.pulls)),
            view,
        ));
        let far = (listening.owner, Gate::of(&self.pulls));
        let near = MemoryLink::new(pair, End::Dialler, to.clone(), far, view);
        Ok(Link::Bytes(Box::new(near)))
    }
}

/// Takes as long as a question and its answer, stalls not counted.
async fn round_trip(mut view: View, to: &Endpoint) -> io::Result<()> {
    let mut left = view.look().delay * 2;
    loop {
        let began = Instant::now();
        match view.look().condition {
            Condition::Gone(name) => {
                let text = format_args!("{to}: network {name} is down");
                return Err(fail(io::ErrorKind::NetworkDown, text));
            }
            Condition::Stalled => view.world.changed().await,
            Condition::Open if left.is_zero() => return Ok(()),
            Condition::Open => {
                tokio::select! {
                    () = tokio::time::sleep(left) => left = Duration::ZERO,
                    () = view.world.changed() => left = left.saturating_sub(began.elapsed()),
                }
            }
        }
    }
}

fn name_of(endpoint: &Endpoint) -> io::Result<&str> {
    endpoint
        .name()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            fail(
                io::ErrorKind::InvalidInput,
                format_args!("{endpoint}: give a name, as in mem://echo"),
            )
        })
}

impl Transport for Memory {
    fn scheme(&self) -> &'static str {
        "mem"
    }

    fn attributes(&self) -> Option<&'static [&'static str]> {
        Some(&[])
    }

    fn characteristics(&self) -> Characteristics {
        let mut all = Characteristics::stream();
        all.owned_send = true;
        all.pull_schedule = true;
        all
    }

    fn install_pull_schedule(&self, schedule: Option<&Arc<PullSchedule>>) {
        self.pulls.send_replace(schedule.cloned());
    }

    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Link>> {
        Box::pin(async move {
            let dialling = self.dial(to, self.view(on));
            tokio::time::timeout(ATTEMPT, dialling)
                .await
                .unwrap_or_else(|_| {
                    let text = format_args!("{to}: no answer within {ATTEMPT:?}");
                    Err(fail(io::ErrorKind::TimedOut, text))
                })
        })
    }

    fn listen<'a>(
        &'a self,
        at: &'a Endpoint,
        on: Option<&'a Bind>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let network = self.view(on).map(|view| view.network.name().to_owned());
            let place = (name_of(at)?.to_owned(), network);
            let (queue, arriving) = mpsc::channel(BACKLOG);
            let listening = Listening {
                owner: self.owner,
                queue,
                pulls: Arc::clone(&self.pulls),
                at: at.clone(),
            };
            let listed = self.exchange.listen(place, listening)?;
            Ok(Box::new(MemoryAcceptor {
                arriving,
                contact: at.clone(),
                _listed: listed,
            }) as Box<dyn Acceptor>)
        })
    }

    fn is_self(&self, contact: &Endpoint) -> bool {
        contact
            .name()
            .is_some_and(|name| self.exchange.listens(self.owner, name))
    }

    /// Known of dialled and accepted links alike.
    fn same_peer(&self, contact: &Endpoint, link: &Link) -> bool {
        let far = link.downcast_ref::<MemoryLink>().map(|link| link.far);
        far.zip(contact.name())
            .is_some_and(|(far, name)| self.exchange.listens(far, name))
    }
}

#[derive(Debug)]
struct MemoryAcceptor {
    arriving: mpsc::Receiver<MemoryLink>,
    contact: Endpoint,
    _listed: Listed,
}

impl Acceptor for MemoryAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let link = ready!(self.arriving.poll_recv(cx));
        let link = link.ok_or_else(|| fail(io::ErrorKind::NotConnected, "the listener stopped"));
        Poll::Ready(link.map(|link| Link::Bytes(Box::new(link) as _)))
    }

    fn contact(&self) -> Endpoint {
        self.contact.clone()
    }
}
