//! The text form of a label; the table of terms is in the essay of [`super`].

use std::fmt;
use std::str::FromStr;

use super::error::Fault;
use super::{Label, LabelError, Level, Prop, Scope, Size, Urgency, nearest};

/// Bytes of a label's text.
const MAX_TEXT: usize = 1024;

/// Every term, for suggestions; those with a value are printed with their `=`.
const WORDS: [&str; 20] = [
    "interactive",
    "background",
    "small",
    "large",
    "size=",
    "scope=",
    "require=",
    "prefer=",
    "avoid=",
    "prohibit=",
    "if=",
    "cost=ignore",
    "vpn=bypass",
    "redundant",
    "any",
    "ondemand",
    "foreground",
    "wifi-only",
    "unmetered",
    "bypass-vpn",
];

const UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms = Terms { f, any: false };
        match self.urgency() {
            Urgency::Default => {}
            urgency => terms.term(format_args!("{urgency}"))?,
        }
        match self.size() {
            Size::Unspecified => {}
            Size::Small => terms.term(format_args!("small"))?,
            Size::Large => terms.term(format_args!("large"))?,
            Size::Bytes(n) => {
                let unit = UNITS.iter().find(|(_, unit)| n >= *unit && n % unit == 0);
                match unit {
                    Some((letter, unit)) => {
                        terms.term(format_args!("size={}{letter}", n / unit))?
                    }
                    None => terms.term(format_args!("size={n}"))?,
                }
            }
        }
        if self.scoped() != Scope::Auto {
            terms.term(format_args!("scope={}", self.scoped()))?;
        }
        terms.list("require", self.required().iter())?;
        terms.list("prefer", self.prefers())?;
        terms.list("avoid", self.avoided().iter())?;
        terms.list("prohibit", self.prohibited().iter())?;
        if let Some(name) = self.interface_name() {
            terms.term(format_args!("if={name}"))?;
        }
        for (said, word) in [
            (self.ignores_cost(), "cost=ignore"),
            (self.bypasses_vpn(), "vpn=bypass"),
            (self.is_redundant(), "redundant"),
        ] {
            if said {
                terms.term(format_args!("{word}"))?;
            }
        }
        match terms.any {
            true => Ok(()),
            false => f.write_str("any"),
        }
    }
}

/// The text form: a label is read more often than its bytes are.
impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({self})")
    }
}

struct Terms<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    any: bool,
}

impl Terms<'_, '_> {
    fn term(&mut self, term: fmt::Arguments<'_>) -> fmt::Result {
        let blank = if self.any { " " } else { "" };
        self.any = true;
        write!(self.f, "{blank}{term}")
    }

    fn list(&mut self, word: &str, props: impl Iterator<Item = Prop>) -> fmt::Result {
        for (i, prop) in props.enumerate() {
            match i {
                0 => self.term(format_args!("{word}={prop}"))?,
                _ => write!(self.f, ",{prop}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        if text.len() > MAX_TEXT {
            return Err(LabelError::TooLong {
                length: text.len(),
                limit: MAX_TEXT,
            });
        }
        let mut reader = Reader {
            text,
            label: Label::new(),
            single: [None; 3],
            terms: 0,
            any: None,
        };
        for word in text.split_ascii_whitespace() {
            reader.term(word)?;
        }
        match reader {
            Reader { terms: 0, .. } => Err(LabelError::Empty),
            Reader {
                any: Some(column),
                terms,
                ..
            } if terms > 1 => Err(LabelError::NotAlone { column }),
            Reader { label, .. } => Ok(label),
        }
    }
}

/// The values of which there is one each.
#[derive(Clone, Copy)]
enum Single {
    Urgency,
    Size,
    Scope,
}

impl Single {
    fn word(self) -> &'static str {
        match self {
            Single::Urgency => "urgency",
            Single::Size => "size",
            Single::Scope => "scope",
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    label: Label,
    single: [Option<&'a str>; 3],
    terms: usize,
    any: Option<usize>,
}

impl<'a> Reader<'a> {
    /// The column of `part`, a slice of the text.
    fn column(&self, part: &str) -> usize {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.text[..offset].chars().count() + 1
    }

    fn term(&mut self, word: &'a str) -> Result<(), LabelError> {
        self.terms += 1;
        match word.split_once('=') {
            Some((term, value)) => self.valued(word, term, value),
            None => self.plain(word),
        }
    }

    fn plain(&mut self, word: &'a str) -> Result<(), LabelError> {
        let label = self.label;
        self.label = match word {
            "interactive" | "ondemand" | "foreground" => {
                self.once(Single::Urgency, word)?;
                label.interactive()
            }
            "background" => {
                self.once(Single::Urgency, word)?;
                label.background()
            }
            "small" => {
                self.once(Single::Size, word)?;
                label.small()
            }
            "large" => {
                self.once(Single::Size, word)?;
                label.large()
            }
            "wifi-only" => self.set(word, Prop::Wifi, Level::Require)?,
            "unmetered" => self.set(word, Prop::Metered, Level::Prohibit)?,
            "redundant" => self.flag(word, Label::is_redundant, Label::redundant)?,
            "bypass-vpn" => self.flag(word, Label::bypasses_vpn, Label::bypass_vpn)?,
            "any" => {
                if self.any.is_some() {
                    return Err(self.repeated(word));
                }
                self.any = Some(self.column(word));
                label
            }
            _ => return Err(self.unknown(word, "word", WORDS)),
        };
        Ok(())
    }

    fn valued(&mut self, word: &'a str, term: &str, value: &'a str) -> Result<(), LabelError> {
        let label = self.label;
        self.label = match term {
            "require" => return self.props(value, Level::Require, "require", "require=wifi"),
            "prefer" => return self.props(value, Level::Prefer, "prefer", "prefer=ethernet,wifi"),
            "avoid" => return self.props(value, Level::Avoid, "avoid", "avoid=cellular"),
            "prohibit" => {
                return self.props(value, Level::Prohibit, "prohibit", "prohibit=metered");
            }
            "size" => {
                self.given(value, "size", "size=64M")?;
                self.once(Single::Size, word)?;
                let n = size(value).ok_or_else(|| LabelError::Size {
                    column: self.column(value),
                    value: cut(value),
                })?;
                label.bytes(n)
            }
            "scope" => {
                self.given(value, "scope", "scope=local")?;
                self.once(Single::Scope, word)?;
                let words = Scope::ALL.map(Scope::word);
                let scope = Scope::ALL.into_iter().find(|scope| scope.word() == value);
                let scope = scope.ok_or_else(|| self.unknown(value, "scope", words))?;
                let column = self.column(word);
                label.checked_scope(scope).map_err(|e| e.at(Some(column)))?
            }
            "if" => {
                self.given(value, "if", "if=wlan0")?;
                if label.interface_name() == Some(value) {
                    return Err(self.repeated(word));
                }
                let column = self.column(value);
                label.on_interface(value).map_err(|e| e.at(Some(column)))?
            }
            "cost" if value == "ignore" => {
                self.flag(word, Label::ignores_cost, Label::ignore_cost)?
            }
            "vpn" if value == "bypass" => {
                self.flag(word, Label::bypasses_vpn, Label::bypass_vpn)?
            }
            "cost" => return Err(self.unknown(word, "word", ["cost=ignore"])),
            "vpn" => return Err(self.unknown(word, "word", ["vpn=bypass"])),
            _ => {
                let known = WORDS.map(|word| word.split_once('=').map_or(word, |(term, _)| term));
                return Err(self.unknown(term_of(word), "word", known));
            }
        };
        Ok(())
    }

    fn props(
        &mut self,
        list: &'a str,
        level: Level,
        term: &'static str,
        example: &'static str,
    ) -> Result<(), LabelError> {
        for word in list.split(',') {
            self.given(word, term, example)?;
            let prop = Prop::from_word(word)
                .ok_or_else(|| self.unknown(word, "property", Prop::ALL.map(Prop::word)))?;
            self.label = self.set(word, prop, level)?;
        }
        Ok(())
    }

    fn set(&self, word: &str, prop: Prop, level: Level) -> Result<Label, LabelError> {
        if self.label.level(prop) == level {
            return Err(self.repeated(word));
        }
        let at = |fault: Fault| fault.at(Some(self.column(word)));
        self.label.at_level(prop, level).map_err(at)
    }

    fn flag(
        &self,
        word: &str,
        said: fn(&Label) -> bool,
        set: fn(Label) -> Label,
    ) -> Result<Label, LabelError> {
        if said(&self.label) {
            return Err(self.repeated(word));
        }
        Ok(set(self.label))
    }

    fn once(&mut self, single: Single, word: &'a str) -> Result<(), LabelError> {
        match self.single[single as usize].replace(word) {
            None => Ok(()),
            Some(earlier) if earlier == word => Err(self.repeated(word)),
            Some(earlier) => Err(LabelError::TwoValues {
                column: self.column(word),
                what: single.word(),
                earlier: cut(earlier),
                word: cut(word),
            }),
        }
    }

    fn given(
        &self,
        value: &str,
        term: &'static str,
        example: &'static str,
    ) -> Result<(), LabelError> {
        if !value.is_empty() {
            return Ok(());
        }
        Err(LabelError::MissingValue {
            column: self.column(value),
            term,
            example,
        })
    }

    fn repeated(&self, word: &str) -> LabelError {
        LabelError::Repeated {
            column: self.column(word),
            word: cut(word),
        }
    }

    fn unknown(
        &self,
        word: &str,
        what: &'static str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> LabelError {
        LabelError::UnknownWord {
            column: self.column(word),
            what,
            word: cut(word),
            nearest: nearest(word, known),
        }
    }
}

fn term_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(term, _)| term)
}

fn cut(word: &str) -> String {
    word.chars().take(32).collect()
}

fn size(value: &str) -> Option<u64> {
    let last = value.chars().next_back()?.to_ascii_uppercase();
    let unit = UNITS.iter().find(|(letter, _)| *letter == last);
    let (number, unit) = match unit {
        Some((_, unit)) => (&value[..value.len() - 1], *unit),
        None => (value, 1),
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits
        .then_some(number)?
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
}

#[cfg(feature = "serde")]
mod serial {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use std::fmt;

    use crate::label::Label;

    /// The text form.
    impl Serialize for Label {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    /// The text form.
    impl<'de> Deserialize<'de> for Label {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl de::Visitor<'_> for Text {
                type Value = Label;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a label such as `background prohibit=metered`")
                }

                fn visit_str<E: de::Error>(self, text: &str) -> Result<Label, E> {
                    text.parse().map_err(E::custom)
                }
            }
            deserializer.deserialize_str(Text)
        }
    }
}
