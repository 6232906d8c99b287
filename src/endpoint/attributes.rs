//! Attributes by name: what an endpoint's query says, typed where it is read.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Encoded, EndpointError, EndpointFault, MAX_ATTRIBUTES, MAX_TEXT, NAME, VALUE, parse};

/// Names and their values, in order of name: `nodelay&port=5000`.
///
/// What is not said is `None`; what is said wrongly is an error, never a default.
///
/// ```
/// use mancom::endpoint::Attributes;
///
/// let mut attributes = Attributes::from_list("port=5000,reuse")?;
/// assert_eq!(attributes.get::<u16>("port")?, Some(5000));
/// assert!(attributes.flag("reuse")?);
/// assert!(!attributes.flag("nodelay")?);
/// assert!(attributes.get::<u16>("reuse").is_err());
///
/// attributes.merge(&"port=5001&advertise=photos.example".parse()?)?;
/// assert_eq!(attributes.to_string(), "advertise=photos.example&port=5001&reuse");
/// # Ok::<(), mancom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Attributes(pub(super) BTreeMap<String, String>);

/// An attribute whose value is not of the kind that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attribute `{name}={value}` is not {wanted}")]
#[non_exhaustive]
pub struct AttributeError {
    /// The attribute.
    pub name: String,
    /// Its value, the first 40 characters of it.
    pub value: String,
    /// What would have been one.
    pub wanted: &'static str,
}

impl Attributes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `port=5000,reuse`, as attributes are written where there is no URI around them: separated
    /// by commas, so that a comma in a value is `%2C`.
    ///
    /// # Errors
    ///
    /// As [`from_str`](Self::from_str), with the column in this text.
    pub fn from_list(text: &str) -> Result<Self, EndpointError> {
        parse::attributes_of(text, ',')
    }

    /// Its text; empty for one without a value.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Its value as a number, an address, or whatever is read from text.
    ///
    /// # Errors
    ///
    /// If it is there and is none.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, AttributeError> {
        self.read(name, type_name::<T>(), |value| value.parse().ok())
    }

    /// Whether it is switched on ([`switch`](Self::switch)); what is not said is off.
    ///
    /// # Errors
    ///
    /// As [`switch`](Self::switch).
    pub fn flag(&self, name: &str) -> Result<bool, AttributeError> {
        Ok(self.switch(name)?.unwrap_or(false))
    }

    /// On where it is said without a value, or as `1`, `true`, `yes` or `on`; off as `0`, `false`, `no` or
    /// `off`; `None` where it is not said.
    ///
    /// # Errors
    ///
    /// For any other value.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, AttributeError> {
        match self.0.get(name).map(String::as_str) {
            None => Ok(None),
            Some("" | "1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(value) => Err(wrong(name, value, "yes or no")),
        }
    }

    /// Its value as `read` takes it: a number within bounds, one of a few words.
    ///
    /// # Errors
    ///
    /// If it is there and `read` has nothing for it; `wanted` says what would have been right.
    pub fn read<T>(
        &self,
        name: &str,
        wanted: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, AttributeError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| wrong(name, value, wanted))
    }

    /// Sets an attribute, in place of one of that name; an empty value makes a flag.
    ///
    /// # Errors
    ///
    /// If the name is empty, a text has a NUL, or there would be too much; then nothing is changed.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) -> Result<(), EndpointError> {
        let value = value.to_string();
        let fault = |fault| Err(EndpointError::new(name, None, fault));
        if name.is_empty() {
            return fault(EndpointFault::NoAttributeName);
        }
        if name.contains('\0') || value.contains('\0') {
            return fault(EndpointFault::Encoding);
        }
        if self.0.len() >= MAX_ATTRIBUTES && !self.0.contains_key(name) {
            return fault(EndpointFault::TooManyAttributes);
        }
        let old = self.0.insert(name.into(), value);
        if self.to_string().len() > MAX_TEXT {
            match old {
                Some(old) => self.0.insert(name.into(), old),
                None => self.0.remove(name),
            };
            return fault(EndpointFault::TooLong);
        }
        Ok(())
    }

    /// Takes over all of another's; where both have one of a name, the other's counts.
    ///
    /// # Errors
    ///
    /// If there would be too much; then nothing is changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), EndpointError> {
        let mut merged = self.clone();
        for (name, value) in &other.0 {
            merged.set(name, value)?;
        }
        *self = merged;
        Ok(())
    }

    /// Takes one away; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Every attribute and its value, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn wrong(name: &str, value: &str, wanted: &'static str) -> AttributeError {
    AttributeError {
        name: name.chars().take(40).collect(),
        value: value.chars().take(40).collect(),
        wanted,
    }
}

/// Reads an endpoint's query, without its question mark: `advertise=photos.example&nodelay`.
impl FromStr for Attributes {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse::attributes_of(text, '&')
    }
}

/// An endpoint's query, without its question mark; it parses back to an equal one.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str("&")?;
            }
            write!(f, "{}", Encoded(name, NAME))?;
            if !value.is_empty() {
                write!(f, "={}", Encoded(value, VALUE))?;
            }
        }
        Ok(())
    }
}
