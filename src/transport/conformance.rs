//! What every transport must do, as checks that a third party's runs through too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use mancom::transport::{Tcp, conformance::{self, Subject}};
//! use std::sync::Arc;
//!
//! conformance::all(&Subject {
//!     dialler: Arc::new(Tcp::new()),
//!     listener: Arc::new(Tcp::new()),
//!     here: "tcp://127.0.0.1:0".parse().expect("an endpoint"),
//!     there: "tcp://127.0.0.1:0".parse().expect("an endpoint"),
//!     nobody: "tcp://127.0.0.1:1".parse().expect("an endpoint"),
//!     knows_dialler: false,
//! })
//! .await;
//! # }
//! ```
//!
//! Every check panics with what it saw. They use no network (`on` is `None`) and no time of their own.

use super::{Acceptor, ByteLink, Link, Transport};
use crate::endpoint::Endpoint;
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long anything may take before a check fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transport to be checked.
#[derive(Debug)]
pub struct Subject {
    /// The transport object that dials.
    pub dialler: Arc<dyn Transport>,
    /// Another object of the same kind that listens, as another process would.
    pub listener: Arc<dyn Transport>,
    /// Where the listener listens; with port 0 where there are ports, so that checks can follow
    /// each other.
    pub here: Endpoint,
    /// Where the dialler itself listens, elsewhere than `here`.
    pub there: Endpoint,
    /// A place where nobody listens.
    pub nobody: Endpoint,
    /// Whether the transport can tell who dialled an accepted link.
    pub knows_dialler: bool,
}

/// Every check, one after the other.
///
/// # Panics
/// At the first one that fails.
pub async fn all(subject: &Subject) {
    echoes(subject).await;
    carries_messages_whole_and_in_order(subject).await;
    reads_into_several_buffers(subject).await;
    sees_a_half_close(subject).await;
    sees_the_peer_close_once(subject).await;
    knows_itself(subject).await;
    knows_its_peer(subject).await;
    fails_to_reach_nobody(subject).await;
    leaves_nothing_when_dropped_pending(subject).await;
    wakes_a_reader_and_a_writer_apart(subject).await;
}

/// What is written comes back, dialled at the listener's contact.
///
/// # Panics
/// If it does not.
pub async fn echoes(subject: &Subject) {
    // behaviour: EV-02, EV-13
    let (mut near, mut far) = joined(subject).await;
    patient(near.write_all(b"are you there")).await;
    let mut heard = [0; 13];
    patient(far.read_exact(&mut heard)).await;
    patient(far.write_all(&heard)).await;
    let mut back = [0; 13];
    patient(near.read_exact(&mut back)).await;
    assert_eq!(&back, b"are you there");
}

/// Ten messages of 24 bytes and three of 100 KiB arrive complete and in order, both ways at once.
///
/// # Panics
/// If they do not.
pub async fn carries_messages_whole_and_in_order(subject: &Subject) {
    // behaviour: EV-03
    let (near, far) = joined(subject).await;
    let messages: Vec<Vec<u8>> = (0..13u8)
        .map(|n| {
            let len: u32 = if n < 10 { 24 } else { 102_400 };
            (0..len).map(|i| (i as u8) ^ n.wrapping_mul(31)).collect()
        })
        .collect();
    let (mut near_reads, mut near_writes) = tokio::io::split(near);
    let (mut far_reads, mut far_writes) = tokio::io::split(far);
    let send = async |to: &mut (dyn tokio::io::AsyncWrite + Send + Unpin)| {
        for message in &messages {
            to.write_all(message).await?;
        }
        to.flush().await
    };
    let receive = async |from: &mut (dyn tokio::io::AsyncRead + Send + Unpin)| {
        for message in &messages {
            let mut got = vec![0; message.len()];
            from.read_exact(&mut got).await?;
            assert!(&got == message, "a message of {} bytes differs", got.len());
        }
        io::Result::Ok(())
    };
    let everything = async {
        tokio::try_join!(
            send(&mut near_writes),
            send(&mut far_writes),
            receive(&mut near_reads),
            receive(&mut far_reads),
        )
    };
    patient(everything).await;
}

/// A vectored read fills its buffers in order, and waits, rather than spins, on a drained link.
///
/// # Panics
/// If it does not.
pub async fn reads_into_several_buffers(subject: &Subject) {
    let (mut near, mut far) = joined(subject).await;
    let (mut head, mut tail) = ([0; 4], [0; 64]);
    for round in 0..20u8 {
        let sent = [round; 10];
        patient(near.write_all(&sent)).await;
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let read = poll_fn(|cx| {
                let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
                Pin::new(&mut *far).poll_read_vectored(cx, &mut bufs)
            });
            let n = patient(read).await;
            assert!(n > 0, "the end of the stream was read in its middle");
            got.extend_from_slice(&head[..n.min(4)]);
            got.extend_from_slice(&tail[..n.saturating_sub(4)]);
        }
        assert_eq!(got, sent);
    }
    let nothing = poll_fn(|cx| Pin::new(&mut *far).poll_read_vectored(cx, &mut []));
    assert_eq!(patient(nothing).await, 0);
    drop(near);
    let end =
        poll_fn(|cx| Pin::new(&mut *far).poll_read_vectored(cx, &mut [IoSliceMut::new(&mut tail)]));
    assert_eq!(patient(end).await, 0);
}

/// One direction ends, the other goes on.
///
/// # Panics
/// If it does not.
pub async fn sees_a_half_close(subject: &Subject) {
    let (mut near, mut far) = joined(subject).await;
    patient(near.write_all(b"last words")).await;
    patient(near.shutdown()).await;
    let mut heard = Vec::new();
    patient(far.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"last words");
    patient(far.write_all(b"and mine")).await;
    patient(far.shutdown()).await;
    heard.clear();
    patient(near.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"and mine");
    let after = patient_result(near.write_all(b"too late")).await;
    assert!(after.is_err(), "a write after its own end is an error");
}

/// A peer that is dropped is the end of the stream, then and ever after, and writing to it fails.
///
/// # Panics
/// If it is not.
pub async fn sees_the_peer_close_once(subject: &Subject) {
    // behaviour: EV-14, EV-15
    let (near, mut far) = joined(subject).await;
    drop(near);
    let mut buf = [0; 8];
    for _ in 0..3 {
        assert_eq!(patient(far.read(&mut buf)).await, 0);
    }
    let writing = async {
        // A kernel may take some bytes before it hears that nobody reads.
        loop {
            if let Err(e) = far.write_all(&[0; 1024]).await {
                return Ok(e.kind());
            }
            tokio::task::yield_now().await;
        }
    };
    let kind = patient(writing).await;
    let expected = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
    assert!(expected.contains(&kind), "{kind:?}");
}

/// A transport knows its own acceptors' contacts, while they live, and nobody else's.
///
/// # Panics
/// If it does not.
pub async fn knows_itself(subject: &Subject) {
    // behaviour: EV-11
    let acceptor = listening(&*subject.listener, &subject.here).await;
    let contact = acceptor.contact();
    assert!(subject.listener.is_self(&contact), "{contact} is its own");
    assert!(!subject.dialler.is_self(&contact), "{contact} is another's");
    assert!(!subject.listener.is_self(&subject.nobody));
    assert_eq!(contact.scheme(), subject.here.scheme());
    drop(acceptor);
    assert!(
        !subject.listener.is_self(&contact),
        "{contact} is nobody's any more"
    );
}

/// A dialled link leads to the contact dialled and to no other; an accepted one to the contact of
/// its dialler where that can be known.
///
/// # Panics
/// If it is not so.
pub async fn knows_its_peer(subject: &Subject) {
    // behaviour: EV-12
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let own = listening(&*subject.dialler, &subject.there).await;
    let contact = acceptor.contact();
    let (near, far) = meet(subject, &mut *acceptor).await;
    assert!(
        subject.dialler.same_peer(&contact, &near),
        "{near:?} leads to {contact}"
    );
    assert!(!subject.dialler.same_peer(&own.contact(), &near));
    assert!(!subject.listener.same_peer(&contact, &far));
    let known = subject.listener.same_peer(&own.contact(), &far);
    assert_eq!(
        known,
        subject.knows_dialler,
        "{far:?} comes from {}",
        own.contact()
    );
    let (near, far) = (bytes(near), bytes(far));
    assert_eq!(near.peer().scheme(), contact.scheme());
    assert_eq!(far.peer().scheme(), subject.here.scheme());
}

/// Dialling where nobody listens fails at once, and its text names the place.
///
/// # Panics
/// If it does not.
pub async fn fails_to_reach_nobody(subject: &Subject) {
    let dialled = subject.dialler.connect(&subject.nobody, None);
    let error = match tokio::time::timeout(PATIENCE, dialled).await {
        Ok(Err(e)) => e,
        Ok(Ok(link)) => panic!("{link:?}, where nobody listens"),
        Err(_) => panic!("dialling {} hangs", subject.nobody),
    };
    let expected = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
    assert!(expected.contains(&error.kind()), "{error:?}");
    assert!(
        error.to_string().contains(&subject.nobody.to_string()),
        "{error}"
    );
}

/// Futures and acceptors that are dropped while pending leave no name, no link and no queue behind.
///
/// # Panics
/// If they do.
pub async fn leaves_nothing_when_dropped_pending(subject: &Subject) {
    // behaviour: EV-18
    let mut cx = Context::from_waker(Waker::noop());
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let contact = acceptor.contact();
    assert!(acceptor.poll_accept(&mut cx).is_pending());
    let mut dialled = subject.dialler.connect(&contact, None);
    let first = dialled.as_mut().poll(&mut cx);
    drop(dialled);
    drop(first);
    let mut near = bytes(patient(subject.dialler.connect(&contact, None)).await);
    patient(near.write_all(b"!")).await;
    // What the dropped call may have put into the queue is at its end; the acceptor lives on.
    let mut far = loop {
        let mut far = bytes(accepted(&mut *acceptor).await);
        if patient_result(far.read(&mut [0; 1]))
            .await
            .is_ok_and(|n| n == 1)
        {
            break far;
        }
    };
    // An acceptor that goes leaves its links alone, and its place free.
    drop(acceptor);
    patient(far.write_all(b"?")).await;
    patient(near.read_exact(&mut [0; 1])).await;
    let refused = tokio::time::timeout(PATIENCE, subject.dialler.connect(&contact, None)).await;
    assert!(
        matches!(refused, Ok(Err(_))),
        "{contact} still answers: {refused:?}"
    );
    drop(listening(&*subject.listener, &contact).await);
}

/// A task that reads and one that writes each get their own wake-up.
///
/// # Panics
/// If one of them waits for ever.
pub async fn wakes_a_reader_and_a_writer_apart(subject: &Subject) {
    let (near, mut far) = joined(subject).await;
    let (mut reads, mut writes) = tokio::io::split(near);
    let reader = tokio::spawn(async move { reads.read_exact(&mut [0; 1]).await.map(drop) });
    let writer = tokio::spawn(async move {
        // Until the link is full, and then on.
        writes.write_all(&vec![7; 16 << 20]).await
    });
    tokio::task::yield_now().await;
    let mut all = 0;
    let mut buf = vec![0; 64 << 10];
    while all < 16 << 20 {
        let n = patient(far.read(&mut buf)).await;
        assert!(n > 0, "ended after {all} bytes");
        all += n;
    }
    patient(far.write_all(b"!")).await;
    patient(async { reader.await.map_err(io::Error::other)? }).await;
    patient(async { writer.await.map_err(io::Error::other)? }).await;
}

async fn listening(transport: &dyn Transport, at: &Endpoint) -> Box<dyn Acceptor> {
    patient(transport.listen(at, None)).await
}

/// Both ends of one connection; the acceptor is gone.
async fn joined(subject: &Subject) -> (Box<dyn ByteLink>, Box<dyn ByteLink>) {
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let (near, far) = meet(subject, &mut *acceptor).await;
    (bytes(near), bytes(far))
}

async fn meet(subject: &Subject, acceptor: &mut dyn Acceptor) -> (Link, Link) {
    let near = patient(subject.dialler.connect(&acceptor.contact(), None)).await;
    (near, accepted(acceptor).await)
}

async fn accepted(acceptor: &mut dyn Acceptor) -> Link {
    patient(poll_fn(|cx| acceptor.poll_accept(cx))).await
}

fn bytes(link: Link) -> Box<dyn ByteLink> {
    match link {
        Link::Bytes(link) => link,
        Link::Datagrams(_) => panic!("these checks are of byte links"),
    }
}

async fn patient_result<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("nothing within {PATIENCE:?}"),
    }
}

async fn patient<T>(work: impl Future<Output = io::Result<T>>) -> T {
    match patient_result(work).await {
        Ok(done) => done,
        Err(e) => panic!("{e}"),
    }
}
