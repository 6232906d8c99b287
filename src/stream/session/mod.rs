//! Sessions as users hold them.

mod open;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::ready;

use bytes::Bytes;

pub use open::OpenStream;

use super::McStream;
use super::driver::{self, Driver, Outcome, Turn};
use super::error::SessionError;
use super::events::PathInfo;
use super::message::{Fate, Message, MessageError, MessageId, SendMessage, WriteMessage};
use super::plain::Plain;
use super::report::ConnectReport;
use crate::deferral::{Op, Operation};
use crate::label::Label;
use crate::proto::schedule::estimate::{self, Energy, Estimate};

#[derive(Debug)]
pub(super) enum Held {
    Session(Arc<Driver>),
    Plain(Arc<Plain>),
}

impl Held {
    /// `None` for what is no session: a plain stream.
    pub(super) fn driver(&self) -> Option<&Arc<Driver>> {
        match self {
            Self::Session(driver) => Some(driver),
            Self::Plain(_) => None,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Session(driver) = self {
            driver.leave();
        }
    }
}

/// Two mancom endpoints joined over any number of paths.
///
/// A clone is one more handle; the session ends when the last handle and the last stream went, and the
/// messages sent until then were delivered.
#[derive(Debug, Clone)]
pub struct Session(Arc<Held>);

impl Session {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        driver.enter();
        Self(Arc::new(Held::Session(driver)))
    }

    pub(super) fn plain(plain: Arc<Plain>) -> Self {
        Self(Arc::new(Held::Plain(plain)))
    }

    /// Opens one more stream beside the first; it arrives at the peer's [`accept`](Self::accept).
    ///
    /// A builder: `.await` it, or `.into_future()` to spawn it. It waits for a network that matches the
    /// label, but for no word of the peer: what is written at once is sent with the news of the stream.
    ///
    /// # Errors
    ///
    /// At the `await`: `TooManyStreams` beyond what the peer lets be alive at once (128 by default; one
    /// that ended at both ends leaves its place a round trip later), `Match` where the wait for a network
    /// ended, `NotMancom` on a plain stream, else how the session ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, no stream was opened.
    pub fn open(&self, label: Label) -> OpenStream {
        OpenStream::new(Arc::clone(&self.0), label)
    }

    /// The next stream the peer opened. Several who wait are served in the order in which they began to.
    ///
    /// # Errors
    ///
    /// One that `is_closed()` after a clean end, else how the session ended; `NotMancom` on a plain
    /// stream.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, no stream is lost.
    pub fn accept(&self) -> Op<Result<McStream, SessionError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::new(), async move {
            match &*held {
                Held::Session(driver) => {
                    let mut turn = Turn::to_accept(driver);
                    let (id, label) = poll_fn(|cx| turn.poll_accept(cx)).await?;
                    Ok(McStream::session_stream(Arc::clone(driver), id, label))
                }
                Held::Plain(_) => Err(SessionError::NotMancom),
            }
        })
    }

    /// Sends a message: a labelled unit that arrives whole, at most once, and after those it is
    /// [`after`](SendMessage::after).
    ///
    /// A builder: `.await` it, or `.into_future()` to spawn it. It resolves with the message's number when
    /// the session has taken it, whether or not there is a network; the order in which sends resolve is
    /// the order of what was sent. Pending while there is no room for messages of its urgency, in line
    /// with others. An array is no [`Bytes`]: write `&b"text"[..]`. An empty message is a message.
    ///
    /// # Errors
    ///
    /// At the `await`, as [`MessageError`]: it comes after a message that was never sent or was given up,
    /// it is longer than the peer takes, its lifetime ran out while there was no room, the session is over
    /// or being closed, or a plain stream. What becomes of it later is told by
    /// [`delivered`](Self::delivered).
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, nothing of it was sent, or will be.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use mancom::Label;
    /// # async fn notify(session: mancom::Session) -> Result<(), mancom::Error> {
    /// let first = session.send(Label::ANY, &b"open"[..]).await?;
    /// let other = session.send(Label::BACKGROUND, vec![0; 1 << 20]).await?;
    /// // Overtakes the long one, but not the first; it brings the first along.
    /// let urgent = session.send(Label::INTERACTIVE, "ring").after([first]);
    /// let urgent = urgent.lifetime(std::time::Duration::from_secs(5)).await?;
    /// session.delivered(urgent).await?;
    /// session.cancel(other).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, label: Label, bytes: impl Into<Bytes>) -> SendMessage {
        SendMessage::new(Arc::clone(&self.0), label, bytes.into())
    }

    /// Begins a message that is written piece by piece.
    ///
    /// A builder as [`send`](Self::send) is, with the same setters and errors; it resolves with the
    /// [writer](super::MessageWriter).
    ///
    /// ```no_run
    /// # async fn forward(session: mancom::Session, mut file: &[u8]) -> Result<(), mancom::Error> {
    /// let mut message = session.message(mancom::Label::BACKGROUND).await?;
    /// tokio::io::copy(&mut file, &mut message).await?;
    /// let id = message.finish().await?;
    /// session.delivered(id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn message(&self, label: Label) -> WriteMessage {
        WriteMessage::new(Arc::clone(&self.0), label)
    }

    /// The next message of the peer's: the most urgent of which everything it comes after was received.
    /// Several who wait are served in the order in which they began to.
    ///
    /// # Errors
    ///
    /// With one that `is_closed()` after a clean end, once everything that had arrived was received.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, no message is lost.
    pub fn recv(&self) -> Op<Result<Message, SessionError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::named("recv"), async move {
            let driver = held.driver().ok_or(SessionError::NotMancom)?;
            let mut turn = Turn::to_receive(driver);
            poll_fn(|cx| {
                let coop = ready!(tokio::task::coop::poll_proceed(cx));
                let received = turn.poll_recv(cx);
                if received.is_ready() {
                    coop.made_progress();
                }
                received
            })
            .await
        })
    }

    /// Resolves when the peer's library has all of a message that was sent here, and everything that it
    /// comes after. That its program received it is not said.
    ///
    /// # Errors
    ///
    /// It was given up, or the session ended first. `Unknown` for one that was not sent here.
    ///
    /// # Cancel safety
    ///
    /// Dropped while pending, it changes nothing.
    pub fn delivered(&self, id: MessageId) -> Op<Result<(), MessageError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::named("delivered"), async move {
            let driver = held.driver().ok_or(MessageError::NotMancom)?;
            let mut outcome = Outcome::of(driver, id);
            poll_fn(|cx| outcome.poll(cx)).await
        })
    }

    /// Gives up a message that was sent here, and with it whatever comes after it.
    ///
    /// At once, and without a word on the wire, while nothing of it was sent; else the peer is asked, and
    /// this is pending until it has said whether it was in time.
    ///
    /// # Errors
    ///
    /// `Lost` if the session ended before the peer's answer, `Unknown` for one that was not sent here.
    ///
    /// # Cancel safety
    ///
    /// The message is given up at the first poll, and that goes on when this is dropped.
    pub fn cancel(&self, id: MessageId) -> Op<Result<Fate, MessageError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::named("cancel"), async move {
            let driver = held.driver().ok_or(MessageError::NotMancom)?;
            if let Some(fate) = driver.cancel_message(id)? {
                return Ok(fate);
            }
            let mut outcome = Outcome::of(driver, id);
            driver::fate(poll_fn(|cx| outcome.poll(cx)).await)
        })
    }

    /// Gives a message another label while nothing of it was sent: it may then go on other networks, and
    /// sooner or later than others.
    ///
    /// With a label of another urgency, one sent without `after` leaves the order of those and joins that
    /// of its new urgency at the end, as if it were sent now: so it waits for nothing of its old urgency,
    /// and what was sent behind it does not wait for it. What names it, and what was sent
    /// [`after_all`](SendMessage::after_all), still comes after it; what it was to come after by name it
    /// still does. One that was made ready for a network already keeps its place, behind messages that
    /// were sent.
    ///
    /// # Errors
    ///
    /// `AlreadySent` once a byte of it was sent, or what comes after it is under way and the peer has no
    /// room for another of the new urgency; what became of it if it was given up; `Unknown` for one that
    /// was not sent here.
    ///
    /// # Cancel safety
    ///
    /// Never pending.
    pub fn relabel(&self, id: MessageId, label: Label) -> Op<Result<(), MessageError>> {
        let held = Arc::clone(&self.0);
        Op::new(Operation::named("relabel"), async move {
            let driver = held.driver().ok_or(MessageError::NotMancom)?;
            driver.relabel_message(id, label)
        })
    }

    /// The handle on the session's own waiting.
    ///
    /// While a dialler's session has no path and no network fits, it is pending under this number with
    /// its grace as the deadline; [`nudge`](Operation::nudge) ends a back-off between two attempts, and
    /// [`cancel`](crate::cancel) while it is pending ends the session. At a listener it is pending while a
    /// [limit](crate::account::Limit) that is spent holds back what it has to send, and without a
    /// [hook](crate::hooks) on a plain stream it names what never waits.
    pub fn operation(&self) -> Operation {
        match &*self.0 {
            Held::Session(driver) => driver.operation(),
            Held::Plain(plain) => plain.operation(),
        }
    }

    /// Who the far end proved to be, in TLS: the same on every path. `None` in clear, and at a listener
    /// whose dialler showed no key.
    #[cfg(feature = "tls")]
    pub fn peer(&self) -> Option<crate::tls::PublicKey> {
        let key = match &*self.0 {
            Held::Session(driver) => driver.credentials().peer().cloned(),
            Held::Plain(plain) => plain.peer(),
        };
        key.map(|key| crate::tls::PublicKey::of(&key.0))
    }

    /// The paths open now.
    pub fn paths(&self) -> Vec<PathInfo> {
        match &*self.0 {
            Held::Session(driver) => driver.paths(),
            Held::Plain(plain) => plain.paths(),
        }
    }

    /// What its `connect` tried until the first path stood, and how long each part took; `None` at
    /// the listener.
    pub fn connect_report(&self) -> Option<Arc<ConnectReport>> {
        match &*self.0 {
            Held::Session(driver) => driver.report(),
            Held::Plain(plain) => plain.report(),
        }
    }

    /// What sending so many bytes of this label would take over the paths open now: the time until the
    /// last of them is there, how many go over metered networks, and what `energy` makes of them.
    /// `None` where no open path admits the label, no bandwidth is known, or it
    /// would take more than 13 days, which nobody foresees.
    pub fn estimate(
        &self,
        label: Label,
        bytes: u64,
        energy: Option<&dyn Energy>,
    ) -> Option<Estimate> {
        // What the program says of energy is its own code: no lock is held for it.
        let ways = self.0.driver()?.ways(&label);
        estimate::estimate(bytes, &ways, energy)
    }

    /// Closes the session once every stream is finished and every message that was sent is delivered or
    /// given up, and waits for that. It begins with the call, before the `await`: from then on no stream is
    /// opened and no message taken here, and what waits for room is not sent.
    ///
    /// A stream is finished when both its ends were shut down and acknowledged, so one that is still held
    /// here or at the peer keeps this waiting: drop it or shut it down first, or bound the wait with
    /// `tokio::time::timeout`. So does a [`MessageWriter`](super::MessageWriter) that is held here: finish or
    /// drop it.
    ///
    /// # Errors
    ///
    /// How the session ended if not by this: its grace ran out, say. `NotMancom` on a plain stream, which
    /// ends by its own shutdown.
    ///
    /// # Cancel safety
    ///
    /// The close goes on when this is dropped.
    pub fn close(&self) -> Op<Result<(), SessionError>> {
        let held = Arc::clone(&self.0);
        if let Held::Session(driver) = &*held {
            driver.close();
        }
        Op::new(Operation::new(), async move {
            match &*held {
                Held::Session(driver) => {
                    let mut turn = Turn::to_close(driver);
                    match poll_fn(|cx| turn.poll_closed(cx)).await {
                        SessionError::Closed => Ok(()),
                        error => Err(error),
                    }
                }
                Held::Plain(_) => Err(SessionError::NotMancom),
            }
        })
    }
}
