//! The writing side of one flow.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::record::{DATA, Header};
use super::{Flow, PIECE, Pen, Shared, What};
use crate::clock;

static ZEROS: [u8; PIECE] = [0; PIECE];
/// Timers of tokio fire up to this late; that is not the pipe's doing.
const TIMER: u64 = 2_000_000;

/// A whole record; records of several flows never mix on one pipe.
pub(super) async fn write(pen: &Pen, header: &Header) -> io::Result<()> {
    let mut writer = pen.writer.lock().await;
    let size = header.size as usize;
    if size <= 4096 {
        let mut record = header.bytes().to_vec();
        record.resize(record.len() + size, 0);
        writer.write_all(&record).await?;
    } else {
        writer.write_all(&header.bytes()).await?;
        let mut left = size;
        while left > 0 {
            let piece = left.min(PIECE);
            writer.write_all(&ZEROS[..piece]).await?;
            left -= piece;
        }
    }
    writer.flush().await
}

pub(super) async fn send(shared: Arc<Shared>, index: usize) {
    let flow = shared.plan.flows[index].clone();
    clock::until(shared.plan.at(flow.start)).await;
    let sent = match flow.what {
        What::Bulk { size, pipe } => bulk(&shared, index, &flow, size, pipe.is_some()).await,
        What::Ask { size, every } => paced(&shared, index, &flow, size, every, true).await,
        What::Tick { size, every } => paced(&shared, index, &flow, size, every, false).await,
    };
    if let Err(error) = sent {
        shared.notes.failed("write", &error);
    }
}

async fn bulk(
    shared: &Shared,
    index: usize,
    flow: &Flow,
    size: u32,
    piped: bool,
) -> io::Result<()> {
    let stop = shared.plan.at(flow.stop);
    for number in 0.. {
        if piped {
            match shared.room[index].acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => break,
            }
        }
        let now = clock::now();
        if now >= stop {
            break;
        }
        write(shared.pen(index), &header(index, number, size, now)).await?;
        shared.notes.sent(index, number, now, false);
    }
    Ok(())
}

async fn paced(
    shared: &Shared,
    index: usize,
    flow: &Flow,
    size: u32,
    every: u64,
    asks: bool,
) -> io::Result<()> {
    for number in 0.. {
        let due = flow.start + number * every;
        if due >= flow.stop {
            break;
        }
        let due = shared.plan.at(due);
        clock::until(due).await;
        let due = due.max(clock::now().min(due + TIMER));
        shared.notes.sent(index, number, due, asks);
        write(shared.pen(index), &header(index, number, size, due)).await?;
    }
    Ok(())
}

fn header(index: usize, number: u64, size: u32, due: u64) -> Header {
    Header {
        size,
        kind: DATA,
        flow: index as u16,
        number,
        due,
    }
}
