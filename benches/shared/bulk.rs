//! Bytes one way.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const BUFFER: usize = 64 * 1024;

/// How long so many bytes take from one end to the other, in writes of this size.
pub(crate) async fn one_way(
    mut near: impl AsyncWrite + Unpin,
    far: impl AsyncRead + Unpin + Send + 'static,
    bytes: usize,
    size: usize,
) -> Duration {
    let draining = tokio::spawn(drain(far, bytes));
    let buffer = vec![7; size];
    let start = Instant::now();
    for _ in 0..bytes / size {
        near.write_all(&buffer).await.expect("written");
    }
    near.shutdown().await.expect("shut down");
    draining.await.expect("drained");
    start.elapsed()
}

/// Reads so many bytes and the end.
pub(crate) async fn drain(mut far: impl AsyncRead + Unpin, bytes: usize) {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match far.read(&mut buffer).await.expect("read") {
            0 => break,
            n => total += n,
        }
    }
    assert_eq!(total, bytes);
}
