//! What can be wrong with a label, and where.

use super::{Level, MAX_INTERFACE, Prop};

/// A label that contradicts itself, or a text that is no label.
///
/// Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The label contradicts itself; the column is that of the term that does, in a text.
    #[error("{}{what}", at(*column))]
    Contradiction {
        /// Where, if it was a text.
        column: Option<usize>,
        /// What contradicts what.
        what: Contradiction,
    },
    /// No interface can have this name.
    #[error("{}an interface name has 1 to {MAX_INTERFACE} bytes, none of them a blank or a control character", at(*column))]
    InterfaceName {
        /// Where, if it was a text.
        column: Option<usize>,
    },
    /// The text has no term.
    #[error("an empty label; `any` asks for nothing")]
    Empty,
    /// The text is longer than any label.
    #[error("a label of {length} bytes; at most {limit} are read")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A term or value that means nothing.
    #[error("column {column}: unknown {what} `{word}`{}", suggestion(nearest))]
    UnknownWord {
        /// Where it stands.
        column: usize,
        /// What was expected: `word`, `property`, `scope`.
        what: &'static str,
        /// The word, cut to 32 characters.
        word: String,
        /// The known word most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// A term without the value it needs.
    #[error("column {column}: `{term}` needs a value, as in `{example}`")]
    MissingValue {
        /// Where the value should stand.
        column: usize,
        /// The term's word.
        term: &'static str,
        /// How it looks.
        example: &'static str,
    },
    /// A size that is no number of bytes.
    #[error("column {column}: `{value}` is no size such as 4000, 16K or 64M")]
    Size {
        /// Where it stands.
        column: usize,
        /// The value, cut to 32 characters.
        value: String,
    },
    /// The same term or property twice.
    #[error("column {column}: `{word}` is said twice")]
    Repeated {
        /// Where the second stands.
        column: usize,
        /// The term or property.
        word: String,
    },
    /// Two values where there is one: urgency, size, scope.
    #[error("column {column}: `{word}` after `{earlier}`; there is one {what}")]
    TwoValues {
        /// Where the second stands.
        column: usize,
        /// `urgency`, `size` or `scope`.
        what: &'static str,
        /// The first.
        earlier: String,
        /// The second.
        word: String,
    },
    /// `any` beside other terms.
    #[error("column {column}: `any` asks for nothing and stands alone")]
    NotAlone {
        /// Where it stands.
        column: usize,
    },
    /// Bits that libcmm does not define.
    #[error("libcmm has no label bits {0:#x}")]
    UnknownBits(u32),
    /// libcmm's WIFI_ONLY together with THREEG_ONLY.
    #[error("libcmm's WIFI_ONLY and THREEG_ONLY contradict each other")]
    ContradictoryBits,
    /// No label of this name in the configuration.
    #[error("no label is named `{name}`{}", suggestion(nearest))]
    NotDefined {
        /// The name looked for.
        name: String,
        /// The defined name most like it, if any is.
        nearest: Option<String>,
    },
}

/// Two demands that no network can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// One property at two levels.
    #[error("{prop} is both {first} and {second}")]
    TwoLevels {
        /// The property.
        prop: Prop,
        /// The level it had.
        first: Level,
        /// The level it was to have too.
        second: Level,
    },
    /// A required kind of network where none is used.
    #[error("{prop} is required, and scope=host uses no network")]
    HostKind {
        /// The kind.
        prop: Prop,
    },
    /// Two interface names.
    #[error("two interface names")]
    TwoInterfaces,
}

/// What a `const fn` can answer with: nothing in it needs dropping.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Contradiction(Contradiction),
    InterfaceName,
}

impl Fault {
    pub(super) const fn told<T: Copy>(outcome: Result<T, Self>) -> Result<T, LabelError> {
        match outcome {
            Ok(value) => Ok(value),
            Err(fault) => Err(fault.at(None)),
        }
    }

    pub(super) const fn at(self, column: Option<usize>) -> LabelError {
        match self {
            Fault::Contradiction(what) => LabelError::Contradiction { column, what },
            Fault::InterfaceName => LabelError::InterfaceName { column },
        }
    }

    /// Says what is wrong also where nothing can be formatted: in a `const`.
    #[track_caller]
    pub(super) const fn panic(self) -> ! {
        let text = match self {
            Fault::Contradiction(Contradiction::TwoLevels {
                prop,
                first,
                second,
            }) => Text::new()
                .push("contradictory label: ")
                .push(prop.word())
                .push(" is both ")
                .push(first.word())
                .push(" and ")
                .push(second.word()),
            Fault::Contradiction(Contradiction::HostKind { prop }) => Text::new()
                .push("contradictory label: ")
                .push(prop.word())
                .push(" is required, and scope=host uses no network"),
            Fault::Contradiction(Contradiction::TwoInterfaces) => {
                Text::new().push("contradictory label: two interface names")
            }
            Fault::InterfaceName => Text::new()
                .push("an interface name has 1 to 15 bytes, no blanks, no control characters"),
        };
        match str::from_utf8(text.bytes.split_at(text.length).0) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("contradictory label"),
        }
    }
}

/// A text put together in a `const`.
#[derive(Clone, Copy)]
struct Text {
    bytes: [u8; 96],
    length: usize,
}

impl Text {
    const fn new() -> Self {
        Self {
            bytes: [0; 96],
            length: 0,
        }
    }

    const fn push(mut self, more: &str) -> Self {
        let more = more.as_bytes();
        let mut i = 0;
        while i < more.len() && self.length < self.bytes.len() {
            self.bytes[self.length] = more[i];
            self.length += 1;
            i += 1;
        }
        self
    }
}

fn at(column: Option<usize>) -> String {
    column.map_or_else(String::new, |column| format!("column {column}: "))
}

fn suggestion(nearest: &Option<impl AsRef<str>>) -> String {
    match nearest {
        Some(word) => format!("; did you mean `{}`?", word.as_ref()),
        None => String::new(),
    }
}

/// The known word most like `word`: at most a third of its letters (and at least one) wrong.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let tolerated = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&lower, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
