//! Runs each test as a child process in namespaces of its own.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::WaitOptions;

use crate::process::until;

/// Tells the child which test it is.
const TEST: &str = "MANCOM_NETNS_TEST";
/// Turns a skip into a failure.
const REQUIRE: &str = "MANCOM_REQUIRE_NETNS";
/// Before the reason of a skip.
const SKIP: &str = "SKIP ";
/// How many tests run at once; of those that measure, two.
const AT_ONCE: usize = 6;
/// The longest a test may take, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes that a soak moves, as `1GiB` or `64MiB`; then a test may take an hour.
const SOAK: &str = "MANCOM_SOAK";
/// Where a test that hangs leaves its sign.
const SIGN: &str = "MANCOM_NETNS_SIGN";
/// What a program ends with once its starter is gone: `unshare` heeds no softer signal while it waits.
const DEATH: [&str; 3] = ["--pdeathsig", "KILL", "unshare"];
/// With a user namespace no privilege is needed; `--pid` and `--kill-child` make
/// every process of a test end with it.
const NAMESPACES: [&str; 6] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--kill-child",
];
/// What a lab needs of its namespaces, as a script that fails where it is missing.
const PREPARE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns \
                       && mount -t sysfs sysfs /sys && ip link set lo up";
/// Proves before the first test that hosts and links can be made.
const PROBE: &str = "ip netns add a && ip netns exec a true \
                     && ip link add v0 type veth peer name v1 netns a && tc qdisc show";

/// A test: its name and its body, which panics on failure.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    /// Whether it measures rates or times, which other tests beside it falsify.
    pub(crate) measures: bool,
}

/// Names the functions of a file as tests: `cases![lab: joins_two_hosts, ..; measure: limits_a_link]`.
macro_rules! cases {
    ($room:ident: $($test:ident),* $(; measure: $($measure:ident),+)? $(,)?) => {
        &[
            $($crate::isolation::Case {
                name: concat!(stringify!($room), "::", stringify!($test)),
                run: $test,
                measures: false,
            },)*
            $($($crate::isolation::Case {
                name: concat!(stringify!($room), "::", stringify!($measure)),
                run: $measure,
                measures: true,
            },)+)?
        ]
    };
}
pub(crate) use cases;

pub(crate) const CASES: &[Case] = cases![isolation: leaves_nothing_behind_when_it_is_ended];

/// How this machine lets a test be isolated: the arguments of `unshare`.
#[derive(Clone, Copy)]
struct Isolation(&'static [&'static str]);

/// Both roles of this binary: the harness, and one test inside its namespaces.
pub(crate) fn main(cases: &[Case]) -> ExitCode {
    if let Ok(name) = std::env::var(TEST) {
        return be_the_test(cases, &name);
    }
    let mut arguments = Arguments::from_args();
    // Most of them wait most of the time.
    let places = *arguments.test_threads.get_or_insert(AT_ONCE);
    let room = Arc::new(Room::new(places));
    let isolation = if arguments.list {
        Err("only listed".to_owned())
    } else {
        Isolation::find()
    };
    let mut trials: Vec<Trial> = cases
        .iter()
        .map(|case| {
            let (room, case) = (Arc::clone(&room), *case);
            trial(case.name, isolation.clone(), move |isolation| {
                let _place = room.enter(if case.measures { places / 2 } else { 1 });
                let ended = isolation.run(case.name, limit());
                (ended.skipped(), judge(ended))
            })
        })
        .collect();
    trials.push(trial(HANGS, isolation.clone(), |isolation| {
        let ended = isolation.run(HANGS, Duration::from_secs(2));
        (ended.skipped(), judge_hang(ended))
    }));
    trials.push(trial(PANICS, isolation, |isolation| {
        let ended = isolation.run(PANICS, LIMIT);
        (ended.skipped(), judge_panic(ended))
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Places for tests that run at the same time, of which one that measures takes several.
struct Room {
    free: Mutex<usize>,
    left: Condvar,
}

/// What a test holds of the room while it runs.
struct Place<'a> {
    room: &'a Room,
    taken: usize,
}

impl Room {
    fn new(places: usize) -> Self {
        Room {
            free: Mutex::new(places),
            left: Condvar::new(),
        }
    }

    /// Waits for this many places, at least one.
    fn enter(&self, places: usize) -> Place<'_> {
        let taken = places.max(1);
        let free = self.free.lock().expect("no panic under it");
        let full = |free: &mut usize| *free < taken;
        *self.left.wait_while(free, full).expect("no panic under it") -= taken;
        Place { room: self, taken }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.room.free.lock().expect("no panic under it") += self.taken;
        self.room.left.notify_all();
    }
}

/// How many bytes a soak is asked to move.
pub(crate) fn soak() -> Option<u64> {
    let asked = std::env::var(SOAK).ok()?;
    let (number, shift) = match (asked.strip_suffix("GiB"), asked.strip_suffix("MiB")) {
        (Some(number), _) => (number, 30),
        (_, Some(number)) => (number, 20),
        _ => panic!("{SOAK} is not like 1GiB: {asked}"),
    };
    Some(number.parse::<u64>().expect("a whole number") << shift)
}

/// The longest a test may take.
pub(crate) fn limit() -> Duration {
    match soak() {
        Some(_) => Duration::from_secs(3600),
        None => LIMIT,
    }
}

/// Tests of the harness itself: the child never ends, or fails.
const HANGS: &str = "isolation::ends_a_test_that_hangs";
const PANICS: &str = "isolation::shows_the_output_of_a_failure";

fn trial(
    name: &'static str,
    isolation: Result<Isolation, String>,
    run: impl FnOnce(Isolation) -> (Option<String>, Result<(), Failed>) + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        let skipped = match isolation {
            Ok(isolation) => {
                let (skipped, judged) = run(isolation);
                judged?;
                skipped
            }
            Err(reason) => Some(reason),
        };
        match skipped {
            None => Ok(Completion::Completed),
            Some(reason) if std::env::var(REQUIRE).is_ok_and(|v| v == "1") => {
                Err(format!("{REQUIRE}=1, but: {reason}").into())
            }
            Some(reason) => {
                println!("{SKIP}{reason}");
                Ok(Completion::ignored_with(reason))
            }
        }
    })
}

/// Ends the test that this process is, as skipped, unless the program is installed.
pub(crate) fn need(program: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where services are, which not every user's PATH has.
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    if !folders.any(|folder| folder.join(program).is_file()) {
        println!("{SKIP}{program} is not installed");
        std::process::exit(0);
    }
}

/// How a child ended: `None` is a time-out.
struct Ended {
    status: Option<ExitStatus>,
    output: String,
}

impl Ended {
    /// The reason, if that is the last thing it said.
    fn skipped(&self) -> Option<String> {
        let last = self.output.lines().last()?;
        last.strip_prefix(SKIP).map(str::to_owned)
    }
}

fn judge(ended: Ended) -> Result<(), Failed> {
    match ended.status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{status}\n{}", ended.output).into()),
        None => Err(format!("took longer than {:?}\n{}", limit(), ended.output).into()),
    }
}

fn judge_hang(ended: Ended) -> Result<(), Failed> {
    match ended.status {
        None if ended.output.contains("about to hang") => Ok(()),
        _ => Err(format!("{:?}\n{}", ended.status, ended.output).into()),
    }
}

fn judge_panic(ended: Ended) -> Result<(), Failed> {
    match ended.status {
        Some(status) if !status.success() && ended.output.contains("as it should") => Ok(()),
        _ => Err(format!("{:?}\n{}", ended.status, ended.output).into()),
    }
}

impl Isolation {
    /// A user namespace if it can be had, else the privilege of being root.
    fn find() -> Result<Self, String> {
        Isolation(&NAMESPACES).probe().or_else(|reason| {
            Isolation(&NAMESPACES[2..]).probe().map_err(|without_user| {
                format!("{reason}; without a user namespace: {without_user}")
            })
        })
    }

    /// `unshare`, without the program that it is to run.
    fn command(self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(DEATH).args(self.0);
        command
    }

    fn probe(self) -> Result<Self, String> {
        let output = self
            .command()
            .args(["--", "sh", "-c", &format!("{PREPARE} && {PROBE}")])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("setpriv: {error}"))?;
        if output.status.success() {
            return Ok(self);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("no namespaces here: {}", complaint.trim()))
    }

    fn run(self, name: &str, limit: Duration) -> Ended {
        // A file, not a pipe: nobody must read it for the test to go on.
        let mut output = tempfile::tempfile().expect("a temporary file");
        let writer = || Stdio::from(output.try_clone().expect("a descriptor"));
        let myself = std::env::current_exe().expect("the path of this binary");
        let mut child = self
            .command()
            .args(["--", "sh", "-c", &format!("{PREPARE} && exec \"$0\"")])
            .arg(myself)
            .env(TEST, name)
            .env_remove("MANCOM_CONFIG")
            .stdin(Stdio::null())
            .stdout(writer())
            .stderr(writer())
            .spawn()
            .expect("setpriv, which the probe has run");
        let status = wait(&mut child, limit);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        Ended {
            status,
            output: read_all(&mut output),
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("our own child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn read_all(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .expect("a temporary file");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn be_the_test(cases: &[Case], name: &str) -> ExitCode {
    if name == HANGS {
        println!("about to hang");
        if let Some(sign) = std::env::var_os(SIGN) {
            File::create(sign).expect("a temporary folder");
        }
        loop {
            std::thread::park();
        }
    }
    assert!(name != PANICS, "fails, as it should");
    let case = cases
        .iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("no test is named {name}"));
    (case.run)();
    ExitCode::SUCCESS
}

/// A harness within this one's namespaces, which is killed while its test hangs: what it leaves behind
/// becomes a child of this process, the first of its namespace.
fn leaves_nothing_behind_when_it_is_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sign = folder.path().join("hangs");
    let mut harness = Command::new(std::env::current_exe().expect("the path of this binary"))
        .args([HANGS, "--exact"])
        .env_remove(TEST)
        .env(SIGN, &sign)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("this binary");
    until("the test hangs", LIMIT / 4, || {
        let ended = harness.try_wait().expect("our own child");
        assert!(
            ended.is_none(),
            "no namespaces within namespaces: {ended:?}"
        );
        sign.exists()
    });
    harness.kill().expect("it runs");
    harness.wait().expect("our own child");
    until("all is gone", LIMIT / 4, || {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Err(error) => error == rustix::io::Errno::CHILD,
            Ok(_) => false,
        }
    });
}
