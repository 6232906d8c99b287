//! The task of a listener.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::super::door::Door;
use super::super::error::AcceptError;
use super::sockets::Sockets;
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::network::NetworkId;
use crate::transport::Link;

/// How long accepting pauses after the system ran out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// Failures to accept that are no further apart are one, and told once.
const EPISODE: Duration = Duration::from_secs(1);

enum News {
    Accepted(Option<NetworkId>, io::Result<Link>),
    Changed,
    Closing,
    Done,
}

/// It ends once the listener was stopped and no session may want another path.
pub(super) async fn serve(mut sockets: Sockets, door: Arc<Door>, contact: watch::Sender<Endpoint>) {
    let context = Arc::clone(&door.context);
    let mut closing = std::pin::pin!(context.tasks().closing());
    let mut exhausted: Option<Instant> = None;
    loop {
        let news = poll_fn(|cx| {
            if door.is_done(cx) {
                return Poll::Ready(News::Done);
            }
            if !door.is_stopped() && closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(News::Closing);
            }
            if sockets.poll_changed(cx).is_ready() {
                return Poll::Ready(News::Changed);
            }
            if door.plain && !door.has_room() {
                return Poll::Pending;
            }
            sockets
                .poll_accept(cx)
                .map(|(via, accepted)| News::Accepted(via, accepted))
        })
        .await;
        match news {
            News::Done => return door.end(),
            News::Closing => door.stop(),
            News::Changed => {
                sockets.adjust().await;
                contact.send_replace(sockets.contact());
            }
            News::Accepted(via, Ok(link)) => door.greet(link, via),
            News::Accepted(_, Err(error)) => {
                tracing::warn!(target: "mancom::transport", %error, "cannot accept");
                door.drop_oldest();
                let now = Clock::now();
                if exhausted
                    .replace(now)
                    .is_none_or(|last| now.duration_since(last) > EPISODE)
                {
                    door.report(AcceptError::Io(error.into()));
                }
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}
