//! Byte links: their two directions, and their ends.

use super::tools::{joined, once, patient, patient_result};
use super::{Column, Subject};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

pub(super) async fn check(subject: &Subject, column: &mut Column) {
    sees_a_half_close(subject).await;
    sees_the_peer_close_once(subject).await;
    column.proved([14, 15]);
    wakes_a_reader_and_a_writer_apart(subject).await;
}

/// One direction ends, the other goes on: who ends its own is told nothing of it by what it reads.
///
/// # Panics
/// If it is not so.
pub async fn sees_a_half_close(subject: &Subject) {
    // behaviour: EV-14
    let (mut near, mut far) = joined(subject).await;
    patient(near.write_all(b"last words")).await;
    patient(near.shutdown()).await;
    let mut heard = Vec::new();
    patient(far.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"last words");
    for _ in 0..3 {
        tokio::task::yield_now().await;
        let mut buf = [0; 8];
        let read = once(|cx| Pin::new(&mut *near).poll_read(cx, &mut ReadBuf::new(&mut buf)));
        assert!(read.is_pending(), "its own end was told as the peer's");
    }
    patient(far.write_all(b"and mine")).await;
    patient(far.shutdown()).await;
    heard.clear();
    patient(near.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"and mine");
    let after = patient_result(near.write_all(b"too late")).await;
    assert!(after.is_err(), "a write after its own end is an error");
}

/// A peer that is dropped is the end of the stream, then and ever after, and writing to it fails; as soon
/// as it failed once, at once.
///
/// # Panics
/// If it is not so.
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
    for _ in 0..3 {
        // A turn of its own, so that nothing but the link could make it wait.
        tokio::task::yield_now().await;
        let again = once(|cx| Pin::new(&mut *far).poll_write(cx, &[0; 1024]));
        assert!(matches!(again, Poll::Ready(Err(_))), "{again:?}");
    }
}

/// A task that reads and one that writes each get their own wake-up.
///
/// # Panics
/// If it is not so.
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
