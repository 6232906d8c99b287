//! A program says what its traffic needs; the library finds the network, and the bytes survive its loss.
//!
//! Networks come and go: a train enters a tunnel, a laptop leaves its desk, a robot its building. Programs
//! written to sockets notice, fail, and start again. Programs written to mancom keep their streams: with
//! every network gone, reads and writes are pending, and they go on where they stood when one returns.
//!
//! ```text
//!   a program                                                             its peer
//!   +---------------------------+                     +---------------------------+
//!   |  stream.write_all(..)     |                     |     stream.read(..)       |
//!   +------------+--------------+                     +-------------^-------------+
//!                | label: "interactive prohibit=metered"            |
//!   +------------v--------------+                     +-------------+-------------+
//!   |         session           |<-- lives as long -->|          session          |
//!   +---+--------+----------+---+    as the grace     +---+----------+--------+---+
//!       :        |          :                             :          |        :
//!     wifi     path      cellular                       path       path     path
//!    (lost)   ethernet   (metered)
//!       ^        ^          ^
//!   +---+--------+----------+---+
//!   |          scout            |   what networks this host has, at every moment
//!   +---------------------------+
//! ```
//!
//! # One program
//!
//! ```no_run
//! use mancom::Label;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! #[mancom::main]                                   // runtime, scout, readiness, graceful shutdown
//! async fn main() -> Result<(), mancom::Error> {
//!     // Pending while no network matches; no error, no busy loop.
//!     let mut stream = mancom::connect("mc://127.0.0.1:7000")
//!         .label(Label::INTERACTIVE)
//!         .within(std::time::Duration::from_secs(30))   // optional deadline, waiting included
//!         .await?;
//!     stream.write_all(b"hello").await?;            // survives the loss of any or all networks
//!     let mut reply = [0; 5];
//!     stream.read_exact(&mut reply).await?;
//!     Ok(())
//! }
//! ```
//!
//! # The words
//!
//! | word | meaning |
//! | --- | --- |
//! | [`Network`] | one attachment of this host, from one coming up to its going down; the next has a new [`NetworkId`] |
//! | [`Snapshot`] | all networks at one moment, as a value |
//! | [`Scout`] | what keeps the snapshot true |
//! | [`Label`] | what traffic needs: urgency, size, and what of a network it requires, prefers, avoids, prohibits |
//! | [`Blocked`](label::matching::Blocked) | why nothing matches: every network with every reason |
//! | deferral | an operation that waits for a match: a pending future, withdrawn by dropping it |
//! | [`Session`] | two endpoints joined over any number of paths; it outlives them until its grace runs out |
//! | path | one connection of a session, bound to one network |
//! | [`McStream`] | an ordered byte stream with labels; `AsyncRead` and `AsyncWrite` |
//! | [`Message`] | a labelled unit that arrives whole and at most once, after those it names |
//! | [`Manager`] | all of it put together; free functions use the one of their tokio runtime |
//!
//! # The other end
//!
//! A listener gives one stream for each `connect`; that the peer changed networks meanwhile is invisible.
//!
//! ```no_run
//! # async fn serve() -> Result<(), mancom::Error> {
//! let listener = mancom::listen("mc://0.0.0.0:7000").plaintext().await?;   // clear is refused beyond this host unless asked for
//! loop {
//!     let stream = listener.accept().await?;        // one stream a connect(); roaming is invisible here
//!     tokio::spawn(async move { let (mut r, mut w) = tokio::io::split(stream); tokio::io::copy(&mut r, &mut w).await });
//! }
//! # }
//! ```
//!
//! # Labels
//!
//! A label belongs to traffic, not to a program: each write may have its own. [`matching`] is the primitive
//! below everything, [`run`] repeats work for as long as it takes to find a network that stays, and a
//! [hook](hooks) rebuilds a connection to a server that knows nothing of mancom.
//!
//! ```no_run
//! # use tokio::io::AsyncReadExt;
//! use mancom::{Label, Network, Prop};
//! use mancom::hooks::{Carried, Connection, Hook, Resume};
//! use std::{io, time::Duration};
//!
//! async fn upload(network: Network) -> Result<(), mancom::Error> {           // may be dropped and started again at any await
//!     let mut stream = mancom::connect("mc://10.0.0.1:7000").plaintext().on(&network).await?;
//!     tokio::io::AsyncWriteExt::write_all(&mut stream, b"...").await?;
//!     Ok(())
//! }
//! struct Login;
//! impl Hook for Login {                                                       // the library boxes it; users never do
//!     async fn setup(&mut self, fresh: &mut dyn Connection, carried: Carried) -> io::Result<Resume> {
//!         tokio::io::AsyncWriteExt::write_all(fresh, b"LOGIN me\n").await?;
//!         Ok(Resume::ReplayFrom(carried.acknowledged.unwrap_or(0)))
//!     }
//! }
//!
//! # async fn program(mut stream: mancom::McStream, chunk: Vec<u8>, mut buf: Vec<u8>, bytes: Vec<u8>, earlier: mancom::MessageId) -> Result<(), mancom::Error> {
//! const PHOTOS: Label = Label::new().background().large().prohibit(Prop::Metered).require(Prop::Wifi);
//! let network = mancom::matching(PHOTOS).await?;             // the primitive: pending until one matches
//! mancom::run(PHOTOS, |network| upload(network)).await?;     // stopped when the match is lost, started again on the next
//!
//! let hurry: Label = "interactive prohibit=metered".parse()?;
//!
//! stream.write_labelled(Label::BACKGROUND, &chunk).await?;   // a label per send; the whole chunk is taken
//! let (n, label) = stream.read_labelled(&mut buf).await?;    // the label travels to the receiver
//!
//! let session = stream.session();
//! let id = session.send(Label::INTERACTIVE, bytes).after([earlier]).lifetime(Duration::from_secs(5)).await?;   // a message
//! session.delivered(id).await?;                              // acknowledged by the peer's library
//! let message = session.recv().await?;                       // { label, id, bytes }
//! let bulk = session.open(Label::BACKGROUND).await?;         // more streams beside the first
//!
//! let web = mancom::connect("tcp://example.com:80").reconnect(Login).await?;  // the far end knows nothing of mancom
//! # Ok(())
//! # }
//! ```
//!
//! # Tests
//!
//! With the feature `test-util` a test scripts its networks, and time stands still while it does.
//!
#![cfg_attr(feature = "test-util", doc = "```")]
#![cfg_attr(not(feature = "test-util"), doc = "```ignore")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
//! use mancom::{Label, Network};
//! let (scout, networks) = mancom::testing::scripted();       // feature test-util: tests of roaming in paused time
//! let manager = mancom::Manager::builder().scout(scout).build().await?;
//! let listener = manager.listen("mem://echo").await?;        // every free function has its method on Manager
//! networks.up(Network::wifi("wlan0"));
//! let stream = manager.connect("mem://echo").label(Label::ANY).await?;
//! networks.down("wlan0");                                     // mem: paths travel on the scripted networks and are cut with them
//! # Ok::<_, mancom::Error>(()) }).unwrap();
//! ```
//!
#![cfg_attr(all(feature = "test-util", feature = "macros"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "test-util", feature = "macros")), doc = "```ignore")]
//! # use mancom::{Label, Network};
//! #[mancom::test]                                             // paused time; the argument is optional
//! async fn waits_for_wifi(networks: mancom::testing::Networks) -> Result<(), mancom::Error> {
//!     let wifi: Label = "require=wifi".parse()?;
//!     let waiting = tokio::spawn(mancom::matching(wifi).into_future());       // a builder is IntoFuture: spawn and join_all want .into_future()
//!     networks.up(Network::cellular("wwan0").metered(true));
//!     tokio::task::yield_now().await;
//!     assert!(!waiting.is_finished());
//!     networks.up(Network::wifi("wlan0"));
//!     assert_eq!(waiting.await.unwrap()?.name(), "wlan0");
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `airhook` (default) | [Airhook](proto::airhook): messages over datagrams that get lost |
//! | `macros` (default) | `#[mancom::main]`, and with `test-util` `#[mancom::test]` |
//! | `config` (default) | facts of networks and labels by name [from `mancom.toml`](manager::config) |
//! | `daemon` (default) | [one scout](scout::daemon) for all processes of a host, over a Unix socket |
//! | `inspect` (default) | what waits here, [seen and hurried from outside](manager::inspect): `mancom ops` |
//! | `tls` (default) | `mcs://` and `tls://`: [identities, pins and authorities](tls) |
//! | `quic` | `quic://` and `mc+quic://`: [QUIC](transport::Quic) with the keys and the trust of `tls` |
//! | `serde` | `Serialize` and `Deserialize` for labels, snapshots and explanations |
//! | `dbus` | Linux: what NetworkManager, ModemManager and systemd-resolved say of the networks |
//! | `metrics` | what waits, and bytes by network, as gauges and counters of the `metrics` facade |
//! | `test-util` | `mancom::testing`: scripted networks |
//! | `cli` | the command `mancom` |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::print_stdout)]

pub mod account;
pub(crate) mod calendar;
pub(crate) mod clock;
pub mod endpoint;
mod error;
#[cfg(target_os = "linux")]
pub(crate) mod inotify;
pub mod label;
pub mod network;
#[cfg(unix)]
mod socket_file;

pub mod proto;
pub mod scout;
pub mod transport;

pub mod deferral;

pub mod stream;

pub mod manager;

#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "test-util")]
pub mod testing;

use std::future::Future;

pub use deferral::{MatchError, Matching, Op, Operation, OperationId, Run, Stop, Which};
pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use label::{Label, LabelError, Prop, Scope};
pub use manager::{BuildError, Manager, ManagerBuilder, ShutdownError};
pub use network::{Network, NetworkId, NetworkSpec, Snapshot};
pub use scout::Scout;
pub use stream::hooks;
pub use stream::{
    AcceptError, Connect, ConnectError, Listen, ListenError, Listener, McStream, Message,
    MessageError, MessageId, Session, SessionError,
};
#[cfg(feature = "tls")]
pub use tls::{Identity, PublicKey, TlsError};

/// The program's `main`: a tokio runtime with a [`Manager`] of this host in it.
///
/// It waits up to a second for the first whole look at the networks, runs the body, then stops the
/// listeners and waits until every session has said what it had to say. Blocking calls that are still
/// under way then are left behind after a tenth of a second.
///
/// | argument | default | |
/// | --- | --- | --- |
/// | `flavor = "multi_thread"` or `"current_thread"` | `"multi_thread"` | tokio's two kinds of runtime |
/// | `worker_threads = N` | one a core | of the first of them |
/// | `config = "FILE"` | `MANCOM_CONFIG`, or none | the strongest layer of [configuration](manager::config); it must exist |
/// | `scout = "system"` or `"none"` | `"system"` | `"none"` sees no networks: this host alone can be reached |
/// | `shutdown = "5s"` | `"5s"` | the bound of the waiting at the end: a number with `ms`, `s` or `m` |
/// | `crate = path` | `mancom` | where this crate is, if it was renamed |
///
/// A wrong configuration is told by the first operation that needs the manager, as an error. A file of
/// it that changes later is read again at once; what is wrong then is logged, and the old one stays in
/// force. A process without a controlling terminal (a service) also reads it again on SIGHUP; in any
/// other that signal ends the program as ever, for it says that the terminal is gone.
/// [`Manager::reload_on_hangup`] asks for it in any case.
///
/// # Panics
///
/// If the operating system gives no threads or no event queue, and where it is called inside another
/// runtime.
///
/// # Examples
///
/// ```
/// #[mancom::main(flavor = "current_thread", scout = "none", shutdown = "500ms")]
/// async fn main() -> Result<(), mancom::Error> {
///     assert!(mancom::Manager::current()?.snapshot().is_complete());
///     Ok(())
/// }
/// ```
#[cfg(feature = "macros")]
pub use mancom_macros::main;

/// A test with a tokio runtime of one thread, and on it paused time and scripted networks of its own.
///
/// The argument is optional: `async fn name(networks: mancom::testing::Networks)` gets the handle that
/// brings networks up and down; at first there are none. The free functions use them. A `tcp:` or `unix:`
/// socket would wait for bytes that take no time here, so opening one panics; `mem:` endpoints travel on
/// the scripted networks. `#[mancom::test(real)]` has neither paused time nor scripted networks.
///
/// It adds `#[test]`; other attributes of tests, such as `#[should_panic]`, stand below it as ever. The
/// function may return nothing or a `Result`. `crate = path` says where this crate is, if it was renamed.
///
/// # Panics
///
/// Where the body does, and when it opens a real socket.
///
/// # Examples
///
/// ```no_run
/// use mancom::{Label, Network};
///
/// #[mancom::test]
/// async fn any_network_will_do(networks: mancom::testing::Networks) -> Result<(), mancom::Error> {
///     networks.up(Network::cellular("wwan0"));
///     assert_eq!(mancom::matching(Label::ANY).await?.name(), "wwan0");
///     Ok(())
/// }
/// ```
#[cfg(all(feature = "macros", feature = "test-util"))]
pub use mancom_macros::test;

/// A stream to an endpoint, that outlives the networks it travels on.
///
/// Awaiting the builder waits for a network that the label admits, then connects; `spawn` and `join_all`
/// want its `.into_future()`. Everything that can be said of the stream is a setter of [`Connect`].
///
/// Every network that matches is tried, best first. Where all of them refuse, they are tried twice more;
/// that takes about a second and no more than two, and then the error tells each attempt. An attempt that
/// nobody answers ends after 5 s, and so does a handshake.
///
/// # Errors
///
/// At the `await`, as [`ConnectError`]: a text that is no endpoint, `NoRuntime` outside a tokio runtime, a
/// wrong configuration, and what the far end and the deadline have to say. No network is no error.
///
/// # Cancel safety
///
/// Dropped while pending, it leaves no connection and no task behind.
///
/// # Examples
///
/// ```
/// // Outside a tokio runtime there is nothing to wait on: an error, not a panic.
/// let stream = mancom::connect("mc://127.0.0.1:7000").into_future();
/// let error = futures::executor::block_on(stream).unwrap_err();
/// assert!(matches!(error, mancom::ConnectError::NoRuntime));
/// ```
pub fn connect<E>(to: E) -> Connect
where
    E: TryInto<Endpoint>,
    E::Error: Into<EndpointError>,
{
    manager::connect(to)
}

/// A listener at an address of this host, at once and whether or not there is a network.
///
/// # Errors
///
/// At the `await`, as [`ListenError`]: a text that is no endpoint, an address in use or not permitted,
/// `NoRuntime` outside a tokio runtime, a wrong configuration.
pub fn listen<E>(at: E) -> Listen
where
    E: TryInto<Endpoint>,
    E::Error: Into<EndpointError>,
{
    manager::listen(at)
}

/// The best network that a label admits, pending until there is one: what everything else is built on.
///
/// # Errors
///
/// At the `await`, as [`MatchError`].
pub fn matching(label: Label) -> Matching {
    manager::matching(label)
}

/// Work that is given a network, stopped when that no longer admits the label, and started again from
/// nothing on the next. The work must be repeatable.
///
/// A closure with an `async` block has to name its error type: `|network| async move { ..;
/// Ok::<_, mancom::Error>(()) }`. One that counts its starts does so before the block: `|network| { starts
/// += 1; upload(network) }`; the block itself may not borrow what the closure owns.
///
/// # Errors
///
/// At the `await`: the work's own error, or a [`MatchError`] turned into it.
pub fn run<F, Fut, T, E>(label: Label, f: F) -> Run<F, Fut>
where
    F: FnMut(Network) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    manager::run(label, f)
}

/// Withdraws the pending operations of this runtime's manager that have this label, id or handle; returns
/// how many there were. A session that no network carries is pending too, but only its id or handle withdraws
/// it, and with that it ends; a label means what has not begun. Outside a tokio runtime there are none.
pub fn cancel(what: impl Into<Which>) -> usize {
    Manager::current().map_or(0, |manager| manager.cancel(what))
}

/// The label of this name in the configuration, as it is in force now. An operation keeps the label that
/// it was made with.
///
/// # Errors
///
/// [`LabelError::NotDefined`] if the configuration has none of this name, or if there is no manager to ask.
pub fn label(name: &str) -> Result<Label, LabelError> {
    manager::label(name)
}

/// What sending so many bytes of this label would take by the networks of this moment: see
/// [`Manager::estimate`]. `None` where no network admits the label, or nobody knows a bandwidth.
///
/// # Errors
///
/// [`BuildError`] outside a tokio runtime, and for a wrong configuration.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use mancom::{Label, Manager, Network, Scout};
///
/// let phone = Network::cellular("wwan0").metered(true).up(8_000_000);
/// Manager::builder().scout(Scout::fixed([phone])).build().await?.install()?;
/// let upload = mancom::estimate(Label::BACKGROUND, 5_000_000, None)?.expect("a bandwidth");
/// assert_eq!((upload.time.as_secs(), upload.metered), (5, 5_000_000));
/// assert!(mancom::estimate("prohibit=metered".parse()?, 5_000_000, None)?.is_none());
/// # Ok::<_, mancom::Error>(()) }).unwrap();
/// ```
pub fn estimate(
    label: Label,
    bytes: u64,
    energy: Option<&dyn stream::Energy>,
) -> Result<Option<stream::Estimate>, BuildError> {
    manager::estimate(label, bytes, energy)
}

/// What the macros expand to. Not for use, not stable.
#[doc(hidden)]
pub mod __private {
    pub use crate::manager::runtime::{Main, main};
    #[cfg(feature = "test-util")]
    pub use crate::manager::runtime::{test, test_real};
}
