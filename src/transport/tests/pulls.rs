//! Pull schedules over memory, to the millisecond.

use super::super::memory::tests::unsimulated;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// Both ends of a connection, each of its own transport object.
async fn ends() -> ((Memory, Box<dyn ByteLink>), (Memory, Box<dyn ByteLink>)) {
    let (dialler, listener) = unsimulated();
    let at = endpoint("mem://pulled");
    let mut acceptor = listener.listen(&at, None).await.expect("a free name");
    let near = dialler.connect(&at, None).await.expect("a listener");
    let far = accepted(&mut *acceptor).await.expect("a link");
    ((dialler, byte_link(near)), (listener, byte_link(far)))
}

/// Of each second the first tenth and the second half.
fn schedule(base: Instant) -> Option<Arc<PullSchedule>> {
    let windows = [500 * MS..1000 * MS, Duration::ZERO..100 * MS];
    let schedule = PullSchedule::new(base.into_std(), 1000 * MS, windows);
    Some(Arc::new(schedule.expect("a schedule")))
}

#[tokio::test(start_paused = true)]
async fn a_pull_is_held_until_the_next_opening_in_every_period() {
    // behaviour: EV-27, EV-28
    let ((_, mut near), (pulling, mut far)) = ends().await;
    let base = Instant::now();
    pulling.install_pull_schedule(schedule(base).as_ref());
    for period in 0..3 {
        let began = base + 1000 * MS * period;
        for (asked, read) in [(50, 50), (100, 500), (700, 700), (999, 999)] {
            tokio::time::sleep_until(began + asked * MS).await;
            near.write_all(b"!").await.expect("room");
            far.read_exact(&mut [0; 1]).await.expect("a connection");
            assert_eq!(
                Instant::now() - began,
                read * MS,
                "period {period}, at {asked} ms"
            );
        }
    }
    // Its own links alone: the other end reads as ever.
    tokio::time::sleep_until(base + 3200 * MS).await;
    far.write_all(b"?").await.expect("room");
    near.read_exact(&mut [0; 1]).await.expect("a connection");
    assert_eq!(Instant::now() - base, 3200 * MS);
}

#[tokio::test(start_paused = true)]
async fn another_schedule_or_none_frees_who_waits() {
    // behaviour: EV-25, EV-27
    let ((_, mut near), (pulling, mut far)) = ends().await;
    let base = Instant::now();
    pulling.install_pull_schedule(schedule(base).as_ref());
    near.write_all(b"!").await.expect("room");
    drop(near);
    tokio::time::sleep(200 * MS).await;
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let read = far.read_to_end(&mut all).await;
        (read.expect("a connection"), Instant::now())
    });
    tokio::time::sleep(MS).await;
    // What is no schedule cannot be installed, and the old one stays.
    assert!(PullSchedule::new(base.into_std(), 10 * MS, [5 * MS..11 * MS]).is_err());
    tokio::time::sleep(99 * MS).await;
    assert!(!reading.is_finished());
    pulling.install_pull_schedule(schedule(base + 50 * MS).as_ref());
    tokio::time::sleep(MS).await;
    assert!(!reading.is_finished(), "the new one is closed too");
    pulling.install_pull_schedule(None);
    let (read, at) = reading.await.expect("no panic");
    assert_eq!((read, at - base), (1, 301 * MS));
}

#[tokio::test(start_paused = true)]
async fn who_is_registered_later_gets_the_schedule_and_who_does_not_pull_is_left_alone() {
    // behaviour: EV-29
    let base = Instant::now();
    let mut registry = Registry::new();
    registry.register(Arc::new(Tcp::new()));
    let windows = [500 * MS..600 * MS];
    let schedule = PullSchedule::new(base.into_std(), 1000 * MS, windows).expect("a schedule");
    registry.install_pull_schedule(Some(schedule));
    registry.register(Arc::new(unsimulated().0));
    let memory = registry.get("mem").expect("registered");
    let at = endpoint("mem://later");
    let mut acceptor = memory.listen(&at, None).await.expect("a free name");
    let mut near = byte_link(memory.connect(&at, None).await.expect("a listener"));
    let mut far = byte_link(accepted(&mut *acceptor).await.expect("a link"));
    near.write_all(b"!").await.expect("room");
    far.read_exact(&mut [0; 1]).await.expect("a connection");
    assert_eq!(base.elapsed(), 500 * MS);
    assert!(
        !registry
            .get("tcp")
            .expect("registered")
            .characteristics()
            .pull_schedule
    );
}
