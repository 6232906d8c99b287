//! The reading side of one pipe.

use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::record::{ANSWER, Cutter, DATA, Header, Seen};
use super::{PIECE, Shared, What, answer};
use crate::clock;
use crate::peer::Reader;

pub(super) async fn read(shared: Arc<Shared>, mut reader: Reader) {
    let mut cutter = Cutter::new(shared.plan.flows.len());
    let mut buffer = vec![0; PIECE];
    loop {
        let bytes = match reader.read(&mut buffer).await {
            Ok(0) => return shared.notes.ended(),
            Ok(bytes) => bytes,
            Err(error) => return shared.notes.failed("read", &error),
        };
        let now = clock::now();
        let mut rest = &buffer[..bytes];
        while let Some(seen) = cutter.cut(&mut rest) {
            match seen {
                Seen::Bytes { flow, kind, bytes } if kind == DATA => {
                    shared.notes.bytes(flow, now, bytes);
                }
                Seen::Bytes { .. } => {}
                Seen::Whole(header) => whole(&shared, header, now),
                Seen::Astray => shared.notes.astray(),
            }
        }
    }
}

fn whole(shared: &Shared, header: Header, now: u64) {
    let flow = usize::from(header.flow);
    if header.kind == ANSWER {
        shared.notes.answered(header.flow, header.number, now);
        shared.room[flow].add_permits(1);
        return;
    }
    let size = match shared.plan.flows[flow].what {
        What::Ask { size, .. } => size,
        // Four bytes say that it was taken, as libcmm's receiver does.
        What::Bulk { pipe: Some(_), .. } => 4,
        What::Bulk { pipe: None, .. } => return,
        What::Tick { .. } => {
            return shared
                .notes
                .ticked(header.flow, header.number, header.due, now);
        }
    };
    if shared
        .pen(flow)
        .answers
        .try_send(answer(&header, size))
        .is_err()
    {
        shared.notes.astray();
    }
}
