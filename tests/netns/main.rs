//! Tests on real interfaces, in network namespaces of their own.
//!
//! ```text
//! this binary ── one trial a test ──> unshare (user, net, mount, pid namespace)
//!                                        └─ this binary again, told the test's name:
//!                                           its own /sys, /run and hosts joined by veth pairs
//! ```
//!
//! A test is a child process because `unshare` of a user namespace fails in a
//! threaded process, and because whatever it leaves behind (interfaces,
//! processes, mounts) must go with it; it ends with this binary, however that
//! ends. No root is needed where unprivileged user
//! namespaces are allowed. Where they are not, each test prints `SKIP reason`, and
//! so does a test whose program ([`isolation::need`]) is not installed; with
//! `MANCOM_REQUIRE_NETNS=1` that is a failure instead.
//!
//! A new test is a function without arguments that calls [`lab::Lab::new`], and
//! its name in the `CASES` of its file.

#[cfg(target_os = "linux")]
mod airhook;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod contacts;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod datagrams;
#[cfg(target_os = "linux")]
mod estimates;
#[cfg(target_os = "linux")]
mod flags;
#[cfg(target_os = "linux")]
mod isolation;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod lab_works;
#[cfg(target_os = "linux")]
mod managed;
#[cfg(target_os = "linux")]
mod managers;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(target_os = "linux")]
mod plain;
#[cfg(target_os = "linux")]
mod process;
#[cfg(all(target_os = "linux", feature = "quic"))]
mod quic;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod reload;
#[cfg(target_os = "linux")]
mod roaming;
#[cfg(target_os = "linux")]
mod scout;
#[cfg(target_os = "linux")]
mod secure;
#[cfg(target_os = "linux")]
mod transfer;
#[cfg(target_os = "linux")]
mod waiting;
#[cfg(target_os = "linux")]
mod watching;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    // What takes long first.
    let cases: Vec<isolation::Case> = [
        watching::CASES,
        airhook::CASES,
        paths::loss::CASES,
        datagrams::CASES,
        paths::bulk::CASES,
        paths::limits::CASES,
        paths::mixed::CASES,
        paths::listener::CASES,
        paths::labels::CASES,
        roaming::CASES,
        secure::CASES,
        #[cfg(feature = "quic")]
        quic::CASES,
        isolation::CASES,
        lab_works::CASES,
        plain::CASES,
        estimates::CASES,
        flags::CASES,
        names::CASES,
        contacts::CASES,
        command::CASES,
        daemon::CASES,
        reload::CASES,
        managers::CASES,
        scout::storms::CASES,
        scout::changes::CASES,
        scout::facts::CASES,
    ]
    .concat();
    isolation::main(&cases)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("SKIP network namespaces are a matter of Linux");
}
