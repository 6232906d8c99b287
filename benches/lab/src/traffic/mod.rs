//! What two nodes say to each other while they are measured, the same for every peer.
//!
//! A plan lists flows; both nodes get the whole plan and each plays its side of it. Everything travels as
//! records on ordered pipes, one pipe for each class of traffic or one for all, as the peer has it.
//!
//! ```text
//!  Bulk   data data data ..                 as fast as the pipe takes it, or N in the pipe
//!  Ask    data ──────────► answer           every so often; latency from the moment it was due
//!  Tick   data                              one way, every so often; delay from the moment it was due
//! ```
//!
//! A latency counts from when the record was due, not from when the pipe took it: waiting to be taken is
//! what a user waits, too. What has no answer at the end counts with its age.

mod flow;
mod notes;
mod read;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore, mpsc};

pub(crate) use notes::{Report, Tick};

use crate::clock;
use crate::peer::{Class, Lanes, Writer};
use notes::Notes;
use record::{ANSWER, Header};

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// All that is sent in one measurement. Times are milliseconds from `zero`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// When it begins, by [`clock::now`].
    pub(crate) zero: u64,
    /// When both nodes stop and report.
    pub(crate) end: u64,
    pub(crate) flows: Vec<Flow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) from: Side,
    pub(crate) class: Class,
    pub(crate) what: What,
    pub(crate) start: u64,
    pub(crate) stop: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// Records of `size` bytes as fast as they go; with `pipe`, at most so many unanswered.
    Bulk { size: u32, pipe: Option<u32> },
    /// A record of `size` every `every` ms, answered with as many.
    Ask { size: u32, every: u64 },
    /// A record of `size` every `every` ms, not answered.
    Tick { size: u32, every: u64 },
}

impl Plan {
    fn at(&self, ms: u64) -> u64 {
        self.zero + ms * 1_000_000
    }
}

/// What all tasks of a node share while it runs a plan.
pub(crate) struct Shared {
    plan: Plan,
    /// Which pipe carries a class.
    carries: [usize; 2],
    pens: Vec<Pen>,
    notes: Notes,
    /// For each flow, how many more may be in the pipe.
    room: Vec<Semaphore>,
}

/// Where records go out on one pipe.
struct Pen {
    writer: Mutex<Writer>,
    /// Answers wait here, so that reading never waits for writing.
    answers: mpsc::Sender<Header>,
}

/// Answers under way on one pipe; far more than any plan asks for at once.
const ANSWERS: usize = 4096;
/// How much each piece of payload is.
const PIECE: usize = 64 * 1024;

impl Shared {
    fn pen(&self, flow: usize) -> &Pen {
        &self.pens[self.carries[self.plan.flows[flow].class as usize]]
    }
}

/// Plays one side of the plan and tells what it saw.
pub(crate) async fn run(lanes: Lanes, side: Side, plan: Plan) -> Report {
    let mut readers = Vec::new();
    let mut pens = Vec::new();
    let mut queues = Vec::new();
    for pipe in lanes.pipes {
        let (answers, queue) = mpsc::channel(ANSWERS);
        pens.push(Pen {
            writer: Mutex::new(pipe.writer),
            answers,
        });
        readers.push(pipe.reader);
        queues.push(queue);
    }
    let room = plan.flows.iter().map(|flow| match flow.what {
        What::Bulk { pipe: Some(n), .. } => Semaphore::new(n as usize),
        _ => Semaphore::new(0),
    });
    let shared = Arc::new(Shared {
        notes: Notes::new(&plan),
        room: room.collect(),
        carries: lanes.carries,
        pens,
        plan,
    });
    let mut tasks = tokio::task::JoinSet::new();
    for reader in readers {
        tasks.spawn(read::read(Arc::clone(&shared), reader));
    }
    if let Some(mut more) = lanes.more {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            while let Some(pipe) = more.recv().await {
                shared.notes.reconnected();
                tokio::spawn(read::read(Arc::clone(&shared), pipe.reader));
            }
        });
    }
    for (pen, mut queue) in queues.into_iter().enumerate() {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            while let Some(header) = queue.recv().await {
                if let Err(error) = flow::write(&shared.pens[pen], &header).await {
                    return shared.notes.failed("answer", &error);
                }
            }
        });
    }
    for index in 0..shared.plan.flows.len() {
        if shared.plan.flows[index].from == side {
            tasks.spawn(flow::send(Arc::clone(&shared), index));
        }
    }
    clock::until(shared.plan.at(shared.plan.end)).await;
    let report = shared.notes.report(shared.plan.at(shared.plan.end));
    tasks.abort_all();
    drop(lanes.keep);
    report
}

/// The answer to a record, as long as it.
fn answer(header: &Header, size: u32) -> Header {
    Header {
        kind: ANSWER,
        size,
        ..*header
    }
}
