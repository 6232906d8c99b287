//! Durations and rates as people write them.

use std::time::Duration;

const TIMES: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

const RATES: [(&str, u64); 4] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("Mbit", 1_000_000),
    ("Gbit", 1_000_000_000),
];

/// `60ms`, `1.5s`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let mut nanos = 0_u64;
    let mut rest = text;
    loop {
        let (part, after) = amount(rest, &TIMES).ok_or_else(|| {
            format!("no duration: `{text}`, write it as in `60ms`, `5s`, `1h30m`")
        })?;
        nanos = nanos
            .checked_add(part)
            .ok_or_else(|| format!("too long: `{text}`"))?;
        if after.is_empty() {
            return Ok(Duration::from_nanos(nanos));
        }
        rest = after;
    }
}

/// `10Mbit`, in bits a second.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    match amount(text, &RATES) {
        Some((0, _)) => Err(format!("a rate above zero, not `{text}`")),
        Some((rate, "")) => Ok(rate),
        _ => Err(format!(
            "no rate: `{text}`, write it as in `64kbit`, `10Mbit`, `1.5Gbit`"
        )),
    }
}

/// One number with its unit from the front of `text`, and what follows.
fn amount<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(u64, &'a str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let &(_, unit) = units.iter().find(|(name, _)| *name == word)?;
    let mut value = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut weight = unit;
    for digit in fraction.bytes() {
        weight /= 10;
        value = value.checked_add(u64::from(digit - b'0') * weight)?;
    }
    Some((value, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up() {
        let millis = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("60ms"), Ok(60));
        assert_eq!(millis("1.5s"), Ok(1_500));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("2d"), Ok(172_800_000));
        assert_eq!(millis("0s"), Ok(0));
    }

    #[test]
    fn rates_are_bits_a_second() {
        assert_eq!(rate("10Mbit"), Ok(10_000_000));
        assert_eq!(rate("1.5Gbit"), Ok(1_500_000_000));
        assert_eq!(rate("300bit"), Ok(300));
    }

    #[test]
    fn everything_else_is_refused_without_a_panic() {
        let bad = [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5S",
            "1h30",
            ".5s",
            "5..5s",
            "5sec",
            "٣s",
            "5s ",
            "99999999999999999999s",
            "9999999999h",
            "300000000h300000000h",
        ];
        for text in bad {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in [
            "",
            "10",
            "10mbit",
            "10MB",
            "0bit",
            "1Mbit1Mbit",
            "99999999999Gbit",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
