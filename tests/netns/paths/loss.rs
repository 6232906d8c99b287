//! Networks that go, fall silent or flap while several carry.

use super::{carried_by, joined};
use crate::isolation::{Case, cases};
use crate::lab::{Direction, Lab, Link, join};
use crate::transfer::{By, Load, MIB, Transfer};
use crate::waiting::lasting;
use crate::world::{PATIENCE, SERVER, World, serve_echo};
use mancom::stream::PathEvent;
use mancom::{Label, Manager};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const CASES: &[Case] = cases![paths:
    an_upload_survives_each_cut_of_each_network,
    a_download_survives_each_cut_of_each_network,
    messages_survive_each_cut_of_each_network,
    an_upload_survives_the_silence_of_each_network,
    a_download_survives_the_silence_of_each_network,
    messages_survive_the_silence_of_each_network,
    a_download_waits_while_both_networks_are_gone_or_silent,
    messages_wait_while_both_networks_are_gone_or_silent,
    a_question_after_idle_silence_is_answered_by_the_other_network,
    a_network_that_flaps_is_joined_less_and_less_often,
    a_soak_of_cuts_flaps_and_silence_loses_nothing,
];

/// The longest that nothing may arrive while one network of two is well, on a loaded machine.
const GAP: Duration = Duration::from_secs(2);
/// How long a session says nothing before its network falls silent.
const IDLE: Duration = Duration::from_millis(300);

/// What happens to a network, and what undoes it.
pub(super) type Trouble = (&'static str, fn(&Link), fn(&Link));

pub(super) const CUTS: [Trouble; 4] = [
    ("admin down", Link::down, Link::up),
    ("carrier lost", Link::lose_carrier, Link::regain_carrier),
    (
        "address removed",
        Link::remove_address,
        Link::restore_address,
    ),
    ("deleted", Link::delete, Link::make),
];

pub(super) const SILENCES: [Trouble; 3] = [
    ("silent", |link| link.silence(Direction::Both), Link::heal),
    (
        "silent upwards",
        |link| link.silence(Direction::Outgoing),
        Link::heal,
    ),
    (
        "silent downwards",
        |link| link.silence(Direction::Incoming),
        Link::heal,
    ),
];

// behaviour: S1, S3
fn an_upload_survives_each_cut_of_each_network() {
    survives(By::Up, &CUTS);
}

// behaviour: S1, S3
fn a_download_survives_each_cut_of_each_network() {
    survives(By::Down, &CUTS);
}

// behaviour: I3, I4
fn messages_survive_each_cut_of_each_network() {
    survives(By::Messages, &CUTS);
}

// behaviour: S10, I11
fn an_upload_survives_the_silence_of_each_network() {
    survives(By::Up, &SILENCES);
}

// behaviour: S10, I11
fn a_download_survives_the_silence_of_each_network() {
    survives(By::Down, &SILENCES);
}

// behaviour: S10, I11, I4
fn messages_survive_the_silence_of_each_network() {
    survives(By::Messages, &SILENCES);
}

fn survives(by: By, troubles: &[Trouble]) {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "20mbit"]);
    let transfer = Transfer::of(&world, Load::endless(by, Label::ANY));
    let mut gaps = Vec::new();
    for &(what, cut, mend) in troubles {
        for (name, link) in [("wlan0", &world.wifi), ("wwan0", &world.cellular)] {
            bring_both(&transfer, &world);
            transfer.longest_gap();
            cut(link);
            transfer.advances(MIB);
            let gap = transfer.longest_gap();
            println!("{by:?}, {name} {what}: nothing arrived for {gap:?}");
            gaps.push((gap, name, what));
            mend(link);
        }
    }
    assert_open(&transfer);
    transfer.stop();
    let worst = gaps.iter().max().unwrap();
    assert!(worst.0 < GAP, "{worst:?}");
}

/// Waits until both networks carry.
fn bring_both(transfer: &Transfer, world: &World) {
    let begin = Instant::now();
    loop {
        let before = super::Sent::by_client(world);
        let theirs = super::Sent::by_server(world);
        transfer.advances(MIB / 2);
        let sent = super::Sent::by_client(world).since(before);
        let back = super::Sent::by_server(world).since(theirs);
        let least = (sent.wifi + back.wifi).min(sent.cellular + back.cellular);
        if least > MIB / 32 {
            return;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "only one network carries: {sent:?}, {back:?}"
        );
    }
}

fn assert_open(transfer: &Transfer) {
    let is_end = |event: &PathEvent| matches!(event, PathEvent::Closed { .. });
    assert!(!transfer.events().iter().any(is_end), "no session is lost");
}

// behaviour: S1, S3
fn a_download_waits_while_both_networks_are_gone_or_silent() {
    waits_for_any(By::Down);
}

// behaviour: S1, I4
fn messages_wait_while_both_networks_are_gone_or_silent() {
    waits_for_any(By::Messages);
}

/// What is left of both goes, and one comes back; each in turn.
fn waits_for_any(by: By) {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "20mbit"]);
    let transfer = Transfer::of(&world, Load::endless(by, Label::ANY));
    let links = [&world.wifi, &world.cellular];
    for (turn, (what, cut, mend)) in [CUTS[0], SILENCES[0], CUTS[2]].into_iter().enumerate() {
        bring_both(&transfer, &world);
        for link in links {
            cut(link);
        }
        transfer.falls_still(Duration::from_secs(1));
        let stopped = transfer.received();
        lasting(Duration::from_secs(1));
        assert_eq!(transfer.received(), stopped, "{what}: no network, no bytes");
        let begin = Instant::now();
        mend(links[turn % 2]);
        transfer.advances(MIB / 4);
        println!("{by:?}, both {what}: goes on after {:?}", begin.elapsed());
        mend(links[1 - turn % 2]);
    }
    assert_open(&transfer);
    transfer.stop();
}

// behaviour: I11
fn a_question_after_idle_silence_is_answered_by_the_other_network() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "20mbit"]);
    serve_echo(&world.server, SERVER);
    let facts = world.facts.path();
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
    let (tell, told) = mpsc::channel();
    let client = world
        .client
        .spawn_async(move || questions(facts, asked, tell));
    let mut worst = Duration::ZERO;
    for (what, cut, mend) in SILENCES {
        for (name, link) in [("wlan0", &world.wifi), ("wwan0", &world.cellular)] {
            told.recv_timeout(PATIENCE)
                .expect("both networks are joined");
            cut(link);
            ask.send(()).unwrap();
            let took = told.recv_timeout(PATIENCE).expect("an answer");
            println!("{name} {what}: answered after {took:?}");
            worst = worst.max(took);
            mend(link);
            ask.send(()).unwrap();
        }
    }
    drop(ask);
    join(client);
    assert!(worst < Duration::from_secs(1) + GAP, "{worst:?}");
}

/// Says when both networks are joined; asks when told to, says how long it took, and is told when the
/// network is well again.
async fn questions(facts: PathBuf, mut go: UnboundedReceiver<()>, tell: mpsc::Sender<Duration>) {
    let manager = Manager::builder().config_file(facts).build().await.unwrap();
    let connect = manager
        .connect(SERVER)
        .label(Label::INTERACTIVE)
        .plaintext();
    let mut stream = connect.within(PATIENCE).await.unwrap();
    loop {
        carried_by(&stream.session(), &["wlan0", "wwan0"]).await;
        tokio::time::sleep(IDLE).await;
        if tell.send(Duration::ZERO).is_err() || go.recv().await.is_none() {
            break;
        }
        let begin = Instant::now();
        stream.write_all(&[7; 128]).await.unwrap();
        stream.read_exact(&mut [0; 128]).await.unwrap();
        tell.send(begin.elapsed()).unwrap();
        go.recv().await.unwrap();
    }
    stream.shutdown().await.unwrap();
    drop(stream);
    manager.shutdown(PATIENCE).await.unwrap();
}

// behaviour: S7
fn a_network_that_flaps_is_joined_less_and_less_often() {
    let lab = Lab::new();
    let world = World::free(&lab, ["40mbit", "20mbit"]);
    let transfer = Transfer::of(&world, Load::endless(By::Up, Label::ANY));
    transfer.advances(MIB);
    let before = joined(&transfer, "wlan0");
    // Flapping at 1 Hz for as long as it takes to tell.
    let [second, up] = [1_000, 900].map(Duration::from_millis);
    let begin = Instant::now();
    for turn in 0..20 {
        let due = begin + second * turn;
        lasting(due.saturating_duration_since(Instant::now()));
        world.wifi.down();
        let due = due + second - up;
        lasting(due.saturating_duration_since(Instant::now()));
        world.wifi.up();
    }
    let flapped = joined(&transfer, "wlan0") - before;
    let steady = joined(&transfer, "wwan0");
    println!(
        "joined {flapped} times in {:?}, the steady one {steady}",
        begin.elapsed()
    );
    assert!(flapped <= 6, "joined {flapped} times");
    assert_eq!(steady, 1, "the steady one was left alone");
    assert_open(&transfer);
    transfer.stop();
}

/// Each trouble on each network; `MANCOM_SOAK=1GiB` makes it long: trouble every 2 s instead of every
/// 700 ms, until so much was moved.
// behaviour: S3
fn a_soak_of_cuts_flaps_and_silence_loses_nothing() {
    const KINDS: usize = CUTS.len() + SILENCES.len() + 1;
    let lab = Lab::new();
    let soak = crate::isolation::soak();
    let (load, every, rate) = match soak {
        Some(total) => {
            let load = Load::new(By::Up, Label::ANY, total);
            (load, Duration::from_secs(2), "40mbit")
        }
        None => {
            let load = Load::endless(By::Up, Label::ANY);
            (load, Duration::from_millis(700), "20mbit")
        }
    };
    let world = World::free(&lab, [rate, rate]);
    let transfer = Transfer::of(&world, load);
    transfer.advances(MIB);
    let begin = Instant::now();
    let mut troubles = 0;
    let is_over = |troubles| match soak {
        Some(total) => transfer.received() >= total - total / 32 || transfer.is_finished(),
        None => troubles == 2 * KINDS,
    };
    while !is_over(troubles) {
        let link = [&world.wifi, &world.cellular][troubles % 2];
        // Another kind whenever both links have had this one; the eighth is a flap.
        let kind = troubles / 2 % KINDS;
        let trouble = match CUTS.iter().chain(&SILENCES).nth(kind) {
            Some(&(_, cut, mend)) => vec![(cut, every / 2, mend)],
            None => vec![(CUTS[0].1, every / 8, CUTS[0].2); 2],
        };
        for (cut, lasts, mend) in trouble {
            cut(link);
            lasting(lasts);
            mend(link);
            lasting(every / 8);
        }
        troubles += 1;
        let next = begin + every * troubles as u32;
        lasting(next.saturating_duration_since(Instant::now()));
        assert!(
            begin.elapsed() < crate::isolation::limit(),
            "at {} bytes",
            transfer.received()
        );
    }
    let (gap, took) = (transfer.longest_gap(), begin.elapsed());
    let moved = transfer.received();
    let rate = moved as f64 * 8.0 / took.as_secs_f64() / 1e6;
    let joins = [joined(&transfer, "wlan0"), joined(&transfer, "wwan0")];
    println!(
        "{moved} bytes in {took:.1?}, {rate:.1} Mbit/s; {troubles} troubles, joined {joins:?} times; the longest silence {gap:?}"
    );
    assert_open(&transfer);
    match soak {
        Some(_) => transfer.end(),
        None => transfer.stop(),
    }
    assert!(troubles > 10, "{troubles} troubles");
    assert!(gap < 2 * GAP, "nothing arrived for {gap:?}");
}
