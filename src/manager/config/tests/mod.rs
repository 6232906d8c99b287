//! What a configuration says, and what it says when it is wrong.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::file::{Layer, Layers};
use super::{Config, ConfigFault};
use crate::label::Label;
use crate::network::Kind;
use crate::scout::Facts;
use crate::stream::LabelDefaults;

const WHOLE: &str = r#"
unknown = "deny"

[networks."wwan*"]
kind = "cellular"
metered = true
roaming = false
rtt = "60ms"
down = "10Mbit"

[networks.eth0]
bypass_vpn = true

[labels.photos]
label = "background large prohibit=metered require=wifi"
within = "12h"
grace = "1h"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "mancom.toml").map_err(|error| error.to_string())
}

fn fault(text: &str) -> String {
    parse(text).expect_err(text)
}

#[test]
fn reads_facts_labels_and_policy() {
    let config = parse(WHOLE).unwrap();
    let wwan = Facts {
        kind: Some(Kind::Cellular),
        metered: Some(true),
        roaming: Some(false),
        rtt: Some(Duration::from_millis(60)),
        down: Some(10_000_000),
        ..Facts::default()
    };
    let eth0 = Facts {
        bypass_vpn: Some(true),
        ..Facts::default()
    };
    let expected = [("wwan*".to_owned(), wwan), ("eth0".to_owned(), eth0)];
    assert_eq!(config.networks, expected);
    assert!(config.policy().unknown_denied);
    let photos = config.label("photos").unwrap();
    let label = "background large prohibit=metered require=wifi";
    assert_eq!(photos.label, label.parse().unwrap());
    assert_eq!(photos.within, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(photos.grace, Some(Duration::from_secs(3600)));
    let defaults = config.defaults(&photos.label);
    assert_eq!(defaults.within, photos.within);
    assert_eq!(defaults.grace, photos.grace);
    assert_eq!(config.defaults(&Label::ANY), LabelDefaults::default());
    assert!(config.label("video").is_none());
}

#[test]
fn an_empty_text_says_nothing() {
    let config = parse("").unwrap();
    assert!(config.networks.is_empty() && config.labels().next().is_none());
    assert!(!config.policy().unknown_denied);
}

#[test]
fn patterns_keep_their_order_in_the_file() {
    let text = "[networks.'z*']\n[networks.'a*']\n[networks.m]\n";
    let order: Vec<_> = parse(text).unwrap().networks.into_iter().collect();
    let order: Vec<_> = order.iter().map(|(pattern, _)| pattern.as_str()).collect();
    assert_eq!(order, ["z*", "a*", "m"]);
}

// behaviour: G2
#[test]
fn every_fault_names_its_place_its_field_and_the_nearest_word() {
    let cases = [
        (
            "[networks.\"wwan*\"]\nkind = \"celular\"",
            "2:8: networks.\"wwan*\".kind: unknown kind `celular`, did you mean `cellular`?",
        ),
        (
            "# é\n[networks.wlan0]\n  meterd = true",
            "3:3: networks.wlan0.meterd: unknown key `meterd`, did you mean `metered`?",
        ),
        (
            "[network.wlan0]",
            "1:2: network: unknown key `network`, did you mean `networks`?",
        ),
        (
            "unknown = 'refuse'",
            "1:11: unknown: unknown word `refuse`, known are allow, deny",
        ),
        (
            "[networks.a]\nmetered = 'yes'",
            "2:11: networks.a.metered: `true` or `false` is expected here, not string",
        ),
        (
            "[networks.é]",
            "1:11: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
        (
            "[networks.'é']\nrtt = 60",
            "2:7: networks.\"é\".rtt: a string is expected here, not integer",
        ),
        (
            "[networks.a]\nrtt = '60 ms'",
            "2:7: networks.a.rtt: no duration: `60 ms`, write it as in `60ms`, `5s`, `1h30m`",
        ),
        (
            "[networks.a]\nup = '10MB'",
            "2:6: networks.a.up: no rate: `10MB`, write it as in `64kbit`, `10Mbit`, `1.5Gbit`",
        ),
        (
            "[labels.photos]\nwithin = '1h'",
            "1:9: labels.photos: `label` is missing",
        ),
        (
            "networks.eth0 = 1",
            "1:17: networks.eth0: a table is expected here, not integer",
        ),
        (
            "[networks.'']",
            "1:11: networks.\"\": an interface name or a pattern as in `wwan*`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(text), format!("mancom.toml:{expected}"), "{text}");
    }
}

#[test]
fn a_wrong_label_is_reported_where_it_stands() {
    let text = "[labels.a]\nlabel = 'background'\n[labels.b]\nlabel = '!'";
    let message = fault(text);
    assert!(
        message.starts_with("mancom.toml:4:9: labels.b.label: "),
        "{message}"
    );
}

// behaviour: G3
#[test]
fn a_key_given_twice_is_an_error_with_its_place() {
    let message = fault("[networks.a]\nkind = 'wifi'\nkind = 'other'");
    assert!(message.starts_with("mancom.toml:3:1: "), "{message}");
    assert!(message.contains("duplicate key"), "{message}");
}

#[test]
fn what_is_no_toml_is_reported_where_it_breaks() {
    let message = fault("[networks.a]\nkind = ");
    assert!(message.starts_with("mancom.toml:2:"), "{message}");
}

/// Why a layer cannot be read.
fn unreadable(layers: &Layers) -> ErrorKind {
    layers.load().unwrap_err().kind()
}

/// Three files in a directory of their own, and the layers that find them.
fn layers(files: [&str; 3]) -> (tempfile::TempDir, Layers) {
    let directory = tempfile::tempdir().unwrap();
    let [system, user, named] = ["system", "user", "named"].map(|name| {
        let path = directory.path().join(name);
        path.with_extension("toml")
    });
    for (path, text) in [&system, &user, &named].into_iter().zip(files) {
        fs::write(path, text).unwrap();
    }
    let layer = |path, named| Layer { path, named };
    let layers = Layers(vec![
        layer(system, false),
        layer(user, false),
        layer(named, true),
    ]);
    (directory, layers)
}

#[test]
fn a_later_layer_wins_key_by_key() {
    let (_directory, layers) = layers([
        "unknown = 'deny'\n[networks.'*']\nkind = 'other'\n[networks.wlan0]\nkind = 'wifi'\nmetered = false",
        "[networks.wlan0]\nmetered = true\n[labels.a]\nlabel = 'background'\nwithin = '1s'",
        "unknown = 'allow'\n[labels.a]\nlabel = 'interactive'",
    ]);
    let config = layers.load().unwrap();
    let wlan0 = Facts {
        kind: Some(Kind::Wifi),
        metered: Some(true),
        ..Facts::default()
    };
    // The stronger layer's pattern is tried before the weaker one's `*`.
    assert_eq!(config.networks[0], ("wlan0".to_owned(), wlan0));
    assert_eq!(config.networks[1].0, "*");
    assert!(!config.policy().unknown_denied);
    let a = config.label("a").unwrap();
    assert_eq!(a.label, "interactive".parse().unwrap());
    assert_eq!(a.within, Some(Duration::from_secs(1)));
}

#[test]
fn only_a_named_file_has_to_exist() {
    let (_directory, layers) = layers(["", "", ""]);
    let [system, user, named] = [0, 1, 2].map(|layer: usize| &layers.0[layer].path);
    fs::remove_file(system).unwrap();
    fs::remove_file(user).unwrap();
    layers.load().unwrap();
    fs::remove_file(named).unwrap();
    let error = layers.load().unwrap_err();
    let [ConfigFault::Unreadable { path, .. }] = error.faults() else {
        panic!("{error}");
    };
    assert_eq!(path, named);
    assert!(error.to_string().contains("named.toml"), "{error}");
}

#[test]
fn a_fault_in_any_layer_names_its_file() {
    let (_directory, layers) = layers(["", "unknwon = 'deny'", ""]);
    let message = layers.load().unwrap_err().to_string();
    assert!(message.contains("user.toml:1:1: unknwon: "), "{message}");
}

#[test]
fn a_file_of_any_size_takes_a_bounded_read() {
    let (_directory, layers) = layers(["", "", ""]);
    let named = fs::File::create(&layers.0[2].path).unwrap();
    named.set_len(1 << 30).unwrap();
    assert_eq!(unreadable(&layers), ErrorKind::FileTooLarge);
}

#[test]
fn the_environment_names_the_layers() {
    let named = |file: Option<&str>, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(same, _)| *same == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let layers = Layers::from_environment(file.map(Path::new), variable);
        let of = |named| move |layer: &&Layer| layer.named == named;
        let shown = |layer: &Layer| layer.path.display().to_string();
        let user = layers.0.iter().filter(of(false)).nth(cfg!(unix).into());
        let named = layers.0.iter().find(of(true));
        [user.map(shown), named.map(shown)]
    };
    let home = ("HOME", "/home/me");
    let asked = ("MANCOM_CONFIG", "/tmp/asked.toml");
    let some = |path: &str| Some(path.to_owned());
    assert_eq!(named(None, &[]), [None, None]);
    assert_eq!(
        named(None, &[home, asked]),
        [
            some("/home/me/.config/mancom/mancom.toml"),
            some("/tmp/asked.toml")
        ]
    );
    assert_eq!(
        named(
            Some("given.toml"),
            &[home, asked, ("XDG_CONFIG_HOME", "/xdg")]
        ),
        [some("/xdg/mancom/mancom.toml"), some("given.toml")]
    );
    let relative = ("XDG_CONFIG_HOME", "xdg");
    assert_eq!(
        named(None, &[home, relative])[0],
        some("/home/me/.config/mancom/mancom.toml")
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[\\[\\]a-z.='\"\n\\\\éß0-9]{0,60}") {
        let _ = Config::parse(&text, "any");
    }
}
