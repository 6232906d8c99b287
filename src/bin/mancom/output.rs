//! What goes to stdout: tables for people, one object for programs.

use serde_json::Value;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// Says something on stderr, for people. A stderr that is gone or full is no reason to end.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "mancom: {text}");
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
                stdout.write_all(text().as_bytes())?;
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

    /// One line at once: the object with `--json`, else nothing.
    pub(crate) fn object_line(&self, object: impl FnOnce() -> Value) -> io::Result<()> {
        if self.json {
            self.line(object, String::new)?;
        }
        Ok(())
    }

    /// Columns as wide as their widest cell, two spaces apart; the first row is the header.
    pub(crate) fn table(&self, rows: &[Vec<String>]) -> String {
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
    use super::Output;

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
