//! What was measured, and whether the bars are met.

mod machine;
mod summary;
mod svg;
mod table;

use std::io;
use std::path::Path;

use serde::Serialize;

pub(crate) use machine::{Lateness, OVERSLEPT};

/// The row that the bars are about.
const MINE: &str = "mancom";

/// One table: a workload, its peers, and what was measured of each.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sheet {
    /// Such as `B6`.
    pub(crate) bar: &'static str,
    pub(crate) title: String,
    /// Networks, congestion control, times.
    pub(crate) conditions: String,
    pub(crate) columns: Vec<Column>,
    /// What a busy machine added to every figure.
    pub(crate) lateness: Lateness,
    pub(crate) rows: Vec<Row>,
    pub(crate) verdicts: Vec<Verdict>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) stat: Stat,
    /// Drawn, and on what scale.
    pub(crate) chart: Option<Scale>,
}

/// What is shown of the samples of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Stat {
    Median,
    P95,
    P99,
    Sum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Scale {
    Linear,
    Log,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// For each column, the samples: one a run, or one a try.
    pub(crate) samples: Vec<Vec<f64>>,
}

/// One bar, and how far it is met.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    /// The column that is judged.
    pub(crate) column: &'static str,
    pub(crate) measured: f64,
    pub(crate) limit: f64,
    pub(crate) at_most: bool,
    pub(crate) unit: &'static str,
}

impl Column {
    pub(crate) const fn new(name: &'static str, unit: &'static str, stat: Stat) -> Self {
        Self {
            name,
            unit,
            stat,
            chart: None,
        }
    }

    pub(crate) const fn drawn(mut self, scale: Scale) -> Self {
        self.chart = Some(scale);
        self
    }

    /// One sample with its name and unit.
    pub(crate) fn told(&self, sample: f64) -> String {
        if sample.is_nan() {
            return format!("{} -", self.name);
        }
        let told = format!("{} {} {}", self.name, self.round(sample), self.unit);
        told.trim_end().to_owned()
    }

    /// What is summed is counted, and shown whole.
    fn round(&self, figure: f64) -> String {
        match self.stat {
            Stat::Sum => format!("{figure:.0}"),
            _ => table::round(figure),
        }
    }
}

impl Sheet {
    pub(crate) fn new(
        bar: &'static str,
        title: impl Into<String>,
        conditions: impl Into<String>,
        columns: &[Column],
    ) -> Self {
        Self {
            bar,
            title: title.into(),
            conditions: conditions.into(),
            columns: columns.to_vec(),
            lateness: Lateness::default(),
            rows: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// Adds a sample of each column to a row; NaN is none.
    pub(crate) fn add(&mut self, row: &str, samples: &[f64]) {
        let index = match self.rows.iter().position(|known| known.name == row) {
            Some(index) => index,
            None => {
                self.rows.push(Row {
                    name: row.to_owned(),
                    samples: vec![Vec::new(); self.columns.len()],
                });
                self.rows.len() - 1
            }
        };
        for (cell, &sample) in self.rows[index].samples.iter_mut().zip(samples) {
            if !sample.is_nan() {
                cell.push(sample);
            }
        }
    }

    /// The figure of a row and a column, as it is shown.
    pub(crate) fn figure(&self, row: &str, column: &str) -> Option<f64> {
        let row = self.rows.iter().find(|known| known.name == row)?;
        let index = self.columns.iter().position(|known| known.name == column)?;
        self.shown(row, index)
    }

    fn shown(&self, row: &Row, column: usize) -> Option<f64> {
        self.columns[column].stat.of(&row.samples[column])
    }

    /// Judges what is shown of mancom in a column, which may not exceed a limit; nothing where either
    /// was not measured.
    pub(crate) fn at_most(&mut self, what: &str, column: &'static str, limit: Option<f64>) {
        self.judge(what, column, limit, true);
    }

    /// The same, of what must reach a limit.
    pub(crate) fn at_least(&mut self, what: &str, column: &'static str, limit: Option<f64>) {
        self.judge(what, column, limit, false);
    }

    fn judge(&mut self, what: &str, column: &'static str, limit: Option<f64>, at_most: bool) {
        let unit = self.columns.iter().find(|known| known.name == column);
        if let (Some(measured), Some(limit)) = (self.figure(MINE, column), limit) {
            self.verdicts.push(Verdict {
                what: what.to_owned(),
                column,
                measured,
                limit,
                at_most,
                unit: unit.map_or("", |column| column.unit),
            });
        }
    }
}

impl Stat {
    pub(crate) fn of(self, samples: &[f64]) -> Option<f64> {
        match self {
            Self::Median => percentile(samples, 50.0),
            Self::P95 => percentile(samples, 95.0),
            Self::P99 => percentile(samples, 99.0),
            Self::Sum => (!samples.is_empty()).then(|| samples.iter().sum()),
        }
    }
}

impl Verdict {
    pub(crate) fn met(&self) -> bool {
        if self.at_most {
            self.measured <= self.limit
        } else {
            self.measured >= self.limit
        }
    }

    /// How far from the limit, in percent of it; positive is better than asked.
    pub(crate) fn margin(&self) -> f64 {
        let beyond = (self.measured - self.limit) / self.limit.abs().max(f64::MIN_POSITIVE) * 100.0;
        if self.at_most { -beyond } else { beyond }
    }
}

/// By rank: the smallest sample that at least this share of them do not exceed. The one definition of every
/// percentile and median of the lab.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let rank = (percent / 100.0 * count as f64).ceil() as usize;
    let last = count.checked_sub(1)?;
    Some(sorted[rank.saturating_sub(1).min(last)])
}

/// The 50th, the 95th and the 99th; NaN where there is nothing.
pub(crate) fn percentiles(samples: &[f64]) -> [f64; 3] {
    [50.0, 95.0, 99.0].map(|percent| percentile(samples, percent).unwrap_or(f64::NAN))
}

/// Writes all files, of the sheets that are done.
pub(crate) fn write(out: &Path, jobs: usize, sheets: &[&Sheet]) -> io::Result<()> {
    let machine = machine::told(jobs);
    let tables = format!(
        "{machine}\n\n{}## The figures\n\n{}",
        summary::whole(sheets),
        table::markdown(sheets)
    );
    std::fs::write(out.join("table.md"), tables)?;
    std::fs::write(
        out.join("readme.md"),
        format!("{}{machine}\n", summary::brief(sheets)),
    )?;
    std::fs::write(out.join("lab.svg"), svg::draw(sheets))?;
    let raw = serde_json::to_vec_pretty(sheets).map_err(io::Error::other)?;
    std::fs::write(out.join("raw.json"), raw)
}

/// What is printed of one sheet.
pub(crate) fn print(sheet: &Sheet) {
    println!("{}", table::markdown(&[sheet]));
}

/// What is printed of all of them at the end.
pub(crate) fn print_summary(sheets: &[Sheet]) {
    let sheets: Vec<&Sheet> = sheets.iter().collect();
    println!("{}", summary::whole(&sheets));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_rank() {
        let samples: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&samples, 95.0), Some(19.0));
        assert_eq!(percentile(&samples, 99.0), Some(20.0));
        assert_eq!(percentile(&samples, 50.0), Some(10.0));
        assert_eq!(percentile(&samples, 0.0), Some(1.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50.0), Some(2.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn a_margin_is_positive_where_the_bar_is_beaten() {
        let columns = [
            Column::new("p50", "ms", Stat::Median),
            Column::new("bulk", "", Stat::Median),
        ];
        let mut sheet = Sheet::new("B0", "", "", &columns);
        sheet.add("mancom", &[90.0, 0.9]);
        sheet.at_most("", "p50", Some(100.0));
        sheet.at_least("", "bulk", Some(1.0));
        sheet.at_least("", "bulk", None);
        let told: Vec<_> = sheet
            .verdicts
            .iter()
            .map(|v| (v.met(), v.margin().round(), v.unit))
            .collect();
        assert_eq!(told, [(true, 10.0, "ms"), (false, -10.0, "")]);
    }

    #[test]
    fn a_sample_is_told_with_its_name_and_unit() {
        let median = Column::new("p50", "ms", Stat::Median);
        let told = [12.34, 0.0, f64::NAN].map(|sample| median.told(sample));
        assert_eq!(told, ["p50 12.3 ms", "p50 0 ms", "p50 -"]);
        assert_eq!(Column::new("lost", "", Stat::Sum).told(3.0), "lost 3");
    }

    #[test]
    fn a_sheet_shows_the_median_of_what_was_added() {
        let columns = [
            Column::new("p50", "ms", Stat::Median),
            Column::new("lost", "", Stat::Sum),
        ];
        let mut sheet = Sheet::new("B0", "", "", &columns);
        for sample in [1.0, 5.0, 3.0] {
            sheet.add("a", &[sample, 1.0]);
        }
        sheet.add("b", &[f64::NAN, 0.0]);
        assert_eq!(sheet.figure("a", "p50"), Some(3.0));
        assert_eq!(sheet.figure("a", "lost"), Some(3.0));
        assert_eq!(sheet.figure("b", "p50"), None);
    }
}
