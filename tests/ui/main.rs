//! What the compiler says of wrong programs. `TRYBUILD=overwrite` writes the answers anew.

/// The attribute macros: each mistake is told at its place, once.
#[cfg(all(feature = "macros", feature = "test-util"))]
#[test]
fn macros() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/macros/pass_*.rs");
    cases.compile_fail("tests/ui/macros/fail_*.rs");
}
