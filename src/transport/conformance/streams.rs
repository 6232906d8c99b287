//! Byte links: what is carried, whole and in order.

use super::tools::{joined, once, patient, pattern};
use super::{Column, Subject, ends};
use bytes::Bytes;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) async fn check(subject: &Subject, column: &mut Column) {
    echoes(subject).await;
    carries_messages_whole_and_in_order(subject).await;
    frees_the_buffers_of_both(subject).await;
    column.proved([2, 3, 4, 5, 6, 13]);
    reads_into_several_buffers(subject).await;
    writes_from_several_buffers(subject).await;
    carries_a_megabyte_bit_by_bit(subject).await;
    holds_back_what_has_no_room(subject).await;
    column.proved([7, 8]);
    ends::check(subject, column).await;
}

/// What is written comes back, dialled at the listener's contact.
///
/// # Panics
/// If it is not so.
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
/// If it is not so.
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

/// A sender may overwrite its buffer at once, an owned one is free when its future says so, and what a
/// receiver keeps stays as it was while more arrives into other buffers, or the same one.
///
/// # Panics
/// If it is not so.
pub async fn frees_the_buffers_of_both(subject: &Subject) {
    // behaviour: EV-04, EV-05, EV-06
    let (mut near, mut far) = joined(subject).await;
    let owns = subject.dialler.characteristics_at(&subject.here).owned_send;
    let (mut out, mut kept, mut reused) = (Vec::new(), Vec::new(), [0; 1000]);
    for message in 0..20 {
        out.clear();
        out.extend(pattern(message, 1000));
        if message % 4 == 3 {
            let owned = Bytes::from(out.clone());
            match Pin::new(&mut *near).send_owned(owned.clone()) {
                None => assert!(!owns, "owned sends were promised"),
                Some(sending) => {
                    assert!(owns, "owned sends were not promised");
                    let mut got = vec![0; 1000];
                    patient(async { tokio::try_join!(sending, far.read_exact(&mut got)) }).await;
                    assert!(owned.is_unique(), "the buffer is free");
                    kept.push((message, got));
                    continue;
                }
            }
        }
        patient(near.write_all(&out)).await;
        out.fill(0xee);
        patient(near.flush()).await;
        if message % 2 == 0 {
            let mut got = vec![0; 1000];
            patient(far.read_exact(&mut got)).await;
            kept.push((message, got));
        } else {
            patient(far.read_exact(&mut reused)).await;
            assert!(reused == pattern(message, 1000)[..], "message {message}");
        }
    }
    assert!(kept.len() >= 10);
    for (message, got) in kept {
        assert!(got == pattern(message, 1000), "message {message} changed");
    }
}

/// A vectored read fills its buffers in order, and waits, rather than spins, on a drained link.
///
/// # Panics
/// If it is not so.
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

/// A vectored write sends its buffers in order, empty ones among them, as far as it says.
///
/// # Panics
/// If it is not so.
pub async fn writes_from_several_buffers(subject: &Subject) {
    let (mut near, mut far) = joined(subject).await;
    let all = pattern(0, 5000);
    let mut sent = 0;
    while sent < all.len() {
        let (head, tail) = all[sent..].split_at((all.len() - sent) / 3);
        let bufs = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)];
        let n = patient(near.write_vectored(&bufs)).await;
        assert!(
            0 < n && n <= all.len() - sent,
            "{n} of {}",
            all.len() - sent
        );
        sent += n;
    }
    patient(near.flush()).await;
    let mut got = vec![0; all.len()];
    patient(far.read_exact(&mut got)).await;
    assert!(got == all, "the buffers were mixed up");
}

/// Two messages of 1 MB, of which each write takes what it can.
///
/// # Panics
/// If it is not so.
pub async fn carries_a_megabyte_bit_by_bit(subject: &Subject) {
    // behaviour: EV-07
    const LEN: usize = 1 << 20;
    let (mut near, mut far) = joined(subject).await;
    let writing = async {
        for message in 0..2 {
            let all = pattern(message, LEN);
            let mut sent = 0;
            while sent < LEN {
                sent += near.write(&all[sent..]).await?;
            }
        }
        near.flush().await
    };
    let reading = async {
        for message in 0..2 {
            let mut got = vec![0; LEN];
            far.read_exact(&mut got).await?;
            assert!(got == pattern(message, LEN), "message {message} differs");
        }
        io::Result::Ok(())
    };
    patient(async { tokio::try_join!(writing, reading) }).await;
}

/// A write that finds no room waits, and goes on where it was when there is some.
///
/// # Panics
/// If it is not so.
pub async fn holds_back_what_has_no_room(subject: &Subject) {
    // behaviour: EV-08
    const MOST: usize = 64 << 20;
    let (mut near, mut far) = joined(subject).await;
    let chunk = pattern(0, 65_536);
    let (mut sent, mut waits) = (0, 0);
    while waits < 3 {
        let from = sent % chunk.len();
        match once(|cx| Pin::new(&mut *near).poll_write(cx, &chunk[from..])) {
            Poll::Ready(n) => sent += n.unwrap_or_else(|e| panic!("{e}")),
            // It may be the task's turn that is over, not the room.
            Poll::Pending => {
                waits += 1;
                tokio::task::yield_now().await;
            }
        }
        assert!(sent < MOST, "{sent} bytes that nobody reads have room");
    }
    let rest = chunk.len() - sent % chunk.len();
    let writing = async {
        let from = chunk.len() - rest;
        near.write_all(&chunk[from..]).await?;
        near.write_all(&chunk).await?;
        near.flush().await
    };
    let reading = async {
        let mut got = vec![0; chunk.len()];
        for _ in 0..(sent + rest) / chunk.len() + 1 {
            far.read_exact(&mut got).await?;
            assert!(got == chunk, "the second write went between the first");
        }
        io::Result::Ok(())
    };
    patient(async { tokio::try_join!(writing, reading) }).await;
}
