//! `mancom airhook` at both ends of a bad link.

use crate::isolation::{Case, cases};
use crate::lab::Lab;
use crate::process::Program;
use crate::relay::{Badness, relay};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const CASES: &[Case] = cases![airhook:
    ten_thousand_lines_each_way_over_a_link_that_loses_a_fifth,
];

const LIMIT: Duration = Duration::from_secs(120);
const LINES: usize = 10_000;

fn lines(of: &str) -> Vec<String> {
    let number = 0..LINES;
    number.map(|n| format!("line {n} of {of}\n")).collect()
}

// behaviour: AH-02
fn ten_thousand_lines_each_way_over_a_link_that_loses_a_fifth() {
    let lab = Lab::new();
    let (left, right, middle) = (lab.host("left"), lab.host("right"), lab.host("middle"));
    lab.link(&left, "eth0", "10.1.0.2/24", &middle, "m0", "10.1.0.1/24");
    lab.link(&right, "eth0", "10.2.0.2/24", &middle, "m1", "10.2.0.1/24");
    let badness = Badness {
        lost: 20,
        twice: 10,
        late: 10,
    };
    let at = ["10.1.0.1", "10.2.0.1"].map(|at| at.parse().unwrap());
    let ports = middle.run(move || relay(at, badness).map(|at| at.port().to_string()));
    let start = |host: &crate::lab::Host, at: &str, port: &str, of: &str| {
        let mut command = host.command(env!("CARGO_BIN_EXE_mancom"));
        // Of five probes in a row all may be lost, of ten hardly: so long one that is done stays.
        command.args(["airhook", "--linger", "10", "5000", at, port]);
        Program::start(&mut command, lines(of).concat().into_bytes())
    };
    let there = start(&left, "10.1.0.1", &ports[0], "left");
    let back = start(&right, "10.2.0.1", &ports[1], "right");
    let finished = [there.finish(LIMIT), back.finish(LIMIT)];
    for (end, other) in finished.iter().zip(["right", "left"]) {
        let came = std::str::from_utf8(&end.stdout).expect("lines of ours");
        let expected = lines(other);
        let (twice, lost) = compared(came, &expected);
        let sessions = end.stderr.matches("new remote session").count();
        let is = (end.status.code(), sessions, twice.len(), lost.len());
        let stderr = finished.each_ref().map(|end| &end.stderr);
        assert_eq!(
            is,
            (Some(0), 1, 0, 0),
            "exit, sessions, twice, lost of {other}; with their places {twice:?}; {lost:?}; {stderr:?}"
        );
    }
}

/// The lines that came before already, with their places, and those that did not come.
fn compared<'a>(came: &'a str, expected: &'a [String]) -> (Vec<(usize, &'a str)>, Vec<&'a str>) {
    let mut seen = BTreeSet::new();
    let places = came.split_inclusive('\n').enumerate();
    let twice = places.filter(|(_, line)| !seen.insert(*line)).collect();
    let lost = expected.iter().map(String::as_str);
    (twice, lost.filter(|line| !seen.contains(line)).collect())
}
