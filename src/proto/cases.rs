//! How many cases a property of a core is tried with.

use proptest::test_runner::Config;

/// `MANCOM_CASES` or `PROPTEST_CASES` overrides the number of cases: two million of two session cores take
/// an hour. A case that fails is printed with its seed, shrunk, and kept in no file.
pub(super) fn cases(number: u32) -> Config {
    let default = Config::default();
    let asked = std::env::var("MANCOM_CASES").ok();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => asked.and_then(|cases| cases.parse().ok()).unwrap_or(number),
    };
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..default
    }
}
