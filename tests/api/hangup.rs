//! SIGHUP: read the configuration again where there is no terminal, end the program where there is.
//!
//! Each test is its own program: it runs this binary again, told by a variable what to be.

use mancom::Label;
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Set in the program.
const PROGRAM: &str = "MANCOM_TEST_HANGUP";
const LIMIT: Duration = Duration::from_secs(60);

/// Says `ready`, and `reloaded` when the label of this name has become another.
#[mancom::main(flavor = "current_thread")]
async fn program() {
    let before = mancom::label("photos").expect("it is named");
    println!("\nready");
    let late = Instant::now() + LIMIT;
    while mancom::label("photos") == Ok(before) {
        assert!(Instant::now() < late, "no other label");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("\nreloaded");
}

/// The test `name` of this file as a program with this configuration.
fn start(name: &str, config: &Path) -> Child {
    // Under `nohup` the signal would be ignored from the beginning.
    let mut command = Command::new("env");
    command
        .arg("--default-signal=HUP")
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", &format!("hangup::{name}"), "--nocapture"])
        .env(PROGRAM, "1")
        .env("MANCOM_CONFIG", config)
        .stdout(Stdio::piped());
    command.spawn().expect("started")
}

/// Waits until the program says so.
fn says(lines: &mut impl Iterator<Item = std::io::Result<String>>, word: &str) {
    let said = lines.any(|line| line.expect("text") == word);
    assert!(said, "it ended and did not say `{word}`");
}

fn ended(mut child: Child) -> ExitStatus {
    let late = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status;
        }
        if Instant::now() > late {
            child.kill().expect("our own child");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_program() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// `photos` means this; the length is always the same.
fn write(path: &Path, label: &str) {
    fs::write(path, format!("[labels.photos]\nlabel = {label:?}\n")).expect("written");
}

/// From now on this thread, and those it starts, get no inotify: nobody is told of a changed file.
fn without_inotify() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    let refused = [libc::SYS_inotify_init1].map(|call| (call, Vec::new()));
    let filter = SeccompFilter::new(
        refused.into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EMFILE as u32),
        std::env::consts::ARCH.try_into().expect("a known machine"),
    );
    let filter: BpfProgram = filter.expect("a filter").try_into().expect("a program");
    seccompiler::apply_filter(&filter).expect("a filter of this thread");
}

#[test]
fn a_service_reads_its_configuration_again() {
    if is_program() {
        setsid().expect("no leader yet");
        assert!(
            File::open("/dev/tty").is_err(),
            "a new session has no terminal"
        );
        without_inotify();
        return program();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mancom.toml");
    write(&path, "size=1");
    let mut child = start("a_service_reads_its_configuration_again", &path);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    says(&mut lines, "ready");
    // The same length and time: who looks at those sees nothing.
    let fresh = folder.path().join("fresh");
    write(&fresh, "size=2");
    let was = fs::metadata(&path).and_then(|found| found.modified());
    let file = File::options().write(true).open(&fresh).expect("opened");
    file.set_modified(was.expect("a time")).expect("set");
    fs::rename(&fresh, &path).expect("renamed");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("our own child");
    says(&mut lines, "reloaded");
    lines.for_each(drop);
    assert!(ended(child).success());
}

#[test]
fn a_program_with_a_terminal_ends() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    if is_program() {
        setsid().expect("no leader yet");
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("granted");
        unlockpt(&terminal).expect("unlocked");
        let name = ptsname(&terminal, Vec::new()).expect("a name");
        // The first terminal that a session's leader opens is the session's.
        let name = name.to_str().expect("text");
        let _mine = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("opened");
        assert!(File::open("/dev/tty").is_ok(), "it is the session's");
        return program();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mancom.toml");
    write(&path, "size=1");
    let mut child = start("a_program_with_a_terminal_ends", &path);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    says(&mut lines, "ready");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("our own child");
    lines.for_each(drop);
    assert_eq!(ended(child).signal(), Some(libc::SIGHUP));
}

#[tokio::test]
async fn it_can_be_asked_for_twice_and_outside_a_runtime_not_at_all() {
    let scout = mancom::Scout::fixed([]);
    let manager = mancom::Manager::builder()
        .scout(scout)
        .build()
        .await
        .unwrap();
    let outside = manager.clone();
    let refused = std::thread::spawn(move || outside.reload_on_hangup().is_err());
    assert!(refused.join().expect("it ends"));
    manager.reload_on_hangup().unwrap();
    manager.reload_on_hangup().unwrap();
    kill_process(rustix::process::getpid(), Signal::HUP).expect("ourselves");
    // It lives, and works.
    let refused = manager.matching(Label::ANY).no_wait().await;
    assert!(refused.is_err());
}
