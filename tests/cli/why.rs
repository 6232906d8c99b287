//! `mancom why`: a label explained on the networks this host happens to have.

use crate::answer;
use serde_json::Value;

fn object(arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = answer(arguments);
    let object = serde_json::from_str(&stdout);
    (
        code,
        object.unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")),
    )
}

// behaviour: X4, X7
#[test]
fn no_match_names_every_network_and_the_smallest_change() {
    let label = "background prohibit=metered if=nosuch0";
    let (code, stdout, stderr) = answer(&["why", label, "--to", "192.0.2.1"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stdout.contains("192.0.2.1"), "{stdout}");
    assert!(stdout.contains("lo"), "{stdout}");
    assert!(stdout.contains("hint: needs nosuch0"), "{stdout}");
}

#[test]
fn a_match_stands_first_and_the_rest_with_their_reasons() {
    let (code, told) = object(&["why", "if=lo", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(told["networks"][0]["name"], "lo");
    assert_eq!(told["networks"][0]["place"], 1);
    assert_eq!(
        (&told["hint"], &told["blocked"]),
        (&Value::Null, &Value::Null)
    );
    for other in told["networks"].as_array().unwrap().iter().skip(1) {
        assert_eq!(other["place"], Value::Null, "{other}");
        let reasons = other["reasons"].as_array().unwrap();
        assert!(
            reasons.iter().any(|reason| reason["reason"] == "interface"),
            "{other}"
        );
    }
}

#[test]
fn this_host_needs_no_network() {
    for to in [
        "127.0.0.1:80",
        "[::1]:80",
        "unix:/run/x.sock",
        "mc://127.0.0.1:7000",
    ] {
        let (code, told) = object(&["why", "require=wifi", "--to", to, "--json"]);
        assert_eq!((code, &told["to"]), (0, &Value::from("host")), "{to}");
        assert_eq!(told["networks"], Value::Array(Vec::new()));
    }
    let (code, stdout, _) = answer(&["why", "any", "--to", "localhost"]);
    assert_eq!(
        (code, stdout.as_str()),
        (0, "this host itself: no network is used\n")
    );
}

// behaviour: T4
#[test]
fn a_destination_that_is_none_is_refused_with_what_is_wrong() {
    for (to, told) in [
        ("192.0.2.1:99999", "`99999` is neither a port"),
        (":::", "`:::`"),
        ("http://x", "no transport for `http`"),
    ] {
        let (code, stdout, stderr) = answer(&["why", "any", "--to", to]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{to}: {stderr}");
        assert!(stderr.contains(told), "{to}: {stderr}");
    }
    // A name that nobody knows is a name all the same.
    let (code, told) = object(&["why", "if=lo", "--to", "nosuch.invalid:80", "--json"]);
    assert_eq!((code, &told["to"]), (0, &Value::from("name")));
}

// behaviour: T4
#[test]
fn a_bad_label_is_shown_with_a_caret() {
    let (code, stdout, stderr) = answer(&["why", "background wifii"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("column 12"), "{stderr}");
    assert!(stderr.contains("\n             ^"), "{stderr}");
}

// behaviour: G5
#[test]
fn a_configured_label_is_called_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mancom.toml");
    let text = "[labels.photos]\nlabel = \"if=nosuch0\"\n[labels.home]\nlabel = \"if=lo\"\n";
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("text");
    let (code, stdout, stderr) = answer(&["--config", file, "why", "photos"]);
    assert_eq!(code, 3, "{stderr}");
    let first = "no network matches `photos` (if=nosuch0) (snapshot ";
    assert!(stdout.starts_with(first), "{stdout}");
    let (_, told) = object(&["--config", file, "why", "photos", "--json"]);
    assert_eq!(told["label_name"], "photos");
    assert_eq!(told["blocked"]["name"], "photos");

    let (code, stdout, _) = answer(&["--config", file, "why", "home"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("`home` is if=lo\nPLACE"), "{stdout}");
    let (_, told) = object(&["--config", file, "why", "if=lo", "--json"]);
    assert_eq!(told["label_name"], "home");
    let (_, told) = object(&["--config", file, "why", "any", "--json"]);
    assert_eq!(told["label_name"], Value::Null);
}
