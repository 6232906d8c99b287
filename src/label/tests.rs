use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Label {
    text.parse().expect(text)
}

fn told(text: &str) -> String {
    text.parse::<Label>().expect_err(text).to_string()
}

#[test]
fn a_label_is_small_and_any_is_the_default() {
    assert!(size_of::<Label>() <= 48);
    assert_eq!(Label::new(), Label::ANY);
    assert_eq!(Label::default(), Label::ANY);
    assert_eq!(Label::ANY.to_string(), "any");
    assert_eq!(Label::INTERACTIVE.urgency(), Urgency::Interactive);
    assert_eq!(Label::BACKGROUND.urgency(), Urgency::Background);
}

#[test]
fn getters_say_what_builders_were_told() {
    const WHOLE: Label = Label::new()
        .interactive()
        .bytes(64 << 20)
        .scope(Scope::Local)
        .require(Prop::Wifi)
        .require(Prop::Validated)
        .prefer(Prop::Ipv6)
        .prefer(Prop::Ethernet)
        .avoid(Prop::Cellular)
        .prohibit(Prop::Roaming)
        .interface("wlan0")
        .redundant()
        .ignore_cost()
        .bypass_vpn();
    assert_eq!(WHOLE.size(), Size::Bytes(64 << 20));
    assert_eq!(WHOLE.scoped(), Scope::Local);
    assert_eq!(WHOLE.interface_name(), Some("wlan0"));
    assert_eq!(WHOLE.without_interface().interface_name(), None);
    assert!(WHOLE.is_redundant() && WHOLE.ignores_cost() && WHOLE.bypasses_vpn());
    assert_eq!(
        WHOLE.prefers().collect::<Vec<_>>(),
        [Prop::Ipv6, Prop::Ethernet]
    );
    let levels = [
        Prop::Wifi,
        Prop::Validated,
        Prop::Ipv6,
        Prop::Cellular,
        Prop::Roaming,
        Prop::Vpn,
    ];
    assert_eq!(
        levels.map(|prop| WHOLE.level(prop)),
        [
            Level::Require,
            Level::Require,
            Level::Prefer,
            Level::Avoid,
            Level::Prohibit,
            Level::Neutral
        ]
    );
    assert_eq!(
        WHOLE.to_string(),
        "interactive size=64M scope=local require=wifi,validated prefer=ipv6,ethernet \
         avoid=cellular prohibit=roaming if=wlan0 cost=ignore vpn=bypass redundant"
    );
    assert_eq!(read(&WHOLE.to_string()), WHOLE);
}

#[test]
fn every_property_can_be_preferred_at_once() {
    let all = Prop::ALL.into_iter().rev();
    let label = all.clone().fold(Label::new(), Label::prefer);
    assert!(label.prefers().eq(all));
    assert_eq!(read(&label.to_string()), label);
}

#[test]
fn the_words_of_kinds_are_those_of_labels() {
    use crate::network::Kind;
    for kind in Kind::ALL {
        assert_eq!(Prop::from(kind).word(), kind.word());
        assert_eq!(Prop::from(kind).kind(), Some(kind));
        assert_eq!(Kind::from_word(kind.word()), Some(kind));
    }
    assert_eq!(Prop::Metered.kind(), None);
    assert_eq!(Prop::ALL.iter().filter(|prop| prop.is_kind()).count(), 8);
    for (i, prop) in Prop::ALL.into_iter().enumerate() {
        assert_eq!(prop as usize, i);
        assert_eq!(Prop::from_word(prop.word()), Some(prop));
    }
}

// behaviour: D3
#[test]
fn a_contradiction_is_an_error_from_try_and_a_panic_elsewhere() {
    let wifi = Label::new().require(Prop::Wifi);
    let error = wifi.try_prohibit(Prop::Wifi).expect_err("two levels");
    assert_eq!(
        error,
        LabelError::Contradiction {
            column: None,
            what: Contradiction::TwoLevels {
                prop: Prop::Wifi,
                first: Level::Require,
                second: Level::Prohibit,
            },
        }
    );
    assert_eq!(error.to_string(), "wifi is both required and prohibited");
    assert!(wifi.try_prefer(Prop::Wifi).is_err());
    assert!(wifi.try_avoid(Prop::Wifi).is_err());
    assert!(wifi.try_scope(Scope::Host).is_err());
    assert!(wifi.try_scope(Scope::Local).is_ok());
    assert!(
        Label::new()
            .scope(Scope::Host)
            .try_require(Prop::Wifi)
            .is_err()
    );
    assert!(
        Label::new()
            .scope(Scope::Host)
            .try_require(Prop::Ipv6)
            .is_ok()
    );
    assert!(Label::new().interface("a").try_interface("b").is_err());
    assert!(Label::new().interface("a").try_interface("ab").is_err());
    assert_eq!(wifi.try_require(Prop::Wifi), Ok(wifi));

    let panic = std::panic::catch_unwind(|| wifi.avoid(Prop::Wifi)).expect_err("panics");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert_eq!(
        message,
        "contradictory label: wifi is both required and avoided"
    );
}

#[test]
fn an_interface_name_is_checked() {
    for name in ["", "a b", "a\tb", "sixteen_bytes_xx", "a\u{7f}"] {
        let error = Label::new().try_interface(name).expect_err(name);
        assert_eq!(error, LabelError::InterfaceName { column: None });
    }
    for name in ["a", "fifteen_bytes_x", "eth0.100", "a,b=c", "größe"] {
        let label = Label::new().interface(name);
        assert_eq!(label.interface_name(), Some(name));
        assert_eq!(read(&label.to_string()), label);
    }
}

#[test]
fn terms_come_in_any_order_and_print_in_one() {
    let text = "  redundant   prohibit=roaming size=16k prohibit=metered\tinteractive ";
    assert_eq!(
        read(text).to_string(),
        "interactive size=16K prohibit=metered,roaming redundant"
    );
    assert_eq!(read("any"), Label::ANY);
    assert_eq!(read("scope=auto"), Label::ANY);
    for (alias, canonical) in [
        ("ondemand", "interactive"),
        ("foreground", "interactive"),
        ("wifi-only", "require=wifi"),
        ("unmetered", "prohibit=metered"),
        ("bypass-vpn", "vpn=bypass"),
    ] {
        assert_eq!(read(alias).to_string(), canonical);
    }
    for (n, text) in [
        (0, "0"),
        (1000, "1000"),
        (1024, "1K"),
        (1536, "1536"),
        (3 << 40, "3T"),
    ] {
        assert_eq!(Label::new().bytes(n).to_string(), format!("size={text}"));
    }
    assert_eq!(
        read(&format!("size={}", u64::MAX)).size(),
        Size::Bytes(u64::MAX)
    );
}

// behaviour: G2
#[test]
fn an_unknown_word_is_told_with_its_column_and_the_nearest() {
    for (text, told_as) in [
        (
            "interactve",
            "column 1: unknown word `interactve`; did you mean `interactive`?",
        ),
        (
            "small  backgruond",
            "column 8: unknown word `backgruond`; did you mean `background`?",
        ),
        ("ß Small", "column 1: unknown word `ß`"),
        (
            "Small",
            "column 1: unknown word `Small`; did you mean `small`?",
        ),
        ("quantum", "column 1: unknown word `quantum`"),
        (
            "small reqire=wifi",
            "column 7: unknown word `reqire`; did you mean `require`?",
        ),
        (
            "require=wifi,wfii",
            "column 14: unknown property `wfii`; did you mean `wifi`?",
        ),
        (
            "prefer=ethernt",
            "column 8: unknown property `ethernt`; did you mean `ethernet`?",
        ),
        (
            "scope=locale",
            "column 7: unknown scope `locale`; did you mean `local`?",
        ),
        (
            "cost=ignor",
            "column 1: unknown word `cost=ignor`; did you mean `cost=ignore`?",
        ),
        ("size=", "column 6: `size` needs a value, as in `size=64M`"),
        (
            "small require=",
            "column 15: `require` needs a value, as in `require=wifi`",
        ),
        (
            "require=wifi,,vpn",
            "column 14: `require` needs a value, as in `require=wifi`",
        ),
        (
            "size=64X",
            "column 6: `64X` is no size such as 4000, 16K or 64M",
        ),
        (
            "size=-1",
            "column 6: `-1` is no size such as 4000, 16K or 64M",
        ),
        (
            "size=M",
            "column 6: `M` is no size such as 4000, 16K or 64M",
        ),
        (
            "size=16777217T",
            "column 6: `16777217T` is no size such as 4000, 16K or 64M",
        ),
        ("", "an empty label; `any` asks for nothing"),
        ("  ", "an empty label; `any` asks for nothing"),
    ] {
        assert_eq!(told(text), told_as);
    }
    assert!(told("if=a_name_too_long_for_linux").starts_with("column 4: an interface name"));
    assert!(told(&"x ".repeat(600)).contains("at most 1024"));
}

// behaviour: G3
#[test]
fn duplicates_and_contradictions_are_refused_with_their_column() {
    for (text, told_as) in [
        (
            "require=wifi prohibit=wifi",
            "column 23: wifi is both required and prohibited",
        ),
        (
            "prefer=vpn,wifi avoid=cellular,wifi",
            "column 32: wifi is both preferred and avoided",
        ),
        (
            "wifi-only avoid=wifi",
            "column 17: wifi is both required and avoided",
        ),
        ("require=wifi,wifi", "column 14: `wifi` is said twice"),
        (
            "unmetered prohibit=metered",
            "column 20: `metered` is said twice",
        ),
        ("small small", "column 7: `small` is said twice"),
        (
            "small size=4",
            "column 7: `size=4` after `small`; there is one size",
        ),
        (
            "interactive background",
            "column 13: `background` after `interactive`; there is one urgency",
        ),
        (
            "scope=host scope=local",
            "column 12: `scope=local` after `scope=host`; there is one scope",
        ),
        (
            "redundant redundant",
            "column 11: `redundant` is said twice",
        ),
        (
            "vpn=bypass bypass-vpn",
            "column 12: `bypass-vpn` is said twice",
        ),
        (
            "require=wifi scope=host",
            "column 14: wifi is required, and scope=host uses no network",
        ),
        (
            "scope=host require=wifi",
            "column 20: wifi is required, and scope=host uses no network",
        ),
        ("if=a if=b", "column 9: two interface names"),
        ("if=a if=a", "column 6: `if=a` is said twice"),
        (
            "any small",
            "column 1: `any` asks for nothing and stands alone",
        ),
        ("any any", "column 5: `any` is said twice"),
    ] {
        assert_eq!(told(text), told_as);
    }
}

#[test]
fn libcmm_bits_map_and_contradict() {
    assert_eq!(Label::from_libcmm(0), Ok(read("cost=ignore")));
    assert_eq!(
        Label::from_libcmm(0x14),
        Ok(read("interactive small cost=ignore"))
    );
    assert_eq!(
        Label::from_libcmm(0x28),
        Ok(read("background large cost=ignore"))
    );
    assert_eq!(Label::from_libcmm(0x3c), Label::from_libcmm(0x14));
    assert_eq!(
        Label::from_libcmm(0x2_0000),
        Ok(read("require=cellular cost=ignore"))
    );
    assert_eq!(
        Label::from_libcmm(0x11_0000),
        Ok(read("prefer=wifi cost=ignore"))
    );
    assert_eq!(Label::from_libcmm(0x10_0000), Ok(read("cost=ignore")));
    assert_eq!(
        Label::from_libcmm(0x3_0004),
        Err(LabelError::ContradictoryBits)
    );
    assert_eq!(Label::from_libcmm(0x43), Err(LabelError::UnknownBits(0x43)));
}

// behaviour: G6
#[cfg(feature = "serde")]
#[test]
fn the_serialized_form_is_the_text_form() {
    let label = read("unmetered background");
    let json = serde_json::to_string(&label).expect("serializes");
    assert_eq!(json, r#""background prohibit=metered""#);
    assert_eq!(serde_json::from_str::<Label>(&json).expect("parses"), label);
    let error = serde_json::from_str::<Label>(r#""smal""#).expect_err("unknown");
    assert!(
        error.to_string().contains("did you mean `small`?"),
        "{error}"
    );
}

/// Any label, by any builders in any order; what contradicts is left out.
pub(crate) fn arbitrary() -> impl Strategy<Value = Label> {
    let size = prop_oneof![
        Just(Size::Unspecified),
        Just(Size::Small),
        Just(Size::Large),
        any::<u64>().prop_map(Size::Bytes),
        (0u64..2048, 0u32..5).prop_map(|(n, unit)| Size::Bytes(n << (10 * unit))),
    ];
    let levels = proptest::collection::vec((0usize..14, 0u8..5), 0..10);
    let name = proptest::option::of("[a-z][a-z0-9.,=é-]{0,6}");
    (0u8..3, size, 0usize..4, levels, name, any::<[bool; 3]>()).prop_map(
        |(urgency, size, scope, levels, name, flags)| {
            let mut label = Label::new();
            for (prop, level) in levels {
                let prop = Prop::ALL[prop];
                let set = match level {
                    0 => label.try_require(prop),
                    1 => label.try_avoid(prop),
                    2 => label.try_prohibit(prop),
                    _ => label.try_prefer(prop),
                };
                label = set.unwrap_or(label);
            }
            label = match urgency {
                0 => label.interactive(),
                1 => label.background(),
                _ => label,
            };
            label = match size {
                Size::Unspecified => label,
                Size::Small => label.small(),
                Size::Large => label.large(),
                Size::Bytes(n) => label.bytes(n),
            };
            label = label.try_scope(Scope::ALL[scope]).unwrap_or(label);
            if let Some(name) = name {
                label = label.try_interface(&name).unwrap_or(label);
            }
            let builders = [Label::redundant, Label::ignore_cost, Label::bypass_vpn];
            let said = builders.into_iter().zip(flags).filter(|(_, flag)| *flag);
            said.fold(label, |label, (build, _)| build(label))
        },
    )
}

proptest! {
    // behaviour: G1
    #[test]
    fn what_is_printed_parses_back(label in arbitrary()) {
        let text = label.to_string();
        prop_assert!(text.len() <= 1024);
        prop_assert_eq!(text.parse::<Label>(), Ok(label), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|((require|prefer|if|size|scope|any|small|x)[=, ](wifi|ipv4|1M|,)? ?){0,6}") {
        match text.parse::<Label>() {
            Ok(label) => prop_assert_eq!(label.to_string().parse::<Label>(), Ok(label)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
