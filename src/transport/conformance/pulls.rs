//! Pull schedules: honoured by who pulls, and nothing to anybody else.

use super::tools::{datagrams, listening, meet, patient, receive, told};
use super::{Column, Subject};
use crate::proto::pull::PullSchedule;
use crate::transport::{Link, Registry};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Of one period; a window is its second half.
const PERIOD: Duration = Duration::from_millis(200);

pub(super) async fn check(subject: &Subject, column: &mut Column) {
    let kind = subject.dialler.characteristics_at(&subject.here);
    // Who is registered after the schedule was installed gets it too.
    let mut registry = Registry::new();
    let base = Instant::now();
    let schedule = PullSchedule::new(base.into_std(), PERIOD, [PERIOD / 2..PERIOD]);
    registry.install_pull_schedule(schedule.ok());
    registry.register(Arc::clone(&subject.listener));
    if kind.pull_schedule {
        holds_a_pull_until_the_next_opening(subject, base).await;
        column.proved([27, 28, 29]);
    } else {
        goes_on_as_ever(subject).await;
        column.proved([29]);
        for number in [27, 28] {
            column.not_applicable(
                number,
                "what arrives comes by itself: there is nothing to schedule",
            );
        }
    }
    registry.install_pull_schedule(None);
    goes_on_as_ever(subject).await;
}

/// Whoever has no use for a schedule is not disturbed by one.
async fn goes_on_as_ever(subject: &Subject) {
    // behaviour: EV-29
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    match meet(subject, &mut *acceptor).await {
        (Link::Bytes(mut near), Link::Bytes(mut far)) => {
            patient(near.write_all(b"!")).await;
            patient(near.flush()).await;
            patient(far.read_exact(&mut [0; 1])).await;
        }
        (near, far) => told(&mut *datagrams(near), &mut *datagrams(far), b"!").await,
    }
}

/// In each of three periods what arrives before the window is read when it opens, and within it at once.
async fn holds_a_pull_until_the_next_opening(subject: &Subject, base: Instant) {
    // behaviour: EV-27, EV-28
    let mut acceptor = listening(&*subject.listener, &subject.here).await;
    let (mut near, mut far) = meet(subject, &mut *acceptor).await;
    // From the beginning of a period that has not begun, for what came before took its time.
    let gone = base.elapsed().as_nanos() / PERIOD.as_nanos();
    let began = base + PERIOD * (u32::try_from(gone).unwrap_or(u32::MAX) + 1);
    for period in 0..3 {
        let began = began + PERIOD * period;
        tokio::time::sleep_until(began + PERIOD / 8).await;
        patient(write(&mut near)).await;
        patient(read(&mut far)).await;
        let opened = Instant::now();
        assert!(opened >= began + PERIOD / 2, "before the window opened");
        patient(write(&mut near)).await;
        patient(read(&mut far)).await;
        // On a loaded machine the window may be over by then.
        let took = opened.elapsed();
        assert!(
            took < PERIOD / 4 || took >= PERIOD / 2,
            "held inside the window"
        );
    }
}

async fn write(link: &mut Link) -> io::Result<()> {
    match link {
        Link::Bytes(link) => {
            link.write_all(b"!").await?;
            link.flush().await
        }
        Link::Datagrams(link) => super::tools::send(&mut **link, b"!").await,
    }
}

async fn read(link: &mut Link) -> io::Result<()> {
    match link {
        Link::Bytes(link) => link.read_exact(&mut [0; 1]).await.map(drop),
        Link::Datagrams(link) => receive(&mut **link, 8).await.map(drop),
    }
}
