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
        command.args(["airhook", "5000", at, port]);
        Program::start(&mut command, lines(of).concat().into_bytes())
    };
    let there = start(&left, "10.1.0.1", &ports[0], "left");
    let back = start(&right, "10.2.0.1", &ports[1], "right");
    for (finished, other) in [(there.finish(LIMIT), "right"), (back.finish(LIMIT), "left")] {
        println!("{}", finished.stderr);
        assert_eq!(finished.status.code(), Some(0));
        let told = finished.stderr.matches("new remote session").count();
        assert_eq!(told, 1);
        let came = String::from_utf8(finished.stdout).unwrap();
        let expected = lines(other);
        assert_eq!(came.lines().count(), LINES, "none twice");
        let came: BTreeSet<&str> = came.split_inclusive('\n').collect();
        assert!(
            expected.iter().all(|line| came.contains(line.as_str())),
            "none lost"
        );
    }
}
