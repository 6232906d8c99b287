//! A record: 32 bytes of header, then as many zeros as it says.

pub(super) const HEADER: usize = 32;
/// Marks a beginning, so that a reader that lost its place finds it again.
const MAGIC: u32 = 0x4d4c_4142;
pub(super) const DATA: u16 = 1;
pub(super) const ANSWER: u16 = 2;
/// Longer than any plan asks for: a header that says more is none.
const LONGEST: u32 = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: u32,
    pub(super) kind: u16,
    pub(super) flow: u16,
    pub(super) number: u64,
    /// When it was due.
    pub(super) due: u64,
}

impl Header {
    pub(super) fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.kind.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flow.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.due.to_le_bytes());
        bytes
    }

    /// `None` where no record begins.
    pub(super) fn parse(bytes: &[u8; HEADER], flows: usize) -> Option<Self> {
        let four = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        let header = Self {
            size: four(4),
            kind: two(8),
            flow: two(10),
            number: eight(12),
            due: eight(20),
        };
        let fits = four(0) == MAGIC
            && header.size <= LONGEST
            && usize::from(header.flow) < flows
            && (header.kind == DATA || header.kind == ANSWER);
        fits.then_some(header)
    }
}

/// Cuts what arrives into records.
#[derive(Debug)]
pub(super) struct Cutter {
    flows: usize,
    head: Vec<u8>,
    /// The record whose payload is arriving, and how much of it is still to come.
    open: Option<(Header, u32)>,
}

/// What a cutter saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Payload of a record that is not whole yet.
    Bytes { flow: u16, kind: u16, bytes: u32 },
    /// A record is whole.
    Whole(Header),
    /// One byte that belongs to no record.
    Astray,
}

impl Cutter {
    pub(super) fn new(flows: usize) -> Self {
        Self {
            flows,
            head: Vec::with_capacity(HEADER),
            open: None,
        }
    }

    /// Takes from the front of `bytes`; `None` when they are used up.
    pub(super) fn cut(&mut self, bytes: &mut &[u8]) -> Option<Seen> {
        loop {
            if let Some((header, left)) = &mut self.open {
                if *left == 0 {
                    let header = *header;
                    self.open = None;
                    return Some(Seen::Whole(header));
                }
                if bytes.is_empty() {
                    return None;
                }
                let taken = (*left as usize).min(bytes.len());
                *bytes = &bytes[taken..];
                *left -= taken as u32;
                return Some(Seen::Bytes {
                    flow: header.flow,
                    kind: header.kind,
                    bytes: taken as u32,
                });
            }
            if bytes.is_empty() {
                return None;
            }
            let taken = (HEADER - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            *bytes = &bytes[taken..];
            if let Ok(head) = <&[u8; HEADER]>::try_from(&self.head[..]) {
                if let Some(header) = Header::parse(head, self.flows) {
                    self.open = Some((header, header.size));
                    self.head.clear();
                } else {
                    self.head.remove(0);
                    return Some(Seen::Astray);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64, size: u32) -> Header {
        Header {
            size,
            kind: DATA,
            flow: 1,
            number,
            due: 1 << 60,
        }
    }

    fn whole(cutter: &mut Cutter, mut bytes: &[u8]) -> (Vec<Header>, usize, usize) {
        let (mut records, mut payload, mut astray) = (Vec::new(), 0, 0);
        while let Some(seen) = cutter.cut(&mut bytes) {
            match seen {
                Seen::Whole(header) => records.push(header),
                Seen::Bytes { bytes, .. } => payload += bytes as usize,
                Seen::Astray => astray += 1,
            }
        }
        (records, payload, astray)
    }

    #[test]
    fn cuts_records_however_the_bytes_arrive() {
        let mut wire = Vec::new();
        for (number, size) in [(0, 0), (1, 100), (2, 1)] {
            wire.extend(header(number, size).bytes());
            wire.extend(vec![0; size as usize]);
        }
        for step in 1..wire.len() {
            let mut cutter = Cutter::new(2);
            let (mut records, mut payload) = (Vec::new(), 0);
            for piece in wire.chunks(step) {
                let (more, bytes, astray) = whole(&mut cutter, piece);
                records.extend(more);
                payload += bytes;
                assert_eq!(astray, 0);
            }
            assert_eq!(records, [header(0, 0), header(1, 100), header(2, 1)]);
            assert_eq!(payload, 101);
        }
    }

    #[test]
    fn finds_its_place_again_in_the_middle_of_a_record() {
        let mut wire = vec![0; 77];
        wire.extend(header(5, 3).bytes());
        wire.extend([0; 3]);
        let (records, payload, astray) = whole(&mut Cutter::new(2), &wire);
        assert_eq!((records, payload, astray), (vec![header(5, 3)], 3, 77));
    }

    #[test]
    fn a_header_of_no_flow_or_beyond_the_longest_is_none() {
        assert_eq!(Header::parse(&header(0, 1).bytes(), 1), None);
        assert_eq!(Header::parse(&header(0, LONGEST + 1).bytes(), 2), None);
    }
}
