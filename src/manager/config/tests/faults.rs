//! What is said of a wrong text: everything, each at its place.

use super::*;

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
            "[labels.any]\nlabel = 'background'",
            "1:9: labels.any: a label's own text is no name for one",
        ),
        (
            "[labels.'require=wifi']\nlabel = 'background'",
            "1:9: labels.\"require=wifi\": a label's own text is no name for one",
        ),
        (
            "[labels.'']\nlabel = 'background'",
            "1:9: labels.\"\": a label needs a name",
        ),
        (
            "[labels.photos]\nwithin = '1h'",
            "1:9: labels.photos: `label` is missing",
        ),
        (
            "[labels.photos]\nlabel = 'any'\nrelax_to = 'any'",
            "1:9: labels.photos: `relax_after` is missing",
        ),
        (
            "[labels.photos]\nlabel = 'any'\nrelax_after = '1h'",
            "1:9: labels.photos: `relax_to` is missing",
        ),
        (
            "[networks.a]\nloss = '101%'",
            "2:8: networks.a.loss: no share: `101%`, write it as in `2%`, `0.5%`, at most `100%`",
        ),
        (
            "\n[[policy]]\non = 'metered'",
            "2:1: policy: `forbid` is missing",
        ),
        ("[[policy]]\nforbid = 'any'", "1:1: policy: `on` is missing"),
        (
            "[policy]\nforbid = 'any'",
            "1:1: policy: `[[policy]]`, an array of tables, is expected here, not table",
        ),
        (
            "[labels]\nphotos = 'any'",
            "2:10: labels.photos: a table is expected here, not string",
        ),
        (
            "policy = ['any']",
            "1:11: policy: a table is expected here, not string",
        ),
        (
            "[[policy]]\nforbid = 'any'\non = 'meterd'",
            "3:6: policy.on: `on`, column 1: unknown word `meterd`; did you mean `metered`?",
        ),
        (
            "[[limit]]\non = 'metered'",
            "1:1: limit: `rate`, or `bytes` and `per`, is missing",
        ),
        (
            "[[limit]]\nrate = '1 MB/s'\non = 'metered metered'",
            "3:6: limit.on: `on`, column 9: `metered` stands there twice",
        ),
        (
            "[[limit]]\nrate = '1 MB/s'\nper = 'day'",
            "1:1: limit: `bytes` is missing",
        ),
        ("[[limit]]\nbytes = '1 MB'", "1:1: limit: `per` is missing"),
        (
            "[[limit]]\nrate = '1 MB'",
            "2:8: limit.rate: no rate: `1 MB`, write it as in `1 MB/s`, `64 kB/s`, `8Mbit`",
        ),
        (
            "[[limit]]\nbytes = '5'\nper = 'day'",
            "2:9: limit.bytes: no amount: `5`, write it as in `500 MB`, `2 GiB`",
        ),
        (
            "[[limit]]\nbytes = '1 MB'\nper = 'year'",
            "3:7: limit.per: no period: `year`, known are hour, day, week, month, and lengths as in `12h`",
        ),
        (
            "[[limit]]\nrate = '1 MB/s'\nlabel = 'small large'",
            "3:9: limit.label: `label`, column 7: `large` cannot stand beside `small`",
        ),
        (
            "[labels.photos]\nlabel = 'any'\n[[limit]]\nrate = '1 MB/s'\nlabel = 'photo'",
            "5:9: limit.label: no traffic and no label `photo`, did you mean `photos`?",
        ),
        (
            "[state]\nfolder = 'here'",
            "2:10: state.folder: an absolute path is expected here",
        ),
        (
            "[scout]\nsocket = 'scout.sock'",
            "2:10: scout.socket: an absolute path is expected here",
        ),
        (
            "[scout]\nfalback = true",
            "2:1: scout.falback: unknown key `falback`, did you mean `fallback`?",
        ),
        (
            "[monitor]\nenabled = 'yes'",
            "2:11: monitor.enabled: `true` or `false` is expected here, not string",
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

/// One line a fault, without the file.
fn lines(text: &str) -> Vec<String> {
    let message = fault(text);
    let place = |line: &str| line.strip_prefix("mancom.toml:").unwrap_or(line).to_owned();
    message.lines().map(place).collect()
}

// behaviour: MC-08, T4
#[test]
fn everything_that_is_wrong_is_told_in_the_order_of_the_text() {
    let text = "unknwon = 'deny'\n[networks.a]\nkind = 'wfi'\nmetered = 1\n[labels.a]\nlabel = 'x'\n\
                [[policy]]\nforbid = 'lage'\non = 'meterd'\n[networks.b]\nrtt = '1'";
    let told = lines(text);
    let fields: Vec<_> = told
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    let places = ["1:1", "3:8", "4:11", "6:9", "8:10", "9:6", "11:7"];
    assert_eq!(fields, places, "{told:?}");
    assert!(told[0].ends_with("did you mean `unknown`?"), "{told:?}");
    assert!(told[5].starts_with("9:6: policy.on: "), "{told:?}");
}

#[test]
fn a_text_that_breaks_off_is_still_read_to_its_end() {
    let text = "[networks.a]\nkind = \nmetered = 1\n[labels.b]\nwithin = '1s'\n[labels\nx = 1\n[scout]\nx = 1";
    let told = lines(text);
    let places: Vec<_> = told
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    // Neither the empty kind nor the missing label, which a broken line may have held.
    assert_eq!(places, ["2:8", "3:11", "6:8", "9:1"], "{told:?}");
}

#[test]
fn at_most_64_places_are_told_and_the_rest_counted() {
    let text: String = (0..100).map(|i| format!("k{i} = 1\n")).collect();
    let error = Config::parse(&text, "mancom.toml").unwrap_err();
    assert_eq!((error.faults().len(), error.more()), (64, 36));
    let message = error.to_string();
    assert_eq!(message.lines().count(), 65);
    assert!(message.ends_with("\nand 36 more"), "{message}");
    assert!(message.starts_with("mancom.toml:1:1: k0: "), "{message}");
}

#[test]
fn a_long_text_that_is_no_toml_tells_its_first_fault_alone() {
    let text = "=\n".repeat(1 << 19);
    let error = Config::parse(&text, "mancom.toml").unwrap_err();
    assert_eq!((error.faults().len(), error.more()), (1, 0));
}

#[test]
fn a_word_of_any_length_makes_a_short_message() {
    let word = "é".repeat(100_000);
    for text in [
        format!("'{word}' = 1"),
        format!("unknown = '{word}'"),
        format!("[networks.'{word}']\nrtt = '{word}'"),
        format!("[networks.a]\nup = '{word}'\nloss = '{word}'\nkind = '{word}'"),
        format!("[labels.a]\nlabel = '{word}'"),
        format!("[[policy]]\nforbid = '{word}'\non = '{word}'"),
    ] {
        let message = fault(&text);
        assert!(message.len() < 2048, "{} bytes", message.len());
    }
}

// behaviour: X6
#[test]
fn one_limit_too_many_is_told_by_its_place() {
    let limit = "[[limit]]\nrate = '1 MB/s'\n";
    assert!(Config::parse(&limit.repeat(64), "f").is_ok());
    let error = Config::parse(&limit.repeat(66), "f").unwrap_err();
    assert_eq!(
        error.to_string(),
        "f:129:1: limit: 66 limits are too many: from here on beyond 64"
    );
    let config = Config::parse(&limit.repeat(64), "f").unwrap();
    assert!(config.check_room(0).is_ok());
    let told = config.check_room(2).unwrap_err().to_string();
    assert_eq!(
        told,
        "f:125:1: limit: 64 limits beside 2 given in code are too many: from here on beyond 64"
    );
}

#[test]
fn a_name_that_nothing_has_is_told_beside_other_faults() {
    let text = "[labels.films]\nlabel = 'larg'\n\
        [[limit]]\nrate = '1 MB/s'\nlabel = 'photos*'\n\
        [[limit]]\nrate = '1 MB/s'\nlabel = 'film*'\n\
        [[limit]]\nrate = '1'";
    let told: Vec<_> = Config::parse(text, "f")
        .unwrap_err()
        .to_string()
        .lines()
        .map(|line| {
            let mut parts = line.splitn(4, ':');
            let _file = parts.next();
            parts.next().unwrap().to_owned()
        })
        .collect();
    // Not the pattern that fits a label which is wrong itself.
    assert_eq!(told, ["2", "5", "10"]);
}
