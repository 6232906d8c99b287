//! What the command line asks for.

use std::path::PathBuf;

use crate::peer::{self, Peer};

pub(crate) const USAGE: &str = "\
usage: lab [B3 B4 B5 B6 B7 B8 B12 ..] [options]
       lab check                       is the emulated world what it is told to be?

Everything (--tries 50 --traces DIR) takes about 50 minutes on four idle cores, a workload or two of it 2 to 15,
with --jobs 1 everything takes 7 hours. Busy cores spoil the figures; each table says how busy they were.

  --runs N        runs of each, interleaved; their median is shown (default 5)
  --tries N       losses of each kind for mancom in B4 and B5 (default 5; 50 for the bar)
  --peer-tries N  the same for each peer (default: as many, at most 5)
  --jobs N        worlds at once in B4 and B5; half as many where the lab's networks are filled (B3 at 20 + 2
                  Mbit/s, B6, B7), one alone where the machine is (B3 at 100, B12). Default: three for each core,
                  1 on fewer than four: a lost network takes 3 % of a core, a filled one a third
  --quick         one short run of the most telling peers: a minute in all
  --peers A,B     only these peers, such as mancom,mptcp,tcp-two
  --congestion A  only cubic or only bbr
  --traces DIR    recorded networks for B8, skipped without
  --out DIR       table.md, readme.md, lab.svg and raw.json (default: target/lab of the crate)";

/// All workloads, in the order they run.
pub(crate) const WORKLOADS: [&str; 7] = ["B3", "B4", "B5", "B6", "B7", "B8", "B12"];

pub(crate) const CONGESTIONS: [&str; 2] = ["cubic", "bbr"];
/// Tries of each peer, unless told.
const PEER_TRIES: usize = 5;

/// As many as were seen not to change what is measured: twelve worlds of B4 and B5 take 0.4 of a core, six of B6 two.
fn jobs() -> usize {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        ..4 => 1,
        cores => cores.min(8) * 3,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// In upper case; all of them where none was named.
    pub(crate) wanted: Vec<String>,
    pub(crate) runs: usize,
    /// Of mancom, and of each peer.
    pub(crate) tries: usize,
    pub(crate) peer_tries: usize,
    /// Shares of the machine that cells may take at once.
    pub(crate) jobs: usize,
    pub(crate) quick: bool,
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) congestion: Option<&'static str>,
    /// Whether this kernel has MPTCP; without, its peers are left out.
    pub(crate) mptcp: bool,
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
            peer_tries: 0,
            jobs: 0,
            quick: false,
            peers: None,
            congestion: None,
            mptcp: true,
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
                "--peer-tries" => args.peer_tries = number(value()?)?,
                "--jobs" => args.jobs = number(value()?)?,
                "--peers" => args.peers = Some(value()?.split(',').map(str::to_owned).collect()),
                "--congestion" => {
                    let name = value()?;
                    let known = CONGESTIONS.into_iter().find(|known| *known == name);
                    args.congestion = Some(known.ok_or(format!("{name} is not compared"))?);
                }
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
        if args.peer_tries == 0 {
            args.peer_tries = args.tries.min(PEER_TRIES);
        }
        args.peer_tries = args.peer_tries.min(args.tries);
        if args.jobs == 0 {
            args.jobs = jobs();
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
    fn peers_have_as_many_tries_as_asked_but_never_more_than_mancom() {
        let tries = |text| {
            let args = parse(text).unwrap();
            (args.tries, args.peer_tries)
        };
        assert_eq!(tries(""), (5, 5));
        assert_eq!(tries("--tries 50"), (50, 5));
        assert_eq!(tries("--tries 50 --peer-tries 20"), (50, 20));
        assert_eq!(tries("--tries 2 --peer-tries 20"), (2, 2));
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
            "--jobs 0",
            "--congestion vegas",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
