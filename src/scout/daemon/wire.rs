//! What goes over the socket, byte by byte.
//!
//! Both sides send lines: one JSON object (RFC 8259, UTF-8), then one byte 0x0A. JSON writes a line
//! feed within a text as `\n`, so no line has one inside. A field that is not known is ignored; a line
//! without a known one, the empty line included, says only that its sender lives.
//!
//! The daemon sends first, and at once:
//!
//! ```json
//! {"mancom_scout": 1, "instance": "9f0c2d34a1b5e687", "network_namespace": "4:4026531840"}
//! ```
//!
//! | field | meaning |
//! | --- | --- |
//! | `mancom_scout` | the version, 1; any other is refused by the subscriber. New words for facts are a new version, new fields are not |
//! | `instance` | a text that is another one each time a daemon starts: within one instance an id of a network means the same, also over a lost connection |
//! | `network_namespace` | device and inode of the daemon's `/proc/thread-self/ns/net`, on Linux; a subscriber in another one refuses, for indexes would mean other interfaces |
//!
//! Then, as soon as it has a whole picture, and again whenever that changes:
//!
//! ```json
//! {"snapshot": {"generation": 17, "complete": true, "networks": [{"id": "2.1", "name": "eth0", "kinds": ["ethernet"], "state": "up"}]}}
//! ```
//!
//! in the serialized form of a [`Snapshot`]. Each is whole; some may be left out
//! between two. Every 10 s without anything to say there is an empty line.
//!
//! A subscriber may ask for another look at everything, with a number of its choice:
//! `{"look": 3}`. When that has been done and the snapshot it led to was sent, `{"looked": 3}` comes
//! back. Of several questions during one look the last is answered.
//!
//! A daemon that will not serve says why and closes: `{"refused": "1024 subscribers are the most"}`.
//!
//! No line of the daemon has more than 16 MiB, none of a subscriber more than 1 KiB; who sends more,
//! or what is no such object, is left.

use crate::network::Snapshot;
use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The version of these lines.
pub(super) const VERSION: u32 = 1;
/// The longest line of a daemon, in bytes.
pub(super) const LONGEST: usize = 16 << 20;
/// The longest line of a subscriber, in bytes.
pub(super) const LONGEST_QUESTION: usize = 1 << 10;
/// Read at once.
const CHUNK: usize = 1 << 16;

/// All that a line may say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mancom_scout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot: Option<Arc<Snapshot>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) look: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) looked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
}

impl Line {
    /// The bytes, line feed included.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("texts, numbers and lists alone");
        bytes.push(b'\n');
        bytes
    }

    /// What the bytes of a line say, with or without the line feed.
    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// Lines as they arrive, of a bounded length.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    longest: usize,
    buffer: BytesMut,
    /// So many bytes of the buffer are known to have no line feed.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, longest: usize) -> Self {
        Lines {
            from,
            longest,
            buffer: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next line; `None` at the end of them, also if the last one was cut off.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has arrived is kept.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let new = &self.buffer[self.searched..];
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let line = Line::decode(&self.buffer[..self.searched + at]);
                self.buffer.advance(self.searched + at + 1);
                self.searched = 0;
                // A large line's memory is not kept for small ones.
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return line.map(Some);
            }
            self.searched = self.buffer.len();
            if self.searched > self.longest {
                let error = format!("a line of more than {} bytes", self.longest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            self.buffer.reserve(CHUNK.min(self.longest + 1));
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// The network namespace of this thread, where there are such things.
pub(super) fn network_namespace() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let namespace = std::fs::metadata("/proc/thread-self/ns/net").ok()?;
        Some(format!("{}:{}", namespace.dev(), namespace.ino()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}
