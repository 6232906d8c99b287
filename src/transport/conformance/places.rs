//! Where links come from: contacts, peers, nobody, and what is left of who gave up.

use super::tools::{
    PATIENCE, accepted, bytes, datagrams, introduce, listening, meet, once, patient,
    patient_result, receive, send, told,
};
use super::{Column, Subject};
use crate::transport::{ByteLink, Link};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) async fn check(subject: &Subject, column: &mut Column) {
    let kind = subject.dialler.characteristics_at(&subject.here);
    knows_itself(subject).await;
    column.proved([11, 13]);
    if kind.multicast {
        column.not_applicable(12, "a group is nobody's own");
    } else {
        knows_its_peer(subject).await;
        match subject.unnamed {
            None => column.proved([12]),
            Some(why) => column.not_applicable(12, why),
        }
    }
    if kind.reliable {
        fails_to_reach_nobody(subject).await;
    }
    leaves_nothing_when_dropped_pending(subject).await;
    column.proved([18]);
    if kind.one_at_a_time {
        for number in [23, 24] {
            column.not_applicable(number, "a place has one link at a time");
        }
        return;
    }
    a_busy_link_starves_no_other(subject).await;
    a_silent_client_delays_nobody(subject).await;
    column.proved([23, 24]);
}

/// A transport knows its own acceptors' contacts, while they live, and nobody else's.
///
/// # Panics
/// If it is not so.
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

/// A dialled link leads to the contact dialled and to no other; an accepted one to the contact of its
/// dialler where that can be known, or was said, unless the subject says why it cannot be.
///
/// # Panics
/// If it is not so.
pub async fn knows_its_peer(subject: &Subject) {
    // behaviour: EV-12
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let theirs = listening(&*subject.dialler, &subject.there).await;
    let own = theirs.contact();
    let contact = acceptor.contact();
    let (near, mut far) = meet(subject, &mut *acceptor).await;
    assert!(
        subject.dialler.same_peer(&contact, &near),
        "{near:?} leads to {contact}"
    );
    assert!(!subject.dialler.same_peer(&own, &near));
    assert!(!subject.listener.same_peer(&contact, &far));
    let known = subject.listener.same_peer(&own, &far);
    assert_eq!(known, subject.knows_dialler, "{far:?} comes from {own}");
    let said = known || far.named(&own);
    assert_eq!(
        said,
        subject.unnamed.is_none(),
        "{far:?}: its links take a name, or the subject says why not"
    );
    assert_eq!(subject.listener.same_peer(&own, &far), said);
    assert!(!subject.listener.same_peer(&subject.nobody, &far));
    let kind = subject.dialler.characteristics_at(&subject.here);
    for link in [&near, &far] {
        let told = link.credentials().is_some();
        assert_eq!(told, kind.peer_credentials, "the credentials of {link:?}");
    }
    for (link, scheme) in [(near, contact.scheme()), (far, subject.here.scheme())] {
        let peer = match link {
            Link::Bytes(link) => Some(link.peer()),
            Link::Datagrams(link) => link.peer(),
        };
        let peer = peer.map(|peer| peer.scheme().to_owned());
        assert!(peer.is_none_or(|peer| peer == scheme), "not {scheme}");
    }
}

/// Dialling where nobody listens fails at once, and its text names the place.
///
/// # Panics
/// If it is not so.
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
/// If it is not so.
pub async fn leaves_nothing_when_dropped_pending(subject: &Subject) {
    // behaviour: EV-18
    let kind = subject.dialler.characteristics_at(&subject.here);
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let contact = acceptor.contact();
    assert!(once(|cx| acceptor.poll_accept(cx)).is_pending());
    let mut dialled = subject.dialler.connect(&contact, None);
    drop(once(|cx| dialled.as_mut().poll(cx)));
    drop(dialled);
    let near = patient(subject.dialler.connect(&contact, None)).await;
    // What the dropped call may have put into the queue is at its end; the acceptor lives on.
    let (near, far) = match near {
        Link::Bytes(mut near) => {
            patient(near.write_all(b"!")).await;
            patient(near.flush()).await;
            let far = loop {
                let mut far = bytes(accepted(&mut *acceptor).await);
                let read = patient_result(far.read(&mut [0; 1])).await;
                if read.is_ok_and(|n| n == 1) {
                    break far;
                }
            };
            (Link::Bytes(near), Link::Bytes(far))
        }
        Link::Datagrams(near) if kind.reliable => {
            let mut near = near;
            patient(send(&mut *near, b"!")).await;
            let far = loop {
                let mut far = datagrams(accepted(&mut *acceptor).await);
                if patient_result(receive(&mut *far, 8)).await.is_ok() {
                    break far;
                }
            };
            (Link::Datagrams(near), Link::Datagrams(far))
        }
        mut near => {
            let far = introduce(&mut near, &mut *acceptor).await;
            (near, far)
        }
    };
    // An acceptor that goes leaves its links alone, and its place free.
    drop(acceptor);
    match (near, far) {
        (Link::Bytes(mut near), Link::Bytes(mut far)) => {
            patient(far.write_all(b"?")).await;
            patient(far.flush()).await;
            patient(near.read_exact(&mut [0; 1])).await;
        }
        (near, far) => told(&mut *datagrams(far), &mut *datagrams(near), b"?").await,
    }
    if kind.reliable {
        let refused = tokio::time::timeout(PATIENCE, subject.dialler.connect(&contact, None)).await;
        assert!(
            matches!(refused, Ok(Err(_))),
            "{contact} still answers: {refused:?}"
        );
    }
    // A task that is told to end does so when it has its turn.
    let free = async {
        loop {
            match subject.listener.listen(&contact, None).await {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                done => return done,
            }
        }
    };
    drop(patient(free).await);
}

/// While bytes flood one link, another of the same listener is answered.
///
/// # Panics
/// If it is not so.
pub async fn a_busy_link_starves_no_other(subject: &Subject) {
    // behaviour: EV-23
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let (busy, sink) = meet(subject, &mut *acceptor).await;
    let (near, far) = meet(subject, &mut *acceptor).await;
    let drained = Arc::new(AtomicUsize::new(0));
    let flood = [
        tokio::spawn(flood(busy)),
        tokio::spawn(drain(sink, Arc::clone(&drained))),
    ];
    let flooded = async || {
        let before = drained.load(Ordering::Relaxed);
        while drained.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    patient(flooded()).await;
    let before = drained.load(Ordering::Relaxed);
    match (near, far) {
        (Link::Bytes(mut near), Link::Bytes(mut far)) => {
            for round in 0..50 {
                answered(&mut *near, &mut *far, round).await;
            }
        }
        (near, far) => {
            let (mut near, mut far) = (datagrams(near), datagrams(far));
            for round in 0..50u8 {
                told(&mut *near, &mut *far, &[round; 24]).await;
                told(&mut *far, &mut *near, &[round; 24]).await;
            }
        }
    }
    let meanwhile = drained.load(Ordering::Relaxed) - before;
    assert!(meanwhile > 0, "the flood stood still, and proves nothing");
    patient(flooded()).await;
    for task in flood {
        assert!(!task.is_finished(), "the flood ended early");
        task.abort();
    }
}

async fn answered(near: &mut dyn ByteLink, far: &mut dyn ByteLink, round: u8) {
    let mut got = [0; 24];
    for _ in 0..2 {
        patient(near.write_all(&[round; 24])).await;
        patient(near.flush()).await;
        patient(far.read_exact(&mut got)).await;
        assert_eq!(got, [round; 24]);
        patient(far.write_all(&got)).await;
        patient(far.flush()).await;
        patient(near.read_exact(&mut got)).await;
    }
}

async fn flood(link: Link) -> io::Result<()> {
    match link {
        Link::Bytes(mut link) => loop {
            link.write_all(&[7; 16_384]).await?;
        },
        Link::Datagrams(mut link) => loop {
            send(&mut *link, &[7; 512]).await?;
            tokio::task::consume_budget().await;
        },
    }
}

async fn drain(link: Link, drained: Arc<AtomicUsize>) -> io::Result<()> {
    match link {
        Link::Bytes(mut link) => {
            let mut buf = vec![0; 16_384];
            loop {
                match link.read(&mut buf).await? {
                    0 => return Ok(()),
                    n => drained.fetch_add(n, Ordering::Relaxed),
                };
            }
        }
        Link::Datagrams(mut link) => loop {
            let datagram = receive(&mut *link, 1024).await?;
            drained.fetch_add(datagram.len(), Ordering::Relaxed);
            tokio::task::consume_budget().await;
        },
    }
}

/// One that connects and says nothing is in nobody's way.
///
/// # Panics
/// If it is not so.
pub async fn a_silent_client_delays_nobody(subject: &Subject) {
    // behaviour: EV-24
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let contact = acceptor.contact();
    let _silent = patient(subject.dialler.connect(&contact, None)).await;
    let mut near = patient(subject.dialler.connect(&contact, None)).await;
    match &mut near {
        Link::Bytes(near) => {
            // Nobody reads from the first: accepting is not reading.
            let _first = accepted(&mut *acceptor).await;
            let mut far = bytes(accepted(&mut *acceptor).await);
            answered(&mut **near, &mut *far, 1).await;
        }
        Link::Datagrams(_) => {
            let kind = subject.dialler.characteristics_at(&subject.here);
            let _first = match kind.reliable {
                true => Some(accepted(&mut *acceptor).await),
                false => None,
            };
            let far = introduce(&mut near, &mut *acceptor).await;
            told(&mut *datagrams(far), &mut *datagrams(near), b"?").await;
        }
    }
}
