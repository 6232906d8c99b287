//! The bars alone: one row for each thing that is asked, the worst of all sheets where it is asked.

use super::table::{limit, with_unit, write_table};
use super::{MINE, Sheet, Verdict};
use crate::peer;

/// One thing that is asked, in every sheet that asks it.
struct Asked<'a> {
    bar: &'static str,
    /// With the sheet of each.
    verdicts: Vec<(&'a Sheet, &'a Verdict)>,
}

fn asked<'a>(sheets: &[&'a Sheet]) -> Vec<Asked<'a>> {
    let mut all: Vec<Asked<'_>> = Vec::new();
    for &sheet in sheets {
        for verdict in &sheet.verdicts {
            let known = all
                .iter_mut()
                .find(|asked| asked.bar == sheet.bar && asked.verdicts[0].1.what == verdict.what);
            match known {
                Some(asked) => asked.verdicts.push((sheet, verdict)),
                None => all.push(Asked {
                    bar: sheet.bar,
                    verdicts: vec![(sheet, verdict)],
                }),
            }
        }
    }
    all
}

impl<'a> Asked<'a> {
    /// Where it is met least, or missed most.
    fn worst(&self) -> (&'a Sheet, &'a Verdict) {
        let margin = |of: &(&Sheet, &Verdict)| of.1.margin();
        let mut all = self.verdicts.iter().copied();
        let first = self.verdicts[0];
        all.by_ref()
            .fold(first, |a, b| if margin(&b) < margin(&a) { b } else { a })
    }

    fn met(&self) -> usize {
        self.verdicts.iter().filter(|(_, v)| v.met()).count()
    }
}

/// What the best of the peers has in the same column.
fn rival(sheet: &Sheet, verdict: &Verdict) -> String {
    let known = |name: &str| peer::ALL.iter().any(|peer| peer.to_string() == name);
    let figures = sheet
        .rows
        .iter()
        .filter(|row| !row.name.starts_with(MINE) && known(&row.name))
        .filter_map(|row| Some((sheet.figure(&row.name, verdict.column)?, &row.name)));
    let better = |a: f64, b: f64| (a < b) == verdict.at_most;
    let best = figures.reduce(|a, b| if better(b.0, a.0) && a.0 != b.0 { b } else { a });
    best.map_or("-".to_owned(), |(figure, name)| {
        format!("{} ({name})", with_unit(figure, verdict.unit))
    })
}

/// Every bar, and where it was closest.
pub(super) fn whole(sheets: &[&Sheet]) -> String {
    let head = [
        "",
        "asked",
        "mancom",
        "limit",
        "best peer",
        "met",
        "closest in",
    ];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for asked in asked(sheets) {
        let (sheet, verdict) = asked.worst();
        let count = asked.verdicts.len();
        let met = match asked.met() {
            met if met == count => "yes".to_owned(),
            _ if count == 1 => "NO".to_owned(),
            met => format!("NO: {met} of {count}"),
        };
        table.push(vec![
            asked.bar.to_owned(),
            verdict.what.clone(),
            with_unit(verdict.measured, verdict.unit),
            limit(verdict),
            rival(sheet, verdict),
            met,
            if count == 1 {
                String::new()
            } else {
                sheet.title.clone()
            },
        ]);
    }
    let mut text = String::new();
    if table.len() > 1 {
        text.push_str("## The bars\n\n");
        write_table(&mut text, &table);
    }
    text
}

/// For a README: a row for each bar, of what it asks first.
pub(super) fn brief(sheets: &[&Sheet]) -> String {
    let head = ["", "mancom", "asked", "best peer", "bars met"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    let all = asked(sheets);
    let mut bars: Vec<&str> = all.iter().map(|asked| asked.bar).collect();
    bars.dedup();
    for bar in bars {
        let of = || all.iter().filter(|asked| asked.bar == bar);
        let Some(first) = of().next() else { continue };
        let (sheet, verdict) = first.worst();
        let met: usize = of().map(Asked::met).sum();
        let count: usize = of().map(|asked| asked.verdicts.len()).sum();
        table.push(vec![
            format!("{bar}: {}", verdict.what),
            with_unit(verdict.measured, verdict.unit),
            limit(verdict),
            rival(sheet, verdict),
            format!("{met} of {count}"),
        ]);
    }
    let mut text = String::new();
    if table.len() > 1 {
        write_table(&mut text, &table);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Stat};
    use super::*;

    fn sheet(title: &str, mine: f64, limit: f64) -> Sheet {
        let columns = [Column::new("p50", "ms", Stat::Median)];
        let mut sheet = Sheet::new("B6", title, "", &columns);
        sheet.add("idle", &[1.0]);
        sheet.add("mptcp", &[50.0]);
        sheet.add("noq", &[40.0]);
        sheet.add("mancom", &[mine]);
        sheet.at_most("fast", "p50", Some(limit));
        sheet
    }

    #[test]
    fn each_thing_asked_is_one_row_of_where_it_is_closest() {
        let (far, near) = (sheet("far", 10.0, 30.0), sheet("near", 31.0, 30.0));
        let text = whole(&[&far, &near]);
        let row =
            "| B6  | fast  | 31.0 ms | at most 30.0 ms | 40.0 ms (noq) | NO: 1 of 2 | near       |";
        assert!(text.contains(row), "{text}");
        assert_eq!(text.matches("| B6  |").count(), 1);
        let text = brief(&[&far, &near]);
        let row = "| B6: fast | 31.0 ms | at most 30.0 ms | 40.0 ms (noq) | 1 of 2   |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn where_nothing_is_asked_there_is_no_summary() {
        let sheet = Sheet::new("B6", "", "", &[]);
        assert_eq!(whole(&[&sheet]), "");
        assert_eq!(brief(&[&sheet]), "");
    }
}
