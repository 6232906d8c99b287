//! Usage and configuration errors, exit codes, help.

use crate::answer;
use serde_json::Value;
use std::io::Write;

// behaviour: X7
#[test]
fn help_names_the_subcommands_and_every_exit_code() {
    let (code, help, stderr) = answer(&["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for word in [
        "cat",
        "status",
        "wait",
        "label",
        "config",
        "--config",
        "--json",
        "--no-color",
    ] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
    for exit in [
        "0  fine",
        "1  an error",
        "2  wrong usage",
        "3  no network",
        "4  a time",
    ] {
        assert!(help.contains(exit), "{exit} in\n{help}");
    }
    for subcommand in ["cat", "status", "wait", "label", "config"] {
        let (code, help, _) = answer(&[subcommand, "--help"]);
        assert_eq!(code, 0);
        assert!(help.contains("Exit codes:"), "{help}");
    }
    assert_eq!(answer(&["--version"]).0, 0);
}

// behaviour: X7, T4
#[test]
fn wrong_usage_ends_with_2_and_nothing_on_stdout() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["label"],
        &["status", "--frobnicate"],
        &["wait", "any", "--timeout", "soon"],
        &["wait", "any", "--timeout", "-1"],
        &["wait", "require=wfi"],
        &["cat"],
        &["cat", "mc://127.0.0.1:1", "--grace", "1w"],
        &["cat", "mc://127.0.0.1:1", "--label", "interactiv"],
        &["config"],
        &["config", "chek"],
    ] {
        let (code, stdout, stderr) = answer(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

// behaviour: T4
#[test]
fn a_bad_endpoint_is_named() {
    for endpoint in [
        "mcc://127.0.0.1:7000",
        "mc://",
        "mc://127.0.0.1:notaport",
        "",
    ] {
        let (code, _, stderr) = answer(&["cat", endpoint]);
        assert_eq!(code, 2, "{endpoint}: {stderr}");
        assert!(stderr.starts_with("mancom: "), "{stderr}");
    }
}

// behaviour: T4
#[test]
fn a_bad_configuration_is_named_by_file_and_line() {
    let (code, _, stderr) = answer(&["--config", "/nonexistent/mancom.toml", "status"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("/nonexistent/mancom.toml"), "{stderr}");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[networks.\"wlan*\"]\nkind = \"wfi\"\n")
        .unwrap();
    let path = file.path().to_str().unwrap();
    let (code, stdout, stderr) = answer(&["status", "--config", path]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains(&format!("{path}:2")), "{stderr}");
    assert!(stderr.contains("wifi"), "the nearest right word: {stderr}");
}

// behaviour: X7
#[cfg(target_os = "linux")]
#[test]
fn a_full_stderr_does_not_change_the_exit_code() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let status = crate::command(&["label", "frobnicate"])
        .stderr(full)
        .status()
        .expect("started");
    assert_eq!(status.code(), Some(2));
}

// behaviour: X7
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for (arguments, expected) in [
        (&["status"][..], 0),
        (&["why", "if=lo"], 0),
        (&["why", "if=nosuch0"], 3),
        (&["wait", "if=lo"], 0),
        (&["watch"], 0),
        (&["label", "any"], 0),
        (&["config", "check"], 0),
    ] {
        for json in [&[][..], &["--json"]] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = crate::command(&[arguments, json].concat());
            let output = command.stdout(writer).output().expect("started");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(expected),
                "{arguments:?}: {stderr}"
            );
            assert!(!stderr.contains("pipe"), "{arguments:?}: {stderr}");
        }
    }
}

// behaviour: X7
#[cfg(unix)]
#[test]
fn ops_of_a_process_that_is_not_there_is_an_error() {
    let (code, _, stderr) = answer(&["ops", "--pid", &u32::MAX.to_string()]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("no process 4294967295"), "{stderr}");
}

/// Every key of an object, and of those in it.
fn keys(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        Value::Object(object) => {
            for (key, value) in object {
                into.push(key.clone());
                // The names of facts are data.
                match (key.as_str(), value) {
                    ("facts", Value::Object(facts)) => facts.values().for_each(|v| keys(v, into)),
                    _ => keys(value, into),
                }
            }
        }
        _ => {}
    }
}

// behaviour: T5
#[test]
fn help_shows_every_key_of_the_json() {
    for arguments in [
        &["status"][..],
        &["why", "if=nosuch0", "--to", "192.0.2.1"],
        &["wait", "if=lo"],
        &["wait", "if=nosuch0", "--timeout", "0"],
        &["watch", "if=lo", "--count", "0"],
        &["label", "any"],
        &["config", "check"],
        &["config", "check", "/nonexistent"],
        #[cfg(unix)]
        &["ops"],
        #[cfg(unix)]
        &["limits"],
    ] {
        let subcommand = match arguments[0] {
            "config" => &arguments[..2],
            _ => &arguments[..1],
        };
        let (_, help, _) = answer(&[subcommand, &["--help"]].concat());
        let (_, json, stderr) = answer(&[arguments, &["--json"]].concat());
        let mut found = Vec::new();
        for value in serde_json::Deserializer::from_str(&json).into_iter() {
            keys(&value.expect("an object"), &mut found);
        }
        assert!(!found.is_empty(), "{arguments:?}: {stderr}");
        for key in found {
            assert!(
                help.contains(&format!("\"{key}\":")),
                "{arguments:?}: {key} in\n{help}"
            );
        }
        assert!(help.contains("Exit codes:"), "{help}");
    }
}
