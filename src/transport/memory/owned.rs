//! A buffer that is sent as it is.

use super::lane::Step;
use super::link::{Attention, lock};
use super::pair::{End, Pair, Wakers};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// Waits for room, hands the buffer over whole, and waits until it was read.
pub(super) struct OwnedSend {
    pub(super) pair: Arc<Mutex<Pair>>,
    pub(super) end: End,
    pub(super) attention: Attention,
    pub(super) state: State,
}

pub(super) enum State {
    Waits(Bytes),
    /// Until so many bytes were read from the beginning.
    Sent(u64),
}

impl Future for OwnedSend {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let (now, look) = (Instant::now(), this.attention.look());
            let mut wakers = Wakers::default();
            let mut pair = lock(&this.pair);
            pair.observe(now, &look, &mut wakers);
            if let State::Waits(bytes) = &this.state {
                match pair.write_owned(this.end, now, bytes, &mut wakers) {
                    Step::Done(Ok(position)) => this.state = State::Sent(position),
                    Step::Done(Err(error)) => {
                        drop(pair);
                        wakers.wake();
                        return Poll::Ready(Err(error));
                    }
                    Step::Wait(_) => {}
                }
            }
            let step = match this.state {
                State::Waits(_) => Step::Wait(None),
                State::Sent(position) => pair.was_read(this.end, now, position),
            };
            let until = match step {
                Step::Wait(at) => {
                    pair.wait_owned(this.end, cx.waker());
                    Err(at.map(|at| pair.when(now, at)))
                }
                Step::Done(done) => Ok(done),
            };
            drop(pair);
            wakers.wake();
            match until {
                Ok(done) => return Poll::Ready(done),
                Err(until) => ready!(this.attention.poll_wait(cx, until)),
            }
        }
    }
}
