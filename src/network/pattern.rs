//! Patterns of interface names, in which `*` stands for any number of characters.

/// Whether an interface's name fits a pattern; quick whatever the stars.
pub(crate) fn name_fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, taken)) = retry else {
                    return false;
                };
                retry = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, name, fits) in [
            ("wlan0", "wlan0", true),
            ("wlan0", "wlan01", false),
            ("wlan*", "wlan", true),
            ("wlan*", "wlan0", true),
            ("*", "", true),
            ("*0", "eth0", true),
            ("*0", "eth0.1", false),
            ("e*h*0", "eth1.0", true),
            ("e*h*0", "eth1", false),
            ("**a**", "banana", true),
            ("", "x", false),
        ] {
            assert_eq!(name_fits(pattern, name), fits, "{pattern} against {name}");
        }
    }
}
