//! What our own cores say to each other.

use std::io::IoSlice;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mancom::Label;
use mancom::proto::airhook::{Airhook, Settings};
use mancom::proto::pair::{Seeded, anywhere, handshake, offer};
use mancom::proto::session::messages::Order;
use mancom::proto::session::{Config, PathId, Session};

/// An exchange of two ends whose sessions are those of the Airhook target: what the first does, as steps,
/// and what comes to it.
pub(super) fn hooks() -> Vec<u8> {
    let mut now = Instant::now();
    let mut ends = [1, 2].map(|number| {
        let session = NonZeroU32::new(0x0101_0000 | number).unwrap();
        Airhook::new(now, session, Settings::default())
    });
    let mut script = vec![0];
    let mut buffer = [0; 200];
    for turn in 0..6 {
        script.extend([0x10, 20]);
        ends[0].send(now, vec![20; 20]).unwrap();
        ends[1].send(now, vec![turn; 9]).unwrap();
        while let Some(length) = ends[0].transmit(now, &mut buffer).unwrap() {
            script.extend([0x14, 0, 200]);
            ends[1].receive(now, &buffer[..length]).unwrap();
        }
        while let Some(length) = ends[1].transmit(now, &mut buffer).unwrap() {
            // Some are lost.
            if turn % 3 != 1 {
                script.extend([0x00, length as u8]);
                script.extend(&buffer[..length]);
                let _ = ends[0].receive(now, &buffer[..length]);
            }
        }
        now += Duration::from_millis(1_024);
        script.extend([0x21, 4, 0]);
    }
    script
}

/// What two sessions' programs do.
type Scene = fn(&mut Overheard);

/// Two sessions on one path that loses nothing, and what each wrote.
struct Overheard {
    now: Instant,
    ends: [Session; 2],
    path: PathId,
    wire: [Vec<u8>; 2],
}

impl Overheard {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config::default();
        let agreed = handshake(&mut Seeded::new(1), offer(&config), offer(&config));
        let path = agreed[0].path;
        let mut ends = agreed.map(|agreed| Session::new(agreed, config.clone(), now));
        for end in &mut ends {
            end.attach(now, path, anywhere()).unwrap();
        }
        Self {
            now,
            ends,
            path,
            wire: Default::default(),
        }
    }

    /// Both write until neither has anything to say.
    fn talk(&mut self) {
        for _ in 0..8 {
            self.now += Duration::from_millis(30);
            for end in 0..2 {
                self.ends[end].handle_timeout(self.now);
                let mut slices = [IoSlice::new(&[]); 16];
                let count = self.ends[end].transmit(self.now, self.path, &mut slices);
                let said: Vec<u8> = slices[..count]
                    .iter()
                    .flat_map(|s| s.iter().copied())
                    .collect();
                self.ends[end].transmitted(self.now, self.path, said.len());
                let _ = self.ends[1 - end].receive(self.now, self.path, &said);
                self.wire[end].extend(said);
                for end in &mut self.ends {
                    while end.poll_event().is_some() {}
                }
            }
        }
    }
}

/// What both ends wrote, by what they did.
pub(super) fn conversations() -> Vec<(&'static str, [Vec<u8>; 2])> {
    let scenes: [(_, Scene); 6] = [
        ("stream", |talk| {
            let stream = talk.ends[0].open(talk.now, Label::ANY).unwrap();
            talk.ends[0]
                .write(talk.now, stream, Label::ANY, &[7; 200])
                .unwrap();
            talk.talk();
            talk.ends[1].accept().unwrap();
            talk.ends[1]
                .write(talk.now, stream, Label::INTERACTIVE, &[8; 90])
                .unwrap();
            talk.ends[0].shutdown(talk.now, stream);
            talk.talk();
            talk.ends[1].shutdown(talk.now, stream);
        }),
        ("labels", |talk| {
            for label in [Label::BACKGROUND, Label::INTERACTIVE, Label::ANY] {
                let stream = talk.ends[1].open(talk.now, label).unwrap();
                talk.ends[1]
                    .write(talk.now, stream, label, &[1; 20])
                    .unwrap();
                talk.ends[1]
                    .write(talk.now, stream, Label::ANY, &[2; 20])
                    .unwrap();
            }
        }),
        ("resets", |talk| {
            let streams = [0, 1].map(|end| talk.ends[end].open(talk.now, Label::ANY).unwrap());
            talk.talk();
            talk.ends[0].reset(talk.now, streams[0], 7);
            talk.ends[0].release(talk.now, streams[1]);
        }),
        ("messages", |talk| {
            let bytes = Bytes::from(vec![3; 60]);
            for (label, order) in [
                (Label::ANY, Order::Sent),
                (Label::INTERACTIVE, Order::AfterAll),
                (Label::BACKGROUND, Order::Sent),
            ] {
                let end = &mut talk.ends[0];
                end.send_message(talk.now, label, &bytes, &order, None)
                    .unwrap();
            }
            talk.talk();
            while talk.ends[1].recv_message(talk.now).is_some() {}
        }),
        ("withdrawn", |talk| {
            let bytes = Bytes::from(vec![3; 600]);
            let end = &mut talk.ends[0];
            let sent = end.send_message(talk.now, Label::ANY, &bytes, &Order::Sent, None);
            let id = sent.unwrap().unwrap();
            let after = Order::After(vec![id]);
            end.send_message(talk.now, Label::ANY, &bytes, &after, None)
                .unwrap();
            let mut slices = [IoSlice::new(&[]); 4];
            let count = end.transmit(talk.now, talk.path, &mut slices);
            let said: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|s| s.iter().copied())
                .collect();
            end.transmitted(talk.now, talk.path, said.len());
            end.cancel_message(talk.now, id).unwrap();
            let part = &said[..said.len().min(300)];
            talk.ends[1].receive(talk.now, talk.path, part).unwrap();
            talk.wire[0].extend(said);
        }),
        ("closing", |talk| {
            let told = [([192, 0, 2, 7], 7000).into()];
            talk.ends[1].tell_addresses(talk.path, &told);
            talk.ends[0].retire(talk.now, talk.path);
            talk.talk();
            talk.ends[0].close(talk.now);
            talk.ends[1].close(talk.now);
        }),
    ];
    let overhear = |(name, scene): (_, Scene)| {
        let mut talk = Overheard::new();
        scene(&mut talk);
        talk.talk();
        (name, talk.wire)
    };
    scenes.into_iter().map(overhear).collect()
}
