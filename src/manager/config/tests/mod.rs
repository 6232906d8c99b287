//! What a configuration says, and what it says when it is wrong.

mod faults;
mod layers;

use std::time::Duration;

use proptest::prelude::*;

use super::Config;
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

/// What the module's documentation shows.
fn essay() -> String {
    let lines = include_str!("../mod.rs").lines();
    let lines = lines.filter_map(|line| line.strip_prefix("//!"));
    let shown = lines.skip_while(|line| line.trim() != "```toml").skip(1);
    let shown = shown.take_while(|line| line.trim() != "```");
    shown.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_documentation_shows_every_key_and_a_right_text() {
    let text = essay();
    let config = parse(&text).unwrap();
    for known in super::text::KEYS {
        for key in *known {
            let word = |line: &str| {
                line.split(['=', '.', ']'])
                    .next()
                    .map(|key| key.trim().to_owned())
            };
            let mut keys = text
                .lines()
                .filter_map(|line| word(line.trim_start_matches([' ', '['])));
            assert!(keys.any(|shown| shown == *key), "`{key}` is not shown");
        }
    }
    let photos = config.label("photos").unwrap();
    let looser = "background large".parse().unwrap();
    assert_eq!(photos.relax, Some((Duration::from_secs(6 * 3600), looser)));
    assert_eq!(photos.stop, Some(Duration::from_secs(5)));
    assert_eq!(config.defaults(&photos.label).relax, photos.relax);
    let [(_, wwan)] = config.networks.as_slice() else {
        panic!("{:?}", config.networks);
    };
    assert_eq!((wwan.up, wwan.loss), (Some(5_000_000), Some(20)));
    let socket = config.scout().socket.as_deref();
    assert_eq!(socket, Some("/run/mancom/scout.sock".as_ref()));
    assert_eq!(config.scout().fallback, Some(true));
    assert_eq!(config.monitor().enabled, Some(true));
    assert!(config.monitor().folder.is_some());
    // A key that stands for its default changes nothing.
    let lines = text.lines().filter(|line| !line.contains("unknown"));
    let without: String = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(
        parse(&without).unwrap().policy().unknown_denied,
        config.policy().unknown_denied
    );
}

// behaviour: M13
#[test]
fn a_rule_knows_its_file_and_line() {
    let policy = parse(&essay()).unwrap().policy();
    let [rule] = &*policy.rules else {
        panic!("{policy:?}");
    };
    let line = essay()
        .lines()
        .position(|line| line.contains("[[policy]]"))
        .unwrap()
        + 1;
    assert_eq!((rule.file(), rule.line() as usize), ("mancom.toml", line));
    assert_eq!(rule.to_string(), "forbid background large on metered");
    let inline =
        parse("policy = [\n{ forbid = 'any', on = 'vpn' },\n{ forbid = 'small', on = 'roaming' }]");
    let lines: Vec<_> = inline
        .unwrap()
        .rules
        .iter()
        .map(|rule| rule.line())
        .collect();
    assert_eq!(lines, [2, 3]);
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

/// Lines that are right, wrong, and no TOML.
fn line() -> impl Strategy<Value = String> {
    let header = prop::sample::select(vec![
        "[networks.a]",
        "[networks.'b*']",
        "[labels.l]",
        "[[policy]]",
        "[scout]",
        "[monitor]",
        "[x.y]",
        "[networks",
        "[policy]",
        "networks.c = 1",
        "labels = []",
        "policy = [{}]",
    ]);
    let key = prop::sample::select(super::text::KEYS.concat());
    let value = prop::sample::select(vec![
        "true",
        "1",
        "''",
        "'any'",
        "'5s'",
        "'2%'",
        "'10Mbit'",
        "'metered'",
        "'/x'",
        "'wifi'",
        "'é",
        "{",
        "[[]]",
        "1979-05-27",
        "",
    ]);
    prop_oneof![
        header.prop_map(str::to_owned),
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #[test]
    fn every_fault_has_a_place_in_the_text(lines in prop::collection::vec(line(), 0..40)) {
        let text = lines.join("\n");
        let Err(error) = Config::parse(&text, "any") else {
            return Ok(());
        };
        prop_assert!((1..=64).contains(&error.faults().len()));
        let mut last = (0, 0);
        for fault in error.faults() {
            let super::ConfigFault::Invalid { line, column, .. } = fault else {
                panic!("{fault}");
            };
            let length = lines.get(line - 1).map_or(0, |line| line.chars().count());
            prop_assert!((1..=length + 1).contains(column), "{fault}\n{text}");
            prop_assert!((*line, *column) >= last, "{error}");
            last = (*line, *column);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[\\[\\]a-z.='\"\n\\\\éß0-9]{0,60}") {
        let _ = Config::parse(&text, "any");
    }
}
