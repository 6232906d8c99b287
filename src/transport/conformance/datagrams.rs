//! Links of datagrams, reliable or not.

use super::tools::{
    datagrams, introduce, listening, meet, once, patient, patient_result, pattern, receive, send,
    told,
};
use super::{Column, Subject};
use crate::transport::{DatagramLink, Link};
use std::io;
use std::task::Poll;

pub(super) async fn check(subject: &Subject, max: usize, column: &mut Column) {
    let kind = subject.dialler.characteristics_at(&subject.here);
    assert!(kind.messages, "datagrams keep their boundaries: {kind:?}");
    answers(subject).await;
    let max = largest(subject, max).await;
    carries_messages_whole(subject, max).await;
    column.proved([2, 3, 4, 5, 6]);
    column.not_applicable(7, format!("its largest message has {max} bytes"));
    refuses_what_is_too_large(subject, max).await;
    column.proved([33]);
    if kind.reliable {
        holds_back_what_has_no_room(subject).await;
        sees_the_peer_close(subject).await;
        column.proved([8, 14, 15]);
    } else {
        column.not_applicable(8, "a datagram is sent whole or lost: there is no remainder");
        for number in [14, 15] {
            column.not_applicable(
                number,
                "nothing on the wire tells the end of an exchange of datagrams",
            );
        }
    }
}

async fn joined(subject: &Subject) -> (Box<dyn DatagramLink>, Box<dyn DatagramLink>) {
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let (near, far) = meet(subject, &mut *acceptor).await;
    (datagrams(near), datagrams(far))
}

/// What the links themselves send at most.
async fn largest(subject: &Subject, max: usize) -> usize {
    let (near, far) = joined(subject).await;
    let (near, far) = (near.max_datagram(), far.max_datagram());
    assert!(
        near <= max && far <= max,
        "{near} and {far} of at most {max}"
    );
    near.min(far)
}

/// An answer goes back on the link, dialled at the listener's contact.
async fn answers(subject: &Subject) {
    // behaviour: EV-02, EV-13
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let mut near = patient(subject.dialler.connect(&acceptor.contact(), None)).await;
    let mut far = datagrams(introduce(&mut near, &mut *acceptor).await);
    let Link::Datagrams(near) = &mut near else {
        panic!("datagrams were promised");
    };
    told(&mut **near, &mut *far, b"are you there").await;
    told(&mut *far, &mut **near, b"yes").await;
}

/// Ten messages of 24 bytes and three of 100 KiB, or the largest there may be; one at a time where they
/// may be lost. The sender's buffer is overwritten at once, the receiver's are kept.
async fn carries_messages_whole(subject: &Subject, max: usize) {
    // behaviour: EV-03, EV-04, EV-05, EV-06
    let reliable = subject.dialler.characteristics_at(&subject.here).reliable;
    let (mut near, mut far) = joined(subject).await;
    let mut kept = Vec::new();
    for message in 0..13 {
        let len = if message < 10 { 24 } else { max.min(102_400) };
        let mut out = pattern(message, len);
        if !reliable {
            told(&mut *near, &mut *far, &out).await;
            continue;
        }
        patient(send(&mut *near, &out)).await;
        out.fill(0xee);
        // A buffer with room to spare, and one of just the size.
        kept.push(patient(receive(&mut *far, len + message % 2)).await);
    }
    for (message, got) in kept.iter().enumerate() {
        let len = if message < 10 { 24 } else { max.min(102_400) };
        assert!(*got == pattern(message, len), "message {message} differs");
    }
    // What does not fit into the reader's buffer is lost, and only that.
    if reliable {
        patient(send(&mut *near, b"too long")).await;
        patient(send(&mut *near, b"next")).await;
        assert_eq!(patient(receive(&mut *far, 3)).await, b"too");
        assert_eq!(patient(receive(&mut *far, 8)).await, b"next");
    }
}

/// A datagram above the limit is an error and not sent, and one at the limit is none.
async fn refuses_what_is_too_large(subject: &Subject, max: usize) {
    // behaviour: EV-33
    let (mut near, mut far) = joined(subject).await;
    let refused = patient_result(send(&mut *near, &vec![1; max + 1])).await;
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(io::ErrorKind::InvalidInput));
    told(&mut *near, &mut *far, &pattern(1, max)).await;
}

/// What finds no room waits, and then arrives whole and in its place.
async fn holds_back_what_has_no_room(subject: &Subject) {
    // behaviour: EV-08
    let (mut near, mut far) = joined(subject).await;
    let (mut sent, mut waits) = (0, 0);
    while waits < 3 {
        match once(|cx| near.poll_send(cx, &pattern(sent, 4096))) {
            Poll::Ready(done) => {
                done.unwrap_or_else(|e| panic!("{e}"));
                sent += 1;
            }
            // It may be the task's turn that is over, not the room.
            Poll::Pending => {
                waits += 1;
                tokio::task::yield_now().await;
            }
        }
        assert!(sent < 16_384, "{sent} messages that nobody reads have room");
    }
    let writing = async {
        for message in sent..sent + 3 {
            send(&mut *near, &pattern(message, 4096)).await?;
        }
        Ok(())
    };
    let reading = async {
        for message in 0..sent + 3 {
            let got = receive(&mut *far, 8192).await?;
            assert!(got == pattern(message, 4096), "message {message} differs");
        }
        io::Result::Ok(())
    };
    patient(async { tokio::try_join!(writing, reading) }).await;
}

/// A peer that is gone is an error of receiving, then and ever after, when all was received, and of
/// sending, which does not wait.
async fn sees_the_peer_close(subject: &Subject) {
    // behaviour: EV-14, EV-15
    let (mut near, mut far) = joined(subject).await;
    patient(send(&mut *near, b"last words")).await;
    drop(near);
    assert_eq!(patient(receive(&mut *far, 64)).await, b"last words");
    for _ in 0..3 {
        let end = patient_result(receive(&mut *far, 64)).await;
        let kind = end.map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::UnexpectedEof));
    }
    // A turn of its own, so that nothing but the link could make it wait.
    tokio::task::yield_now().await;
    for _ in 0..3 {
        let Poll::Ready(Err(late)) = once(|cx| far.poll_send(cx, b"too late")) else {
            panic!("a send after the end is no error at once");
        };
        let expected = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        assert!(expected.contains(&late.kind()), "{late:?}");
    }
}
