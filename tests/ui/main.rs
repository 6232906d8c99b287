//! What the compiler says of wrong programs. `TRYBUILD=overwrite` writes the answers anew.
//!
//! Right ones are in `tests/api`: one among these would have every dependency built once more, not only
//! checked.

/// The attribute macros: each mistake is told at its place, once.
#[cfg(all(feature = "macros", feature = "test-util"))]
#[test]
fn macros() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/macros/fail_*.rs");
}

// behaviour: D3
#[test]
fn contradictory_labels_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/two_levels.rs");
    cases.compile_fail("tests/ui/host_with_a_kind.rs");
    cases.compile_fail("tests/ui/two_interfaces.rs");
    cases.compile_fail("tests/ui/long_interface.rs");
}
