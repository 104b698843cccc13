//! One file of a data set: what is in it, how it is written, and its rows.

use std::fmt;
use std::path::PathBuf;

use crate::attributes::AttributeMap;
use crate::entry::Entry;
use crate::error::Error;
use crate::field::Field;
use crate::interaction::Interaction;
use crate::jsonl::JsonLines;
use crate::open::open;
use crate::options::{Delimiter, TimeUnit};
use crate::parquet::ParquetRows;
use crate::row::{EventRow, Problem, Rejected, Row};
use crate::separated::Separated;
use crate::sequences::Sequences;

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contents {
    /// Catalogue entries.
    Content,
    /// Items and the numbers of their attributes.
    Attributes,
    /// Events.
    Events,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "catalogue entries",
            Self::Attributes => "item attributes",
            Self::Events => "events",
        })
    }
}

/// Which part of a divided data set a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose settings with.
    Validation,
    /// To judge with.
    Test,
}

/// How a file is written, resolved.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Cells between delimiters.
    Separated {
        /// Between cells.
        delimiter: Delimiter,
        /// Whether the first line names the columns.
        header: bool,
        /// A cell can be quoted.
        quoted: bool,
        /// A line that is no UTF-8 is Latin-1 (MovieLens 1M).
        latin1: bool,
    },
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// A user and their items on each line.
    Sequences,
    /// One JSON object from item to attributes.
    AttributeMap,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, or its number from 1 where the file has no names.
    pub name: String,
    /// What it holds; `None` if it is not read.
    pub field: Option<Field>,
}

/// One file of a data set.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What its rows are.
    pub contents: Contents,
    /// Which part it is, where its name says so.
    pub split: Option<Split>,
    /// Its columns, as far as they are known before reading.
    pub columns: Vec<Column>,
    /// The highest rating there can be; `None` if ratings are stars from 1 to 5 as Sona keeps them.
    pub scale: Option<f64>,
    pub(crate) shape: Shape,
    pub(crate) time_unit: Option<TimeUnit>,
}

impl Source {
    /// Reads the file from its beginning.
    pub fn rows(&self) -> Result<Rows, Error> {
        let binding = Binding::new(self);
        let reader: Box<dyn Reader> = match &self.shape {
            Shape::Separated { .. } => Box::new(Separated::new(self, binding)?),
            Shape::JsonLines => Box::new(JsonLines::new(open(&self.path)?, binding)),
            Shape::Parquet => Box::new(ParquetRows::new(&self.path, binding)?),
            Shape::Sequences => Box::new(Sequences::new(open(&self.path)?)),
            Shape::AttributeMap => Box::new(AttributeMap::new(open(&self.path)?)),
        };
        Ok(Rows::new(reader))
    }

    /// The events of the file, in its order; nothing if it holds something else.
    pub fn events(&self) -> Result<impl Iterator<Item = Result<EventRow, Rejected>>, Error> {
        Ok(self.rows()?.filter_map(|row| match row {
            Ok(Row::Event(event)) => Some(Ok(event)),
            Ok(Row::Content(_) | Row::Attributes(_)) => None,
            Err(rejected) => Some(Err(rejected)),
        }))
    }

    /// Whether what comes later in the file, or has a later time, came later: it has times, or it is sequences.
    pub fn is_ordered(&self) -> bool {
        let has_time = self.columns.iter().any(|column| column.field == Some(Field::Time));
        has_time || matches!(self.shape, Shape::Sequences)
    }

    /// A rating of this file as stars: scaled to 5 and rounded, at least 1. Stars that are Sona's own stay as they are.
    pub fn stars(&self, value: f64) -> Result<f32, String> {
        let Some(scale) = self.scale else {
            let fits = (1.0..=5.0).contains(&value);
            return fits
                .then_some(value as f32)
                .ok_or_else(|| format!("a rating lies between 1 and 5, found {value}"));
        };
        if (0.0..=scale).contains(&value) {
            Ok((value * 5.0 / scale).round().clamp(1.0, 5.0) as f32)
        } else {
            Err(format!(
                "the rating {value} lies outside 0 to {scale}; say the highest with --scale"
            ))
        }
    }
}

/// The rows of a file, one after the other.
pub struct Rows<R = Row> {
    reader: Box<dyn Reader<R>>,
    over: bool,
}

impl<R> Rows<R> {
    pub(crate) fn new(reader: Box<dyn Reader<R>>) -> Self {
        Self { reader, over: false }
    }

    pub(crate) fn reject_with(&self, problem: Problem) -> Rejected {
        self.reader.reject(problem)
    }
}

impl Rows {
    /// The row read last, refused by the caller for a reason of its own.
    pub fn reject(&self, field: Field, reason: impl Into<String>) -> Rejected {
        self.reject_with(Problem { column: Some(field.to_string()), reason: reason.into() })
    }
}

impl<R> Iterator for Rows<R> {
    type Item = Result<R, Rejected>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match self.reader.read() {
            Step::Row(row) => Some(Ok(row)),
            Step::Rejected(rejected) => Some(Err(rejected)),
            Step::Broken(rejected) => {
                self.over = true;
                Some(Err(rejected))
            }
            Step::End => {
                self.over = true;
                None
            }
        }
    }
}

/// What reading on brought.
pub(crate) enum Step<R = Row> {
    /// A row.
    Row(R),
    /// A row that cannot be taken; there may be more.
    Rejected(Rejected),
    /// The file cannot be read any further.
    Broken(Rejected),
    /// That was all.
    End,
}

/// Whoever reads one shape of file.
pub(crate) trait Reader<R = Row>: Send {
    /// Reads on.
    fn read(&mut self) -> Step<R>;

    /// The row read last, refused.
    fn reject(&self, problem: Problem) -> Rejected;
}

/// A file that cannot be read any further, from `line` on.
pub(crate) fn broken<R>(line: u64, error: &dyn fmt::Display) -> Step<R> {
    let reason =
        format!("the file cannot be read from here on, it is damaged or incomplete: {error}");
    Step::Broken(Problem::row(reason).at(line, b""))
}

/// Turns named cells into rows.
pub(crate) struct Binding {
    pub(crate) contents: Contents,
    pub(crate) columns: Vec<Column>,
    unit: Option<TimeUnit>,
    /// Titles carry the year, because nothing else in the file does (MovieLens).
    dated_titles: bool,
}

impl Binding {
    fn new(source: &Source) -> Self {
        let columns = source.columns.clone();
        // A file with Sona's own content types has titles as they are.
        let dated = |field| matches!(field, Field::Year | Field::ContentType);
        let dated_titles = !columns.iter().filter_map(|column| column.field).any(dated);
        Self { contents: source.contents, columns, unit: source.time_unit, dated_titles }
    }

    /// The row with these cells: for each its column's name, its field and its text.
    pub(crate) fn row<'c>(
        &self,
        cells: impl Iterator<Item = (&'c str, Field, &'c str)>,
    ) -> Result<Row, Problem> {
        let at = |name: &str, reason| Problem { column: Some(name.to_owned()), reason };
        if self.contents == Contents::Events {
            let mut event = Interaction::default();
            for (name, field, text) in cells {
                event.set(field, text, self.unit).map_err(|reason| at(name, reason))?;
            }
            return event.finish().map(Row::Event);
        }
        let mut entry = Entry::default();
        for (name, field, text) in cells {
            entry.set(field, text, self.unit).map_err(|reason| at(name, reason))?;
        }
        Ok(Row::Content(Box::new(entry.finish(self.dated_titles)?)))
    }
}
