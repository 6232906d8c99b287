//! `mancom label`.

use crate::answer;
use serde_json::{Value, json};

#[test]
fn prints_the_canonical_form_and_what_it_means() {
    let (code, stdout, stderr) = answer(&["label", "prohibit=metered interactive"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "label     interactive prohibit=metered");
    assert!(lines[1].starts_with("urgency   interactive"), "{stdout}");
    assert_eq!(lines[2], "prohibit  never a network that is metered");
    assert_eq!(lines.len(), 3);
}

#[test]
fn takes_one_argument_or_several() {
    let one = answer(&["label", "background require=wifi,ethernet"]);
    assert_eq!(
        one,
        answer(&["label", "require=wifi,ethernet", "background"])
    );
    assert_eq!(one.0, 0);
}

#[test]
fn an_alias_is_read_and_not_printed() {
    let (code, stdout, _) = answer(&["label", "wifi-only"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("require=wifi"), "{stdout}");
    assert!(!stdout.contains("wifi-only"), "{stdout}");
}

#[test]
fn json_is_one_object_with_every_key() {
    let (code, stdout, _) = answer(&["--json", "label", "interactive size=64M if=wlan0 redundant"]);
    assert_eq!(code, 0);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let expected = json!({
        "label": object["label"],
        "urgency": "interactive", "size": 64 << 20, "scope": "auto",
        "require": [], "prefer": [], "avoid": [], "prohibit": [],
        "interface": "wlan0", "ignore_cost": false, "redundant": true, "bypass_vpn": false,
    });
    assert_eq!(object, expected);
    let (_, again, _) = answer(&["label", "--json", object["label"].as_str().unwrap()]);
    assert_eq!(again, stdout, "the canonical form means the same");
}

#[test]
fn any_is_a_label() {
    let (code, stdout, _) = answer(&["--json", "label", "any"]);
    assert_eq!(code, 0);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&object["label"], &object["urgency"]),
        (&json!("any"), &json!("default"))
    );
    assert_eq!(object["size"], Value::Null);
}

// behaviour: G2, T4
#[test]
fn an_unknown_word_is_shown_in_its_place_with_the_nearest() {
    let (code, stdout, stderr) = answer(&["label", "interactive require=wfi"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("wifi"), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let at = lines
        .iter()
        .position(|line| *line == "  interactive require=wfi")
        .unwrap_or_else(|| panic!("the label itself: {stderr}"));
    assert_eq!(lines[at + 1].find('^'), lines[at].find("wfi"), "{stderr}");
}

// behaviour: G3, D3
#[test]
fn a_contradiction_is_refused() {
    for text in [
        "require=wifi prohibit=wifi",
        "if=wlan0 if=wlan1",
        "interactive background",
    ] {
        let (code, _, stderr) = answer(&["label", text]);
        assert_eq!(code, 2, "{text}: {stderr}");
    }
}

#[test]
fn a_name_from_the_configuration_is_a_label_in_every_subcommand() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mancom.toml");
    std::fs::write(&file, "[labels.photos]\nlabel = \"if=nosuch0\"\n").expect("written");
    let file = file.to_str().expect("text");
    let (code, stdout, stderr) = answer(&["--config", file, "label", "photos"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("if=nosuch0"), "{stdout}");
    let waited = answer(&["--config", file, "wait", "photos", "--timeout", "100ms"]);
    assert_eq!(waited.0, 4, "{}", waited.2);
    assert!(waited.2.contains("nosuch0"), "{}", waited.2);
}

// behaviour: T4
#[test]
fn a_misspelt_name_is_told_the_nearest_in_every_subcommand() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mancom.toml");
    let text = "[labels.photos]\nlabel = \"any\"\n[labels.interactiv]\nlabel = \"any\"\n";
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("text");
    for rest in [
        &["label", "photo"][..],
        &["why", "photo"],
        &["wait", "photo"],
        &["watch", "photo"],
        &["run", "photo", "--", "true"],
        &["cat", "--label", "photo", "tcp://192.0.2.1:9"],
    ] {
        let (code, stdout, stderr) = answer(&[&["--config", file], rest].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{rest:?}: {stderr}");
        let told = "unknown word `photo`; did you mean `photos`?\n  photo\n  ^";
        assert!(stderr.contains(told), "{rest:?}: {stderr}");
    }
    let (_, _, stderr) = answer(&["--config", file, "label", "interactivv"]);
    let told = "did you mean `interactive` or `interactiv`?";
    assert!(stderr.contains(told), "{stderr}");
}

// behaviour: T4
#[test]
fn a_wrong_configuration_is_told_also_where_no_network_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mancom.toml");
    std::fs::write(&file, "[networks.\"eth0\"").expect("written");
    let (code, stdout, stderr) =
        answer(&["--config", file.to_str().expect("text"), "label", "any"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("mancom.toml:1:"), "{stderr}");
}
