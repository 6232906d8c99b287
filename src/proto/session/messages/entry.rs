//! A message that arrives, and what its frames say of it.

use super::assembly::Assembly;
use crate::label::Label;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Parts,
    Held,
    Delivered,
    Ready,
    Withdrawn,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) label: Label,
    pub(super) length: u32,
    pub(super) charge: u64,
    /// The sender's number, once the first part is in.
    pub(super) id: Option<u64>,
    /// Messages it comes after that were not all handed out when last looked at..
    pub(super) after: Vec<u64>,
    /// ..and all of a lower number than this.
    pub(super) below: u64,
    pub(super) body: Assembly,
    pub(super) stage: Stage,
    /// Its urgency, or that of the most urgent message that waits for it.
    pub(super) rank: usize,
    pub(super) waits_for: Option<u64>,
}

impl Entry {
    pub(super) fn is_complete(&self) -> bool {
        self.id.is_some() && self.length == self.body.contiguous()
    }
}

/// The head of a message, as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct First {
    pub(super) id: u64,
    pub(super) below: u64,
    pub(super) after: Vec<u64>,
}

/// What stands before the payload of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) seq: u64,
    pub(super) label: Label,
    pub(super) length: u32,
    pub(super) offset: u32,
    pub(super) payload: u32,
    pub(super) first: Option<First>,
}
