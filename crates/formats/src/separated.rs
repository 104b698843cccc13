//! Cells between delimiters: CSV, tabs, `::`. A broken line costs that line and no other.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::cells::{Cells, Ending};
use crate::error::Error;
use crate::lines::{Line, Lines, MAX_LINE};
use crate::open::open;
use crate::options::Delimiter;
use crate::row::{Problem, Rejected};
use crate::source::{Binding, Reader, Shape, Source, Step, broken};

/// How far, in bytes, a quoted cell may go on over further lines.
const MAX_CONTINUATION: usize = 128 * 1024;

/// A line that was read ahead.
struct Ahead {
    number: u64,
    kind: Line,
    bytes: Vec<u8>,
}

/// Reads rows of cells.
pub(crate) struct Separated {
    lines: Lines,
    binding: Binding,
    delimiter: Delimiter,
    quoted: bool,
    latin1: bool,
    cells: Cells,
    /// The row last read, as it stands in the file.
    raw: Vec<u8>,
    number: u64,
    /// Lines that were read in search of a closing quote and turned out to be rows of their own.
    ahead: VecDeque<Ahead>,
    failure: Option<std::io::Error>,
}

impl Separated {
    pub(crate) fn new(source: &Source, binding: Binding) -> Result<Self, Error> {
        let Shape::Separated { delimiter, header, quoted, latin1 } = source.shape.clone() else {
            return Err(Error::options(&source.path, "is not separated text"));
        };
        let mut reader = Self {
            lines: Lines::new(open(&source.path)?),
            binding,
            delimiter,
            quoted,
            latin1,
            cells: Cells::default(),
            raw: Vec::new(),
            number: 0,
            ahead: VecDeque::new(),
            failure: None,
        };
        if header {
            reader.lines.read(&mut reader.raw)?;
        }
        Ok(reader)
    }

    /// Moves the next line into `raw`; `None` at the end.
    fn advance(&mut self) -> std::io::Result<Option<Line>> {
        if let Some(next) = self.ahead.pop_front() {
            self.number = next.number;
            self.raw = next.bytes;
            return Ok(Some(next.kind));
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let kind = self.lines.read(&mut self.raw)?;
        self.number = self.lines.number();
        Ok(kind)
    }

    /// Splits the row in `raw`, going on over further lines while a quote is open.
    fn split(&mut self) -> Result<(), Problem> {
        if !self.quoted {
            let text = decode(without_return(&self.raw), self.latin1)?;
            self.cells.split_plain(&text, self.delimiter.as_str());
            return Ok(());
        }
        let text = decode(without_return(&self.raw), self.latin1)?;
        match self.cells.split_quoted(&text, self.delimiter.as_str())? {
            Ending::Whole => Ok(()),
            Ending::OpenQuote => self.split_continued(),
        }
    }

    /// Looks for the line that closes the open quote. If there is none nearby, or what it closes is no row, the
    /// lines looked at stay rows of their own.
    fn split_continued(&mut self) -> Result<(), Problem> {
        let mut whole = self.raw.clone();
        let mut taken = 0;
        while whole.len() < MAX_CONTINUATION {
            if taken == self.ahead.len() && !self.look_ahead() {
                break;
            }
            let next = &self.ahead[taken];
            taken += 1;
            whole.push(b'\n');
            whole.extend_from_slice(&next.bytes);
            if memchr::memchr(b'"', &next.bytes).is_none() {
                continue;
            }
            // What goes wrong from here on is not this row's: it is met again where it stands.
            let Ok(text) = decode(without_return(&whole), self.latin1) else { break };
            match self.cells.split_quoted(&text, self.delimiter.as_str()) {
                Ok(Ending::OpenQuote) => continue,
                Ok(Ending::Whole) if self.cells.len() == self.binding.columns.len() => {}
                Ok(Ending::Whole) | Err(_) => break,
            }
            self.raw = whole;
            self.ahead.drain(..taken);
            return Ok(());
        }
        Err(Problem::row(
            "a quote is opened and never closed; a quote inside a quoted cell is written twice",
        ))
    }

    /// Reads one more line ahead; `false` if there is none.
    fn look_ahead(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let mut bytes = Vec::new();
        match self.lines.read(&mut bytes) {
            Ok(Some(kind)) => {
                self.ahead.push_back(Ahead { number: self.lines.number(), kind, bytes });
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.failure = Some(error);
                false
            }
        }
    }

    fn row(&mut self) -> Result<crate::row::Row, Problem> {
        self.split()?;
        let (expected, found) = (self.binding.columns.len(), self.cells.len());
        if found != expected {
            return Err(Problem::row(format!("expected {expected} columns, found {found}")));
        }
        let columns = self.binding.columns.iter().zip(self.cells.iter());
        self.binding.row(columns.filter_map(|(column, text)| {
            column.field.map(|field| (column.name.as_str(), field, text))
        }))
    }
}

impl Reader for Separated {
    fn read(&mut self) -> Step {
        loop {
            match self.advance() {
                Err(error) => return broken(self.lines.number(), &error),
                Ok(None) => return Step::End,
                Ok(Some(Line::TooLong)) => {
                    return Step::Rejected(self.reject(Problem::row(too_long())));
                }
                Ok(Some(Line::Whole)) if without_return(&self.raw).is_empty() => {}
                Ok(Some(Line::Whole)) => {
                    return match self.row() {
                        Ok(row) => Step::Row(row),
                        Err(problem) => Step::Rejected(self.reject(problem)),
                    };
                }
            }
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        problem.at(self.number, &self.raw)
    }
}

/// A line without the carriage return some systems put before the line feed.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What to say about a line of more than [`MAX_LINE`] bytes.
pub(crate) fn too_long() -> String {
    format!("the line is longer than {MAX_LINE} bytes")
}

/// The text of a line.
pub(crate) fn decode(bytes: &[u8], latin1: bool) -> Result<Cow<'_, str>, Problem> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        // Latin-1 is the first 256 characters of Unicode.
        Err(_) if latin1 => Ok(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())),
        Err(error) => Err(Problem::row(format!(
            "byte {} of the line is no UTF-8; convert the file to UTF-8",
            error.valid_up_to() + 1
        ))),
    }
}
