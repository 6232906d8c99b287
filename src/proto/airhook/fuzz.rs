//! Any packets, from anybody, at any moment of a link.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::packet::{Cursor, Header, Packet};
use super::{Airhook, MAX_INCOMING, MIN_BUFFER, MessageId, ReceiveError, Settings};
use crate::proto::script::Script;

/// Things done for one script; what is beyond is not.
const STEPS: usize = 1_000;
/// Packets under way that a script may change.
const POOL: usize = 32;
const QUEUE: usize = 600;

/// Follows a script of steps.
///
/// # Panics
/// If an end keeps more than it says it may, or a packet says something else once it is written again.
pub(crate) fn airhook(bytes: &[u8], now: Instant) {
    let mut script = Script::new(bytes);
    let mut stage = Stage {
        now,
        ends: [fresh(now, 1), fresh(now, 2)],
        instances: 2,
        sent: Vec::new(),
        pool: Vec::new(),
    };
    if script.flag() {
        stage.exchange(0);
    }
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        stage.step(step, &mut script);
        stage.check();
    }
}

fn fresh(now: Instant, number: u32) -> Airhook {
    let settings = Settings {
        queue: QUEUE,
        ..Settings::default()
    };
    let session = NonZeroU32::new(0x0101_0000 | number).expect("not zero");
    Airhook::new(now, session, settings)
}

struct Stage {
    now: Instant,
    ends: [Airhook; 2],
    instances: u32,
    /// Messages of the first end.
    sent: Vec<MessageId>,
    pool: Vec<Vec<u8>>,
}

impl Stage {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let end = usize::from(step >> 7);
        let now = self.now;
        match step & 0x7f {
            0x00 => self.give(end, script.some()),
            0x01 => {
                let packet = self.plausible(end, script);
                self.give(end, &packet);
            }
            0x02 => {
                let mut packet = script.pick(&self.pool).cloned().unwrap_or_default();
                let (at, change) = (script.byte(), script.byte());
                match packet.get_mut(usize::from(at)) {
                    Some(byte) => *byte ^= change,
                    None => packet.push(change),
                }
                self.give(end, &packet);
            }
            0x10 => {
                let length = script.byte();
                // It may be empty, or one too many.
                let sent = self.ends[end].send(now, vec![length; length.into()]);
                self.sent.extend(sent.ok().filter(|_| end == 0));
            }
            0x11 => {
                for _ in 0..script.byte() {
                    let _ = self.ends[end].send(now, vec![1]);
                }
            }
            0x12 => {
                if let Some(id) = script.pick(&self.sent) {
                    let _ = self.ends[0].discard(now, *id);
                    let _ = self.ends[0].message_status(*id);
                }
            }
            0x13 => while self.ends[end].poll_event().is_some() {},
            0x14 => {
                let size = script.short() & 0x07ff;
                self.transmit(end, size.into());
            }
            0x15 => {
                let mut buffer = [0; MIN_BUFFER];
                let length = self.ends[end].probe(now, &mut buffer);
                self.keep(&buffer[..length.expect("it fits")]);
            }
            0x20 => self.exchange(script.byte()),
            0x21 => self.now += Duration::from_millis(script.short().into()),
            0x22 => {
                self.instances += 1;
                self.ends[1] = fresh(now, self.instances);
            }
            _ => {}
        }
    }

    fn keep(&mut self, packet: &[u8]) {
        reads_back(packet);
        if self.pool.len() == POOL {
            self.pool.remove(0);
        }
        self.pool.push(packet.to_vec());
    }

    /// The packet that is due, if it fits into so many bytes.
    fn transmit(&mut self, end: usize, size: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; size];
        match self.ends[end].transmit(self.now, &mut buffer) {
            Ok(length) => {
                let packet = buffer[..length?].to_vec();
                self.keep(&packet);
                Some(packet)
            }
            Err(small) => {
                assert!(size < small.needed && small.needed <= MIN_BUFFER);
                None
            }
        }
    }

    /// Everything that is due goes to and fro; of eight packets those with their bit set get lost.
    fn exchange(&mut self, lost: u8) {
        for turn in 0..16 {
            for end in 0..2 {
                for _ in 0..600 {
                    let Some(packet) = self.transmit(end, 1_200) else {
                        break;
                    };
                    if lost >> (turn & 7) & 1 == 0 {
                        self.give(1 - end, &packet);
                    }
                }
            }
        }
    }

    fn give(&mut self, end: usize, packet: &[u8]) {
        reads_back(packet);
        let core = &mut self.ends[end];
        let (peer, waiting) = (core.status().remote_session, core.incoming.len());
        match core.receive(self.now, packet) {
            Ok(_) => {}
            Err(ReceiveError::Full) => while core.poll_event().is_some() {},
            Err(_) => {
                assert_eq!(core.status().remote_session, peer);
                assert_eq!(core.incoming.len(), waiting);
            }
        }
    }

    /// A packet that might be the other end's: what it says lies near to what is expected.
    fn plausible(&self, end: usize, script: &mut Script<'_>) -> Vec<u8> {
        let [core, other] = [&self.ends[end], &self.ends[1 - end]];
        let tells = script.byte();
        let missed = script.some();
        let session = |told: u8, number| (tells & told != 0).then_some(number);
        let (highest, expected) = core.receiver.stands();
        let header = Header {
            observed: core.sender.last().to_be_bytes()[1].wrapping_sub(script.byte()),
            sequence: highest.wrapping_add(script.byte().into()),
            observed_session: session(1, core.session),
            session: session(2, other.session),
            proof: tells & 8 != 0,
            number: expected.wrapping_add(script.byte()),
            missed: missed.len(),
        };
        let body = script.some();
        let mut buffer = vec![0; header.length()];
        header.write(missed.iter().copied(), &mut Cursor::new(&mut buffer));
        // Messages that end where they should, and one that does not if a script wants it.
        for message in body.chunks(7) {
            buffer.push(message.len() as u8 - u8::from(tells & 4 == 0));
            buffer.extend_from_slice(message);
        }
        buffer
    }

    fn check(&self) {
        for end in &self.ends {
            assert!(end.incoming.len() <= MAX_INCOMING + 255);
            assert!(end.receiver.missed().len() <= 255);
            assert!(end.sender.is_bounded(QUEUE) && end.peer.is_bounded());
            let _ = (end.wanted(), end.status(), end.poll_timeout());
        }
    }
}

/// A packet is written again as it was, as far as it has a meaning.
fn reads_back(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else {
        return;
    };
    let messages: Vec<&[u8]> = packet.messages().collect();
    assert_eq!(messages.len(), packet.count);
    let header = Header {
        observed: packet.observed,
        sequence: packet.sequence,
        observed_session: packet.observed_session,
        session: packet.session,
        proof: packet.proof,
        number: packet.number,
        missed: packet.missed.len(),
    };
    let body: usize = messages.iter().map(|message| 1 + message.len()).sum();
    let mut written = vec![0; header.length() + body];
    let mut out = Cursor::new(&mut written);
    header.write(packet.missed.iter().copied(), &mut out);
    for message in &messages {
        assert!(out.fits(message));
        out.put_message(message);
    }
    assert_eq!(out.written(), written.len());
    let known = bytes.first().is_some_and(|flags| flags & 0xc1 == 0);
    if known && written.len() == bytes.len() {
        assert_eq!(written, bytes);
    }
    let again = Packet::parse(&written).expect("our own");
    assert_eq!(again.messages().collect::<Vec<_>>(), messages);
    assert_eq!(
        (again.observed, again.sequence, again.number, again.missed),
        (
            packet.observed,
            packet.sequence,
            packet.number,
            packet.missed
        )
    );
    assert_eq!(
        (again.session, again.observed_session),
        (packet.session, packet.observed_session)
    );
}
