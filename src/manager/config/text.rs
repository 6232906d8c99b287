//! From TOML to [`Config`]: a walk over the tree with its places, for every complaint names its own.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Config, ConfigError, NamedLabel, units};
use crate::label::{Label, LabelError, nearest};
use crate::network::Kind;
use crate::scout::Facts;

const KINDS: [(&str, Kind); 8] = [
    ("ethernet", Kind::Ethernet),
    ("wifi", Kind::Wifi),
    ("bluetooth", Kind::Bluetooth),
    ("cellular", Kind::Cellular),
    ("satellite", Kind::Satellite),
    ("vpn", Kind::Vpn),
    ("loopback", Kind::Loopback),
    ("other", Kind::Other),
];

const TOP: [&str; 3] = ["labels", "networks", "unknown"];
const NETWORK: [&str; 8] = [
    "kind",
    "metered",
    "roaming",
    "constrained",
    "bypass_vpn",
    "rtt",
    "up",
    "down",
];
const LABEL: [&str; 5] = ["label", "within", "grace", "relax_after", "relax_to"];

impl Config {
    /// Reads one text; `name` is what errors call it.
    ///
    /// ```
    /// use mancom::manager::config::Config;
    ///
    /// let config = Config::parse("[labels.photos]\nlabel = 'background'", "mancom.toml")?;
    /// assert!(config.label("photos").is_some());
    ///
    /// let error = Config::parse("[networks.'wwan*']\nkind = 'celular'", "mancom.toml").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "mancom.toml:2:8: networks.\"wwan*\".kind: unknown kind `celular`, did you mean `cellular`?"
    /// );
    /// # Ok::<_, mancom::manager::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with the first place that is wrong.
    pub fn parse(text: &str, name: &str) -> Result<Config, ConfigError> {
        let source = Source { text, name };
        let tree = DeTable::parse(text).map_err(|error| {
            source.invalid(error.span().unwrap_or_default(), "", error.message())
        })?;
        let mut config = Config::default();
        for entry in source.entries("", tree.get_ref()) {
            match entry.known(&TOP)? {
                "labels" => config.read_labels(&entry)?,
                "networks" => config.read_networks(&entry)?,
                _ => config.unknown_denied = Some(entry.word(&["allow", "deny"])? == "deny"),
            }
        }
        Ok(config)
    }

    fn read_networks(&mut self, section: &Entry<'_>) -> Result<(), ConfigError> {
        for network in section.table()? {
            if network.key.is_empty() {
                return Err(network.invalid_key("an interface name or a pattern as in `wwan*`"));
            }
            let mut facts = Facts::default();
            for entry in network.table()? {
                match entry.known(&NETWORK)? {
                    "kind" => facts.kind = Some(entry.kind()?),
                    "metered" => facts.metered = Some(entry.boolean()?),
                    "roaming" => facts.roaming = Some(entry.boolean()?),
                    "constrained" => facts.constrained = Some(entry.boolean()?),
                    "bypass_vpn" => facts.bypass_vpn = Some(entry.boolean()?),
                    "rtt" => facts.rtt = Some(entry.duration()?),
                    "up" => facts.up = Some(entry.rate()?),
                    _ => facts.down = Some(entry.rate()?),
                }
            }
            self.networks.push((network.key.to_owned(), facts));
        }
        Ok(())
    }

    fn read_labels(&mut self, section: &Entry<'_>) -> Result<(), ConfigError> {
        for named in section.table()? {
            let (mut label, mut within, mut grace) = (None, None, None);
            let (mut relax_after, mut relax_to) = (None, None);
            for entry in named.table()? {
                match entry.known(&LABEL)? {
                    "label" => label = Some(entry.label()?),
                    "within" => within = Some(entry.duration()?),
                    "grace" => grace = Some(entry.duration()?),
                    "relax_after" => relax_after = Some(entry.duration()?),
                    _ => relax_to = Some(entry.label()?),
                }
            }
            let label = label.ok_or_else(|| named.invalid_key("`label` is missing"))?;
            if relax_after.is_some() != relax_to.is_some() {
                return Err(named.invalid_key("`relax_after` and `relax_to` need each other"));
            }
            let defaults = NamedLabel {
                label,
                within,
                grace,
                relax: relax_after.zip(relax_to),
            };
            self.labels.insert(named.key.to_owned(), defaults);
        }
        Ok(())
    }
}

/// The text that is read and its name.
#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    name: &'a str,
}

impl<'a> Source<'a> {
    fn invalid(&self, place: Range<usize>, field: &str, fault: impl fmt::Display) -> ConfigError {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or(before);
        ConfigError::Invalid {
            file: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            field: field.to_owned(),
            fault: fault.to_string(),
        }
    }

    /// The entries of a table in file order, which the map does not keep.
    fn entries<'b>(self, above: &str, table: &'b DeTable<'a>) -> Vec<Entry<'b>>
    where
        'a: 'b,
    {
        let entry = |(key, value): (&'b Spanned<DeString<'a>>, &'b Spanned<DeValue<'a>>)| Entry {
            source: self,
            field: field(above, key.get_ref()),
            key: key.get_ref(),
            key_place: key.span(),
            value,
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.key_place.start);
        entries
    }
}

/// The path of a key, quoted where TOML asks for it.
fn field(above: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = match key.chars().all(bare) && !key.is_empty() {
        true => key.to_owned(),
        false => format!("{key:?}"),
    };
    match above {
        "" => key,
        above => format!("{above}.{key}"),
    }
}

/// One key with its value.
struct Entry<'a> {
    source: Source<'a>,
    /// The whole path, for errors.
    field: String,
    key: &'a str,
    key_place: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    fn invalid(&self, fault: impl fmt::Display) -> ConfigError {
        self.source.invalid(self.value.span(), &self.field, fault)
    }

    fn invalid_key(&self, fault: impl fmt::Display) -> ConfigError {
        let place = self.key_place.clone();
        self.source.invalid(place, &self.field, fault)
    }

    fn mistyped(&self, expected: &str) -> ConfigError {
        let found = self.value.get_ref().type_str();
        self.invalid(format_args!("{expected} is expected here, not {found}"))
    }

    /// The key, if it is one of these.
    fn known(&self, known: &[&'static str]) -> Result<&'static str, ConfigError> {
        let found = known.iter().find(|word| **word == self.key);
        let unknown = || self.invalid_key(unknown("key", self.key, known));
        found.copied().ok_or_else(unknown)
    }

    fn table(&self) -> Result<Vec<Entry<'a>>, ConfigError> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(self.source.entries(&self.field, table)),
            _ => Err(self.mistyped("a table")),
        }
    }

    fn string(&self) -> Result<&'a str, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.mistyped("a string")),
        }
    }

    fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.mistyped("`true` or `false`")),
        }
    }

    fn duration(&self) -> Result<Duration, ConfigError> {
        units::duration(self.string()?).map_err(|fault| self.invalid(fault))
    }

    fn label(&self) -> Result<Label, ConfigError> {
        let parsed = self.string()?.parse();
        parsed.map_err(|error: LabelError| self.invalid(error))
    }

    fn rate(&self) -> Result<u64, ConfigError> {
        units::rate(self.string()?).map_err(|fault| self.invalid(fault))
    }

    fn kind(&self) -> Result<Kind, ConfigError> {
        let word = self.string()?;
        let found = KINDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let words: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
            self.invalid(unknown("kind", word, &words))
        })
    }

    /// The value, if it is one of these words.
    fn word(&self, known: &[&'static str]) -> Result<&'static str, ConfigError> {
        let word = self.string()?;
        let found = known.iter().find(|known| **known == word);
        found
            .copied()
            .ok_or_else(|| self.invalid(unknown("word", word, known)))
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{word}`, did you mean `{near}`?"),
        None => format!("unknown {what} `{word}`, known are {}", known.join(", ")),
    }
}
