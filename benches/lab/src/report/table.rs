//! The tables, in Markdown.

use std::fmt::Write as _;

use super::{Sheet, Verdict};

pub(super) fn markdown(sheets: &[&Sheet]) -> String {
    let mut text = String::new();
    for sheet in sheets {
        let _ = writeln!(
            text,
            "### {}: {}\n\n{}{}\n",
            sheet.bar,
            sheet.title,
            sheet.conditions,
            sheet.lateness.told()
        );
        rows(&mut text, sheet);
        verdicts(&mut text, sheet);
    }
    text
}

fn rows(text: &mut String, sheet: &Sheet) {
    let mut table = vec![vec![String::new()]];
    for column in &sheet.columns {
        let unit = if column.unit.is_empty() {
            String::new()
        } else {
            format!(", {}", column.unit)
        };
        table[0].push(format!("{}{unit}", column.name));
    }
    for row in &sheet.rows {
        let mut line = vec![row.name.clone()];
        for column in 0..sheet.columns.len() {
            let shown = sheet.shown(row, column);
            line.push(shown.map_or_else(
                || "-".to_owned(),
                |figure| sheet.columns[column].round(figure),
            ));
        }
        table.push(line);
    }
    write_table(text, &table);
}

fn verdicts(text: &mut String, sheet: &Sheet) {
    if sheet.verdicts.is_empty() {
        return;
    }
    let head = ["asked", "mancom", "limit", "met", "better by"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for verdict in &sheet.verdicts {
        table.push(vec![
            verdict.what.clone(),
            with_unit(verdict.measured, verdict.unit),
            limit(verdict),
            (if verdict.met() { "yes" } else { "NO" }).to_owned(),
            if verdict.limit == 0.0 {
                "-".to_owned()
            } else {
                format!("{:.0} %", verdict.margin())
            },
        ]);
    }
    write_table(text, &table);
}

pub(super) fn with_unit(figure: f64, unit: &str) -> String {
    format!("{} {unit}", round(figure)).trim().to_owned()
}

pub(super) fn limit(verdict: &Verdict) -> String {
    let bound = if verdict.at_most {
        "at most"
    } else {
        "at least"
    };
    format!("{bound} {}", with_unit(verdict.limit, verdict.unit))
}

/// Aligned, so that it can be read on a terminal, too.
pub(super) fn write_table(text: &mut String, table: &[Vec<String>]) {
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| {
            table
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
                .max(3)
        })
        .collect();
    for (index, row) in table.iter().enumerate() {
        text.push('|');
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(text, " {cell:width$} |");
        }
        text.push('\n');
        if index == 0 {
            text.push('|');
            for &width in &widths {
                let _ = write!(text, " {} |", "-".repeat(width));
            }
            text.push('\n');
        }
    }
    text.push('\n');
}

/// Three figures that mean something.
pub(super) fn round(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Stat};
    use super::*;

    #[test]
    fn a_table_shows_what_was_measured_and_what_was_not() {
        let columns = [
            Column::new("p50", "ms", Stat::Median),
            Column::new("bulk", "Mbit/s", Stat::Median),
        ];
        let mut sheet = Sheet::new("B6", "beside", "20 Mbit/s.", &columns);
        sheet.add("tcp", &[103.4, 19.31]);
        sheet.add("mancom", &[f64::NAN, 0.5]);
        sheet.at_least("as good", "bulk", Some(1.0));
        let text = markdown(&[&sheet]);
        assert!(
            text.contains("|        | p50, ms | bulk, Mbit/s |\n"),
            "{text}"
        );
        assert!(
            text.contains("| tcp    | 103     | 19.3         |\n"),
            "{text}"
        );
        assert!(
            text.contains("| mancom | -       | 0.50         |\n"),
            "{text}"
        );
        assert!(
            text.contains("| as good | 0.50 Mbit/s | at least 1.00 Mbit/s | NO  | -50 %     |\n"),
            "{text}"
        );
    }
}
