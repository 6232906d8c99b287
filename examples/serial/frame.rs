//! What is on the wire: frames between two END bytes, after RFC 1055 (SLIP).
//!
//! ```text
//!  END | kind: 1 | connection: 4, big endian | payload: at most 1,024 | END
//! ```
//!
//! So a reader that comes late, or after half a frame, is right again at the next END. There is no
//! checksum: USB and pseudo-terminals have their own. A bare UART loses bytes; there, carry datagrams of
//! this form and put `transport::Airhook::over` above them.

const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;
const ESCAPED_END: u8 = 0xdc;
const ESCAPED_ESCAPE: u8 = 0xdd;

/// Bytes of one frame's payload.
pub(crate) const MAX_PAYLOAD: usize = 1024;
const HEAD: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The other end asks for a connection of this number; what was before is over.
    Open = 1,
    /// It has it.
    Accept = 2,
    /// Bytes.
    Data = 3,
    /// No more bytes come.
    End = 4,
    /// Nor are any read.
    Gone = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let all = [Self::Open, Self::Accept, Self::Data, Self::End, Self::Gone];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Appends a frame to `out`.
pub(crate) fn put(out: &mut impl Extend<u8>, kind: Kind, connection: u32, payload: &[u8]) {
    out.extend([END]);
    let head = [kind as u8].into_iter().chain(connection.to_be_bytes());
    for byte in head.chain(payload.iter().copied()) {
        match byte {
            END => out.extend([ESCAPE, ESCAPED_END]),
            ESCAPE => out.extend([ESCAPE, ESCAPED_ESCAPE]),
            plain => out.extend([plain]),
        }
    }
    out.extend([END]);
}

/// Finds frames in bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    frame: Vec<u8>,
    is_escaped: bool,
    /// Until the next END.
    is_spoilt: bool,
}

impl Reader {
    /// Takes one byte; the frame that it ends, if it does and the frame is one.
    pub(crate) fn take(&mut self, byte: u8) -> Option<(Kind, u32, Vec<u8>)> {
        if byte == END {
            let is_spoilt =
                std::mem::take(&mut self.is_spoilt) || std::mem::take(&mut self.is_escaped);
            let frame = std::mem::take(&mut self.frame);
            let (head, payload) = frame.split_first_chunk::<HEAD>()?;
            let [kind, connection @ ..] = *head;
            let kind = Kind::of(kind).filter(|_| !is_spoilt)?;
            return Some((kind, u32::from_be_bytes(connection), payload.to_vec()));
        }
        let plain = match (std::mem::take(&mut self.is_escaped), byte) {
            (false, ESCAPE) => {
                self.is_escaped = true;
                return None;
            }
            (false, plain) => plain,
            (true, ESCAPED_END) => END,
            (true, ESCAPED_ESCAPE) => ESCAPE,
            (true, _) => {
                self.is_spoilt = true;
                return None;
            }
        };
        // What is longer than any frame is none, and is not kept.
        self.is_spoilt |= self.frame.len() >= HEAD + MAX_PAYLOAD;
        if !self.is_spoilt {
            self.frame.push(plain);
        }
        None
    }
}
