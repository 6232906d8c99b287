//! A TOML tree with its places: every value that is not what was asked for is noted where it stands,
//! and the walk goes on.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::Faults;
use super::limit::Placed;
use super::{ConfigFault, units};
use crate::account::Period;
use crate::label::{Label, LabelError, nearest};

/// Of a longer text that is not TOML only the first place is told: going on costs 300 times its size.
const RECOVERED: usize = 64 << 10;

/// So much of a wrong word is repeated.
const WORD: usize = 64;

/// The text that is read, its name, and what is wrong with it.
pub(super) struct Source<'a> {
    text: &'a str,
    name: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// The lines that are not TOML: what else is wrong with them follows from that.
    broken: Vec<usize>,
    faults: RefCell<Faults>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, name: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Source {
            text,
            name,
            lines: std::iter::once(0).chain(breaks).collect(),
            broken: Vec::new(),
            faults: RefCell::default(),
        }
    }

    /// What can be read of it. Where it is not TOML that is noted, once a line.
    pub(super) fn parse(&mut self) -> DeTable<'a> {
        let (tree, errors) = match self.text.len() {
            ..=RECOVERED => DeTable::parse_recoverable(self.text),
            _ => match DeTable::parse(self.text) {
                Ok(tree) => (tree, Vec::new()),
                Err(error) => (Spanned::new(0..0, DeTable::new()), vec![error]),
            },
        };
        for error in &errors {
            let start = error.span().unwrap_or_default().start;
            let line = self.line(start);
            if !self.broken.contains(&line) {
                self.fault_at(start, "", error.message());
                self.broken.push(line);
            }
        }
        tree.into_inner()
    }

    /// Whether all of it is TOML.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// What was wrong.
    pub(super) fn into_faults(self) -> Faults {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults
    }

    /// Counted from 0.
    fn line(&self, place: usize) -> usize {
        self.lines.partition_point(|start| *start <= place) - 1
    }

    /// Line and column, from 1.
    fn place(&self, place: usize) -> (usize, usize) {
        let line = self.line(place);
        let before = self.text.get(self.lines[line]..place).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }

    pub(super) fn fault_at(&self, place: usize, field: &str, fault: impl fmt::Display) {
        let line = self.line(place);
        if self.broken.contains(&line) {
            return;
        }
        self.faults.borrow_mut().push(|| {
            let (line, column) = self.place(place);
            ConfigFault::Invalid {
                file: self.name.to_owned(),
                line,
                column,
                field: field.to_owned(),
                fault: fault.to_string(),
            }
        });
    }

    /// The entries of a table in file order, which the map does not keep.
    pub(super) fn entries<'b>(&'b self, above: &str, table: &'b DeTable<'b>) -> Vec<Entry<'b>> {
        let entry = |(key, value): (&'b Spanned<DeString<'b>>, &'b Spanned<DeValue<'b>>)| Entry {
            source: self,
            field: field(above, key.get_ref()),
            key: key.get_ref(),
            place: key.span(),
            value,
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.place.start);
        entries
    }
}

/// The path of a key, quoted where TOML asks for it.
fn field(above: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = match key.chars().all(bare) && !key.is_empty() {
        true => shortened(key),
        false => format!("{:?}", shortened(key)),
    };
    match above {
        "" => key,
        above => format!("{above}.{key}"),
    }
}

/// A word of the file as errors repeat it.
pub(super) fn shortened(word: &str) -> String {
    match word.char_indices().nth(WORD) {
        Some((end, _)) => format!("{}...", &word[..end]),
        None => word.to_owned(),
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let shown = shortened(word);
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{shown}`, did you mean `{near}`?"),
        None => format!("unknown {what} `{shown}`, known are {}", known.join(", ")),
    }
}

/// One key with its value. What is asked for and not there is noted as a fault, and `None`.
pub(super) struct Entry<'a> {
    source: &'a Source<'a>,
    /// The whole path, for errors.
    field: String,
    pub(super) key: &'a str,
    /// Of the key.
    place: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    pub(super) fn fault(&self, fault: impl fmt::Display) {
        let place = self.value.span().start;
        self.source.fault_at(place, &self.field, fault);
    }

    pub(super) fn fault_of_key(&self, fault: impl fmt::Display) {
        self.source.fault_at(self.place.start, &self.field, fault);
    }

    /// Notes that none of the entries of this table has the key. In a text that is not all TOML one
    /// may have.
    pub(super) fn needs(&self, key: &str, entries: &[Entry<'_>]) {
        self.needs_one(&[key], format_args!("`{key}` is missing"), entries);
    }

    /// The same of several keys, of which one is enough.
    pub(super) fn needs_one(&self, keys: &[&str], fault: impl fmt::Display, entries: &[Entry<'_>]) {
        let table = matches!(self.value.get_ref(), DeValue::Table(_));
        let whole = table && self.source.broken.is_empty();
        if whole && entries.iter().all(|entry| !keys.contains(&entry.key)) {
            self.fault_of_key(fault);
        }
    }

    /// The file and the line of the key, from 1.
    pub(super) fn stands(&self) -> (&'a str, u32) {
        let line = self.source.line(self.place.start) + 1;
        (self.source.name, u32::try_from(line).unwrap_or(u32::MAX))
    }

    fn mistyped<T>(&self, expected: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        self.fault(format_args!("{expected} is expected here, not {found}"));
        None
    }

    /// The key, if it is one of these.
    pub(super) fn known(&self, known: &[&'static str]) -> Option<&'static str> {
        let found = known.iter().find(|word| **word == self.key).copied();
        if found.is_none() {
            self.fault_of_key(unknown("key", self.key, known));
        }
        found
    }

    /// The entries of a table; none of anything else.
    pub(super) fn table(&self) -> Vec<Entry<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => self.source.entries(&self.field, table),
            _ => self.mistyped("a table").unwrap_or_default(),
        }
    }

    /// The tables of an array of them, as written with `[[key]]`.
    pub(super) fn tables(&self) -> Vec<Entry<'a>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            let expected = format!("`[[{}]]`, an array of tables,", self.field);
            return self.mistyped(&expected).unwrap_or_default();
        };
        let entry = |value: &'a Spanned<DeValue<'a>>| Entry {
            source: self.source,
            field: self.field.clone(),
            key: self.key,
            place: value.span(),
            value,
        };
        array.iter().map(entry).collect()
    }

    #[cfg(feature = "tls")]
    pub(super) fn is_array(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    /// The values of an array.
    #[cfg(feature = "tls")]
    pub(super) fn list(&self) -> Vec<Entry<'a>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            return self.mistyped("an array of strings").unwrap_or_default();
        };
        let entry = |value: &'a Spanned<DeValue<'a>>| Entry {
            source: self.source,
            field: self.field.clone(),
            key: self.key,
            place: value.span(),
            value,
        };
        array.iter().map(entry).collect()
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.mistyped("a string"),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.mistyped("`true` or `false`"),
        }
    }

    /// A path, which must not depend on where a program was started.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.string()?);
        if !path.is_absolute() {
            self.fault("an absolute path is expected here");
            return None;
        }
        Some(path)
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.read(units::duration)
    }

    pub(super) fn rate(&self) -> Option<u64> {
        self.read(units::rate)
    }

    /// Bytes a second.
    pub(super) fn speed(&self) -> Option<u64> {
        self.read(units::speed)
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.read(units::bytes)
    }

    pub(super) fn period(&self) -> Option<Period> {
        self.read(units::period)
    }

    /// Where this entry begins, for what can be judged only later.
    pub(super) fn placed(&self) -> Placed {
        let (line, column) = self.source.place(self.place.start);
        Placed {
            text: String::new(),
            file: self.source.name.to_owned(),
            line,
            column,
            field: self.field.clone(),
        }
    }

    /// A text of this entry and where it stands, for the same.
    pub(super) fn at(&self, text: &str) -> Placed {
        let place = self.value.span().start;
        let (line, column) = self.source.place(place);
        Placed {
            text: text.to_owned(),
            file: self.source.name.to_owned(),
            line,
            column,
            field: self.field.clone(),
        }
    }

    pub(super) fn per_mille(&self) -> Option<u16> {
        self.read(units::per_mille)
    }

    pub(super) fn label(&self) -> Option<Label> {
        self.read(|text| text.parse().map_err(|error: LabelError| error.to_string()))
    }

    /// The text, if this accepts it.
    pub(super) fn tried<T, E: fmt::Display>(
        &self,
        accepts: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<&'a str> {
        let text = self.string()?;
        let tried = accepts(text).map_err(|fault| self.fault(fault));
        tried.ok().map(|_| text)
    }

    fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = read(self.string()?);
        value.map_err(|fault| self.fault(fault)).ok()
    }

    /// The meaning of the value, if it is one of these words.
    pub(super) fn word<T: Copy>(&self, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        let word = self.string()?;
        let found = known.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let words: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            self.fault(unknown(what, word, &words));
        }
        found.map(|(_, meaning)| *meaning)
    }
}
