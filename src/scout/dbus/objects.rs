//! What a service answers, taken apart within bounds: only the properties that somebody reads here,
//! borrowed from the answer itself.

use super::{modem_manager, network_manager};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use zbus::wire::{ObjectPath, Signature, Type, Variant};

/// Of a list, no more is kept.
const LIST: usize = 1024;

/// The value of a property, as far as somebody here reads such values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Flag(bool),
    Number(u32),
    /// A string or an object path.
    Text(&'a str),
    /// Strings or object paths.
    Texts(Vec<&'a str>),
    Numbers(Vec<u32>),
    Bytes(Vec<&'a [u8]>),
    /// Of a type that nobody reads.
    Other,
}

/// The properties of one interface of one object.
#[derive(Debug, Default)]
pub(super) struct Properties<'a>(BTreeMap<&'a str, Value<'a>>);

impl<'a> Properties<'a> {
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        match self.0.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A text with something in it.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.0.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn texts(&self, name: &str) -> &[&'a str] {
        match self.0.get(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    pub(super) fn numbers(&self, name: &str) -> &[u32] {
        match self.0.get(name) {
            Some(Value::Numbers(numbers)) => numbers,
            _ => &[],
        }
    }

    pub(super) fn bytes(&self, name: &str) -> &[&'a [u8]] {
        match self.0.get(name) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }
}

/// All objects of a service, by interface and path (`GetManagedObjects`).
#[derive(Debug, Default)]
pub(super) struct Objects<'a>(BTreeMap<&'a str, BTreeMap<&'a str, Properties<'a>>>);

impl<'a> Objects<'a> {
    /// Those that have this interface, by path.
    pub(super) fn with(
        &self,
        interface: &str,
    ) -> impl Iterator<Item = (&'a str, &Properties<'a>)> + use<'_, 'a> {
        let all = self.0.get(interface).into_iter().flatten();
        all.map(|(path, properties)| (*path, properties))
    }

    pub(super) fn get(&self, interface: &str, path: &str) -> Option<&Properties<'a>> {
        self.0.get(interface)?.get(path)
    }
}

fn is_interface_read(name: &str) -> bool {
    network_manager::INTERFACES.contains(&name) || modem_manager::INTERFACES.contains(&name)
}

fn is_property_read(name: &str) -> bool {
    network_manager::PROPERTIES.contains(&name) || modem_manager::PROPERTIES.contains(&name)
}

type Wire<'a> = HashMap<&'a str, Variant<'a>>;

impl Type for Properties<'_> {
    const SIGNATURE: &'static Signature = <Wire<'_> as Type>::SIGNATURE;
}

impl Type for Objects<'_> {
    const SIGNATURE: &'static Signature =
        <HashMap<ObjectPath<'_>, HashMap<&str, Wire<'_>>> as Type>::SIGNATURE;
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some(name) = map.next_key::<&str>()? {
                    if is_property_read(name) {
                        all.insert(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Properties(all))
            }
        }
        from.deserialize_map(Visit)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Objects<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Objects<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Objects::default();
                while let Some(path) = map.next_key::<&str>()? {
                    map.next_value_seed(Object {
                        path,
                        all: &mut all,
                    })?;
                }
                Ok(all)
            }
        }
        from.deserialize_map(Visit)
    }
}

/// The interfaces of the object at `path`, for those of all.
struct Object<'o, 'a> {
    path: &'a str,
    all: &'o mut Objects<'a>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interfaces")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(interface) = map.next_key::<&str>()? {
            if is_interface_read(interface) {
                let properties = map.next_value()?;
                let same = self.all.0.entry(interface).or_default();
                same.insert(self.path, properties);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a variant")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let signature: &str = next(&mut seq)?;
                Ok(match signature {
                    "b" => Value::Flag(next(&mut seq)?),
                    "y" => Value::Number(next::<u8, A>(&mut seq)?.into()),
                    "u" => Value::Number(next(&mut seq)?),
                    "s" | "o" => Value::Text(next(&mut seq)?),
                    "as" | "ao" => Value::Texts(next::<List<_>, A>(&mut seq)?.0),
                    "au" => Value::Numbers(next::<List<_>, A>(&mut seq)?.0),
                    "aay" => Value::Bytes(next::<List<_>, A>(&mut seq)?.0),
                    // ModemManager's quality of a signal, and whether it is recent.
                    "(ub)" => Value::Number(next::<(u32, bool), A>(&mut seq)?.0),
                    _ => {
                        next::<IgnoredAny, A>(&mut seq)?;
                        Value::Other
                    }
                })
            }
        }
        from.deserialize_any(Visit)
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    let element = seq.next_element()?;
    element.ok_or_else(|| A::Error::custom("a variant has a signature and a value"))
}

/// The first of a list; the rest is passed over.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut first = Vec::new();
                while first.len() < LIST {
                    match seq.next_element()? {
                        Some(element) => first.push(element),
                        None => return Ok(List(first)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(first))
            }
        }
        from.deserialize_seq(Visit(PhantomData))
    }
}
