//! The rules of the system's policy.

use super::*;
use crate::network::{Fact, Kind};

const ANYWHERE: &Destination = &Destination::Unnamed;

fn rule(forbid: &str, on: &str) -> Rule {
    Rule::new(forbid, on, "/etc/mancom/mancom.toml", 12).expect("a rule")
}

fn forbidding(forbid: &str, on: &str) -> Policy {
    Policy {
        rules: [rule(forbid, on)].into(),
        ..Policy::default()
    }
}

fn allows(policy: &Policy, text: &str, spec: NetworkSpec) -> bool {
    candidates(&world([spec]), &label(text), ANYWHERE, policy).is_ok()
}

// behaviour: M13
#[test]
fn a_refusal_by_policy_names_the_rule_and_where_it_stands() {
    let policy = forbidding("background", "metered");
    let all = world([Network::cellular("wwan0").metered(true)]);
    let blocked = candidates(&all, &label("background"), ANYWHERE, &policy).expect_err("refused");
    let [
        Reason::Policy {
            rule, file, line, ..
        },
    ] = &blocked.networks[0].reasons[..]
    else {
        panic!("{blocked}");
    };
    assert_eq!(&**rule, "forbid background on metered");
    assert_eq!((&**file, *line), ("/etc/mancom/mancom.toml", 12));
    let wanted =
        "wwan0: is forbidden by `forbid background on metered` (/etc/mancom/mancom.toml:12)";
    assert!(blocked.to_string().contains(wanted), "{blocked}");
    assert!(candidates(&all, &Label::ANY, ANYWHERE, &policy).is_ok());
    assert!(candidates(&all, &label("background"), &Destination::Host, &policy).is_ok());
}

// behaviour: M13
#[test]
fn a_rule_is_about_the_traffic_that_has_all_its_words() {
    for (forbid, refused, allowed) in [
        ("any", &["any", "small", "interactive large"][..], &[][..]),
        (
            "background",
            &["background", "background large"],
            &["any", "interactive"],
        ),
        ("default", &["any", "large"], &["interactive", "background"]),
        (
            "interactive small",
            &["interactive small"],
            &["interactive", "small", "interactive large"],
        ),
        (
            "large",
            &["large", "size=1M", "size=10G background"],
            &["any", "small", "size=1000K"],
        ),
        ("small", &["small"], &["any", "size=1", "large"]),
    ] {
        let policy = forbidding(forbid, "if=*");
        for text in refused {
            assert!(
                !allows(&policy, text, Network::wifi("w")),
                "{forbid}: {text}"
            );
        }
        for text in allowed {
            assert!(
                allows(&policy, text, Network::wifi("w")),
                "{forbid}: {text}"
            );
        }
    }
}

// behaviour: M13
#[test]
fn a_rule_is_about_the_networks_that_have_all_its_words() {
    let modem = || Network::cellular("wwan0").metered(true);
    let policy = forbidding("any", "metered cellular");
    assert!(!allows(&policy, "any", modem()));
    assert!(allows(&policy, "any", modem().metered(false)));
    assert!(allows(&policy, "any", Network::wifi("w").metered(true)));
    let policy = forbidding("any", "metered if=wwan*");
    assert!(!allows(&policy, "any", modem()));
    assert!(allows(&policy, "any", Network::wifi("wlan0").metered(true)));
    // A tunnel is what carries it.
    let policy = forbidding("any", "cellular");
    assert!(!allows(&policy, "any", Network::vpn("tun0").over(&modem())));
}

#[test]
fn a_rule_counts_what_nobody_knows_as_the_policy_says_and_lists_it() {
    let policy = forbidding("any", "metered wifi");
    let denying = Policy {
        unknown_denied: true,
        ..policy.clone()
    };
    let assumed = |policy: &Policy, spec: NetworkSpec, text: &str| {
        let all = world([spec]);
        let verdict = admit(&all, &all.networks()[0], &label(text), ANYWHERE, policy);
        let all = verdict.assumptions.iter().map(Assumption::to_string);
        (verdict.is_admitted(), all.collect::<Vec<_>>())
    };
    let unknown = || Network::wifi("wlan0");
    let told = |text: &str| vec![text.to_owned()];
    let harmless = told("taken to be not metered (unknown)");
    assert_eq!(assumed(&policy, unknown(), "any"), (true, harmless.clone()));
    let harmful = told("taken to be metered (unknown)");
    assert_eq!(assumed(&denying, unknown(), "any"), (false, harmful));
    let guessed = unknown().metered(Fact::LikelyYes);
    let likely = told("taken to be metered (likely yes)");
    assert_eq!(assumed(&policy, guessed, "any"), (false, likely));
    // A fact that both the label and a rule rest on is listed once.
    assert_eq!(
        assumed(&policy, unknown(), "prohibit=metered"),
        (true, harmless)
    );
    // What is certainly no wifi rests on nothing.
    assert_eq!(
        assumed(&policy, Network::ethernet("e"), "any"),
        (true, vec![])
    );
}

// behaviour: M13
#[test]
fn both_ends_of_a_path_obey_the_rules_as_far_as_their_facts_are_told() {
    let plain = one(Network::ethernet("eth0").metered(false));
    let dear = one(Network::cellular("wwan0").metered(true));
    let permits = |policy: &Policy, local: &Network, remote: &PathFacts| {
        [true, false].map(|is_dialler| {
            permits(
                &label("background"),
                Some(local),
                remote,
                is_dialler,
                policy,
            )
        })
    };
    let policy = forbidding("background", "metered");
    assert_eq!(permits(&policy, &plain, &PathFacts::of(&plain)), [true; 2]);
    assert_eq!(permits(&policy, &dear, &PathFacts::of(&plain)), [false; 2]);
    assert_eq!(permits(&policy, &plain, &PathFacts::of(&dear)), [false; 2]);
    assert_eq!(permits(&policy, &plain, &PathFacts::default()), [true; 2]);
    let denying = Policy {
        unknown_denied: true,
        ..policy
    };
    // Denied is what is unknown of our own network, not what a peer keeps to itself.
    assert_eq!(permits(&denying, &plain, &PathFacts::default()), [true; 2]);
    let unknown = one(Network::ethernet("eth0"));
    assert_eq!(
        permits(&denying, &unknown, &PathFacts::of(&plain)),
        [false; 2]
    );
    // An interface's name is never told, so such a rule is about ours alone.
    let policy = forbidding("background", "metered if=wwan*");
    assert_eq!(permits(&policy, &dear, &PathFacts::of(&plain)), [false; 2]);
    assert_eq!(permits(&policy, &plain, &PathFacts::of(&dear)), [true; 2]);
    let policy = forbidding("interactive", "metered");
    assert_eq!(permits(&policy, &dear, &PathFacts::of(&dear)), [true; 2]);
    let within = PathFacts {
        kinds: crate::network::Kinds::of(Kind::Loopback),
        ..PathFacts::default()
    };
    let policy = forbidding("any", "if=*");
    assert!(super::permits(&Label::ANY, None, &within, true, &policy));
}

#[test]
fn a_rule_prints_as_it_was_written() {
    let rule = rule("  background   large ", "if=wwan*  metered");
    assert_eq!(
        rule.to_string(),
        "forbid background large on if=wwan* metered"
    );
    assert_eq!((rule.file(), rule.line()), ("/etc/mancom/mancom.toml", 12));
}

#[test]
fn a_rule_that_means_nothing_says_where_it_is_wrong() {
    for (forbid, on, told) in [
        (
            "",
            "metered",
            "`forbid` is empty; `any` forbids all traffic",
        ),
        ("any", " ", "`on` is empty; `if=*` covers every network"),
        (
            "backgroud",
            "metered",
            "`forbid`, column 1: unknown word `backgroud`; did you mean `background`?",
        ),
        (
            "large metered",
            "metered",
            "`forbid`, column 7: unknown word `metered`",
        ),
        (
            "any",
            "wifi meterd",
            "`on`, column 6: unknown word `meterd`; did you mean `metered`?",
        ),
        (
            "any",
            "wifi if=",
            "`on`, column 6: unknown word `if=`; did you mean `if=*`?",
        ),
        (
            "background interactive",
            "wifi",
            "`forbid`, column 12: `interactive` cannot stand beside `background`",
        ),
        (
            "small large",
            "wifi",
            "`forbid`, column 7: `large` cannot stand beside `small`",
        ),
        (
            "large any",
            "wifi",
            "`forbid`, column 7: `any` cannot stand beside `large`",
        ),
        (
            "any large",
            "wifi",
            "`forbid`, column 5: `large` cannot stand beside `any`",
        ),
        (
            "any any",
            "wifi",
            "`forbid`, column 5: `any` stands there twice",
        ),
        (
            "any",
            "wifi wifi",
            "`on`, column 6: `wifi` stands there twice",
        ),
        (
            "any",
            "if=a if=b",
            "`on`, column 6: `if=b` cannot stand beside `if=a`",
        ),
    ] {
        let error = Rule::new(forbid, on, "f", 1).expect_err(told);
        assert_eq!(error.to_string(), told);
        assert!(told.starts_with(&format!("`{}`", error.part())));
    }
}
