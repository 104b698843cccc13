//! Vectors in Parquet: the two columns alone, one row group's pages at a time.

use std::path::Path;

use parquet::record::reader::RowIter;
use parquet::record::{Field as Value, Row as Record};

use super::{CONTENT_ID, VECTOR, VectorRow, at, row};
use crate::error::Error;
use crate::parquet::{cell, column_names, projected};
use crate::row::{Problem, Rejected};
use crate::source::{Reader, Step, broken};

/// Reads a Parquet file.
pub(super) struct ParquetVectors {
    rows: RowIter<'static>,
    number: u64,
    /// The id of the row read last.
    id: String,
}

impl ParquetVectors {
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let names = column_names(path)?;
        if let Some(absent) =
            [CONTENT_ID, VECTOR].iter().find(|name| !names.iter().any(|n| n == *name))
        {
            let detail = format!("there is no column {absent}; there are {}", names.join(", "));
            return Err(Error::unrecognised(path, detail));
        }
        let rows = projected(path, |name| [CONTENT_ID, VECTOR].contains(&name))?;
        Ok(Self { rows, number: 0, id: String::new() })
    }

    fn row(&mut self, record: &Record) -> Result<VectorRow, Problem> {
        let column = |name: &str| record.get_column_iter().find(|(found, _)| *found == name);
        let id = column(CONTENT_ID).and_then(|(_, value)| cell(value));
        self.id = id.ok_or_else(|| at(CONTENT_ID, "expected the id of a title"))?.into_owned();
        let Some((_, Value::ListInternal(list))) = column(VECTOR) else {
            return Err(at(VECTOR, "expected a list of numbers"));
        };
        let numbers = list.elements().iter().enumerate().map(|(place, value)| {
            number(value).ok_or_else(|| at(VECTOR, format!("value {} is not a number", place + 1)))
        });
        row(&self.id, numbers.collect::<Result<_, _>>()?)
    }
}

fn number(value: &Value) -> Option<f32> {
    if let Value::Float(number) = value { Some(*number) } else { cell(value)?.parse().ok() }
}

impl Reader<VectorRow> for ParquetVectors {
    fn read(&mut self) -> Step<VectorRow> {
        self.number += 1;
        self.id.clear();
        match self.rows.next() {
            None => Step::End,
            Some(Err(error)) => broken(self.number, &error),
            Some(Ok(record)) => match self.row(&record) {
                Ok(row) => Step::Row(row),
                Err(problem) => Step::Rejected(self.reject(problem)),
            },
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        problem.at(self.number, self.id.as_bytes())
    }
}
