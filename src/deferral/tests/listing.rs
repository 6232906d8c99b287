//! What waits, as others see it: lists, counts, logs.

use super::*;

// behaviour: X1
#[tokio::test(start_paused = true)]
async fn everything_of_a_waiting_operation_is_listed() {
    let world = World::new();
    let bell = Bell::new();
    let want = Want {
        deadline: crate::clock::Clock::deadline(Duration::from_secs(60)),
        relax: Some((Duration::from_secs(20), cellular())),
        priority: 3,
        destination: Destination::Name,
        ..Want::new(wifi())
    };
    let operation = Operation::named("connect");
    let mut wait = world.registry.wait(want, &operation);
    assert!(bell.poll(&mut wait).is_pending());
    tokio::time::advance(Duration::from_secs(15)).await;
    let listed = &world.registry.pending()[0];
    assert_eq!((listed.id, listed.kind), (operation.id(), "connect"));
    assert_eq!((listed.label, listed.first), (wifi(), None));
    assert_eq!(listed.destination, Destination::Name);
    assert!(near(listed.age, Duration::from_secs(15)));
    assert!(near(listed.deadline.unwrap(), Duration::from_secs(45)));
    let (after, looser) = listed.relax.expect("it will");
    assert!(near(after, Duration::from_secs(5)));
    assert_eq!(looser, cellular());
    assert_eq!(listed.priority, 3);
    let blocked = listed.blocked.as_ref().expect("it says why");
    assert_eq!((blocked.label, blocked.waited), (wifi(), None));
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.settled().await;
    let listed = &world.registry.pending()[0];
    assert_eq!((listed.label, listed.first), (cellular(), Some(wifi())));
    assert_eq!(listed.relax, None);
}

// behaviour: X1
#[tokio::test(start_paused = true)]
async fn one_explanation_serves_a_label_and_destination() {
    let world = World::new();
    let bell = Bell::new();
    let mut waiting: Vec<_> = [wifi(), wifi(), cellular()]
        .map(|label| world.matching(label).into_future())
        .into();
    for op in &mut waiting {
        assert!(bell.poll(op).is_pending());
    }
    world.up(Network::ethernet("eth0"));
    world.settled().await;
    let before = judged();
    let listed = world.registry.pending();
    assert_eq!(judged() - before, 2);
    let shared = |one: usize, other: usize| {
        let [one, other] = [one, other].map(|at| listed[at].blocked.as_ref().unwrap());
        Arc::ptr_eq(one, other)
    };
    assert!(shared(0, 1) && !shared(0, 2));
}

// behaviour: X1
#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn a_listing_leaves_no_key_out() {
    let world = World::new();
    world.registry.set_names([("photos".to_owned(), wifi())]);
    let bell = Bell::new();
    let builder = world.matching(wifi()).within(Duration::from_secs(2));
    let mut limited = builder
        .relax_after(Duration::from_secs(1), cellular())
        .into_future();
    let mut plain = world.matching(cellular()).into_future();
    assert!(bell.poll(&mut limited).is_pending());
    assert!(bell.poll(&mut plain).is_pending());
    let listed = serde_json::to_value(world.registry.pending()).expect("plain values");
    let mut first = listed[0].clone();
    let blocked = first["blocked"].take();
    assert_eq!(blocked["label"], "require=wifi");
    let millis = |time: serde_json::Value| time.as_f64().expect("a number").round();
    assert_eq!(millis(first["age_ms"].take()), 0.0);
    assert_eq!(millis(first["deadline_ms"].take()), 2000.0);
    assert_eq!(millis(first["relax"]["after_ms"].take()), 1000.0);
    let id = limited.operation().id().to_string();
    assert_eq!(
        first,
        serde_json::json!({
            "id": id, "kind": "matching", "label": "require=wifi", "name": "photos",
            "first": null, "to": "anywhere", "age_ms": null, "deadline_ms": null,
            "relax": { "after_ms": null, "label": "require=cellular" }, "priority": 0,
            "blocked": null,
        })
    );
    for key in ["name", "deadline_ms", "relax"] {
        assert!(
            listed[1][key].is_null() && listed[1].get(key).is_some(),
            "{key}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_found_by_its_number_while_it_waits() {
    let world = World::new();
    let bell = Bell::new();
    let mut op = world.matching(wifi()).into_future();
    let id = op.operation().id();
    assert!(world.registry.find(id).is_none());
    assert!(bell.poll(&mut op).is_pending());
    let found = world.registry.find(id).expect("it waits");
    found.nudge();
    assert_eq!((found.id(), bell.rung()), (id, 1));
    assert_eq!(world.registry.cancel(&found), 1);
    assert!(world.registry.find(id).is_none());
}

// behaviour: W12
#[tokio::test(start_paused = true)]
async fn a_nudge_of_all_reaches_whoever_waits() {
    let world = World::new();
    assert_eq!(world.registry.nudge_all(), 0);
    let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
    let mut waiting: Vec<_> = [wifi(), wifi(), cellular()]
        .map(|label| world.matching(label).into_future())
        .into();
    for (bell, op) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(op).is_pending());
    }
    world.registry.cancel(&waiting[0].operation());
    assert_eq!(world.registry.nudge_all(), 2);
    assert!(
        bells.iter().all(|bell| bell.rung() == 1),
        "the first by its cancel"
    );
    for (bell, op) in bells.iter().zip(&mut waiting).skip(1) {
        assert!(bell.poll(op).is_pending());
    }
    assert_eq!(world.registry.nudge_all(), 2);
}

/// A log kept in memory.
#[derive(Default, Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A wait that ends with a match, and a run that finds one; the operations, and the network.
async fn story() -> (Operation, Operation, Network) {
    let world = World::new();
    world.registry.set_names([("photos".to_owned(), wifi())]);
    let bell = Bell::new();
    let mut waiting = world.matching(wifi()).into_future();
    assert!(bell.poll(&mut waiting).is_pending());
    world.up(Network::wifi("wlan0"));
    let Poll::Ready(Ok(network)) = bell.poll(&mut waiting) else {
        panic!("it matches now");
    };
    let run = Run::new(Ok(world.registry.clone()), wifi(), |_| {
        std::future::ready(Ok::<_, crate::Error>(()))
    });
    let started = run.operation();
    run.await.unwrap();
    (waiting.operation(), started, network)
}

// behaviour: X5
#[tokio::test(start_paused = true)]
async fn a_wait_and_its_match_are_logged_with_operation_label_and_network() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _kept = tracing::subscriber::set_default(subscriber);
    // A test beside this one, without a log, may be the first at a line and have it switched off.
    story().await;
    tracing::callsite::rebuild_interest_cache();
    log.take();
    let (waited, started, network) = story().await;
    let lines = log.take();
    let label = "label=require=wifi name=\"photos\"";
    let on = format!("network={} interface=\"wlan0\"", network.id());
    let has = |all: &[&str]| {
        let fits = |line: &&String| all.iter().all(|part| line.contains(part));
        assert_eq!(lines.iter().filter(fits).count(), 1, "{all:?} {lines:?}");
    };
    let op = format!("op={} kind=\"matching\"", waited.id());
    has(&["waits for a network", &op, label]);
    has(&["matched", &op, label, &on]);
    let op = format!("op={} kind=\"run\"", started.id());
    has(&["matched", &op, label, &on]);
    has(&["work starts", &op, label, &on]);
}
