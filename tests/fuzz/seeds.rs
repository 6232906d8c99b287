//! What fuzzing begins with: what our own cores say to each other, the known bytes of Airhook, and the
//! texts of the documentation. Small, and the same at every run.

use std::io::IoSlice;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mancom::Label;
use mancom::proto::airhook::{Airhook, Settings};
use mancom::proto::pair::{Seeded, anywhere, handshake, offer};
use mancom::proto::session::messages::Order;
use mancom::proto::session::{Config, PathId, Session};
use mancom::testing::fuzz::honest_handshakes;

/// A target, a name in its folder, and the input.
pub type Seed = (&'static str, String, Vec<u8>);

pub fn all() -> Vec<Seed> {
    let mut all = Vec::new();
    texts(&mut all, "label", LABELS);
    texts(&mut all, "endpoint", ENDPOINTS);
    let mut add = |target, name: &str, bytes| all.push((target, name.to_owned(), bytes));
    for (name, [dialler, listener]) in conversations() {
        for (end, wire) in [("dialler", dialler), ("listener", listener)] {
            add(
                "frames",
                &format!("{name}-{end}"),
                [&[6], &wire[..]].concat(),
            );
            // What one end said, at the other, in one piece.
            let at = if end == "dialler" { 0x81 } else { 0x01 };
            let length = (wire.len() as u16).to_be_bytes();
            let script = [&[1, 0, at, 0], &length[..], &wire, &[0x08, 50]].concat();
            add("session", &format!("{name}-{end}"), script);
        }
    }
    for (name, script) in SESSIONS {
        add("session", name, script.to_vec());
    }
    for (name, script) in honest_handshakes() {
        add("handshake", name, script);
    }
    for mode in 4..8 {
        add("handshake", &format!("honest-{mode}"), vec![mode]);
        let changed = vec![mode, 0, 0, 20, 1, 2, 0, 60, 0x80];
        add("handshake", &format!("changed-{mode}"), changed);
    }
    for (name, packet) in PACKETS {
        let give = [&[0, 0, packet.len() as u8], *packet, &[0x14, 1, 0]].concat();
        add("airhook", name, give);
    }
    for (name, script) in HOOKS {
        add("airhook", name, script.to_vec());
    }
    add("airhook", "overheard", overheard());
    for (name, script) in STREAMS {
        add("airstream", name, script.to_vec());
    }
    all
}

fn texts(all: &mut Vec<Seed>, target: &'static str, texts: &[&str]) {
    for (index, text) in texts.iter().enumerate() {
        let bytes = text.as_bytes().to_vec();
        all.push((target, format!("text-{index:02}"), bytes));
    }
}

const LABELS: &[&str] = &[
    "any",
    "interactive",
    "background large prohibit=metered",
    "small ondemand",
    "foreground size=64M",
    "size=18446744073709551615",
    "size=16383T",
    "scope=host",
    "scope=local if=wlan0",
    "scope=internet scope=auto",
    "require=wifi,ethernet",
    "prefer=ethernet,wifi,bluetooth,cellular,satellite,vpn,loopback,other",
    "avoid=cellular prohibit=metered,roaming",
    "require=validated,ipv4,ipv6 prohibit=constrained",
    "cost=ignore vpn=bypass redundant",
    "wifi-only unmetered bypass-vpn",
    "if=enx00e04c680001 small",
    "require=wifi prohibit=wifi",
    "wildly",
    "prefer=ehternet",
];

const ENDPOINTS: &[&str] = &[
    "mc://10.0.0.1:7000",
    "mc://[2001:db8::7]:7000?label=background",
    "mcs://photos.example:7000?pin=a%2Fb%3D%26&flag&empty=&plus=1+1",
    "mc+unix:/run/photos.sock",
    "unix:///run/a%20b?mode=0600&type=seqpacket",
    "mem://photos",
    "channel:photos",
    "tcp://0.0.0.0:7000-7010?nodelay&advertise=photos.example",
    "tls://LocalHost.:443?name=localhost",
    "udp://[::ffff:127.0.0.1]:9",
    "multicast://239.1.2.3:7000?interface=wlan0&ttl=1",
    "airhook://127.0.0.1:9?max=524",
    "mc+airhook://localhost:0?max=600",
    "mcs+airhook://[2001:db8::7]:443",
    "quic://h:1",
    "mc+serial:/dev/ttyUSB0?baud=115200",
    "serial://host/dev/tty?x",
    "line:12a",
    "x:////a//b",
    "unix:b\u{fc}cher/\u{20ac}",
    "port=5000,reuse,name=a%2Cb",
    "advertise=photos.example&nodelay",
    "localhost:7000",
    "mc://user@host:1",
    "mc://[fe80::1%25wlan0]:7",
    "mc://x:99999",
    "mc://h:1?a=1&a=2",
    "mc://h:1#part",
];

/// Steps of the session target: what the two programs do, and what becomes of their paths.
const SESSIONS: &[(&str, &[u8])] = &[
    (
        "streams",
        &[
            1, 0, 0x20, 0, 0x22, 0, 0, 9, 0, 0x08, 60, 0xa1, 0, 0xa5, 0, 0, 16, 0, 0x26, 0, 0, 0,
            0, 0x08, 60, 0xa6, 0, 0, 0, 0, 0x08, 60, 0x27, 0, 0, 0, 0, 0xa7, 0, 0, 0, 0, 0x09, 2,
        ],
    ),
    (
        "resets",
        &[
            2, 1, 0x20, 1, 0xa0, 2, 0x22, 1, 0, 4, 0, 0xa2, 2, 1, 4, 0, 0x08, 20, 0x28, 0, 0, 0, 7,
            0x08, 20, 0xa8, 0, 1, 0, 9, 0x09, 2,
        ],
    ),
    (
        "two-paths",
        &[
            3, 4, 0x10, 1, 0x20, 0, 0x22, 0, 0, 200, 0, 0x0a, 30, 0x11, 0, 0x0a, 20, 0x10, 0, 0x14,
            0, 1, 0x13, 0, 0x09, 3, 0x25, 0, 0, 255, 255,
        ],
    ),
    (
        "dark",
        &[
            4, 0x20, 0x10, 2, 0x20, 1, 0x23, 1, 0, 60, 0, 0x92, 0, 1, 0x09, 5, 0x12, 0, 1, 0x09, 9,
            0x92, 0, 0, 0x09, 5,
        ],
    ),
    (
        "messages",
        &[
            5, 0, 0x31, 1, 0, 0, 0, 90, 0x31, 2, 2, 0, 8, 0, 0x31, 0, 3, 0, 9, 0, 0, 0x0a, 9, 0x33,
            1, 0, 0, 0, 0x08, 80, 0xb0, 0x32, 1, 0, 20, 0x35, 0, 0, 0, 9, 0x36, 0, 0, 0, 0, 0x09,
            2,
        ],
    ),
    (
        "pieces",
        &[
            6, 2, 0x32, 0, 2, 0, 0x35, 0, 0, 1, 0, 0x34, 1, 0, 0, 0, 0x36, 0, 0, 0, 0, 0x09, 1,
            0x37, 0, 0, 0, 0, 0xb0, 0x09, 4,
        ],
    ),
    (
        "closes",
        &[
            7, 0, 0x20, 0, 0x22, 0, 0, 1, 0, 0x40, 0x09, 1, 0xc0, 0x09, 9,
        ],
    ),
    (
        "frames",
        &[
            8, 0, 0x82, 0, 0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0, 0x10, 4, 3, b'a', b'n', b'y',
            0x82, 0, 0x03, 4, 0, 0, 0, 3, 0x82, 0, 0x01, 14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            b'h', b'i', 0x08, 50,
        ],
    ),
    (
        "window-of-300",
        &[
            9, 3, 0x20, 0, 0x22, 0, 0, 2, 0, 0x31, 0, 0, 0, 1, 0, 0x09, 1, 0xa5, 0, 0, 1, 0, 0x09,
            1, 0xb0, 0x09, 9,
        ],
    ),
    (
        "addresses",
        &[
            10, 0, 0x97, 0, 9, 0x08, 60, 0x15, 0, 90, 3, 0x16, 0, 0x09, 2,
        ],
    ),
];

/// Packets whose bytes are known, and two that wrote out of bounds in the original.
const PACKETS: &[(&str, &[u8])] = &[
    ("known-first", &[8, 0, 0, 1, 1, 2, 3, 4]),
    ("known-message", &[8, 0, 0, 2, 1, 2, 3, 4, 1, b'h', b'i']),
    ("known-second", &[0x18, 0, 0, 2, 1, 1, 0, 1, 1, 1, 0, 2]),
    ("known-third", &[0x18, 2, 0, 2, 1, 1, 0, 1, 1, 1, 0, 2]),
    ("known-fourth", &[0, 2, 0, 3]),
    ("hostile-first", &[0x0a, 0, 0, 2, 9, 9, 9, 9, 0xc8]),
    ("hostile-second", &[0x0a, 0, 0, 3, 9, 9, 9, 9, 0x90]),
    (
        "every-field",
        &[
            0x1f, 0, 0, 2, 1, 1, 0, 1, 1, 1, 0, 2, 0, 1, 2, 5, 6, 7, 1, b'a', b'b', 0, b'c',
        ],
    ),
];

/// Steps of the Airhook target.
const HOOKS: &[(&str, &[u8])] = &[
    (
        "exchange",
        &[
            0, 0x10, 5, 0x90, 200, 0x20, 0, 0x13, 0x93, 0x21, 4, 0, 0x20, 0,
        ],
    ),
    (
        "losses",
        &[
            1, 0x11, 90, 0x20, 0x55, 0x21, 4, 0, 0x91, 30, 0x20, 0xaa, 0x21, 4, 0, 0x20, 0, 0x93,
        ],
    ),
    (
        "restart",
        &[
            1, 0x10, 9, 0x20, 0xff, 0x22, 0x90, 3, 0x20, 0, 0x21, 4, 0, 0x20, 0, 0x13,
        ],
    ),
    (
        "discard",
        &[1, 0x10, 9, 0x10, 8, 0x12, 0, 0x20, 0, 0x12, 1, 0x15, 0x13],
    ),
    (
        "plausible",
        &[
            1, 0x01, 3, 0, 0, 1, 0, 3, 1, 2, 3, 0x01, 0, 2, 4, 5, 0, 3, 9, 4, 4, 4, 4, 0x14, 1, 0,
        ],
    ),
    (
        "changed",
        &[
            1, 0x10, 9, 0x14, 4, 0, 0x82, 0, 0, 0x10, 0x82, 0, 2, 1, 0x20, 0,
        ],
    ),
];

/// Steps of the target of streams over Airhook.
const STREAMS: &[(&str, &[u8])] = &[
    (
        "accepted",
        &[
            1, 0x08, 0, 0x04, 1, 255, 255, 0x08, 0, 0x10, 2, 0, 0x08, 0, 0x12, 0x08, 0,
        ],
    ),
    (
        "asked",
        &[
            0, 0x08, 0, 0x04, 0, 255, 255, 0x08, 0, 0x02, 0, 8, 3, b'a', b'b', b'c', 0x08, 0, 0x11,
            0, 9,
        ],
    ),
    (
        "gaps",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x02, 0, 18, 2, 1, 1, 0x02, 0, 8, 10, 0, 1, 2, 3, 4, 5, 6,
            7, 8, 9, 0x08, 0, 0x11, 1, 0,
        ],
    ),
    (
        "ended",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x02, 0, 8, 1, 7, 0x03, 0, 9, 0x08, 0, 0x11, 0, 9, 0x11, 0,
            9, 0x13,
        ],
    ),
    (
        "beyond",
        &[1, 0x04, 1, 8, 0, 0x08, 0, 0x02, 255, 255, 1, 7, 0x08, 0],
    ),
    (
        "stopped",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x10, 16, 0, 0x00, 6, 1, 0, 0x08, 0, 0x10, 0, 1,
        ],
    ),
    (
        "reset",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x00, 7, 1, 0, 0x08, 0, 0x11, 0, 9,
        ],
    ),
    (
        "limits",
        &[
            1, 0x14, 1, 0, 0x04, 1, 0, 20, 0x08, 0, 0x10, 1, 0, 0x08, 0, 0x00, 5, 1, 4, 0, 1, 0, 0,
            0x08, 0,
        ],
    ),
    (
        "another",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x0a, 0x04, 1, 8, 0, 0x08, 0, 0x09, 8, 0, 0x08, 0,
        ],
    ),
    (
        "silence",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0, 0x10, 8, 0, 0x09, 255, 255, 0x08, 0,
        ],
    ),
    (
        "losses",
        &[
            1, 0x04, 1, 8, 0, 0x08, 0x55, 0x10, 64, 0, 0x08, 0xaa, 0x09, 4, 0, 0x08, 0,
        ],
    ),
    (
        "stranger",
        &[
            0, 0x01, 8, 8, 0, 0, 1, 1, 2, 3, 4, 0x08, 0, 0x00, 3, 0, 7, 7, 5, 0, 0, 0, 0, 1,
        ],
    ),
    (
        "closed",
        &[
            1, 0x04, 1, 255, 0, 0x08, 0, 0x10, 255, 0, 0x13, 0x08, 0, 0x09, 8, 0, 0x08, 0,
        ],
    ),
];

/// An exchange of two ends whose sessions are those of the Airhook target: what the first does, as steps,
/// and what comes to it.
fn overheard() -> Vec<u8> {
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
fn conversations() -> Vec<(&'static str, [Vec<u8>; 2])> {
    let scenes: [(&'static str, fn(&mut Overheard)); 6] = [
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
            let said: Vec<u8> = slices[..count].iter().flat_map(|s| s.iter().copied()).collect();
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
    let overhear = |(name, scene): (_, fn(&mut Overheard))| {
        let mut talk = Overheard::new();
        scene(&mut talk);
        talk.talk();
        (name, talk.wire)
    };
    scenes.into_iter().map(overhear).collect()
}
