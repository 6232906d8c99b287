//! The thread itself: reads, writes, sleeps and obeys; what becomes of a packet is `link`'s to say.

use super::link::{Shape, Way};
use super::{Answer, Counters, Ends, Order, Setting, Usage};
use crate::system;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::time::{ClockId, clock_gettime};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

/// Of the kernel's 1 to 99.
const PRIORITY: i32 = 50;
/// No more packets of a device are read before others have their turn.
const BATCH: usize = 64;
/// Packets due so soon are delivered now: each time the thread sleeps and wakes costs more than
/// a packet does.
const EARLY: Duration = Duration::from_micros(50);
/// The largest IP packet.
const PACKET: usize = 65_536;

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
pub(super) struct Driver {
    links: Vec<Link>,
    inbox: Receiver<(Order, SyncSender<Answer>)>,
    wake: Arc<OwnedFd>,
    begin: Instant,
    usage: Usage,
    buffer: Vec<u8>,
}

impl Driver {
    pub(super) fn new(
        links: Vec<(Setting, Ends)>,
        inbox: Receiver<(Order, SyncSender<Answer>)>,
        wake: Arc<OwnedFd>,
        begin: Instant,
    ) -> Self {
        Self {
            links: links.into_iter().map(Link::new).collect(),
            inbox,
            wake,
            begin,
            usage: Usage::default(),
            buffer: vec![0; PACKET],
        }
    }

    /// Carries packets until nobody can order anything any more.
    pub(super) fn run(mut self) {
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
