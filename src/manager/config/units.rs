//! Durations, rates and amounts as people write them.

use std::time::Duration;

use super::tree::shortened;
use crate::account::Period;

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

const BYTES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// In thousandths.
const SHARES: [(&str, u64); 1] = [("%", 10)];

/// `60ms`, `1.5s`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (shown, mut rest) = (shortened(text), text);
    let mut nanos = 0_u64;
    loop {
        let (part, after) = amount(rest, &TIMES).ok_or_else(|| {
            format!("no duration: `{shown}`, write it as in `60ms`, `5s`, `1h30m`")
        })?;
        nanos = nanos
            .checked_add(part)
            .ok_or_else(|| format!("too long: `{shown}`"))?;
        if after.is_empty() {
            return Ok(Duration::from_nanos(nanos));
        }
        rest = after;
    }
}

/// `10Mbit`, in bits a second.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let shown = shortened(text);
    match amount(text, &RATES) {
        Some((0, _)) => Err(format!("a rate above zero, not `{shown}`")),
        Some((rate, "")) => Ok(rate),
        _ => Err(format!(
            "no rate: `{shown}`, write it as in `64kbit`, `10Mbit`, `1.5Gbit`"
        )),
    }
}

/// `500 MB`, in bytes; at least 1,000.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let shown = shortened(text);
    match amount(&spaceless(text), &BYTES) {
        Some((bytes @ 1_000.., "")) => Ok(bytes),
        Some((_, "")) => Err(format!("at least 1 kB, not `{shown}`")),
        _ => Err(format!(
            "no amount: `{shown}`, write it as in `500 MB`, `2 GiB`"
        )),
    }
}

/// `1 MB/s`, or `8Mbit`, in bytes a second.
pub(super) fn speed(text: &str) -> Result<u64, String> {
    let shown = shortened(text);
    let spaceless = spaceless(text);
    let bytes = match amount(&spaceless, &BYTES) {
        Some((bytes, "/s")) => Some(bytes),
        _ => match amount(&spaceless, &RATES) {
            Some((bits, "" | "/s")) => Some(bits / 8),
            _ => None,
        },
    };
    match bytes {
        Some(0) => Err(format!("a rate above zero, not `{shown}`")),
        Some(bytes) => Ok(bytes),
        None => Err(format!(
            "no rate: `{shown}`, write it as in `1 MB/s`, `64 kB/s`, `8Mbit`"
        )),
    }
}

/// `month`, `12h`.
pub(super) fn period(text: &str) -> Result<Period, String> {
    let shown = shortened(text);
    match text {
        "hour" => return Ok(Period::Hour),
        "day" => return Ok(Period::Day),
        "week" => return Ok(Period::Week),
        "month" => return Ok(Period::Month),
        _ => {}
    }
    match duration(text) {
        Ok(long) if long >= Duration::from_secs(1) && long.subsec_nanos() == 0 => {
            Ok(Period::Every(long))
        }
        Ok(_) => Err(format!("whole seconds, not `{shown}`")),
        Err(_) => Err(format!(
            "no period: `{shown}`, known are hour, day, week, month, and lengths as in `12h`"
        )),
    }
}

/// A number and its unit may stand apart.
fn spaceless(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.ends_with(|c: char| c.is_ascii_digit()) => {
            format!("{number}{unit}")
        }
        _ => text.to_owned(),
    }
}

/// `0.5%`, in thousandths.
pub(super) fn per_mille(text: &str) -> Result<u16, String> {
    match amount(text, &SHARES) {
        Some((share @ 0..=1000, "")) => Ok(share as u16),
        _ => Err(format!(
            "no share: `{}`, write it as in `2%`, `0.5%`, at most `100%`",
            shortened(text)
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
        .find(|c: char| !c.is_ascii_alphabetic() && c != '%')
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
    fn amounts_are_bytes() {
        assert_eq!(bytes("500 MB"), Ok(500_000_000));
        assert_eq!(bytes("1.5GB"), Ok(1_500_000_000));
        assert_eq!(bytes("2 KiB"), Ok(2_048));
        assert_eq!(speed("1 MB/s"), Ok(1_000_000));
        assert_eq!(speed("64kB/s"), Ok(64_000));
        assert_eq!(speed("8Mbit"), Ok(1_000_000));
        for text in [
            "",
            "5",
            "MB",
            "1 mb",
            "1  MB",
            "999 B",
            "1 MB/s",
            "99999999 TB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for text in [
            "", "1 MB", "0 B/s", "1 MB/m", "7bit", "1 MB /s", "1MB/s ", " 1MB/s",
        ] {
            assert!(speed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_are_words_or_lengths() {
        assert_eq!(period("month"), Ok(Period::Month));
        assert_eq!(period("90m"), Ok(Period::Every(Duration::from_secs(5_400))));
        for text in ["", "moth", "0s", "1.5s", "5", "year"] {
            assert!(period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_of_a_thousand() {
        assert_eq!(per_mille("2%"), Ok(20));
        assert_eq!(per_mille("0.5%"), Ok(5));
        assert_eq!(per_mille("100%"), Ok(1000));
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
        for text in ["", "%", "2", "2 %", "-1%", "100.1%", "1%1%", "2%x"] {
            assert!(per_mille(text).is_err(), "{text}");
        }
    }
}
