//! `mancom config check`.

use crate::{answer, command};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

const RIGHT: &str = r#"
unknown = "deny"
[networks."wwan*"]
kind = "cellular"
metered = true
rtt = "60ms"
down = "10Mbit"
[labels.photos]
label = "background large"
within = "12h"
relax_after = "90m"
relax_to = "background"
[[policy]]
forbid = "background"
on = "metered"
[[limit]]
label = "photos"
on = "metered if=wwan*"
rate = "1 MB/s"
bytes = "500 MB"
per = "month"
[[limit]]
rate = "8Mbit"
[state]
folder = "/var/lib/mancom"
[scout]
socket = "/run/mancom/scout.sock"
"#;

const WRONG: &str = r#"
unkown = "deny"
[networks."wwan*"]
kind = "celular"
metered = "yes"
[labels.photos]
label = "backgrund"
[[policy]]
forbid = "background"
on = "meterd"
"#;

fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn check(files: &[&Path], json: bool) -> (i32, String, String) {
    let mut arguments = vec!["config", "check"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    if json {
        arguments.push("--json");
    }
    answer(&arguments)
}

#[test]
fn a_right_configuration_is_summed_up() {
    let (_folder, path) = file(RIGHT);
    let (code, stdout, stderr) = check(&[&path], false);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for said in [
        path.to_str().unwrap(),
        "kind=cellular metered=true rtt=60ms down=10Mbit",
        "within=12h relax_after=90m relax_to=\"background\"",
        &format!("{}:13", path.display()),
        "forbid background on metered",
        "socket=/run/mancom/scout.sock",
        &format!("{}:16", path.display()),
        "`background large` on metered if=wwan*",
        "rate=1000000B/s bytes=500000000B per=month",
        "any on if=*",
        "folder=/var/lib/mancom",
    ] {
        assert!(stdout.contains(said), "{said} in\n{stdout}");
    }
}

#[test]
fn json_is_one_object_with_every_key() {
    let (_folder, path) = file(RIGHT);
    let (code, stdout, _) = check(&[&path], true);
    assert_eq!(code, 0);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let expected = json!({ "faults": [], "more": 0, "config": {
        "files": [path],
        "unknown": "deny",
        "networks": [{
            "pattern": "wwan*", "kind": "cellular", "metered": true, "roaming": null,
            "constrained": null, "bypass_vpn": null, "rtt_ms": 60.0, "up_bits": null,
            "down_bits": 10_000_000, "loss_permille": null,
        }],
        "labels": [{
            "name": "photos", "label": "background large", "within_ms": 43_200_000.0,
            "grace_ms": null, "relax_after_ms": 5_400_000.0, "relax_to": "background",
            "stop_ms": null,
        }],
        "rules": [{ "rule": "forbid background on metered", "file": path, "line": 13 }],
        "limits": [
            { "about": "`background large` on metered if=wwan*", "rate": 1_000_000,
                "bytes": 500_000_000, "per": "month", "file": path, "line": 16 },
            { "about": "any on if=*", "rate": 1_000_000, "bytes": null, "per": null,
                "file": path, "line": 22 },
        ],
        "state": { "folder": "/var/lib/mancom" },
        "scout": { "socket": "/run/mancom/scout.sock", "fallback": null },
        "monitor": { "enabled": null, "folder": null },
    }});
    assert_eq!(object, expected);
}

// behaviour: MC-08, T4, X7
#[test]
fn every_fault_is_told_at_its_place_with_the_nearest_word() {
    let (_folder, path) = file(WRONG);
    let (code, stdout, stderr) = check(&[&path], false);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let stderr = stderr.strip_prefix("mancom: ").expect("as all it says");
    let place = path.display();
    let expected = [
        (format!("{place}:2:1: unkown: "), "did you mean `unknown`?"),
        (
            format!("{place}:4:8: networks.\"wwan*\".kind: "),
            "did you mean `cellular`?",
        ),
        (
            format!("{place}:5:11: networks.\"wwan*\".metered: "),
            "not string",
        ),
        (
            format!("{place}:7:9: labels.photos.label: "),
            "did you mean `background`?",
        ),
        (
            format!("{place}:10:6: policy.on: "),
            "did you mean `metered`?",
        ),
    ];
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{stderr}");
    for (line, (start, end)) in lines.iter().zip(&expected) {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    }
    let (code, stdout, _) = check(&[&path], true);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &object["config"], &object["more"]),
        (2, &Value::Null, &json!(0))
    );
    let first = &object["faults"][0];
    assert_eq!((&first["line"], &first["column"]), (&json!(2), &json!(1)));
    assert_eq!(first["field"], "unkown");
    assert_eq!(object["faults"].as_array().unwrap().len(), 5);
}

// behaviour: T4, X7
#[test]
fn a_wrong_limit_is_told_with_file_line_and_key() {
    const WRONG: &str = r#"
[[limit]]
label = "backgrund"
on = "metered"
rate = "1 MB/s"
[[limit]]
on = "meterd"
rate = "fast"
[[limit]]
on = "metered"
bytes = "500 MB"
[[limit]]
rats = "1 MB/s"
per = "moth"
"#;
    let (_folder, path) = file(WRONG);
    let (code, stdout, stderr) = check(&[&path], false);
    assert_eq!((code, stdout.as_str()), (2, ""));
    for said in [
        "3:9: limit.label: no traffic and no label `backgrund`, did you mean `background`?",
        "7:6: limit.on: `on`, column 1: unknown word `meterd`; did you mean `metered`?",
        "8:8: limit.rate: no rate: `fast`, write it as in `1 MB/s`, `64 kB/s`, `8Mbit`",
        "9:1: limit: `per` is missing",
        "12:1: limit: `bytes` is missing",
        "13:1: limit.rats: unknown key `rats`, did you mean `rate`?",
        "14:7: limit.per: no period: `moth`",
    ] {
        let said = format!("{}:{said}", path.display());
        assert!(stderr.contains(&said), "{said} in\n{stderr}");
    }
    assert_eq!(stderr.lines().count(), 7, "{stderr}");
}

// behaviour: T4
#[test]
fn what_is_no_configuration_is_refused_and_named() {
    let (folder, long) = file(vec![b'#'; 2 << 20]);
    let (_other, bytes) = file(b"a = '\xff'");
    let (_twice, twice) = file("unknown = 'deny'\nunknown = 'allow'");
    let missing = folder.path().join("missing.toml");
    for (path, said) in [
        (long.as_path(), "over 1048576 bytes"),
        (folder.path(), "directory"),
        (&bytes, ":1:6: this is no UTF-8"),
        (&twice, ":2:1: duplicate key"),
        (&missing, "No such file"),
        #[cfg(target_os = "linux")]
        (Path::new("/dev/zero"), "not a plain file"),
    ] {
        for arguments in [
            ["config", "check", path.to_str().unwrap()],
            ["status", "--config", path.to_str().unwrap()],
        ] {
            let (code, stdout, stderr) = answer(&arguments);
            assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
            assert!(stderr.contains(path.to_str().unwrap()), "{stderr}");
            assert!(stderr.contains(said), "{said} in {stderr}");
        }
    }
}

// behaviour: T4
#[cfg(target_os = "linux")]
#[test]
fn nothing_waits_for_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("coreutils").success());
    let (code, _, stderr) = check(&[&pipe], false);
    assert_eq!(code, 2);
    assert!(stderr.contains("not a plain file"), "{stderr}");
}

// behaviour: MC-08
#[test]
fn a_program_that_runs_tells_every_fault_of_a_changed_file_and_goes_on() {
    let (_folder, path) = file(RIGHT);
    let mut child = command(&["--config", path.to_str().unwrap(), "watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    let mut there = BufReader::new(child.stdout.take().expect("piped"));
    there.read_line(&mut String::new()).expect("a network");
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, WRONG).unwrap();
    fs::rename(&fresh, &path).unwrap();
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    for place in ["2:1", "4:8", "5:11", "7:9", "10:6"] {
        let line = said.next().expect("it runs").expect("text");
        assert!(
            line.contains(&format!("{}:{place}: ", path.display())),
            "{line}"
        );
        assert!(
            line.contains("the old configuration stays in force"),
            "{line}"
        );
    }
    assert!(child.try_wait().expect("our own child").is_none());
    child.kill().expect("our own child");
    child.wait().expect("its end");
}

#[test]
fn several_files_lie_above_each_other_and_their_faults_are_told_together() {
    let (_a, low) = file("unknown = 'deny'\n[labels.a]\nlabel = 'background'");
    let (_b, high) = file("[labels.a]\nlabel = 'interactive'");
    let (code, stdout, _) = check(&[&low, &high], true);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &object["config"]["unknown"]), (0, &json!("deny")));
    assert_eq!(object["config"]["labels"][0]["label"], "interactive");
    assert_eq!(object["config"]["files"], json!([low, high]));
    let (_c, wrong) = file("x = 1");
    let (_d, other) = file("y = 1");
    let (code, _, stderr) = check(&[&wrong, &low, &other], false);
    assert_eq!((code, stderr.lines().count()), (2, 2), "{stderr}");
}

#[test]
fn without_files_it_checks_what_the_command_uses() {
    let (_folder, path) = file(RIGHT);
    let (code, stdout, _) = answer(&[
        "--config",
        path.to_str().unwrap(),
        "--json",
        "config",
        "check",
    ]);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 0);
    let files = object["config"]["files"].as_array().unwrap();
    assert_eq!(files.last(), Some(&json!(path)));
}
