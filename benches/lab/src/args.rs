//! What the command line asks for.

use std::path::PathBuf;

use crate::peer::{self, Peer};

pub(crate) const USAGE: &str = "\
usage: lab [B3 B4 B5 B6 B7 B8 B12 ..] [options]
       lab check                       is the emulated world what it is told to be?

Everything takes about four hours at 5 runs and 5 tries; workloads that are named, less.

  --runs N        runs of each, interleaved; their median is shown (default 5)
  --tries N       losses of each kind in B4 and B5 (default 5; 50 for the bar)
  --quick         one short run of the most telling peers; under four minutes in all
  --peers A,B     only these peers, such as mancom,mptcp,tcp-two
  --congestion A  only cubic or only bbr
  --traces DIR    recorded networks for B8, skipped without
  --out DIR       table.md, lab.svg and raw.json (default: target/lab of the crate)";

/// All workloads, in the order they run.
pub(crate) const WORKLOADS: [&str; 7] = ["B3", "B4", "B5", "B6", "B7", "B8", "B12"];

#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// In upper case; all of them where none was named.
    pub(crate) wanted: Vec<String>,
    pub(crate) runs: usize,
    pub(crate) tries: usize,
    pub(crate) quick: bool,
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) congestion: Option<String>,
    pub(crate) traces: Option<PathBuf>,
    pub(crate) out: PathBuf,
}

impl Args {
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            wanted: Vec::new(),
            runs: 0,
            tries: 0,
            quick: false,
            peers: None,
            congestion: None,
            traces: None,
            out: concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab").into(),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            let number = |text: String| match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{text} is no number of them")),
            };
            match word.as_str() {
                "--quick" => args.quick = true,
                "--runs" => args.runs = number(value()?)?,
                "--tries" => args.tries = number(value()?)?,
                "--peers" => args.peers = Some(value()?.split(',').map(str::to_owned).collect()),
                "--congestion" => args.congestion = Some(value()?),
                "--traces" => args.traces = Some(value()?.into()),
                "--out" => args.out = value()?.into(),
                _ => {
                    let workload = word.to_uppercase();
                    if !WORKLOADS.contains(&workload.as_str()) {
                        return Err(format!("there is no {word}"));
                    }
                    args.wanted.push(workload);
                }
            }
        }
        for name in args.peers.iter().flatten() {
            if !peer::ALL.iter().any(|peer| peer.to_string() == *name) {
                let all: Vec<String> = peer::ALL.iter().map(Peer::to_string).collect();
                return Err(format!("there is no peer {name}, but {}", all.join(" ")));
            }
        }
        let (runs, tries) = if args.quick { (1, 1) } else { (5, 5) };
        if args.runs == 0 {
            args.runs = runs;
        }
        if args.tries == 0 {
            args.tries = tries;
        }
        if args.wanted.is_empty() {
            args.wanted = WORKLOADS.map(str::to_owned).to_vec();
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, String> {
        Args::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn quick_means_one_run_unless_told() {
        assert_eq!(parse("--quick").unwrap().runs, 1);
        assert_eq!(parse("").unwrap().runs, 5);
        assert_eq!(parse("--quick --runs 3").unwrap().runs, 3);
    }

    #[test]
    fn workloads_are_named_in_either_case_and_all_of_them_by_default() {
        assert_eq!(parse("b3 B6").unwrap().wanted, ["B3", "B6"]);
        assert_eq!(parse("").unwrap().wanted, WORKLOADS);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for wrong in [
            "B1",
            "--runs",
            "--runs 0",
            "--runs x",
            "--fast",
            "--peers tcp",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
