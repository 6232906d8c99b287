//! A bus of the test's own, and services on it that say what they are told to.

use super::{Properties, Tree};
use futures_util::StreamExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use zbus::message::Type;
use zbus::wire::Variant;
use zbus::{Connection, Message, MessageStream};

/// What must happen, but may take its time on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const NO_DAEMON: &str = "dbus-daemon is not installed";

const CONFIG: &str = r#"<busconfig>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>"#;

/// A bus daemon; ends with this.
pub(super) struct TestBus {
    directory: TempDir,
    daemon: Child,
}

/// A bus; `None`, with a word about it, where there is no `dbus-daemon` and a test may be skipped.
pub(super) async fn test_bus() -> Option<TestBus> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("dbus-daemon").is_file()) {
        let required = std::env::var("MANCOM_REQUIRE_NETNS").is_ok_and(|v| v == "1");
        assert!(!required, "MANCOM_REQUIRE_NETNS=1, but: {NO_DAEMON}");
        eprintln!("SKIP {NO_DAEMON}");
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = run(directory.path());
    let bus = TestBus { directory, daemon };
    bus.is_up().await;
    Some(bus)
}

impl TestBus {
    pub(super) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }

    pub(super) fn kill(&mut self) {
        self.daemon.kill().expect("our own child");
        self.daemon.wait().expect("our own child");
    }

    /// Another daemon at the same address.
    pub(super) async fn restart(&mut self) {
        self.daemon = run(self.directory.path());
        self.is_up().await;
    }

    pub(super) async fn connect(&self) -> Connection {
        let address = self.address();
        let builder = zbus::connection::Builder::address(&*address);
        builder.build().await.expect("a connection")
    }

    async fn is_up(&self) {
        let address = self.address();
        let connected = async || {
            let builder = zbus::connection::Builder::address(&*address);
            builder.build().await.is_ok()
        };
        let up = async { while !connected().await {} };
        tokio::time::timeout(PATIENCE, up).await.expect("a bus");
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn run(directory: &Path) -> Child {
    let socket = directory.join("bus");
    let _ = std::fs::remove_file(&socket);
    let config = directory.join("bus.conf");
    let text = CONFIG.replace("SOCKET", socket.to_str().expect("UTF-8"));
    std::fs::write(&config, text).expect("a file");
    let mut daemon = Command::new("dbus-daemon");
    daemon
        .arg("--config-file")
        .arg(config)
        .args(["--nofork", "--nopidfile"]);
    daemon.stdout(Stdio::null()).stderr(Stdio::null());
    daemon.spawn().expect("dbus-daemon, which was found")
}

/// A service; gone from the bus when this is dropped.
pub(super) struct Fake {
    connection: Connection,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<Answers>,
    asked: AtomicUsize,
}

/// What it answers to the three questions that a service is asked.
#[derive(Default)]
struct Answers {
    objects: Tree,
    /// Answers a number for the objects instead.
    nonsense: bool,
    /// Is asked for its objects, and does not answer.
    silent: bool,
    all: Properties,
    one: Option<Variant<'static>>,
}

impl Fake {
    pub(super) async fn start(bus: &TestBus, name: &str, objects: Tree) -> Self {
        let connection = bus.connect().await;
        let shared = Arc::new(Shared::default());
        let fake = Fake {
            task: tokio::spawn(answer(connection.clone(), shared.clone())),
            connection,
            shared,
        };
        fake.set(objects);
        fake.connection
            .request_name(name.to_owned())
            .await
            .expect("the name");
        fake
    }

    /// It answers this from now on, and says nothing about it.
    pub(super) fn set(&self, objects: Tree) {
        self.shared.lock().objects = objects;
    }

    pub(super) fn set_all(&self, properties: Properties) {
        self.shared.lock().all = properties;
    }

    pub(super) fn set_one(&self, value: Variant<'static>) {
        self.shared.lock().one = Some(value);
    }

    pub(super) fn talk_nonsense(&self, nonsense: bool) {
        self.shared.lock().nonsense = nonsense;
    }

    pub(super) fn be_silent(&self) {
        self.shared.lock().silent = true;
    }

    /// How often it was asked for its objects.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Tells everybody that something has changed.
    pub(super) async fn signal(&self) {
        let body = ("some.interface", Properties::new(), Vec::<String>::new());
        let changed = self.connection.emit_signal(
            None::<&str>,
            "/org/freedesktop",
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            &body,
        );
        changed.await.expect("a signal");
    }

    /// Gives its name back and takes it again.
    pub(super) async fn flap(&self, name: &'static str) {
        let given = self.connection.release_name(name).await;
        assert!(given.expect("an answer"), "it was ours");
        self.connection.request_name(name).await.expect("the name");
    }

    /// Gone, as a process is that was killed.
    pub(super) async fn kill(self) {
        self.task.abort();
        self.connection.clone().close().await.expect("an end");
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().expect("no panic")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(connection: Connection, shared: Arc<Shared>) {
    let mut messages = MessageStream::from(&connection);
    while let Some(Ok(call)) = messages.next().await {
        if call.message_type() == Type::MethodCall {
            let Some(reply) = reply(&call, &shared) else {
                continue;
            };
            // Who asked may be gone.
            let _ = connection.send(&reply).await;
        }
    }
}

fn reply(call: &Message, shared: &Shared) -> Option<Message> {
    let header = call.header();
    let answers = shared.lock();
    let member = header.member().map(|member| member.as_str());
    let reply = Message::method_return(&header);
    let reply = match (member, &answers.one) {
        (Some("GetManagedObjects"), _) => {
            shared.asked.fetch_add(1, Ordering::Relaxed);
            match (answers.silent, answers.nonsense) {
                (true, _) => return None,
                (false, true) => reply.build(&7_u32),
                (false, false) => reply.build(&answers.objects.0),
            }
        }
        (Some("GetAll"), _) => reply.build(&answers.all),
        (Some("Get"), Some(value)) => reply.build(value),
        _ => Message::error(&header, "org.freedesktop.DBus.Error.UnknownMethod").build(&"none"),
    };
    Some(reply.expect("a reply"))
}
