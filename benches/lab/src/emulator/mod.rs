//! The emulator: a thread between the two ends of every link.
//!
//! ```text
//! client                        this thread                       server
//! wlan0 --read--> [queue at a rate] -> [delay, jitter, loss] --write--> wlan0
//!       <-write-- [delay, jitter, loss] <- [queue at a rate] <--read--
//! ```
//!
//! The kernel this was written for has no netem, so packets go through TUN devices and a
//! process. Decisions are in `trace`, `queue` and `link`, which are told the time. This thread
//! alone owns them; it sleeps until a packet comes or is due, and has a real-time priority where
//! it may, because its own lateness is jitter to those measured. Times at which packets leave a
//! queue are computed, not waited for: lateness never lowers a rate.

mod driver;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod link;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod queue;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub(crate) mod trace;

pub(crate) use link::WayCounters;
pub(crate) use queue::Rate;

use driver::Driver;
use rustix::event::EventfdFlags;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Later is too late: those measured would see it.
pub(crate) const PUNCTUAL: Duration = Duration::from_micros(300);

/// A link as the emulator is to make it.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) up: Rate,
    pub(crate) down: Rate,
    pub(crate) rtt: Duration,
    pub(crate) queue: usize,
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) seed: u64,
}

/// What crossed a link and what did not, since it began or the counters were reset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// From the client to the server.
    pub(crate) up: WayCounters,
    /// From the server to the client.
    pub(crate) down: WayCounters,
}

/// The two ends of a link: its TUN devices.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// `None` while the device is deleted.
    pub(crate) client: Option<Arc<OwnedFd>>,
    pub(crate) server: Arc<OwnedFd>,
}

/// The thread, as others see it; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Emulator {
    orders: Sender<(Order, SyncSender<Answer>)>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    begin: Instant,
}

#[derive(Debug)]
enum Order {
    Silence {
        link: usize,
        up: bool,
        down: bool,
    },
    Client {
        link: usize,
        device: Option<Arc<OwnedFd>>,
    },
    Count {
        link: usize,
    },
    Reset {
        link: usize,
    },
    Usage,
}

#[derive(Debug)]
struct Answer {
    at: Instant,
    counters: Counters,
    usage: Usage,
}

/// What the emulator itself takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Of one core.
    pub(crate) cpu: Duration,
    pub(crate) realtime: bool,
    /// How often it had packets to deliver, since it was last asked.
    pub(crate) rounds: u64,
    /// How often of these it was more than [`PUNCTUAL`] late with the first.
    pub(crate) late: u64,
    /// The longest of it: where the machine is shared, or has stood still.
    pub(crate) latest: Duration,
}

impl Usage {
    fn count(&mut self, late: Duration) {
        self.rounds += 1;
        self.late += u64::from(late > PUNCTUAL);
        self.latest = self.latest.max(late);
    }
}

impl Emulator {
    /// Begins to carry packets between these devices.
    pub(crate) fn new(links: Vec<(Setting, Ends)>) -> io::Result<Self> {
        let wake = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let wake = Arc::new(wake);
        let (orders, inbox) = channel();
        let begin = Instant::now();
        let driver = Driver::new(links, inbox, Arc::clone(&wake), begin);
        let thread = std::thread::Builder::new().name("emulator".to_owned());
        Ok(Self {
            orders,
            wake,
            thread: Some(thread.spawn(move || driver.run())?),
            begin,
        })
    }

    /// Time zero of recorded rates.
    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// Whether each direction is silent from now on; silence loses what is under way too.
    pub(crate) fn silence(&self, link: usize, up: bool, down: bool) -> io::Result<Instant> {
        let answer = self.order(Order::Silence { link, up, down })?;
        Ok(answer.at)
    }

    /// The client's end is another device, or none.
    pub(crate) fn set_client(&self, link: usize, device: Option<Arc<OwnedFd>>) -> io::Result<()> {
        self.order(Order::Client { link, device }).map(drop)
    }

    pub(crate) fn counters(&self, link: usize) -> io::Result<Counters> {
        Ok(self.order(Order::Count { link })?.counters)
    }

    pub(crate) fn reset_counters(&self, link: usize) -> io::Result<()> {
        self.order(Order::Reset { link }).map(drop)
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        Ok(self.order(Order::Usage)?.usage)
    }

    fn order(&self, order: Order) -> io::Result<Answer> {
        let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "the emulator has ended");
        let (reply, answer) = sync_channel(1);
        self.orders.send((order, reply)).map_err(|_| ended())?;
        ring(&self.wake)?;
        answer.recv().map_err(|_| ended())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The thread ends when nobody can order anything any more.
        self.orders = channel().0;
        let rung = ring(&self.wake);
        if let (Ok(()), Some(thread)) = (rung, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn ring(wake: &OwnedFd) -> io::Result<()> {
    rustix::io::write(wake, &1_u64.to_ne_bytes())?;
    Ok(())
}
