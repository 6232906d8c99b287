//! What the core has for its paths goes to their sockets, in whose poll it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::sockets::Link;
use super::state::State;
use crate::transport::ByteLink;

/// Slices of one vectored write.
const SLICES: usize = 32;
/// What is copied together rather than written as slices, bytes.
const SMALL: usize = 256;

impl State {
    /// Writes to every path what the core has for it and its socket takes, until none takes more: what
    /// one took may be why the next thing goes by another.
    pub(in crate::stream) fn transmit(&mut self, now: Instant) {
        self.look_around(now);
        loop {
            self.measure(now);
            if !self.transmit_once(now) || self.links.len() == 1 {
                break;
            }
        }
        self.tell_others(now);
    }

    /// What goes where depends on what the paths hold now, where there is something to decide.
    fn measure(&mut self, now: Instant) {
        let wanted = self.core.wants_measures();
        for link in self.links.iter_mut().filter(|link| link.dead.is_none()) {
            if !wanted {
                link.gauge.rest(&mut *link.io);
            } else if let Some(measure) = link.gauge.measure(now, &mut *link.io) {
                self.core.measured(now, link.path, measure);
            }
        }
    }

    /// Offers each path once; whether one took something.
    fn transmit_once(&mut self, now: Instant) -> bool {
        let Self {
            core,
            links,
            waker,
            samples,
            ..
        } = self;
        let mut cx = TaskContext::from_waker(waker);
        let mut some = false;
        let here = |link: &&mut Link| link.dead.is_none() && !link.is_away();
        for link in links.iter_mut().filter(here) {
            let mut wrote = false;
            if link.unflushed {
                // What is left in it of an earlier write; an error is for the next write to tell.
                link.unflushed = Pin::new(&mut *link.io).poll_flush(&mut cx).is_pending();
            }
            let failed = loop {
                if !core.wants_transmit(link.path) {
                    break None;
                }
                if link.fees.are_due() {
                    link.fees.take(now, core.tolls(link.path));
                }
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = core.transmit(now, link.path, &mut slices);
                if count == 0 {
                    break None;
                }
                match poll_write(Pin::new(&mut *link.io), &mut cx, &slices[..count]) {
                    Poll::Pending => break None,
                    Poll::Ready(Ok(0)) => break Some("closed by the far end".into()),
                    Poll::Ready(Ok(n)) => {
                        core.transmitted(now, link.path, n);
                        link.gauge.wrote(n);
                        wrote = true;
                    }
                    Poll::Ready(Err(error)) => break Some(Arc::<str>::from(error.to_string())),
                }
            };
            if link.fees.are_due() {
                link.fees.settle(now, core.tolls(link.path));
            }
            some |= wrote;
            if wrote && failed.is_none() {
                link.unflushed = Pin::new(&mut *link.io).poll_flush(&mut cx).is_pending();
                let sampled = link.gauge.sample(now, link.network.as_ref(), &*link.io);
                samples.extend(sampled);
            }
            if let Some(why) = failed {
                link.dead = Some(why);
                core.lose(now, link.path);
            }
        }
        some
    }
}

/// Writes the slices, small ones as one: a vectored call costs the kernel more than the copy.
fn poll_write(
    io: Pin<&mut dyn ByteLink>,
    cx: &mut TaskContext<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    if total > SMALL {
        return io.poll_write_vectored(cx, slices);
    }
    let mut whole = [0; SMALL];
    let mut at = 0;
    for slice in slices {
        whole[at..at + slice.len()].copy_from_slice(slice);
        at += slice.len();
    }
    io.poll_write(cx, &whole[..total])
}
