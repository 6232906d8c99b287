//! What goes to stdout: tables for people, one object for programs.

use serde_json::Value;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// Says something on stderr, for people. A stderr that is gone or full is no reason to end.
pub(crate) fn say(text: impl std::fmt::Display) {
    let text = harmless(text.to_string());
    let _ = writeln!(io::stderr(), "mancom: {text}");
}

/// The text without a letter that a terminal would obey, but the ends of its lines and its tabs: some of its words
/// may be a far end's.
fn harmless(text: String) -> String {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match obeyed(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// Writes to stdout. That nobody reads it any more is no error, whoever did has seen enough: false.
fn is_read(write: impl FnOnce(&mut StdoutLock<'_>) -> io::Result<()>) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// How to print, from the global options and what stdout is.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    color: bool,
}

impl Output {
    pub(crate) fn new(json: bool, no_color: bool) -> Self {
        let wanted = !no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Output {
            json,
            color: wanted && io::stdout().is_terminal(),
        }
    }

    /// Prints the object with `--json`, else the text.
    pub(crate) fn print(
        &self,
        object: impl FnOnce() -> Value,
        text: impl FnOnce(&Self) -> String,
    ) -> io::Result<()> {
        is_read(|stdout| {
            if self.json {
                serde_json::to_writer_pretty(&mut *stdout, &object())?;
                return writeln!(stdout);
            }
            stdout.write_all(text(self).as_bytes())
        })
        .map(drop)
    }

    /// One line at once: the object with `--json`, else the text. Whether more of them are wanted.
    pub(crate) fn line(
        &self,
        object: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> io::Result<bool> {
        is_read(|stdout| {
            if self.json {
                serde_json::to_writer(&mut *stdout, &object())?;
            } else {
                stdout.write_all(harmless(text()).as_bytes())?;
            }
            writeln!(stdout)
        })
    }

    /// Prints the object with `--json`, else nothing.
    pub(crate) fn object(&self, object: impl FnOnce() -> Value) -> io::Result<()> {
        if self.json {
            self.print(object, |_| String::new())?;
        }
        Ok(())
    }

    /// One line at once: the object with `--json`, else nothing. Whether more of them are wanted.
    pub(crate) fn object_line(&self, object: impl FnOnce() -> Value) -> io::Result<bool> {
        match self.json {
            true => self.line(object, String::new),
            false => Ok(true),
        }
    }

    /// Columns as wide as their widest cell, two spaces apart; the first row is the header.
    pub(crate) fn table(&self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().cloned().map(harmless).collect())
            .collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            let line = cells.join("  ");
            let line = line.trim_end();
            if number == 0 && self.color {
                text.push_str(&format!("\x1b[1m{line}\x1b[0m\n"));
            } else {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, harmless};

    fn rows() -> Vec<Vec<String>> {
        [["NAME", "KIND"], ["wlan0", "wifi"], ["lo", ""]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn a_table_lines_up_and_ends_its_lines_at_the_last_word() {
        let plain = Output {
            json: false,
            color: false,
        };
        assert_eq!(plain.table(&rows()), "NAME   KIND\nwlan0  wifi\nlo\n");
        assert_eq!(plain.table(&[]), "");
        let of_somebody = [vec!["evil\u{1b}[2J".to_owned(), "x".to_owned()]];
        assert_eq!(plain.table(&of_somebody), "evil\\u{1b}[2J  x\n");
    }

    #[test]
    fn what_is_said_moves_no_cursor_and_sets_no_title() {
        let lines = "why:\n\tbecause of \u{e9} \u{202f}";
        assert_eq!(harmless(lines.to_owned()), lines);
        let said = harmless("\u{1b}]0;x\u{7}\r\u{9b}2J\u{7f}".to_owned());
        assert_eq!(said, "\\u{1b}]0;x\\u{7}\\r\\u{9b}2J\\u{7f}");
    }

    #[test]
    fn a_terminal_sees_the_header_in_bold() {
        let bright = Output {
            json: false,
            color: true,
        };
        assert!(
            bright
                .table(&rows())
                .starts_with("\x1b[1mNAME   KIND\x1b[0m\n")
        );
    }
}
