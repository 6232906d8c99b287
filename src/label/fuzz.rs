//! Any text as a label.

use super::Label;

/// Reads a text; what is printed of a label is the label.
///
/// # Panics
/// If that does not hold.
pub(crate) fn label(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Label>() {
        Ok(label) => {
            let printed = label.to_string();
            assert_eq!(printed.parse(), Ok(label), "of `{printed}`");
            assert_eq!(format!("{label:?}"), format!("Label({printed})"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
