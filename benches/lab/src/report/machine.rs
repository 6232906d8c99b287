//! Where it was measured, and what that did to the figures.

use std::time::Duration;

use serde::Serialize;

use crate::world::PUNCTUAL;

/// What this machine added: deliveries of the emulator and those later than they may be, and how often a thread that
/// sleeps woke, and woke late, as any program measured here does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Lateness {
    pub(crate) deliveries: u64,
    pub(crate) late: u64,
    pub(crate) wakes: u64,
    pub(crate) overslept: u64,
}

/// Above this share of wakes that came late it is the machine that is measured.
const DISTURBED: f64 = 0.01;
/// Later than this is late, for a thread.
pub(crate) const OVERSLEPT: Duration = Duration::from_millis(1);

impl Lateness {
    pub(crate) fn add(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.late += other.late;
        self.wakes += other.wakes;
        self.overslept += other.overslept;
    }

    /// For the conditions of a sheet.
    pub(super) fn told(self) -> String {
        if self.wakes == 0 {
            return String::new();
        }
        let share = |late: u64, of: u64| late as f64 / of.max(1) as f64;
        let overslept = share(self.overslept, self.wakes);
        let warning = if overslept > DISTURBED {
            " **The machine was too busy for these figures.**"
        } else {
            ""
        };
        format!(
            " Late: {:.2} % of the emulator's deliveries by {} ms, {:.2} % of a sleeping thread's wakes by {} ms.{warning}",
            share(self.late, self.deliveries) * 100.0,
            PUNCTUAL.as_secs_f64() * 1e3,
            overslept * 100.0,
            OVERSLEPT.as_millis(),
        )
    }
}

/// Where this was measured, and how it is repeated.
pub(super) fn told(jobs: usize) -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let processor = read("/proc/cpuinfo");
    let named = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = named.map_or(std::env::consts::ARCH, |(_, model)| model.trim());
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "`{}` with {jobs} jobs on {cores} cores of {model}, Linux {}, load {load} at the end. Percentiles are by rank: of the tries in B4 \
         and B5, elsewhere of one run, and then of the runs the median; of fewer than a hundred samples p99 is the \
         worst.",
        command(std::env::args().skip(1)),
        kernel.trim(),
    )
}

/// The command line, without the folders of this machine.
fn command(words: impl Iterator<Item = String>) -> String {
    let mut command = "lab".to_owned();
    let mut folder = None;
    for word in words {
        match folder.take() {
            Some("--traces") => command.push_str(" --traces DIR"),
            Some(_) => {}
            None => match word.as_str() {
                "--out" => folder = Some("--out"),
                "--traces" => folder = Some("--traces"),
                _ => {
                    command.push(' ');
                    command.push_str(&word);
                }
            },
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_told_and_warned_of() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.told(), "");
        lateness.add(Lateness {
            deliveries: 1000,
            late: 1,
            wakes: 200,
            overslept: 1,
        });
        let told = " Late: 0.10 % of the emulator's deliveries by 0.3 ms, 0.50 % of a sleeping thread's wakes by 1 ms.";
        assert_eq!(lateness.told(), told);
        lateness.add(Lateness {
            overslept: 9,
            ..Lateness::default()
        });
        assert!(lateness.told().ends_with("figures.**"));
    }

    #[test]
    fn a_command_is_shown_without_folders() {
        let words = "B8 --traces /a/b --runs 5 --out /c --quick".split(' ');
        assert_eq!(
            command(words.map(str::to_owned)),
            "lab B8 --traces DIR --runs 5 --quick"
        );
    }
}
