//! Every input that is kept for the fuzz targets, and changes of each, the same at every run.
//!
//! `MANCOM_SEEDS=write cargo test --test fuzz` writes those of them that [`seeds`] makes; an input that once
//! found a fault stays beside them, under a name that says which.

mod seeds;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use mancom::proto::pair::Seeded;
use mancom::testing::fuzz::{TARGETS, Target};

/// Bytes of an input, so that the folders stay small.
const LONGEST: usize = 4096;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The inputs of a target, by name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = here().join("corpus").join(target);
    let mut all: Vec<_> = (fs::read_dir(&folder).unwrap())
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    assert!(all.len() >= 10, "{} holds few inputs", folder.display());
    all
}

/// Gives a target its inputs, and so many changes of them.
fn replay(target: &str, changes: usize) {
    let (name, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = inputs(name);
    for (file, input) in &inputs {
        assert!(input.len() <= LONGEST, "{target}/{file} is long");
        hold(*run, target, file, input);
    }
    let mut chance = Seeded::new(1);
    for turn in 0..changes {
        let (file, input) = &inputs[turn % inputs.len()];
        let other = &inputs[chance.below(inputs.len() as u64) as usize].1;
        hold(*run, target, file, &changed(input, other, &mut chance));
    }
}

fn hold(run: Target, target: &str, file: &str, input: &[u8]) {
    if catch_unwind(|| run(input)).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{target}, from {file}: {hex}");
    }
}

/// One to four changes of an input.
fn changed(input: &[u8], other: &[u8], chance: &mut Seeded) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() as u64 + 1) as usize;
        let few = (at + 1 + chance.below(8) as usize).min(bytes.len());
        match chance.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, chance.draw() as u8),
            2 => drop(bytes.drain(at.min(few)..few)),
            3 => {
                let again = bytes[at.min(few)..few].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let cut = chance.below(other.len() as u64 + 1) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[cut..]);
            }
            kind => {
                let extremes = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match kind {
                        5 => *byte ^ 1 << chance.below(8),
                        _ => extremes[chance.below(6) as usize],
                    };
                }
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

macro_rules! replays {
    ($($target:ident: $changes:literal,)*) => {$(
        // behaviour: K4
        #[test]
        fn $target() {
            replay(stringify!($target), $changes);
        }
    )*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let replayed = [$(stringify!($target)),*];
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, replayed);
            let manifest = fs::read_to_string(here().join("Cargo.toml")).unwrap();
            for name in names {
                assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
                let body = fs::read_to_string(here().join(format!("targets/{name}.rs"))).unwrap();
                assert!(body.contains(&format!("fuzz::{name}(input)")), "{name}");
            }
            for folder in fs::read_dir(here().join("corpus")).unwrap() {
                let name = folder.unwrap().file_name().into_string().unwrap();
                assert!(replayed.contains(&&*name), "the inputs in {name} are nobody's");
            }
        }
    };
}

// Some hundreds of milliseconds each, unoptimised.
replays! {
    airhook: 2_000,
    airstream: 2_000,
    endpoint: 5_000,
    frames: 10_000,
    handshake: 1_000,
    label: 10_000,
    session: 1_500,
}

#[test]
fn the_seeds_are_what_our_own_cores_say_today() {
    let writes = std::env::var_os("MANCOM_SEEDS").is_some_and(|how| how == "write");
    for (target, name, bytes) in seeds::all() {
        let path = here().join("corpus").join(target).join(&name);
        if writes {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(
            kept == bytes,
            "{target}/{name} is not what it is made of: see the head of this file"
        );
    }
}
