//! What every transport must do, as checks that a third party's runs through too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use mancom::testing::conformance::{self, Subject, Table};
//! use mancom::transport::Tcp;
//! use std::sync::Arc;
//!
//! let subject = Subject {
//!     dialler: Arc::new(Tcp::new()),
//!     listener: Arc::new(Tcp::new()),
//!     here: "tcp://127.0.0.1:0".parse().expect("an endpoint"),
//!     there: "tcp://127.0.0.1:0".parse().expect("an endpoint"),
//!     nobody: "tcp://127.0.0.1:1".parse().expect("an endpoint"),
//!     knows_dialler: false,
//!     unnamed: None,
//! };
//! let table = Table::from(vec![conformance::column(&subject).await]);
//! assert!(table.holes().is_empty());
//! println!("{table}");
//! # }
//! ```
//!
//! Every check panics with what it saw, and what was checked is a cell of a [`Column`], beside what does
//! not apply and why. Checks use no network (`on` is `None`); they run on any runtime of tokio, also
//! in a spawned task, and for a transport that sees the real world in real time.
//!
//! Which checks there are follows from [`Transport::characteristics_at`] of the place listened at: byte
//! links or datagrams, reliable or not, one link at a time or many. `in_tls` (feature `tls`) makes another
//! subject of one, whose links go through TLS as those of `mcs+SCHEME://` do.

mod datagrams;
mod ends;
mod places;
mod pulls;
#[cfg(feature = "tls")]
mod secured;
mod streams;
mod table;
mod tools;

pub use ends::{sees_a_half_close, sees_the_peer_close_once, wakes_a_reader_and_a_writer_apart};
pub use places::{
    a_busy_link_starves_no_other, a_silent_client_delays_nobody, fails_to_reach_nobody,
    knows_its_peer, knows_itself, leaves_nothing_when_dropped_pending,
};
#[cfg(feature = "tls")]
pub use secured::in_tls;
pub use streams::{
    carries_a_megabyte_bit_by_bit, carries_messages_whole_and_in_order, echoes,
    frees_the_buffers_of_both, holds_back_what_has_no_room, reads_into_several_buffers,
    writes_from_several_buffers,
};
pub use table::{Cell, Column, STATEMENTS, Statement, Table};

use super::Transport;
use crate::endpoint::Endpoint;
use std::sync::Arc;

/// A transport to be checked. Checks of byte links can be run one by one.
#[derive(Debug)]
pub struct Subject {
    /// The transport object that dials.
    pub dialler: Arc<dyn Transport>,
    /// Another object of the same kind that listens, as another process would.
    pub listener: Arc<dyn Transport>,
    /// Where the listener listens; with port 0 where there are ports, so that checks can follow
    /// each other.
    pub here: Endpoint,
    /// Where the dialler itself listens, elsewhere than `here`.
    pub there: Endpoint,
    /// A place where nobody listens.
    pub nobody: Endpoint,
    /// Whether the transport can tell who dialled an accepted link before the peer named itself.
    pub knows_dialler: bool,
    /// Why its links take nobody's word for where the peer listens ([`Link::named`](super::Link::named));
    /// `None` where they do, which is then checked.
    pub unnamed: Option<&'static str>,
}

/// Every check, one after the other.
///
/// # Panics
/// At the first one that fails.
pub async fn all(subject: &Subject) {
    column(subject).await;
}

/// Every check, one after the other, and what they cover: a column of the [`Table`], named after the
/// place listened at.
///
/// # Panics
/// At the first one that fails.
pub async fn column(subject: &Subject) -> Column {
    let mut column = Column::new(table::name_of(&subject.here));
    let kind = subject.dialler.characteristics_at(&subject.here);
    assert_eq!(
        kind,
        subject.listener.characteristics_at(&subject.here),
        "both objects can do the same"
    );
    match kind.max_datagram {
        None => {
            assert!(kind.reliable && kind.ordered && !kind.messages, "{kind:?}");
            streams::check(subject, &mut column).await;
            column.not_applicable(33, "a byte stream has no datagram limit");
        }
        Some(max) => datagrams::check(subject, max, &mut column).await,
    }
    places::check(subject, &mut column).await;
    pulls::check(subject, &mut column).await;
    column
}
