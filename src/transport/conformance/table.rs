//! What was checked of whom, as a table.

use crate::endpoint::Endpoint;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// One of the statements EV-01 to EV-33 that the transports of EVPath, and ours, are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Its number.
    pub number: u8,
    /// What it says, in short.
    pub text: &'static str,
    /// The layer that answers for it, where that is not the transport.
    pub above: Option<&'static str>,
}

const fn own(number: u8, text: &'static str) -> Statement {
    let above = None;
    Statement {
        number,
        text,
        above,
    }
}

const fn above(number: u8, text: &'static str, layer: &'static str) -> Statement {
    let above = Some(layer);
    Statement {
        number,
        text,
        above,
    }
}

/// Every statement, in order.
pub const STATEMENTS: [Statement; 33] = [
    above(
        1,
        "a message and what is said of it arrive once",
        "messages",
    ),
    own(2, "an answer goes back on the connection"),
    own(3, "24 B x 10 and 100 KiB x 3, whole and in order"),
    own(4, "whether or not the receiver keeps its buffers"),
    own(5, "whether or not the sender reuses its buffer"),
    own(6, "kept buffers do not change"),
    own(7, "1 MB written bit by bit is whole and in order"),
    own(8, "what has no room waits and never interleaves"),
    above(
        9,
        "a server that dials its client gets the same one",
        "session",
    ),
    above(10, "a dropped reference leaves it to the others", "session"),
    own(11, "is_self of its own contact, not of another's"),
    own(12, "same_peer of an accepted link"),
    own(13, "a contact without attributes can be dialled"),
    own(14, "the peer's end is told, one's own is not"),
    own(15, "a send after the end is an error at once"),
    above(16, "an unknown transport is an error", "registry"),
    above(17, "attributes are typed", "endpoint"),
    own(18, "a dropped connect or accept leaves nothing"),
    above(19, "a wait fails when its connection closes", "operations"),
    above(20, "a wait for what happened returns at once", "operations"),
    above(
        21,
        "what is damaged is dropped, the next arrives",
        "datagrams",
    ),
    above(22, "an unknown beginning closes the connection", "session"),
    own(23, "a busy link does not starve another"),
    own(24, "a silent client does not delay the next"),
    above(
        25,
        "a bad schedule is refused, the old one stays",
        "schedule",
    ),
    above(26, "windows in any order are accepted", "schedule"),
    own(27, "a pull outside the windows is held"),
    own(28, "the third period is like the first"),
    own(29, "a transport registered later gets the schedule"),
    above(30, "periodic work does not catch up in bursts", "tasks"),
    above(31, "shutdown has an order", "manager"),
    above(32, "attributes: set, merge, text, order", "endpoint"),
    own(33, "a datagram above the limit is an error, not sent"),
];

/// What is known of one transport and one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// A check saw it.
    Proved,
    /// It cannot be asked of this transport, and why.
    NotApplicable(Cow<'static, str>),
}

/// What is known of one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: String,
    cells: BTreeMap<u8, Cell>,
}

impl Column {
    /// Nothing yet. [`column`](super::column) fills one; by hand it is for a transport that the checks
    /// do not fit, whose own tests prove what they say here.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cells: BTreeMap::new(),
        }
    }

    /// The transport: its scheme, and what its attributes choose.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same under another name, which tells it from others of its scheme.
    #[must_use]
    pub fn called(self, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, ..self }
    }

    /// These statements were seen to hold.
    pub fn proved(&mut self, numbers: impl IntoIterator<Item = u8>) {
        let proved = numbers.into_iter().map(|number| (number, Cell::Proved));
        self.cells.extend(proved);
    }

    /// This one cannot be asked.
    pub fn not_applicable(&mut self, number: u8, why: impl Into<Cow<'static, str>>) {
        self.cells.insert(number, Cell::NotApplicable(why.into()));
    }

    /// What is known of a statement.
    #[must_use]
    pub fn cell(&self, number: u8) -> Option<&Cell> {
        self.cells.get(&number)
    }
}

/// Every transport by every statement. Its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    columns: Vec<Column>,
    above: BTreeMap<u8, String>,
}

impl From<Vec<Column>> for Table {
    fn from(columns: Vec<Column>) -> Self {
        Self {
            columns,
            above: BTreeMap::new(),
        }
    }
}

impl Table {
    /// Where a statement that is not a transport's is proved, or why it is not made.
    pub fn answer_above(&mut self, number: u8, answer: impl Into<String>) {
        self.above.insert(number, answer.into());
    }

    /// The transports.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The cells that nothing is known of, in words. Statements of the layers above are no holes.
    #[must_use]
    pub fn holes(&self) -> Vec<String> {
        let mut holes = Vec::new();
        for statement in STATEMENTS.iter().filter(|s| s.above.is_none()) {
            for column in &self.columns {
                if column.cell(statement.number).is_none() {
                    let (name, text) = (column.name(), statement.text);
                    holes.push(format!("EV-{:02} {text}: {name}", statement.number));
                }
            }
        }
        holes
    }
}

/// What tells one column from another: the scheme, and the type where one is chosen.
pub(super) fn name_of(at: &Endpoint) -> String {
    match at.attribute("type") {
        Some(kind) => format!("{}?{kind}", at.scheme()),
        None => at.scheme().to_owned(),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |text: &str| text.chars().count();
        let texts = STATEMENTS.iter().map(|statement| wide(statement.text));
        let text_width = texts.max().unwrap_or(0);
        let width = |column: &Column| wide(&column.name).max(4) + 2;
        let mut notes: Vec<&str> = Vec::new();
        write!(f, "{:6}{:text_width$}", "", "")?;
        for column in &self.columns {
            write!(f, "{:>1$}", column.name, width(column))?;
        }
        writeln!(f)?;
        for statement in &STATEMENTS {
            write!(
                f,
                "EV-{:02} {:text_width$}",
                statement.number, statement.text
            )?;
            if let Some(layer) = statement.above {
                let answer = self.above.get(&statement.number);
                let answer = answer.map_or("", String::as_str);
                writeln!(
                    f,
                    "  {layer}{}{answer}",
                    if answer.is_empty() { "" } else { ": " }
                )?;
                continue;
            }
            for column in &self.columns {
                let text = match column.cell(statement.number) {
                    Some(Cell::Proved) => "yes".to_owned(),
                    Some(Cell::NotApplicable(why)) => {
                        let known = notes.iter().position(|note| note == why);
                        let number = known.unwrap_or_else(|| {
                            notes.push(why);
                            notes.len() - 1
                        });
                        format!("({})", number + 1)
                    }
                    None => "?".to_owned(),
                };
                write!(f, "{text:>0$}", width(column))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "yes: a check saw it; (n): it cannot be asked of this transport, see below; ?: nobody looked; \
             where a layer above answers, its name and the test"
        )?;
        for (number, note) in notes.iter().enumerate() {
            writeln!(f, "({}) n/a: {note}", number + 1)?;
        }
        Ok(())
    }
}
