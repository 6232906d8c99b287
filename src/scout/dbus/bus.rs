//! A connection to the bus, and questions on it that end in time.

use super::namespace;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::{Address, Connection, Message, MessageStream};

/// So long a bus or a service may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// A larger answer is not looked at.
const LARGEST: usize = 16 << 20;

/// So many messages are held that nobody has taken yet.
const QUEUED: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");

pub(super) const BUS: &str = "org.freedesktop.DBus";

/// Why there is nothing to hear.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no answer within 5 s")]
    Slow,
    #[error("an answer of {0} bytes")]
    TooLarge(usize),
    #[error("the bus closed the connection")]
    Closed,
    #[error(transparent)]
    Bus(#[from] zbus::Error),
}

/// One connection.
pub(super) struct Bus {
    connection: Connection,
}

/// One process that has a service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) owner: String,
    /// Whether it looks at our network namespace.
    pub(super) is_here: Option<bool>,
}

/// The bus of the settings, of `DBUS_SYSTEM_BUS_ADDRESS`, or the usual one.
pub(super) fn address(setting: Option<&str>) -> Result<Address, Trouble> {
    let address = match setting {
        Some(address) => address.try_into(),
        None => Address::system(),
    };
    Ok(address?)
}

/// Whether there may be a bus; only a socket in the file system can be seen from outside.
pub(super) fn is_there(address: &Address) -> bool {
    match address.transport() {
        Transport::Unix(socket) => match socket.path() {
            UnixSocket::File(path) => path.exists(),
            _ => true,
        },
        _ => true,
    }
}

impl Bus {
    pub(super) async fn connect(address: &Address) -> Result<Self, Trouble> {
        let builder = zbus::connection::Builder::address(address.clone());
        let connection = timeout(ANSWER, builder.max_queued(QUEUED).build()).await;
        let connection = connection.map_err(|_| Trouble::Slow)??;
        Ok(Bus { connection })
    }

    /// All that arrives. It must be polled while questions are under way, else nothing arrives.
    pub(super) fn messages(&self) -> MessageStream {
        MessageStream::from(&self.connection)
    }

    /// Asks the bus for its signals by this rule.
    pub(super) async fn subscribe(&self, rule: &str) -> Result<(), Trouble> {
        let path = "/org/freedesktop/DBus";
        self.ask(BUS, path, BUS, "AddMatch", &rule).await?;
        Ok(())
    }

    /// Who has this name now.
    pub(super) async fn owner(&self, name: &str) -> Result<Option<String>, Trouble> {
        let path = "/org/freedesktop/DBus";
        match self.ask(BUS, path, BUS, "GetNameOwner", &name).await {
            Ok(answer) => Ok(Some(answer.body().deserialize()?)),
            Err(Trouble::Bus(zbus::Error::FDO(error)))
                if matches!(*error, zbus::fdo::Error::NameHasNoOwner(_)) =>
            {
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The service behind a connection's name.
    pub(super) async fn service(&self, owner: String) -> Service {
        let own = match self.connection.unique_name() {
            Some(own) => self.process(own.as_str()).await,
            None => None,
        };
        let theirs = self.process(&owner).await;
        let is_here = match (theirs, own) {
            (Some(pid), Some(own)) => namespace::is_ours(Path::new("/proc"), pid, own),
            _ => None,
        };
        Service { owner, is_here }
    }

    async fn process(&self, name: &str) -> Option<u32> {
        let (path, method) = ("/org/freedesktop/DBus", "GetConnectionUnixProcessID");
        let answer = self.ask(BUS, path, BUS, method, &name).await.ok()?;
        answer.body().deserialize().ok()
    }

    /// Everything of the service's object manager at `root`.
    pub(super) async fn objects(&self, of: &Service, root: &str) -> Result<Message, Trouble> {
        let interface = "org.freedesktop.DBus.ObjectManager";
        self.ask(&of.owner, root, interface, "GetManagedObjects", &())
            .await
    }

    /// The properties of an object that has no manager.
    pub(super) async fn properties(
        &self,
        of: &Service,
        path: &str,
        interface: &str,
    ) -> Result<Message, Trouble> {
        let properties = "org.freedesktop.DBus.Properties";
        self.ask(&of.owner, path, properties, "GetAll", &interface)
            .await
    }

    pub(super) async fn property(
        &self,
        of: &Service,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<Message, Trouble> {
        let (properties, body) = ("org.freedesktop.DBus.Properties", (interface, name));
        self.ask(&of.owner, path, properties, "Get", &body).await
    }

    /// Calls a method of a connection by its own name, which starts no service.
    async fn ask<B>(
        &self,
        of: &str,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, Trouble>
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        let call = self
            .connection
            .call_method(Some(of), path, Some(interface), method, body);
        let answer = timeout(ANSWER, call).await.map_err(|_| Trouble::Slow)??;
        match answer.body().len() {
            size if size > LARGEST => Err(Trouble::TooLarge(size)),
            _ => Ok(answer),
        }
    }
}
