//! Labels.
pub mod matching;

/// What traffic needs of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    placeholder: [u64; 6],
}

/// A property of a network that a label may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Prop {
    Ethernet,
    Wifi,
    Bluetooth,
    Cellular,
    Satellite,
    Vpn,
    Loopback,
    Other,
    Metered,
    Roaming,
    Constrained,
    Validated,
    Ipv4,
    Ipv6,
}

/// How far the traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Scope {
    #[default]
    Auto,
    Host,
    Local,
    Internet,
}

/// Urgency; the order is that of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Urgency {
    Interactive,
    #[default]
    Default,
    Background,
}

/// A label that contradicts itself or a text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad label")]
#[allow(missing_docs)]
pub enum LabelError {
    Empty,
    NotDefined {
        name: String,
        nearest: Option<String>,
    },
}

impl Label {
    /// Any network will do.
    pub const ANY: Label = Label {
        placeholder: [0; 6],
    };
}

impl std::str::FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.bytes().next() {
            Some(b'!') | None => Err(LabelError::Empty),
            Some(first) => Ok(Label {
                placeholder: [u64::from(first); 6],
            }),
        }
    }
}

/// Stand-in.
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
