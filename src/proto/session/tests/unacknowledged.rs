//! A peer that never acknowledges: it takes what comes, answers when it is asked, and says nothing of
//! what it has.

use std::io::IoSlice;

use super::*;
use crate::label::Urgency;
use crate::proto::session::frame::{self, kind};
use crate::proto::session::messages::Order;

/// A dialler, and by hand the peer at the other end of its only path.
struct Mute {
    pair: Pair,
    path: PathId,
    now: Instant,
    /// What the peer has of a frame that is not whole.
    rest: Vec<u8>,
    taken: usize,
}

impl Mute {
    fn new() -> Self {
        let pair = pair();
        let (path, now) = (pair.paths()[0], pair.now());
        Self {
            pair,
            path,
            now,
            rest: Vec::new(),
            taken: 0,
        }
    }

    fn session(&mut self) -> &mut Session {
        self.pair.session(End::Dialler)
    }

    /// The link takes what there is, and the peer answers every PING.
    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            let (now, path) = (self.now, self.path);
            loop {
                let session = self.pair.session(End::Dialler);
                let mut slices = [IoSlice::new(&[]); 16];
                let count = session.transmit(now, path, &mut slices);
                let before = self.rest.len();
                for slice in &slices[..count] {
                    self.rest.extend_from_slice(slice);
                }
                let written = self.rest.len() - before;
                if written == 0 {
                    break;
                }
                self.taken += written;
                session.transmitted(now, path, written);
            }
            self.answer();
            if matches!(self.session().poll_timeout(), Some((at, _)) if at <= now) {
                self.session().handle_timeout(now);
            }
            while self.session().poll_event().is_some() {}
            self.now += Duration::from_millis(10);
        }
    }

    fn answer(&mut self) {
        let mut answers = Vec::new();
        while let [first, high, middle, low, body @ ..] = &self.rest[..] {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            let Some(body) = body.get(..length) else {
                break;
            };
            if *first == kind::PING {
                let token = body.try_into().expect("eight bytes");
                frame::put_token(&mut answers, kind::PONG, u64::from_be_bytes(token));
            }
            self.rest.drain(..frame::HEADER + length);
        }
        let (now, path) = (self.now, self.path);
        let heard = self.session().receive(now, path, &answers);
        heard.expect("the path lives");
    }

    /// Writes as long as anything is taken; how much.
    fn fill_stream(&mut self, id: StreamId) -> usize {
        let (mut all, now) = (0, self.now);
        while let Ok(taken @ 1..) = self.session().write(now, id, Label::ANY, &bytes(10_000)) {
            all += taken;
        }
        all
    }

    /// Sends as long as there is room; how many.
    fn fill_messages(&mut self, label: Label) -> usize {
        let (now, body) = (self.now, Bytes::from(bytes(1_000)));
        let send = |session: &mut Session| {
            session
                .send_message(now, label, &body, &Order::Sent, None)
                .expect("it is not refused")
        };
        std::iter::from_fn(|| send(self.session())).count()
    }
}

// behaviour: K4
#[test]
fn a_peer_that_never_acknowledges_stops_writers_and_neither_memory_nor_the_session_suffers() {
    let mut mute = Mute::new();
    let id = opened(&mut mute.pair, End::Dialler);
    let limit = small().send_buffer;
    let labels = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
    let (mut written, mut sent) = (0, [0; 3]);
    for _ in 0..600 {
        written += mute.fill_stream(id);
        for label in labels {
            sent[label.urgency() as usize] += mute.fill_messages(label);
        }
        assert!(mute.session().buffered() <= 4 * limit, "a buffer each");
        mute.run(Duration::from_millis(100));
    }
    // All of it went, nothing was acknowledged, so it is kept and there is room for nothing.
    assert_eq!(written, limit);
    for urgency in [Urgency::Interactive, Urgency::Default, Urgency::Background] {
        let kept = sent[urgency as usize] * 1_000;
        assert!((limit / 2..=limit).contains(&kept), "{kept} of {urgency:?}");
    }
    assert!(mute.taken >= written, "{}", mute.taken);
    assert!(mute.taken <= 8 * limit, "{} for want of a word", mute.taken);
    assert_eq!(mute.session().closed(), None, "who answers is there");
    assert_eq!(mute.session().paths(), [mute.path]);

    let (now, path) = (mute.now, mute.path);
    mute.session().lose(now, path);
    let grace = mute.session().grace();
    let step = |mute: &mut Mute, to: Instant| {
        for _ in 0..10_000 {
            let due = mute.session().poll_timeout().filter(|(at, _)| *at <= to);
            let Some((at, _)) = due else { return };
            mute.session().handle_timeout(at);
        }
        panic!("timeouts without end");
    };
    step(&mut mute, now + grace - Duration::from_secs(1));
    assert_eq!(mute.session().closed(), None, "within its grace");
    step(&mut mute, now + grace + Duration::from_secs(1));
    assert_eq!(mute.session().closed(), Some(CloseReason::GraceExpired));
    let refused = mute.session().write(now + grace, id, Label::ANY, b"more");
    let over = StreamError::Closed(CloseReason::GraceExpired);
    assert_eq!(refused, Err(over));
    assert_eq!(mute.session().buffered(), 0, "nothing is kept of it");
}
