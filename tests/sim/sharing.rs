//! Sessions that make way for one another, and rates that hold.

use mancom::stream::{ReadHalf, WriteHalf};
use mancom::{ConnectError, Label, ListenError, Manager, McStream};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::line;
use crate::support::{Outcome, cellular, millis, secs, sent_over, soon, wifi, world};

/// Both ends of a session of this priority; the listener stays.
async fn ranked(manager: &Manager, at: &str, label: Label, priority: i8) -> (McStream, McStream) {
    let listener = manager.listen(at).priority(priority).await.unwrap();
    let connect = manager.connect(at).label(label).priority(priority);
    let near = connect.await.unwrap();
    let far = listener.accept().await.unwrap();
    (near, far)
}

/// Writes without end.
fn pour(mut to: impl AsyncWrite + Unpin + Send + 'static) {
    tokio::spawn(async move {
        let bytes = vec![7; 16 << 10];
        while to.write_all(&bytes).await.is_ok() {}
    });
}

/// Reads so many bytes; when the last came.
fn drink(mut from: McStream, total: usize) -> JoinHandle<(Instant, McStream)> {
    tokio::spawn(async move {
        let mut bytes = vec![0; total];
        from.read_exact(&mut bytes).await.unwrap();
        (Instant::now(), from)
    })
}

/// The most bytes within any second, of those counted at these moments.
fn most_in_a_second(counted: &[(Instant, u64)]) -> u64 {
    let within = |(end, (at, bytes)): (usize, &(Instant, u64))| {
        let before = counted[..end].iter().rev();
        let first = before.take_while(|(then, _)| *at - *then < secs(1)).last();
        bytes - first.map_or(*bytes, |(_, bytes)| *bytes)
    };
    counted.iter().enumerate().map(within).max().unwrap_or(0)
}

// behaviour: P4
#[mancom::test]
async fn a_session_of_more_priority_goes_first() -> Outcome {
    const BYTES: usize = 2 << 20;
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let (mut low, low_far) = ranked(&manager, "mem://low", Label::ANY, 0).await;
    let (mut high, high_far) = ranked(&manager, "mem://high", Label::ANY, 1).await;
    let bytes = vec![7; BYTES];
    low.write_all(&bytes).await?;
    high.write_all(&bytes).await?;
    let (first, second) = (drink(high_far, BYTES), drink(low_far, BYTES));
    let (first, _high) = soon(secs(10), "the first", first).await.unwrap();
    let went = sent_over(&low, "wlan0");
    assert!(went < BYTES as u64 / 4, "{went} of the other's went before");
    let (second, _low) = soon(secs(10), "the second", second).await.unwrap();
    assert!(second > first + millis(400), "one after the other");
    Ok(())
}

// behaviour: P4 P3
#[mancom::test]
async fn priority_is_no_urgency_and_starves_nobody_for_long() -> Outcome {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let (bulk, bulk_far) = ranked(&manager, "mem://bulk", Label::BACKGROUND, 100).await;
    let (other, mut other_far) = ranked(&manager, "mem://other", Label::BACKGROUND, -1).await;
    let (mut talk, mut talk_far) = ranked(&manager, "mem://talk", Label::INTERACTIVE, -100).await;
    pour(bulk);
    pour(other);
    sink(bulk_far.into_split().0);
    for turn in 0..20_u8 {
        talk.write_all(&[turn]).await?;
        let began = Instant::now();
        assert_eq!(talk_far.read_u8().await?, turn);
        assert!(began.elapsed() < millis(30), "{:?}", began.elapsed());
        sleep(millis(100)).await;
    }
    for _ in 0..4 {
        let mut bytes = [0; 4 << 10];
        let some = other_far.read(&mut bytes);
        assert!(soon(secs(6), "a chunk", some).await? > 0);
    }
    Ok(())
}

// behaviour: P3 P5
#[mancom::test]
async fn background_moves_every_five_seconds_under_a_rate_that_others_use_up() -> Outcome {
    for (nth, hot) in [Label::ANY, Label::INTERACTIVE].into_iter().enumerate() {
        let (manager, networks, _) = world().await;
        networks.up(wifi());
        let at = format!("mem://rate{nth}");
        let listener = manager.listen(&at).await?;
        let near = manager.connect(&at).label(hot).rate_limit(200_000).await?;
        let far = listener.accept().await?;
        let (session, peer) = (near.session(), far.session());
        pour(near);
        sink(far.into_split().0);
        sleep(secs(1)).await;
        let mut background = session.open(Label::BACKGROUND).await?;
        background.write_all(&vec![7; 500_000]).await?;
        let mut arriving = peer.accept().await?;
        let mut bytes = vec![0; 64 << 10];
        for _ in 0..3 {
            let some = arriving.read(&mut bytes);
            assert!(soon(secs(8), "a chunk", some).await? > 0, "beside {hot}");
        }
    }
    Ok(())
}

// behaviour: P4 P3
#[mancom::test]
async fn every_urgency_that_priority_holds_back_moves_at_least_every_five_seconds() -> Outcome {
    for (nth, label) in [Label::INTERACTIVE, Label::ANY].into_iter().enumerate() {
        let (manager, networks, _) = world().await;
        networks.up(wifi());
        let (bulk, bulk_far) = ranked(&manager, &format!("mem://bulk{nth}"), label, 1).await;
        pour(bulk);
        sink(bulk_far.into_split().0);
        sleep(millis(500)).await;
        let (mut low, mut far) = ranked(&manager, &format!("mem://low{nth}"), label, 0).await;
        for turn in 0..3_u8 {
            let began = Instant::now();
            low.write_all(&[turn]).await?;
            assert_eq!(soon(secs(6), "a byte", far.read_u8()).await?, turn);
            assert!(began.elapsed() > secs(4), "it was held back");
        }
        let session = low.session();
        let id = session.send(label, "a message").await?;
        soon(secs(6), "a message", session.delivered(id)).await?;
    }
    Ok(())
}

/// Reads without end, in a task that is never in haste.
fn sink(mut from: ReadHalf) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 << 10];
        while from.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
    })
}

/// The most bytes of this bulk that were sent and not acknowledged: before another session talks, beside
/// it, and after it.
async fn busiest(bulk: Label) -> Result<[u64; 3], mancom::Error> {
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let (bulk, bulk_far) = ranked(&manager, "mem://bulk", bulk, 0).await;
    let (mut talk, mut talk_far) = ranked(&manager, "mem://talk", Label::INTERACTIVE, 0).await;
    let (stats, bulk) = bulk.into_split();
    pour(bulk);
    sink(bulk_far.into_split().0);
    let mut busiest = [0, 0, 0];
    for (phase, most) in busiest.iter_mut().enumerate() {
        // Begun with, talk ends six seconds after its last word.
        sleep(secs(7)).await;
        for turn in 0..40_u8 {
            if phase == 1 {
                talk.write_all(&[turn]).await?;
                assert_eq!(talk_far.read_u8().await?, turn);
            }
            sleep(millis(50)).await;
            // What was planned before the first word may still be on its way.
            if turn > 20 {
                let stats = stats.stats();
                let sent: u64 = stats.networks.iter().map(|n| n.bytes.payload_sent).sum();
                *most = sent.saturating_sub(stats.acknowledged).max(*most);
            }
        }
    }
    Ok(busiest)
}

/// What the network holds, and what is there and not acknowledged yet.
const PIPE: u64 = 50_000 + 20_000;

// behaviour: I8 P2
#[mancom::test]
async fn background_makes_way_for_another_sessions_interactive_traffic() -> Outcome {
    let [before, during, after] = busiest(Label::BACKGROUND).await?;
    let all = [before, during, after];
    // A few milliseconds more; and half a round trip while nobody talks, for somebody may begin to.
    assert!(during <= PIPE + 10_000, "{all:?}");
    for quiet in [before, after] {
        assert!(quiet > during + 10_000, "{all:?}");
        assert!(quiet <= PIPE + 32_000, "{all:?}");
    }
    Ok(())
}

// behaviour: P2
#[mancom::test]
async fn default_bulk_keeps_its_queue_short_while_another_session_talks() -> Outcome {
    let [before, during, after] = busiest(Label::ANY).await?;
    let all = [before, during, after];
    // Half a round trip, and a quarter more when it is tried whether the network carries that.
    assert!(during > PIPE && during <= PIPE + 60_000, "{all:?}");
    for quiet in [before, after] {
        assert!(
            quiet > during + 25_000,
            "{all:?}: as much as the link takes"
        );
    }
    Ok(())
}

// behaviour: I6 I8 P2
#[mancom::test]
async fn a_backup_fills_both_networks_beside_a_conversation() -> Outcome {
    let (manager, networks, _) = world().await;
    let slow = cellular().rtt(millis(80)).up(4_000_000).down(4_000_000);
    networks.up(wifi());
    networks.up(slow.metered(false));
    let (bulk, bulk_far) = ranked(&manager, "mem://both", Label::BACKGROUND, 0).await;
    let mut talk = bulk.session().open(Label::INTERACTIVE).await?;
    talk.write_all(&[0]).await?;
    let mut talk_far = bulk_far.session().accept().await?;
    tokio::spawn(async move {
        while let Ok(word) = talk_far.read_u8().await {
            talk_far.write_all(&[word]).await.unwrap();
        }
    });
    talk.read_u8().await?;
    sink(bulk_far.into_split().0);
    let (stats, bulk) = bulk.into_split();
    pour(bulk);
    let sent = |name| {
        let networks = stats.stats().networks;
        let of = networks.iter().filter(|n| n.name.as_deref() == Some(name));
        of.map(|n| n.bytes.payload_sent).sum::<u64>()
    };
    // Three seconds are for finding out.
    sleep(secs(3)).await;
    let before = ["wlan0", "wwan0"].map(sent);
    let (began, mut took) = (Instant::now(), Vec::new());
    for turn in 0..20_u8 {
        let asked = Instant::now();
        talk.write_all(&[turn]).await?;
        assert_eq!(talk.read_u8().await?, turn);
        took.push(asked.elapsed());
        sleep(millis(200)).await;
    }
    let time = began.elapsed().as_secs_f64();
    for ((name, rate), before) in [("wlan0", 2.5e6), ("wwan0", 5e5)].into_iter().zip(before) {
        let share = (sent(name) - before) as f64 / time / rate;
        assert!(share > 0.9, "{share} of {name}");
    }
    took.sort_unstable();
    assert!(took[10] <= millis(24), "{took:?}");
    Ok(())
}

// behaviour: P5
#[mancom::test]
async fn a_rate_holds_over_any_second_also_for_what_is_sent_again() -> Outcome {
    const RATE: u64 = 200_000;
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    let listener = manager.listen("mem://slow").await?;
    let near = manager.connect("mem://slow").rate_limit(RATE).await?;
    sink(listener.accept().await?.into_split().0);
    let (stats, near) = near.into_split();
    pour(near);
    let began = Instant::now();
    let mut counted = Vec::new();
    while began.elapsed() < secs(12) {
        sleep(millis(5)).await;
        let stats = stats.stats().networks;
        let of = stats
            .iter()
            .map(|n| n.bytes.payload_sent + n.bytes.payload_resent);
        counted.push((Instant::now(), of.sum()));
        // What is written into the silence has to go again.
        if counted.len() == 950 {
            networks.stall("wlan0", true);
        }
        if counted.len() == 1_000 {
            networks.down("wlan0");
            networks.up(cellular());
        }
    }
    let (_, total) = *counted.last().unwrap();
    assert!(most_in_a_second(&counted) <= RATE);
    assert!(total > 9 * RATE, "{total}");
    let again: u64 = stats
        .stats()
        .networks
        .iter()
        .map(|n| n.bytes.payload_resent)
        .sum();
    assert!(again > 0, "the loss was to cost something");
    Ok(())
}

// behaviour: P5
#[mancom::test]
async fn a_rate_too_low_for_a_frame_is_raised_and_none_at_all_is_refused() -> Outcome {
    const LEAST: u64 = 1_000;
    const BYTES: usize = 3_000;
    let (manager, networks, _) = world().await;
    networks.up(wifi());
    for asked in [1, 16, LEAST] {
        let at = format!("mem://least{asked}");
        let listener = manager.listen(&at).rate_limit(asked).await?;
        let mut near = manager.connect(&at).rate_limit(asked).await?;
        let mut far = listener.accept().await?;
        let begun = Instant::now();
        far.write_all(&[7; BYTES]).await?;
        near.write_all(&[7; BYTES]).await?;
        let (first, second) = (drink(far, BYTES), drink(near, BYTES));
        let (there, _far) = soon(secs(10), "all of it", first).await.unwrap();
        let (back, near) = soon(secs(10), "all of it", second).await.unwrap();
        for at in [there, back] {
            assert!(at - begun > secs(2), "{:?} at {asked}", at - begun);
        }
        let session = near.session();
        let id = session.send(Label::ANY, "a message").await?;
        soon(secs(5), "a message", session.delivered(id)).await?;
    }
    let refused = manager.connect("mem://least1").rate_limit(0).await;
    assert!(matches!(refused, Err(ConnectError::NoRate)), "{refused:?}");
    let refused = manager.listen("mem://none").rate_limit(0).await;
    assert!(matches!(refused, Err(ListenError::NoRate)), "refused");
    Ok(())
}

// behaviour: P5
#[mancom::test]
async fn a_rate_holds_on_the_way_to_a_server_that_knows_nothing_of_it() -> Outcome {
    const RATE: u64 = 50_000;
    let (manager, networks, _) = line::world().await;
    networks.up(wifi());
    let listener = manager.listen("line://server").rate_limit(2 * RATE).await?;
    let connect = manager
        .connect("line://server")
        .rate_limit(RATE)
        .into_future();
    let (near, far) = tokio::join!(connect, listener.accept());
    let rates = [RATE, 2 * RATE];
    for (rate, (from, to)) in rates.into_iter().zip(both_ways(near?, far?)) {
        pour(from);
        let mut to = to;
        let (began, mut counted, mut total) = (Instant::now(), Vec::new(), 0);
        let mut bytes = vec![0; 64 << 10];
        while began.elapsed() < secs(10) {
            total += to.read(&mut bytes).await? as u64;
            counted.push((Instant::now(), total));
        }
        assert!(most_in_a_second(&counted) <= rate);
        assert!(total > 9 * rate, "{total} at {rate}");
    }
    Ok(())
}

fn both_ways(near: McStream, far: McStream) -> [(WriteHalf, ReadHalf); 2] {
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    [(near_writes, far_reads), (far_writes, near_reads)]
}
