//! Racing the addresses of a name (Happy Eyeballs), where dialling each is somebody's own work.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

/// How long one address has before the next is tried too (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The first that answers; each has a quarter of a second before the next is tried beside it.
pub(super) async fn first<T, F>(
    addresses: &[SocketAddr],
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut left = addresses.iter();
    let mut racing = FuturesUnordered::new();
    let mut last = io::ErrorKind::InvalidInput.into();
    loop {
        if let Some(address) = left.next() {
            racing.push(dial(*address));
        }
        let stagger = tokio::time::sleep(STAGGER);
        tokio::pin!(stagger);
        let more = left.len() > 0;
        let next = poll_fn(|cx| {
            if let Poll::Ready(next) = racing.poll_next_unpin(cx) {
                return Poll::Ready(next);
            }
            match more {
                true => stagger.as_mut().poll(cx).map(|()| None),
                false => Poll::Pending,
            }
        });
        match next.await {
            Some(Ok(link)) => return Ok(link),
            Some(Err(e)) => last = e,
            None => {}
        }
        if racing.is_empty() && left.len() == 0 {
            return Err(last);
        }
    }
}
