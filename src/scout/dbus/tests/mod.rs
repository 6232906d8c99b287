//! Answers taken apart by themselves, then services played on a bus of the test's own.

mod answers;
mod fake;
mod hearing;
mod lies;

use crate::network::{Kind, NetworkSpec};
use crate::scout::hearsay::Hearsay;
use std::collections::HashMap;
use zbus::Message;
use zbus::message::Body;
use zbus::wire::{ObjectPath, Variant};

const MANAGER: &str = "org.freedesktop.NetworkManager";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
const HARDWARE: &[u8] = &[2, 0xfc, 0, 0, 0, 1];

type Properties = HashMap<String, Variant<'static>>;

/// What an object manager answers.
#[derive(Debug, Clone, Default)]
struct Tree(HashMap<ObjectPath<'static>, HashMap<String, Properties>>);

impl Tree {
    fn new() -> Self {
        Self::default()
    }

    /// The same with these properties of an object.
    fn with(
        mut self,
        path: &str,
        interface: &str,
        properties: impl IntoIterator<Item = (&'static str, Variant<'static>)>,
    ) -> Self {
        let path = ObjectPath::try_from(path.to_owned()).expect("a path");
        let object = self.0.entry(path).or_default();
        let all = object.entry(interface.to_owned()).or_default();
        all.extend(
            properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        self
    }

    /// The same with a device of NetworkManager, activated unless said otherwise.
    fn device(
        self,
        name: &str,
        properties: impl IntoIterator<Item = (&'static str, Variant<'static>)>,
    ) -> Self {
        let path = format!(
            "/org/freedesktop/NetworkManager/Devices/{}",
            name.replace('-', "_")
        );
        let usual = [
            ("Interface", text(name)),
            ("HwAddress", text("02:FC:00:00:00:01")),
            ("State", number(100)),
        ];
        self.with(&path, DEVICE, usual)
            .with(&path, DEVICE, properties)
    }

    fn body(&self) -> Body {
        let message = Message::method_call("/", "answer").build(&self.0);
        message.expect("a message").body()
    }
}

fn text(text: &str) -> Variant<'static> {
    Variant::from(text.to_owned())
}

fn number(number: u32) -> Variant<'static> {
    Variant::from(number)
}

fn path(path: &str) -> Variant<'static> {
    Variant::from(ObjectPath::try_from(path.to_owned()).expect("a path"))
}

/// What is said of this interface, over what the kernel knows of it.
fn heard(hearsay: &Hearsay, name: &str) -> NetworkSpec {
    let mut spec = NetworkSpec::new(name, Kind::Ethernet);
    hearsay.apply(1, HARDWARE, &mut spec);
    spec
}
