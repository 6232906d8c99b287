//! What must not compile, and how it is told: contradictory labels in a `const`.
//!
//! The expected messages are those of the pinned compiler; `TRYBUILD=overwrite` renews them.

// behaviour: D3
#[test]
fn contradictory_labels_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/labels_that_agree.rs");
    cases.compile_fail("tests/ui/two_levels.rs");
    cases.compile_fail("tests/ui/host_with_a_kind.rs");
    cases.compile_fail("tests/ui/two_interfaces.rs");
    cases.compile_fail("tests/ui/long_interface.rs");
}
