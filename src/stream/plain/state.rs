//! What the lock guards: the connection, what became of its bytes, and who waits.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;

use super::super::error::SessionError;
use super::super::events::{PathEvent, Subscribers};
use super::super::gauge::Gauge;
use super::super::hooks::Carried;
use super::limit::Limit;
use crate::account::Row;
use crate::label::Label;
use crate::network::{Network, Snapshot};
use crate::transport::ByteLink;

pub(super) struct State {
    pub(super) link: Option<Box<dyn ByteLink>>,
    pub(super) network: Option<Network>,
    pub(super) label: Label,
    /// Connections so far; the events' epoch.
    pub(super) connections: u32,
    /// The stream's offset at which the present connection began.
    pub(super) base: u64,
    /// Bytes that a hook wrote on the present connection before the stream's.
    pub(super) preamble: u64,
    /// Bytes accepted from the writer, and of those the ones the present connection took.
    pub(super) written: u64,
    pub(super) sent: u64,
    pub(super) read: u64,
    pub(super) resent: u64,
    /// The last bytes written, for a replay; empty without a hook.
    pub(super) kept: VecDeque<u8>,
    pub(super) keep: usize,
    /// As it was when the last connection was lost.
    pub(super) carried: Carried,
    /// The server ended its direction.
    pub(super) ended: bool,
    /// We ended ours; the present connection was told.
    pub(super) shutdown: bool,
    pub(super) shut: bool,
    /// Everything fails, once what has arrived is read.
    pub(super) failed: Option<SessionError>,
    /// Writing fails, reading need not.
    pub(super) broken: Option<SessionError>,
    pub(super) readers: Option<Waker>,
    pub(super) writers: Option<Waker>,
    pub(super) subscribers: Subscribers,
    pub(super) gauge: Gauge,
    pub(super) limit: Limit,
    /// Where the bytes are counted.
    pub(super) row: Option<Arc<Row>>,
    /// There is something to publish of it.
    pub(super) moved: bool,
    /// The networks and another policy, where the stream is on a network.
    pub(super) news: Option<(watch::Receiver<Arc<Snapshot>>, watch::Receiver<()>)>,
    /// Told of other limits.
    pub(super) terms: Option<watch::Receiver<()>>,
    /// Whom to wake once the lock is free.
    pub(super) wake: Vec<Waker>,
}

impl State {
    pub(super) fn new(
        link: Box<dyn ByteLink>,
        network: Option<Network>,
        label: Label,
        keep: usize,
    ) -> Self {
        Self {
            link: Some(link),
            network,
            label,
            connections: 1,
            base: 0,
            preamble: 0,
            written: 0,
            sent: 0,
            read: 0,
            resent: 0,
            kept: VecDeque::new(),
            keep,
            carried: Carried {
                written: 0,
                acknowledged: None,
                read: 0,
            },
            ended: false,
            shutdown: false,
            shut: false,
            failed: None,
            broken: None,
            readers: None,
            writers: None,
            subscribers: Subscribers::default(),
            gauge: Gauge::default(),
            limit: Limit::default(),
            row: None,
            moved: false,
            news: None,
            terms: None,
            wake: Vec::new(),
        }
    }

    pub(super) fn check_writable(&self) -> io::Result<()> {
        match self.failed.as_ref().or(self.broken.as_ref()) {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }

    /// How many of so many bytes may go now.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        self.limit.poll_room(cx, wanted)
    }

    /// So many of so many went, be it none.
    pub(super) fn took(&mut self, bytes: usize, wanted: usize) {
        self.limit.took(bytes, wanted);
        if let Some(row) = &self.row {
            self.moved = cfg!(feature = "metrics");
            row.payload(self.label.urgency(), bytes as u64, 0);
        }
    }

    /// So many came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.limit.came(bytes);
        if let Some(row) = &self.row {
            self.moved = cfg!(feature = "metrics");
            row.payload(self.label.urgency(), 0, bytes as u64);
        }
    }

    /// So many went that a hook wrote.
    pub(super) fn went(&mut self, bytes: u64) {
        self.limit.went(bytes);
        if let Some(row) = &self.row {
            self.moved = cfg!(feature = "metrics");
            row.payload(self.label.urgency(), bytes, 0);
        }
    }

    /// Asks the present connection, unless there is none or the tending task is writing to it.
    pub(super) fn poll_link<T>(
        &mut self,
        ask: impl FnOnce(Pin<&mut dyn ByteLink>) -> Poll<T>,
    ) -> Poll<T> {
        match &mut self.link {
            Some(link) if self.sent == self.written => ask(Pin::new(&mut **link)),
            _ => Poll::Pending,
        }
    }

    pub(super) fn drop_link(&mut self, why: &str) {
        if self.link.is_some() {
            let path = self.info();
            let acknowledged = self.acknowledged();
            self.carried = Carried {
                written: self.written,
                acknowledged,
                read: self.read,
            };
            self.link = None;
            self.publish(PathEvent::Down {
                path,
                why: why.into(),
            });
        }
    }

    /// The end of the stream. A connection that is still there is read to what has arrived on it.
    pub(super) fn fail(&mut self, error: SessionError) {
        if self.failed.is_none() {
            self.publish(PathEvent::Closed {
                why: error.to_string().into(),
            });
            self.close_events();
            self.failed = Some(error);
            self.wake.extend(
                [self.readers.take(), self.writers.take()]
                    .into_iter()
                    .flatten(),
            );
        }
    }
}
