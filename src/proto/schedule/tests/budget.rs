//! Budgets.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::budget::{Budgets, MAX_NETWORKS, MAX_RULES, Rule, Spent};
use super::*;

const DAY: u64 = 86_400;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn rule(label: &str, network: &str, bytes: u64) -> Rule {
    Rule {
        label: label.into(),
        network: network.into(),
        bytes,
        seconds: DAY,
    }
}

#[test]
fn a_rule_bounds_what_fits_it_and_each_network_apart() {
    let mut budgets = Budgets::new([rule("background*", "wwan*", 500)]);
    let now = at(1000);
    budgets.spend(now, "background size=large", "wwan0", 120);
    budgets.spend(now, "interactive", "wwan0", 9_999);
    budgets.spend(now, "background", "wlan0", 9_999);
    let left = |label, network| budgets.left(now, label, network);
    assert_eq!(left("background", "wwan0"), Some(380));
    assert_eq!(left("background", "wwan1"), Some(500));
    assert_eq!(left("background", "wlan0"), None);
    assert_eq!(left("default", "wwan0"), None);
}

#[test]
fn a_period_begins_with_its_first_byte_and_renews_the_allowance() {
    let mut budgets = Budgets::new([rule("*", "*", 500), rule("*", "wwan*", 100)]);
    budgets.spend(at(1000), "any", "wwan0", 70);
    assert_eq!(
        budgets.left(at(1000), "any", "wwan0"),
        Some(30),
        "the narrower"
    );
    assert_eq!(budgets.resets(at(1000), "any", "wwan0"), None);
    budgets.spend(at(5000), "any", "wwan0", 40);
    assert_eq!(budgets.left(at(5000), "any", "wwan0"), Some(0));
    assert_eq!(
        budgets.resets(at(5000), "any", "wwan0"),
        Some(at(1000 + DAY))
    );
    assert_eq!(budgets.left(at(999 + DAY), "any", "wwan0"), Some(0));
    assert_eq!(budgets.left(at(1000 + DAY), "any", "wwan0"), Some(100));
    budgets.spend(at(3000 + DAY), "any", "wwan0", 100);
    let renewed = budgets.resets(at(3000 + DAY), "any", "wwan0");
    assert_eq!(renewed, Some(at(3000 + 2 * DAY)));
}

#[test]
fn a_clock_that_goes_back_renews_nothing_unless_it_was_wrong() {
    let mut budgets = Budgets::new([rule("*", "*", 100)]);
    budgets.spend(at(10 * DAY), "any", "eth0", 100);
    assert_eq!(budgets.left(at(10 * DAY - 3600), "any", "eth0"), Some(0));
    assert_eq!(budgets.left(at(8 * DAY), "any", "eth0"), Some(100));
    assert_eq!(budgets.left(at(0), "any", "eth0"), Some(100));
}

#[test]
fn what_was_spent_outlives_the_table() {
    let rules = || [rule("background", "wwan*", 100), rule("*", "*", 1000)];
    let mut budgets = Budgets::new(rules());
    budgets.spend(at(50), "background", "wwan0", 60);
    let spent = budgets.spent(at(60));
    assert_eq!(spent.len(), 2);
    assert_eq!((spent[0].began, spent[0].used), (50, 60));
    assert!(budgets.spent(at(50 + DAY)).is_empty());
    let mut restored = Budgets::new(rules());
    let unknown = Spent {
        label: "gone".into(),
        ..spent[0].clone()
    };
    restored.restore(spent.into_iter().chain([unknown]));
    assert_eq!(restored.left(at(70), "background", "wwan0"), Some(40));
    assert_eq!(restored.spent(at(70)), budgets.spent(at(70)));
}

#[cfg(feature = "serde")]
#[test]
fn what_was_spent_is_written_and_read() {
    let mut budgets = Budgets::new([rule("*", "wwan*", 100)]);
    budgets.spend(at(50), "any", "wwan0", 60);
    let spent = budgets.spent(at(60));
    let text = serde_json::to_string(&spent).unwrap();
    let expected = r#"[{"label":"*","pattern":"wwan*","network":"wwan0","began":50,"used":60}]"#;
    assert_eq!(text, expected);
    let read: Vec<Spent> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, spent);
}

#[test]
fn rules_and_networks_are_bounded_and_numbers_do_not_overflow() {
    let many = (0..1000).map(|index| rule("*", &format!("{index}"), 1));
    let budgets = Budgets::new(many);
    let ruled = |index: usize| budgets.left(at(0), "any", &index.to_string());
    assert_eq!([ruled(MAX_RULES - 1), ruled(MAX_RULES)], [Some(1), None]);
    let mut budgets = Budgets::new([rule("*", "*", 10)]);
    for index in 0..2 * MAX_NETWORKS as u64 {
        budgets.spend(at(index), "any", &format!("tun{index}"), 10);
    }
    assert_eq!(budgets.spent(at(3000)).len(), MAX_NETWORKS);
    assert_eq!(budgets.left(at(3000), "any", "tun0"), Some(10), "forgotten");
    assert_eq!(budgets.left(at(3000), "any", "tun2047"), Some(0));
    let mut budgets = Budgets::new([Rule {
        seconds: u64::MAX,
        ..rule("*", "*", u64::MAX)
    }]);
    for _ in 0..3 {
        budgets.spend(at(7), "any", "eth0", u64::MAX);
    }
    assert_eq!(budgets.left(at(9), "any", "eth0"), Some(0));
    assert_eq!(budgets.resets(at(9), "any", "eth0"), None, "never");
}
