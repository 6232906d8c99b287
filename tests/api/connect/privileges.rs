//! What a user without privileges is told.

use super::*;

/// What a user without privileges is told. Run by the test below, as such a user.
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn as_a_user_without_privileges() {
    let Ok(place) = std::env::var("MANCOM_TEST_UNPRIVILEGED") else {
        return;
    };
    let told = format!("{:?}", Error::from(unheard("tcp://127.0.0.1:80").await));
    assert!(
        told.contains("127.0.0.1:80") && told.contains("may not listen on that port"),
        "{told}"
    );
    let inside = format!("unix:{place}/mine.sock");
    let told = format!("{:?}", Error::from(unheard(&inside).await));
    assert!(
        told.contains("may not make files in") && told.contains(&place),
        "{told}"
    );
    let start = Instant::now();
    let error = refused(&format!("unix:{place}/other.sock")).await;
    assert!(error.to_string().contains("Permission denied"), "{error}");
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::PermissionDenied
    );
    assert!(
        start.elapsed() < Duration::from_millis(300),
        "another try helps nobody"
    );
}

// behaviour: D9
#[cfg(target_os = "linux")]
#[mancom::test(real)]
async fn what_is_not_permitted_is_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let lowest = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if lowest.is_ok_and(|port| port.trim().parse().is_ok_and(|port: u16| port <= 80)) {
        eprintln!("skipped: every user may listen on port 80 here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path(), permissions).unwrap();
    let _listener = mancom::listen(format!("unix:{}/other.sock", dir.path().display()))
        .await
        .unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let tried = std::process::Command::new("setpriv")
        .args(nobody)
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user cannot become another with setpriv");
        return;
    }
    let child = std::process::Command::new("setpriv")
        .args(nobody)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "connect::privileges::as_a_user_without_privileges",
            "--nocapture",
        ])
        .env("MANCOM_TEST_UNPRIVILEGED", dir.path())
        .env("HOME", dir.path())
        .env_remove("XDG_CONFIG_HOME")
        .output();
    let Ok(child) = child else {
        eprintln!("skipped: another user cannot run this program");
        return;
    };
    let told = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    if child.status.code().is_some_and(|code| code >= 126) {
        eprintln!("skipped: another user cannot run this program: {told}");
        return;
    }
    assert!(
        child.status.success() && told.contains("1 passed"),
        "{told}"
    );
}
