//! Lengths of time in arguments: `5`, `1.5s`, `250ms`, `10m`, `12h`.

use std::time::Duration;

/// Seconds, or a number with `ms`, `s`, `m`, `h` or `d` behind it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h or d")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a number, like 5, 1.5s or 10m".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| "longer than time itself".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn reads_seconds_and_units() {
        for (text, millis) in [
            ("5", 5_000),
            ("0", 0),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("10m", 600_000),
            ("12h", 43_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "s",
            "-1",
            "5 s",
            "5w",
            "1.2.3",
            "soon",
            "1e400",
            &"9".repeat(40),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
