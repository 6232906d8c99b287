//! Which peers there are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What traffic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    Interactive = 0,
    Bulk = 1,
}

/// A way to communicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    Tcp(Shape),
    Mptcp {
        two: bool,
        backup: bool,
        tuned: bool,
    },
    Noq {
        fast: bool,
        backup: bool,
    },
    Reconnect,
    /// With messages in place of streams, or not.
    Mancom {
        messages: bool,
    },
}

/// How TCP connections lie over the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    Wifi,
    Cell,
    Lowat,
    Two,
    Split,
}

use Peer::{Mptcp, Noq, Tcp};
pub(crate) const TCP_WIFI: Peer = Tcp(Shape::Wifi);
pub(crate) const TCP_CELL: Peer = Tcp(Shape::Cell);
pub(crate) const TCP_LOWAT: Peer = Tcp(Shape::Lowat);
pub(crate) const TCP_TWO: Peer = Tcp(Shape::Two);
pub(crate) const TCP_SPLIT: Peer = Tcp(Shape::Split);
pub(crate) const MPTCP: Peer = mptcp(false, false, false);
pub(crate) const MPTCP_TWO: Peer = mptcp(true, false, false);
pub(crate) const MPTCP_BACKUP: Peer = mptcp(false, true, false);
pub(crate) const MPTCP_TUNED: Peer = mptcp(false, true, true);
pub(crate) const NOQ: Peer = noq(false, false);
pub(crate) const NOQ_BACKUP: Peer = noq(false, true);
pub(crate) const NOQ_FAST: Peer = noq(true, true);
pub(crate) const RECONNECT: Peer = Peer::Reconnect;
pub(crate) const MANCOM: Peer = Peer::Mancom { messages: false };
pub(crate) const MESSAGES: Peer = Peer::Mancom { messages: true };

/// Every peer.
pub(crate) const ALL: [Peer; 15] = [
    TCP_WIFI,
    TCP_CELL,
    TCP_LOWAT,
    TCP_TWO,
    TCP_SPLIT,
    MPTCP,
    MPTCP_TWO,
    MPTCP_BACKUP,
    MPTCP_TUNED,
    NOQ,
    NOQ_BACKUP,
    NOQ_FAST,
    RECONNECT,
    MANCOM,
    MESSAGES,
];

const fn mptcp(two: bool, backup: bool, tuned: bool) -> Peer {
    Mptcp { two, backup, tuned }
}

const fn noq(fast: bool, backup: bool) -> Peer {
    Noq { fast, backup }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Tcp(Shape::Wifi) => "tcp-wifi",
            Tcp(Shape::Cell) => "tcp-cell",
            Tcp(Shape::Lowat) => "tcp-lowat",
            Tcp(Shape::Two) => "tcp-two",
            Tcp(Shape::Split) => "tcp-split",
            Mptcp { tuned: true, .. } => "mptcp-tuned",
            Mptcp { backup: true, .. } => "mptcp-backup",
            Mptcp { two: true, .. } => "mptcp-two",
            Mptcp { .. } => "mptcp",
            Noq { fast: true, .. } => "noq-fast",
            Noq { backup: true, .. } => "noq-backup",
            Noq { .. } => "noq",
            Peer::Reconnect => "reconnect",
            Peer::Mancom { messages: false } => "mancom",
            Peer::Mancom { messages: true } => "mancom-msg",
        })
    }
}

impl Peer {
    /// Whether each class has a pipe of its own.
    fn apart(self) -> bool {
        match self {
            Tcp(shape) => matches!(shape, Shape::Two | Shape::Split),
            Mptcp { two, .. } => two,
            Noq { .. } | Peer::Mancom { .. } => true,
            Peer::Reconnect => false,
        }
    }

    /// The classes of each pipe.
    pub(super) fn pipes(self, classes: &[Class]) -> Vec<Vec<Class>> {
        if self.apart() {
            classes.iter().map(|&class| vec![class]).collect()
        } else {
            vec![classes.to_vec()]
        }
    }
}
