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

mod link;
mod queue;
pub(crate) mod trace;

pub(crate) use link::WayCounters;
pub(crate) use queue::Rate;

use crate::system;
use link::{Shape, Way};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Of the kernel's 1 to 99.
const PRIORITY: i32 = 50;
/// No more packets of a device are read before others have their turn.
const BATCH: usize = 64;
/// Packets due so soon are delivered now: each time the thread sleeps and wakes costs more than
/// a packet does.
const EARLY: Duration = Duration::from_micros(50);
/// Later is too late: those measured would see it.
pub(crate) const PUNCTUAL: Duration = Duration::from_micros(300);
/// The largest IP packet.
const PACKET: usize = 65_536;

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
        let driver = Driver {
            links: links.into_iter().map(Link::new).collect(),
            inbox,
            wake: Arc::clone(&wake),
            begin,
            usage: Usage::default(),
            buffer: vec![0; PACKET],
        };
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

#[derive(Debug)]
struct Link {
    up: Way,
    down: Way,
    ends: Ends,
}

impl Link {
    fn new((setting, ends): (Setting, Ends)) -> Self {
        let up = Shape {
            rate: setting.up,
            queue: setting.queue,
            delay: setting.rtt / 2,
            jitter: setting.jitter,
            loss: setting.loss,
            seed: setting.seed,
        };
        let down = Shape {
            rate: setting.down,
            seed: !setting.seed,
            ..up.clone()
        };
        Self {
            up: Way::new(up),
            down: Way::new(down),
            ends,
        }
    }

    fn next(&self) -> Option<Duration> {
        self.up.next().into_iter().chain(self.down.next()).min()
    }

    /// Writes what has arrived.
    fn deliver(&mut self, now: Duration, usage: &mut Usage) {
        match self.next() {
            Some(due) if due <= now + EARLY => usage.count(now.saturating_sub(due)),
            _ => return,
        }
        let server = Some(&self.ends.server);
        for (way, device) in [
            (&mut self.up, server),
            (&mut self.down, self.ends.client.as_ref()),
        ] {
            while let Some(packet) = way.pop(now + EARLY) {
                let taken = device.is_some_and(|device| {
                    rustix::io::write(device, &packet).is_ok_and(|n| n == packet.len())
                });
                way.delivered(packet.len(), taken);
            }
        }
    }

    /// Reads what has come from both ends.
    fn collect(&mut self, begin: Instant, buffer: &mut [u8]) {
        let server = Some(&self.ends.server);
        for (way, device) in [
            (&mut self.up, self.ends.client.as_ref()),
            (&mut self.down, server),
        ] {
            let Some(device) = device else { continue };
            for _ in 0..BATCH {
                // A device that is down or empty has nothing either way.
                let Ok(length) = rustix::io::read(device, &mut *buffer) else {
                    break;
                };
                way.push(begin.elapsed(), buffer[..length].to_vec());
            }
        }
    }
}

#[derive(Debug)]
struct Driver {
    links: Vec<Link>,
    inbox: Receiver<(Order, SyncSender<Answer>)>,
    wake: Arc<OwnedFd>,
    begin: Instant,
    usage: Usage,
    buffer: Vec<u8>,
}

impl Driver {
    fn run(mut self) {
        self.usage.realtime = system::set_realtime(PRIORITY).is_ok();
        // Without that priority the kernel would let it sleep 50 us longer than it asks.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        while self.obey() {
            for link in &mut self.links {
                link.collect(self.begin, &mut self.buffer);
                link.deliver(self.begin.elapsed(), &mut self.usage);
            }
            self.sleep();
        }
    }

    /// Until a packet comes or is due, or there is an order.
    fn sleep(&self) {
        let due = self.links.iter().filter_map(Link::next).min();
        let timeout = due.map(|due| {
            let left = due.saturating_sub(self.begin.elapsed());
            Timespec::try_from(left).unwrap_or(Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            })
        });
        let mut sources = vec![PollFd::new(&self.wake, PollFlags::IN)];
        for link in &self.links {
            let ends = [link.ends.client.as_ref(), Some(&link.ends.server)];
            let ends = ends.into_iter().flatten();
            sources.extend(ends.map(|end| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)));
        }
        // Interrupted or not: what there is to do is looked for anyway.
        let _ = rustix::event::poll(&mut sources, timeout.as_ref());
        if sources
            .iter()
            .any(|source| source.revents().contains(PollFlags::ERR))
        {
            // Somebody else deleted a device. That is so until the world ends, and a thread of
            // this priority that never slept would stop a core.
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }

    /// Does what was ordered; `false` if nobody can order anything any more.
    fn obey(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok((order, reply)) => {
                    let answer = self.answer(order);
                    // Who has asked may have gone.
                    let _ = reply.send(answer);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn answer(&mut self, order: Order) -> Answer {
        let now = self.begin.elapsed();
        let mut counters = Counters::default();
        let mut usage = Usage::default();
        match order {
            Order::Silence { link, up, down } => {
                let link = &mut self.links[link];
                link.up.silence(up);
                link.down.silence(down);
            }
            Order::Client { link, device } => self.links[link].ends.client = device,
            Order::Count { link } => {
                let link = &mut self.links[link];
                counters.up = link.up.counters(now);
                counters.down = link.down.counters(now);
            }
            Order::Reset { link } => {
                let link = &mut self.links[link];
                link.up.reset_counters();
                link.down.reset_counters();
            }
            Order::Usage => {
                let cpu = clock_gettime(ClockId::ThreadCPUTime);
                usage = self.usage;
                usage.cpu = Duration::try_from(cpu).unwrap_or_default();
                self.usage = Usage {
                    realtime: usage.realtime,
                    ..Usage::default()
                };
            }
        }
        Answer {
            at: Instant::now(),
            counters,
            usage,
        }
    }
}
