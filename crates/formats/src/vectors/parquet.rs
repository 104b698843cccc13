//! Vectors in Parquet: the columns of ids and of vectors alone, one row group's pages at a time.

use std::path::Path;

use parquet::record::reader::RowIter;
use parquet::record::{Field as Value, Row as Record};

use super::{CONTENT_ID, USER_ID, VECTOR, VectorRow, at, entity, row};
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
        let has = |name: &str| names.iter().any(|found| found == name);
        let absent = match (has(CONTENT_ID) || has(USER_ID), has(VECTOR)) {
            (true, true) => None,
            (true, false) => Some(VECTOR),
            (false, _) => Some("content_id or user_id"),
        };
        if let Some(absent) = absent {
            let detail = format!("there is no column {absent}; there are {}", names.join(", "));
            return Err(Error::unrecognised(path, detail));
        }
        let rows = projected(path, |name| [CONTENT_ID, USER_ID, VECTOR].contains(&name))?;
        Ok(Self { rows, number: 0, id: String::new() })
    }

    fn row(&mut self, record: &Record) -> Result<VectorRow, Problem> {
        let column = |name: &str| record.get_column_iter().find(|(found, _)| *found == name);
        let id = |name| column(name).and_then(|(_, value)| cell(value));
        let (content_id, user_id) = (id(CONTENT_ID), id(USER_ID));
        let id = content_id.as_deref().or(user_id.as_deref());
        id.unwrap_or_default().clone_into(&mut self.id);
        let entity = entity(content_id.as_deref(), user_id.as_deref())?;
        let Some((_, Value::ListInternal(list))) = column(VECTOR) else {
            return Err(at(VECTOR, "expected a list of numbers"));
        };
        let numbers = list.elements().iter().enumerate().map(|(place, value)| {
            number(value).ok_or_else(|| at(VECTOR, format!("value {} is not a number", place + 1)))
        });
        row(entity, numbers.collect::<Result<_, _>>()?)
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
