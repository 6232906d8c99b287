//! What the checks share: two ends of one link, and patience.

use super::Subject;
use crate::endpoint::Endpoint;
use crate::transport::{Acceptor, ByteLink, DatagramLink, Link, Transport};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::ReadBuf;

/// How long anything may take before a check fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a datagram that may be lost is waited for before it is sent again.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn listening(transport: &dyn Transport, at: &Endpoint) -> Box<dyn Acceptor> {
    patient(transport.listen(at, None)).await
}

/// Both ends of one connection; the acceptor is gone.
pub(super) async fn joined(subject: &Subject) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let (near, far) = meet(subject, &mut *acceptor).await;
    (bytes(near), bytes(far))
}

/// Both ends of one connection. Where nothing arrives before something is said, something is said.
pub(super) async fn meet(subject: &Subject, acceptor: &mut dyn Acceptor) -> (Link, Link) {
    let mut near = patient(subject.dialler.connect(&acceptor.contact(), None)).await;
    let far = introduce(&mut near, acceptor).await;
    (near, far)
}

pub(super) async fn introduce(near: &mut Link, acceptor: &mut dyn Acceptor) -> Link {
    let Link::Datagrams(link) = near else {
        return accepted(acceptor).await;
    };
    let meeting = async {
        loop {
            send(&mut **link, b"hello").await?;
            let far = poll_fn(|cx| acceptor.poll_accept(cx));
            if let Ok(far) = tokio::time::timeout(AGAIN, far).await {
                return far;
            }
        }
    };
    let mut far = patient(meeting).await;
    if let Link::Datagrams(far) = &mut far {
        // One hello is there, more may be.
        assert_eq!(patient(receive(&mut **far, 64)).await, b"hello");
        while let Ok(more) = tokio::time::timeout(AGAIN, receive(&mut **far, 64)).await {
            assert_eq!(more.ok().as_deref(), Some(b"hello".as_slice()));
        }
    }
    far
}

/// Asks once, and is not told when it would be worth asking again.
pub(super) fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
    poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) async fn accepted(acceptor: &mut dyn Acceptor) -> Link {
    patient(poll_fn(|cx| acceptor.poll_accept(cx))).await
}

pub(super) fn bytes(link: Link) -> Box<dyn ByteLink> {
    match link {
        Link::Bytes(link) => link,
        Link::Datagrams(_) => panic!("datagrams, where a byte link was promised"),
    }
}

pub(super) fn datagrams(link: Link) -> Box<dyn DatagramLink> {
    match link {
        Link::Datagrams(link) => link,
        Link::Bytes(_) => panic!("a byte link, where datagrams were promised"),
    }
}

pub(super) async fn send(link: &mut dyn DatagramLink, datagram: &[u8]) -> io::Result<()> {
    poll_fn(|cx| link.poll_send(cx, datagram)).await
}

pub(super) async fn receive(link: &mut dyn DatagramLink, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; room];
    let len = poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut bytes);
        link.poll_recv(cx, &mut buf).map_ok(|()| buf.filled().len())
    })
    .await?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Sends until it is heard: a datagram that may be lost.
pub(super) async fn told(from: &mut dyn DatagramLink, to: &mut dyn DatagramLink, what: &[u8]) {
    let telling = async {
        loop {
            send(from, what).await?;
            while let Ok(heard) = tokio::time::timeout(AGAIN, receive(to, what.len() + 1)).await {
                // Another one is an earlier one, sent again.
                if heard? == what {
                    return Ok(());
                }
            }
        }
    };
    patient(telling).await;
}

pub(super) async fn patient_result<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("nothing within {PATIENCE:?}"),
    }
}

pub(super) async fn patient<T>(work: impl Future<Output = io::Result<T>>) -> T {
    match patient_result(work).await {
        Ok(done) => done,
        Err(e) => panic!("{e}"),
    }
}

/// Bytes that differ by message and by place.
pub(super) fn pattern(message: usize, len: usize) -> Vec<u8> {
    let tint = (message as u8).wrapping_mul(31);
    (0..len)
        .map(|i| (i as u8) ^ (i >> 8) as u8 ^ tint)
        .collect()
}
