//! The sockets of a session's paths: what is read from them and written to them, in whose poll.
//!
//! Payload goes from a socket into the reader's buffer where it can: of bulk the header is read alone
//! if it did not come with the payload before it, and of several paths the one whose bytes come next is
//! read, while what is early on another waits in its socket. Only if nothing comes on the one is the
//! other read and kept, for what somebody waits for may stand behind it.

use std::io::IoSliceMut;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::super::gauge::Gauge;
use super::fees::Fees;
use super::scratch::with_scratch;
use super::state::State;
use crate::label::Label;
use crate::network::Network;
use crate::proto::session::{PathId, StreamError, StreamId};
use crate::transport::ByteLink;

/// Reads of one path in one poll of the driver before it yields.
pub(super) const READS: usize = 32;
/// A reader's buffer is filled without a copy from this many bytes on; below, one read into the
/// scratch buffer takes header and payload in one system call.
const DIRECT: usize = 4096;
/// Exactly a data frame's header: read behind a payload, so that the next payload is direct again.
const HEADER: usize = 16;

/// Of several paths each is the first to be looked at once in so many reads.
const ELSEWHERE: u8 = 16;

/// One path's connection.
pub(super) struct Link {
    pub(super) path: PathId,
    pub(super) io: Box<dyn ByteLink>,
    pub(super) network: Option<Network>,
    /// The last read filled its buffer: more is likely to wait.
    pub(super) bulk: bool,
    /// The last read went straight into a reader's buffer: a header is likely to come next, and payload
    /// for that buffer behind it.
    pub(super) direct: bool,
    /// It took what it has not passed on.
    pub(super) unflushed: bool,
    pub(super) gauge: Gauge,
    pub(super) fees: Fees,
    pub(super) presence: Presence,
    pub(super) dead: Option<Arc<str>>,
}

impl Link {
    pub(super) fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away { .. })
    }
}

/// Whether the network of a connection is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) enum Presence {
    Here,
    /// It went, but its address stayed and nothing else carries: if it is back before then, the
    /// connection goes on.
    Away {
        until: Instant,
        /// It owed an answer in silence already.
        silent: bool,
    },
    /// It came back: before then the connection may be silent, for the kernel sends again at times of
    /// its own.
    Back {
        until: Instant,
    },
}

/// What a writer brings.
pub(in crate::stream) enum Outgoing<'a> {
    /// Copied once, into the replay buffer.
    Copied(&'a [u8]),
    /// Copied once, all of it at once, or what an empty buffer takes.
    Whole(&'a [u8]),
    /// Kept as it is.
    Owned(&'a mut Bytes),
}

pub(super) enum Once {
    Direct(Label),
    Received,
    Nothing,
}

impl State {
    /// `None`: nothing yet; `Some(label)`: bytes were put into `buf`, or the end was reached.
    pub(super) fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
    ) -> Result<Option<Option<Label>>, StreamError> {
        let mut looking = false;
        let result = self.read_on(now, id, buf, &mut looking);
        // Whoever returns with something, be it the end, may not have left a waker with each socket.
        if looking && !matches!(result, Ok(None)) {
            self.wakers.looked_away();
        }
        result
    }

    fn read_on(
        &mut self,
        now: Instant,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        looking: &mut bool,
    ) -> Result<Option<Option<Label>>, StreamError> {
        let mut label = None;
        loop {
            if label.is_none() {
                match self.core.read(now, id, buf.initialize_unfilled())? {
                    Some((0, _)) => return Ok(Some(None)),
                    Some((n, of)) => {
                        buf.advance(n);
                        label = Some(of);
                    }
                    None => {}
                }
            }
            let bulk = self.links.iter().any(|link| link.bulk);
            if label.is_some() && !(bulk && buf.remaining() >= DIRECT) {
                return Ok(Some(label));
            }
            if !std::mem::replace(looking, true) {
                self.wakers.looking();
            }
            match self.read_once(now, id, buf, label) {
                Once::Direct(of) => label = Some(of),
                Once::Received => {}
                Once::Nothing => return Ok(label.map(Some)),
            }
        }
    }

    /// One read of the first path that has something: straight into `buf` where it is this stream's
    /// payload, else into the core. Of several, one whose payload comes too early waits in its socket,
    /// where no copy is needed, for the others. With bytes in `buf` already, only payload of their label
    /// counts.
    pub(super) fn read_once(
        &mut self,
        now: Instant,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        only: Option<Label>,
    ) -> Once {
        let links = self.links.len();
        let first = self.first_link(links);
        let mut early = 0_u32;
        for at in (first..links).chain(0..first) {
            if self.links[at].dead.is_some() {
                continue;
            }
            let path = self.links[at].path;
            let fits = only.is_none() || self.core.direct_label(path) == only;
            let direct = if fits {
                self.core.direct(path, id).min(buf.remaining())
            } else {
                0
            };
            if direct >= DIRECT || (direct > 0 && self.links[at].bulk) {
                match self.read_direct(now, at, id, buf, direct) {
                    Some(label) => return Once::Direct(label),
                    None => continue,
                }
            }
            if links > 1 && self.core.comes_early(path, id) {
                early |= 1 << at;
                continue;
            }
            if only.is_none() && self.read_next(now, at, buf.remaining()) {
                return Once::Received;
            }
        }
        // Nothing before it: what follows may hang on what stands behind it.
        while only.is_none() && early != 0 {
            let at = early.trailing_zeros() as usize;
            early &= early - 1;
            if self.read_scratch(now, at) {
                return Once::Received;
            }
        }
        Once::Nothing
    }

    /// Where to look first: where what comes next has been, and now and then elsewhere, for the one may
    /// never be empty and the other has answers.
    fn first_link(&mut self, links: usize) -> usize {
        if links < 2 {
            return 0;
        }
        self.turn = self.turn.wrapping_add(1);
        let elsewhere = self.turn.is_multiple_of(ELSEWHERE);
        usize::from(elsewhere) * usize::from(self.turn / ELSEWHERE) % links
    }

    pub(super) fn read_direct(
        &mut self,
        now: Instant,
        at: usize,
        id: StreamId,
        buf: &mut ReadBuf<'_>,
        direct: usize,
    ) -> Option<Label> {
        let Self {
            core, links, waker, ..
        } = self;
        let link = &mut links[at];
        let whole = core.direct(link.path, id) == direct;
        let mut header = [0; HEADER];
        let mut cx = TaskContext::from_waker(waker);
        let read = {
            let user = &mut buf.initialize_unfilled()[..direct];
            let mut bufs = [IoSliceMut::new(user), IoSliceMut::new(&mut header)];
            let bufs = if whole { &mut bufs[..] } else { &mut bufs[..1] };
            Pin::new(&mut *link.io).poll_read_vectored(&mut cx, bufs)
        };
        match read {
            Poll::Pending => None,
            Poll::Ready(Ok(0)) => {
                self.lose(now, at, "closed by the far end".into());
                None
            }
            Poll::Ready(Ok(n)) => {
                let user = n.min(direct);
                buf.advance(user);
                link.bulk = n >= direct;
                link.direct = true;
                let path = link.path;
                let label = core.received_direct(now, path, id, user);
                if n > direct {
                    self.feed(now, at, &header[..n - direct]);
                }
                Some(label)
            }
            Poll::Ready(Err(error)) => {
                self.lose(now, at, error.to_string().into());
                None
            }
        }
    }

    /// One read into the core, for a reader with so much room: of bulk a header alone, for its payload
    /// needs no copy then.
    fn read_next(&mut self, now: Instant, at: usize, room: usize) -> bool {
        let link = &self.links[at];
        if link.direct && room >= DIRECT && self.core.is_between_frames(link.path) {
            return self.read_some(now, at, &mut [0; HEADER]);
        }
        self.read_scratch(now, at)
    }

    /// One read into the core; whether anything came.
    pub(super) fn read_scratch(&mut self, now: Instant, at: usize) -> bool {
        with_scratch(|scratch| self.read_some(now, at, scratch))
    }

    fn read_some(&mut self, now: Instant, at: usize, buf: &mut [u8]) -> bool {
        let link = &mut self.links[at];
        let mut cx = TaskContext::from_waker(&self.waker);
        let mut buf = ReadBuf::new(buf);
        match Pin::new(&mut *link.io).poll_read(&mut cx, &mut buf) {
            Poll::Pending => {
                link.bulk = false;
                false
            }
            Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                self.lose(now, at, "closed by the far end".into());
                false
            }
            Poll::Ready(Ok(())) => {
                link.bulk = buf.remaining() == 0;
                link.direct = false;
                self.feed(now, at, buf.filled());
                true
            }
            Poll::Ready(Err(error)) => {
                self.lose(now, at, error.to_string().into());
                false
            }
        }
    }

    pub(super) fn feed(&mut self, now: Instant, at: usize, input: &[u8]) {
        let path = self.links[at].path;
        if let Err(error) = self.core.receive(now, path, input) {
            tracing::warn!(target: "mancom::session", %error, "path ended by what came on it");
            self.links[at].dead = Some(error.to_string().into());
        }
    }

    pub(super) fn lose(&mut self, now: Instant, at: usize, why: Arc<str>) {
        let link = &mut self.links[at];
        link.dead = Some(why);
        self.core.lose(now, link.path);
    }

    /// The link of this path is to go, for a reason from outside (its network went, say).
    pub(in crate::stream) fn drop_path(&mut self, now: Instant, path: PathId, why: &str) {
        if let Some(at) = self.links.iter().position(|link| link.path == path) {
            self.lose(now, at, why.into());
        }
    }

    /// Somebody waits to read; what arrives is for it to take.
    pub(super) fn has_readers(&self) -> bool {
        let mut waiters = self.waiters.iter();
        waiters.any(|(_, waiters)| waiters.read.is_some()) || self.has_receivers()
    }

    /// Reads every path; whether some path may have more.
    pub(super) fn receive(&mut self, now: Instant, reads: usize) -> bool {
        self.wakers.looking();
        let mut more = false;
        for at in 0..self.links.len() {
            let mut left = reads;
            while self.links[at].dead.is_none() && left > 0 && self.read_scratch(now, at) {
                left -= 1;
            }
            more |= left == 0;
        }
        if more {
            self.wakers.looked_away();
        }
        more
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        id: StreamId,
        label: Label,
        mut data: Outgoing<'_>,
    ) -> Result<usize, StreamError> {
        self.note_label(&label);
        for last in [false, true] {
            let taken = match &mut data {
                Outgoing::Copied(bytes) => self.core.write(now, id, label, bytes)?,
                Outgoing::Whole(bytes) => self.core.write_whole(now, id, label, bytes)?,
                Outgoing::Owned(bytes) => self.core.write_bytes(now, id, label, bytes)?,
            };
            self.transmit(now);
            if taken > 0 || last {
                return Ok(taken);
            }
            // Full: what frees the buffer is an acknowledgement, so look for one.
            self.receive(now, READS);
        }
        Ok(0)
    }
}
