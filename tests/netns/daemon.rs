//! One scout for several processes, through link flaps and its own death.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, Link, join};
use crate::process::{Program, until};
use crate::waiting::{Lines, lasting, until_task};
use crate::world::{PATIENCE, SERVER, World, serve_echo};
use mancom::network::State;
use mancom::scout::Overrides;
use mancom::scout::daemon::Fallback;
use mancom::{Label, Manager, Scout};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const CASES: &[Case] = cases![daemon:
    a_waiting_command_outlives_the_daemon,
    a_killed_daemon_and_its_restart_lose_nothing,
    without_the_daemon_a_process_looks_for_itself;
    measure: two_processes_see_each_flap_together,
];

/// A daemon on a host, at a socket of its own.
struct Daemon {
    folder: tempfile::TempDir,
    host: Host,
    facts: PathBuf,
    running: Option<Program>,
}

impl Daemon {
    fn start(world: &World) -> Self {
        let mut daemon = Daemon {
            folder: tempfile::tempdir().unwrap(),
            host: world.client.clone(),
            facts: world.facts.path(),
            running: None,
        };
        daemon.restart();
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("scout.sock")
    }

    fn restart(&mut self) {
        let mut command = self.host.command(env!("CARGO_BIN_EXE_mancom"));
        command.arg("--config").arg(&self.facts);
        command.arg("scout").arg("--socket").arg(self.socket());
        let mut program = Program::start(&mut command, Vec::new());
        until("the daemon", PATIENCE, || {
            assert!(program.is_running(), "it ended");
            std::os::unix::net::UnixStream::connect(self.socket()).is_ok()
        });
        self.running = Some(program);
    }

    fn kill(&mut self) {
        let program = self.running.take().expect("it runs");
        program.signal("KILL");
        let finished = program.finish(PATIENCE);
        assert_eq!(finished.status.code(), None, "{}", finished.stderr);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(program) = self.running.take() {
            program.signal("TERM");
            program.finish(PATIENCE);
        }
    }
}

/// The command as a subscriber that believes the daemon and nobody else.
fn subscriber(daemon: &Daemon, arguments: &[&str]) -> Command {
    let file = daemon.folder.path().join("subscriber.toml");
    let socket = daemon.socket();
    let text = format!("[scout]\nsocket = {socket:?}\nfallback = false\n");
    // Once: another subscriber may be about to read it.
    if !file.exists() {
        std::fs::write(&file, text).unwrap();
    }
    let mut command = daemon.host.command(env!("CARGO_BIN_EXE_mancom"));
    command.arg("--config").arg(&file).args(arguments);
    command.env("XDG_RUNTIME_DIR", daemon.folder.path());
    command
}

fn subscribed(daemon: &Daemon, arguments: &[&str]) -> Program {
    Program::start(&mut subscriber(daemon, arguments), Vec::new())
}

/// What is told next of an interface by a `mancom watch --json`.
fn next_of(watching: &Lines, name: &str) -> Value {
    loop {
        let line = watching.lines.recv_timeout(PATIENCE).expect("an event");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["name"] == name {
            return event;
        }
    }
}

/// The next of `wlan0` that is no mere change must be this: at which millisecond.
fn flap(watching: &Lines, expected: &str) -> i64 {
    loop {
        let event = next_of(watching, "wlan0");
        if event["event"] != "changed" {
            assert_eq!(event["event"], expected);
            return event["time_ms"].as_i64().unwrap();
        }
    }
}

// behaviour: C1, C2
fn two_processes_see_each_flap_together() {
    const FLAPS: usize = 5;
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let daemon = Daemon::start(&world);
    let both = [0, 1].map(|_| Lines::of(subscriber(&daemon, &["watch", "--json"])));
    for watching in &both {
        flap(watching, "there");
    }
    let mut skews = Vec::new();
    for _ in 0..FLAPS {
        for (change, told) in [(Link::down as fn(&Link), "down"), (Link::up, "up")] {
            lasting(Duration::from_millis(500));
            change(&world.wifi);
            let [one, two] = both.each_ref().map(|watching| flap(watching, told));
            skews.push((one - two).abs());
        }
    }
    skews.sort_unstable();
    // The median: other tests run beside this one.
    assert!(skews[skews.len() / 2] <= 50, "{skews:?} ms");
    assert!(skews[skews.len() - 1] <= 1000, "{skews:?} ms");
}

// behaviour: W1
fn a_waiting_command_outlives_the_daemon() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    world.cellular.down();
    let mut daemon = Daemon::start(&world);
    let now = subscribed(&daemon, &["wait", "require=wifi", "--timeout", "20"]);
    let now = now.finish(PATIENCE);
    assert_eq!(now.stdout, b"wlan0\n", "{}", now.stderr);
    let mut waiting = subscribed(&daemon, &["wait", "require=cellular", "--timeout", "60"]);
    until("it waits", PATIENCE, || {
        assert!(waiting.is_running(), "it waits");
        let ops = subscribed(&daemon, &["ops", "--json"]).finish(PATIENCE);
        String::from_utf8_lossy(&ops.stdout).contains("require=cellular")
    });
    daemon.kill();
    world.cellular.up();
    lasting(Duration::from_secs(1));
    assert!(waiting.is_running(), "nobody tells it");
    daemon.restart();
    let finished = waiting.finish(PATIENCE);
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, b"wwan0\n");
}

/// A manager that believes the daemon and nobody else.
async fn manager(socket: &Path) -> Manager {
    let scout = Scout::daemon_with(socket, Overrides::new(), Fallback::None);
    Manager::builder().scout(scout).build().await.unwrap()
}

async fn says(manager: &Manager, part: &str) {
    let says = || manager.scout().source().contains(part);
    until_task(part, PATIENCE, says).await;
}

/// Waits until the client is so far.
fn next(steps: &mpsc::Receiver<&str>, expected: &str) {
    match steps.recv_timeout(PATIENCE) {
        Ok(step) => assert_eq!(step, expected),
        Err(_) => panic!("not {expected}"),
    }
}

// behaviour: W1
fn a_killed_daemon_and_its_restart_lose_nothing() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    world.cellular.down();
    serve_echo(&world.server, SERVER);
    let mut daemon = Daemon::start(&world);
    let socket = daemon.socket();
    let (step, steps) = mpsc::channel();
    let (go, mut gone) = tokio::sync::mpsc::channel::<()>(1);
    let client = world.client.spawn_async(move || async move {
        let manager = manager(&socket).await;
        let connect = manager.connect(SERVER).plaintext().within(PATIENCE);
        let mut stream = connect.await.unwrap();
        let mut echo = async |bytes: &[u8]| {
            stream.write_all(bytes).await.unwrap();
            let mut back = vec![0; bytes.len()];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(back, bytes);
        };
        echo(b"before").await;
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = starts.clone();
        let work = manager.run(Label::ANY, move |network| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!(network.name(), "wlan0");
                std::future::pending::<Result<(), mancom::Error>>().await
            }
        });
        let work = tokio::spawn(work.into_future());
        let cellular: Label = "require=cellular".parse().unwrap();
        let waiting = tokio::spawn(manager.matching(cellular).into_future());
        let id = manager.snapshot().by_name("wlan0").unwrap().id();

        step.send("connected").unwrap();
        gone.recv().await.unwrap();
        says(&manager, "reconnecting").await;
        echo(b"without a daemon").await;
        let last = manager.snapshot();
        assert_eq!(last.by_id(id).map(mancom::Network::name), Some("wlan0"));
        step.send("went on").unwrap();

        let network = tokio::time::timeout(PATIENCE, waiting).await;
        let network = network.unwrap().unwrap().unwrap();
        assert_eq!(network.name(), "wwan0");
        assert!(!manager.scout().source().contains("reconnecting"));
        echo(b"with the next daemon").await;
        assert!(manager.snapshot().by_id(id).is_some(), "the same id");
        assert_eq!(starts.load(Ordering::SeqCst), 1);
        assert!(!work.is_finished());
        work.abort();
        stream.shutdown().await.unwrap();
        manager.shutdown(PATIENCE).await.unwrap();
    });
    next(&steps, "connected");
    daemon.kill();
    go.blocking_send(()).unwrap();
    next(&steps, "went on");
    // Nobody watches now.
    world.cellular.up();
    daemon.restart();
    join(client);
}

// behaviour: C9
fn without_the_daemon_a_process_looks_for_itself() {
    let lab = Lab::new();
    let world = World::new(&lab, "200mbit");
    let mut daemon = Daemon::start(&world);
    let socket = daemon.socket();
    let (step, steps) = mpsc::channel();
    let (go, mut gone) = tokio::sync::mpsc::channel::<()>(1);
    let client = world.client.spawn_async(move || async move {
        let manager = Manager::builder().scout(Scout::daemon(socket));
        let manager = manager.build().await.unwrap();
        let matching = async |label: &str| {
            let label: Label = label.parse().unwrap();
            manager.matching(label).within(PATIENCE).await.unwrap()
        };
        let before = matching("if=wlan0").await;
        step.send("heard").unwrap();
        gone.recv().await.unwrap();
        says(&manager, "netlink (daemon ").await;
        assert_eq!(matching("if=wlan0").await.id(), before.id());
        step.send("looks").unwrap();
        gone.recv().await.unwrap();
        let mut snapshots = manager.snapshots();
        let down = snapshots.wait_for(|all| {
            all.by_name("wlan0")
                .is_some_and(|n| n.state() == State::Down)
        });
        drop(tokio::time::timeout(PATIENCE, down).await.unwrap().unwrap());
        step.send("saw it").unwrap();
        gone.recv().await.unwrap();
        let asks_it = || manager.scout().source().starts_with("daemon ");
        until_task("it asks the daemon again", PATIENCE, asks_it).await;
        assert_eq!(
            matching("if=wwan0").await.kind(),
            mancom::network::Kind::Cellular
        );
        manager.shutdown(PATIENCE).await.unwrap();
    });
    next(&steps, "heard");
    daemon.kill();
    go.blocking_send(()).unwrap();
    next(&steps, "looks");
    world.wifi.down();
    go.blocking_send(()).unwrap();
    next(&steps, "saw it");
    daemon.restart();
    go.blocking_send(()).unwrap();
    join(client);
}
