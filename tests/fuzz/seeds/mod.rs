//! What fuzzing begins with: what our own cores say to each other, the known bytes of Airhook, and the
//! texts of the documentation. Small, and the same at every run.

mod overheard;
mod scripts;
mod texts;

use mancom::testing::fuzz::honest_handshakes;

use overheard::{conversations, hooks};
use scripts::{HOOKS, PACKETS, SESSIONS, STREAMS};
use texts::{ENDPOINTS, LABELS};

/// A target, a name in its folder, and the input.
pub(crate) type Seed = (&'static str, String, Vec<u8>);

pub(crate) fn all() -> Vec<Seed> {
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
    add("airhook", "overheard", hooks());
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
