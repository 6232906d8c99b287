//! `mancom ops` and `mancom nudge`, and the processes they look at: this very test, started once more.

use std::future::poll_fn;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Program, until};
use crate::{LIMIT, command};

/// Set in the process that is looked at.
const WAITS: &str = "MANCOM_TEST_WAITS";
/// The socket that another user dials, set in the process that does.
const DIALS: &str = "MANCOM_TEST_DIALS";
const NOBODY: u32 = 65534;

/// Waits for an interface that is not there, and ends when something makes it look a second time.
#[mancom::main]
async fn wait_for_a_nudge() -> Result<(), mancom::Error> {
    let matching = mancom::matching("if=nosuch0".parse()?).within(Duration::from_secs(3600));
    let mut matching = matching.into_future();
    let mut looks = 0;
    poll_fn(|cx| {
        looks += 1;
        let polled = std::pin::Pin::new(&mut matching).poll(cx);
        match looks {
            1 => polled.map(drop),
            _ => std::task::Poll::Ready(()),
        }
    })
    .await;
    assert_eq!(looks, 2);
    Ok(())
}

/// A runtime folder, and programs that have it.
struct Place(TempDir);

/// A process that waits; it does not outlive its test.
struct Waiter(Child);

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Waiter {
    fn ends(&mut self) {
        until("the end of what was nudged", LIMIT, || {
            self.0.try_wait().expect("our own child").is_some()
        });
        assert_eq!(self.0.wait().expect("it ended").code(), Some(0));
    }
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        // Others may look for what is in it, as in /tmp.
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).expect("ours");
        Place(place)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("mancom")
    }

    /// Starts the test of this name once more, as a program that waits, and awaits its socket.
    fn start(&self, test: &str) -> Waiter {
        let child = this_test(test)
            .env(WAITS, "1")
            .env("XDG_RUNTIME_DIR", self.0.path())
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env_remove("MANCOM_CONFIG")
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let waiter = Waiter(child);
        let at = self.folder().join(format!("{}-0.sock", waiter.0.id()));
        until("its socket", LIMIT, || UnixStream::connect(&at).is_ok());
        until("its operation", LIMIT, || {
            let ops = self.ops(&["--pid", &waiter.0.id().to_string()]);
            ops["processes"][0]["ops"][0].is_object()
        });
        waiter
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    /// Exit code, stdout and stderr of the command.
    fn answer(&self, arguments: &[&str]) -> (i32, String, String) {
        answer(self.command(arguments))
    }

    fn ops(&self, more: &[&str]) -> Value {
        let (code, stdout, stderr) = self.answer(&[&["ops", "--json"], more].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).expect("one object")
    }
}

/// The test of this name once more.
fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", &format!("ops::{name}"), "--nocapture"]);
    command
}

fn answer(mut command: Command) -> (i32, String, String) {
    let finished = Program::start(&mut command, Vec::new()).finish(LIMIT);
    let stdout = String::from_utf8(finished.stdout).expect("text");
    let code = finished.status.code().expect("an exit, no signal");
    (code, stdout, finished.stderr)
}

/// Whether this is the process that is looked at, which then has done its part.
fn is_looked_at() -> bool {
    if let Some(at) = std::env::var_os(DIALS) {
        let mut said = String::new();
        let mut stream = UnixStream::connect(at).expect("its mode lets everybody");
        stream.read_to_string(&mut said).expect("text");
        println!("{said}");
        return true;
    }
    let is = std::env::var_os(WAITS).is_some();
    if is {
        wait_for_a_nudge().expect("nudged in the end");
    }
    is
}

// behaviour: X1 X4 W12
#[test]
fn a_waiting_process_is_listed_with_its_reasons_and_retries_when_nudged() {
    if is_looked_at() {
        return;
    }
    let place = Place::new();
    let mut waiter =
        place.start("a_waiting_process_is_listed_with_its_reasons_and_retries_when_nudged");
    let pid = waiter.0.id();
    let all = place.ops(&[]);
    let process = &all["processes"][0];
    let keys: Vec<_> = process.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["error", "name", "ops", "pid", "truncated"]);
    assert_eq!(
        (&process["pid"], &process["truncated"]),
        (&pid.into(), &false.into())
    );
    let op = &process["ops"][0];
    let keys: Vec<_> = op.as_object().expect("an object").keys().collect();
    let documented = [
        "age_ms",
        "blocked",
        "deadline_ms",
        "first",
        "id",
        "kind",
        "label",
        "name",
        "priority",
        "relax",
        "to",
    ];
    assert_eq!(keys, documented);
    assert_eq!(
        (&op["kind"], &op["label"]),
        (&"matching".into(), &"if=nosuch0".into())
    );
    assert!(
        op["age_ms"].as_f64() >= Some(0.0) && op["deadline_ms"].as_f64() > Some(0.0),
        "{op}"
    );
    let hint = op["blocked"]["hint"].as_str().expect("text");
    assert!(hint.starts_with("needs nosuch0; there is none"), "{hint}");
    for network in op["blocked"]["networks"].as_array().expect("a list") {
        assert!(
            !network["reasons"].as_array().expect("a list").is_empty(),
            "{network}"
        );
    }
    let (code, table, stderr) = place.answer(&["ops"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{table}");
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows[0].starts_with("PROCESS ") && rows[0].ends_with("WHY"),
        "{table}"
    );
    assert!(rows[1].starts_with(&pid.to_string()), "{table}");
    assert!(rows[1].ends_with(hint), "{table}");

    // What is not there is told together with what is.
    let (code, stdout, stderr) = place.answer(&["nudge", "op-999999"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let id = op["id"].as_str().expect("op-N");
    assert!(
        stderr.contains(&format!("{pid}/{id} (if=nosuch0)")),
        "{stderr}"
    );
    assert_eq!(
        place.ops(&[])["processes"][0]["ops"][0]["id"],
        *id,
        "it waits on"
    );
    let (code, stdout, stderr) = place.answer(&["nudge", id]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (0, "nudged 1\n", "")
    );
    waiter.ends();
    assert_eq!(place.ops(&[])["processes"], serde_json::json!([]));
    assert_eq!(place.answer(&["nudge", id]).0, 1);
}

// behaviour: W12
#[test]
fn an_operation_of_two_processes_is_named_by_its_process() {
    if is_looked_at() {
        return;
    }
    let place = Place::new();
    let start = || place.start("an_operation_of_two_processes_is_named_by_its_process");
    let (mut first, mut second) = (start(), start());
    let of = |waiter: &Waiter| {
        let ops = place.ops(&["--pid", &waiter.0.id().to_string()]);
        let id = ops["processes"][0]["ops"][0]["id"]
            .as_str()
            .expect("op-N")
            .to_owned();
        (format!("{}/{id}", waiter.0.id()), id)
    };
    let ((one, id), (other, same)) = (of(&first), of(&second));
    assert_eq!(id, same, "they did the same");
    assert_eq!(
        place.ops(&[])["processes"].as_array().map(Vec::len),
        Some(2)
    );
    let (code, stdout, stderr) = place.answer(&["nudge", &id]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&one) && stderr.contains(&other), "{stderr}");
    assert_eq!(place.answer(&["nudge", &one, "--pid", "1"]).0, 2);
    let nudged = place.answer(&["nudge", &one, "--json"]);
    assert_eq!(
        nudged,
        (0, "{\n  \"nudged\": 1\n}\n".to_owned(), String::new())
    );
    first.ends();
    assert_eq!(place.answer(&["nudge", "--all"]).1, "nudged 1\n");
    second.ends();
}

// behaviour: X7
#[test]
fn nudge_wants_an_operation_or_all() {
    let place = Place::new();
    for arguments in [
        &["nudge"][..],
        &["nudge", "frobnicate"],
        &["nudge", "op-1", "--all"],
        &["nudge", "x/op-1"],
        &["ops", "--pid", "-1"],
    ] {
        let (code, stdout, stderr) = place.answer(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
    }
    // Nobody is there to be asked.
    let (code, stdout, stderr) = place.answer(&["ops"]);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(
        stderr.contains(&place.folder().display().to_string()),
        "{stderr}"
    );
    assert_eq!(place.answer(&["nudge", "--all"]).0, 1);
    assert!(!place.folder().exists(), "looking makes nothing");
}

// behaviour: K10
#[test]
fn the_socket_of_a_killed_process_goes_and_a_live_one_stays() {
    if is_looked_at() {
        return;
    }
    let place = Place::new();
    let start = || place.start("the_socket_of_a_killed_process_goes_and_a_live_one_stays");
    let (killed, mut living) = (start(), start());
    let at = |waiter: &Waiter| place.folder().join(format!("{}-0.sock", waiter.0.id()));
    let (stale, live) = (at(&killed), at(&living));
    drop(killed);
    assert!(stale.exists(), "nobody cleans up after SIGKILL");
    let listed = place.ops(&[]);
    assert_eq!(listed["processes"].as_array().map(Vec::len), Some(1));
    assert!(!stale.exists() && live.exists());
    assert_eq!(place.answer(&["nudge", "--all"]).0, 0);
    living.ends();
    assert!(!live.exists(), "it goes with its process");
}

// behaviour: X1
#[test]
fn the_command_itself_is_seen_while_it_waits_unless_told_otherwise() {
    let place = Place::new();
    let file = place.0.path().join("mancom.toml");
    std::fs::write(&file, "[labels.none]\nlabel = \"if=nosuch0\"\n").expect("written");
    let config = file.to_str().expect("text");
    let wait = ["--config", config, "wait", "none", "--timeout", "1h"];
    let _waiter = Waiter(place.command(&wait).spawn().expect("started"));
    until("its operation", LIMIT, || {
        place.ops(&[])["processes"][0]["ops"][0]["name"] == "none"
    });
    let (_, table, _) = place.answer(&["ops"]);
    assert!(
        table.contains(" mancom  op-") && table.contains("  none  "),
        "{table}"
    );
    std::fs::write(&file, "[monitor]\nenabled = false\n").expect("written");
    let quiet = ["--config", config, "wait", "if=nosuch0", "--timeout", "2"];
    let mut quiet = Waiter(place.command(&quiet).spawn().expect("started"));
    let at = place.folder().join(format!("{}-0.sock", quiet.0.id()));
    until("its end", LIMIT, || {
        assert!(!at.exists());
        quiet.0.try_wait().expect("our own child").is_some()
    });
}

#[test]
fn a_process_that_does_not_answer_is_told_and_does_not_hide_the_others() {
    if is_looked_at() {
        return;
    }
    let place = Place::new();
    let mut waiter =
        place.start("a_process_that_does_not_answer_is_told_and_does_not_hide_the_others");
    let _hangs = UnixListener::bind(place.folder().join("1-0.sock")).expect("a socket");
    let (code, stdout, stderr) = place.answer(&["ops", "--json"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("process 1 did not answer"), "{stderr}");
    let all: Value = serde_json::from_str(&stdout).expect("one object");
    assert!(all["processes"][0]["error"].is_string(), "{all}");
    assert_eq!(all["processes"][1]["ops"][0]["label"], "if=nosuch0");
    place.answer(&["nudge", "--all"]);
    waiter.ends();
}

/// The same command for another user, who can read neither this folder nor, perhaps, the way to it.
fn as_nobody(place: &Path, mut command: Command) -> Command {
    let program = Path::new(command.get_program());
    let name = program.file_name().expect("a program");
    let copy = place.join(format!("copy-of-{}", name.display()));
    // By a process of its own: a descriptor open for writing here would be inherited by whatever another
    // thread starts meanwhile, and the copy could not be run.
    let copied = Command::new("cp").arg(program).arg(&copy).status();
    assert!(copied.expect("cp").success());
    let mut other = Command::new(copy);
    other
        .args(command.get_args())
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/");
    for (name, value) in command.env_remove("HOME").get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

// behaviour: K10
#[test]
fn another_user_is_refused_at_both_ends() {
    if is_looked_at() {
        return;
    }
    let place = Place::new();
    let folder = place.folder();
    if std::os::unix::fs::chown(place.0.path(), Some(0), Some(0)).is_err() {
        eprintln!("SKIP: only root can be another user");
        return;
    }
    let mut waiter = place.start("another_user_is_refused_at_both_ends");
    let refused = |why: &str| {
        let (code, stdout, stderr) = answer(as_nobody(place.0.path(), place.command(&["ops"])));
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(stderr.contains(why), "{stderr}");
    };
    refused("belongs to user 0, not 65534");
    // Also who got at the socket hears nothing: the process looks at its peers itself.
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
    };
    let socket = folder.join(format!("{}-0.sock", waiter.0.id()));
    mode(&folder, 0o755);
    mode(&socket, 0o666);
    let mut dial = this_test("another_user_is_refused_at_both_ends");
    dial.env(DIALS, &socket);
    let (code, said, stderr) = answer(as_nobody(place.0.path(), dial));
    assert_eq!(code, 0, "{stderr}");
    assert!(!said.contains("mancom\":"), "{said}");
    assert!(said.contains("only the user of this process"), "{said}");
    mode(&folder, 0o700);
    place.answer(&["nudge", "--all"]);
    waiter.ends();
    // And whoever finds a folder that another user made for it goes without a socket.
    std::os::unix::fs::chown(&folder, Some(NOBODY), None).expect("root may");
    let mut without = place.command(&["wait", "if=nosuch0", "--timeout", "1"]);
    without.env("RUST_LOG", "mancom::inspect=warn");
    let (code, _, stderr) = answer(without);
    assert_eq!(code, 4, "the program goes on: {stderr}");
    assert!(stderr.contains("no inspection socket"), "{stderr}");
    assert!(stderr.contains("belongs to user 65534, not 0"), "{stderr}");
    assert_eq!(std::fs::read_dir(&folder).expect("root may").count(), 0);
}
