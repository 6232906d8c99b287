//! What the command line asks for.

use std::fmt::Display;
use std::path::PathBuf;

use crate::peer;

pub(crate) const USAGE: &str = "\
usage: lab [B3 B4 B5 B6 B7 B8 B12 ..] [options]
       lab check [rtt goodput queue fault loss trace fast] [TRACE ..]
                                       is the emulated world what it is told to be? Some sections of it, or all;
                                       beside its own trace these of mahimahi's are played

Everything (--tries 50 --traces DIR) takes about 50 minutes on four idle cores, a workload or two of it 2 to 15,
with --jobs 1 everything takes 7 hours. Busy cores spoil the figures; each table says how busy they were.

  --runs N        runs of each, interleaved; their median is shown (default 5)
  --tries N       losses of each kind for mancom in B4 and B5 (default 5; 50 for the bar)
  --peer-tries N  the same for each peer (default: as many, at most 5)
  --jobs N        worlds at once in B4 and B5, of which five lose carriers, in turn, one every 2.2 s; half as many
                  where the lab's networks are filled (B3 at 20 + 2 Mbit/s, B6, B7), one alone where the machine is
                  (B3 at 100, B12). Default: three for each core, 1 on fewer than four: a lost network takes 3 % of
                  a core, a filled one a third
  --quick         one short run of the most telling peers: a minute in all
  --peers A,B     only these peers, such as mancom,mptcp,tcp-two
  --congestion A  only cubic or only bbr
  --traces DIR    recorded networks for B8, skipped without
  --out DIR       table.md, readme.md, lab.svg and raw.json (default: target/lab of the crate)";

/// All workloads, in the order they run.
pub(crate) const WORKLOADS: [&str; 7] = ["B3", "B4", "B5", "B6", "B7", "B8", "B12"];

pub(crate) const CONGESTIONS: [&str; 2] = ["cubic", "bbr"];
const OPTIONS: [&str; 9] = [
    "--runs",
    "--tries",
    "--peer-tries",
    "--jobs",
    "--quick",
    "--peers",
    "--congestion",
    "--traces",
    "--out",
];
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
                _ => Err(format!("{word} {text}: it wants a number, at least 1")),
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
                    let known = known.ok_or_else(|| none("congestion control", &name, CONGESTIONS));
                    args.congestion = Some(known?);
                }
                "--traces" => args.traces = Some(value()?.into()),
                "--out" => args.out = value()?.into(),
                option if option.starts_with('-') => return Err(none("option", option, OPTIONS)),
                _ => {
                    let workload = word.to_uppercase();
                    if !WORKLOADS.contains(&workload.as_str()) {
                        return Err(none("workload", &word, WORKLOADS));
                    }
                    args.wanted.push(workload);
                }
            }
        }
        for name in args.peers.iter().flatten() {
            if !peer::ALL.iter().any(|peer| peer.to_string() == *name) {
                return Err(none("peer", name, peer::ALL));
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

/// Names what is not there, and all that is.
pub(crate) fn none(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = impl Display>,
) -> String {
    let known: Vec<String> = known.into_iter().map(|one| one.to_string()).collect();
    format!("there is no {kind} {name}, but {}", known.join(" "))
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
    fn what_is_wrong_is_named_with_its_option() {
        for (wrong, told) in [
            ("--runs", "--runs wants a value"),
            ("--runs 0", "--runs 0: it wants a number, at least 1"),
            ("--tries x", "--tries x: it wants a number, at least 1"),
            ("--jobs -1", "--jobs -1: it wants a number, at least 1"),
        ] {
            assert_eq!(parse(wrong).unwrap_err(), told);
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_all_that_is() {
        for (wrong, told) in [
            ("B1", "no workload B1, but B3 B4 B5 B6 B7 B8 B12"),
            ("--fast", "no option --fast, but --runs --tries"),
            ("--peers tcp", "no peer tcp, but tcp-wifi tcp-cell"),
            (
                "--congestion vegas",
                "no congestion control vegas, but cubic bbr",
            ),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn every_option_is_explained_and_understood() {
        for option in OPTIONS {
            assert!(USAGE.contains(&format!("\n  {option} ")), "{option}");
            let unknown = parse(option).is_err_and(|error| error.contains("there is no"));
            assert!(!unknown, "{option}");
        }
    }
}
