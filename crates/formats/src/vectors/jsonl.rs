//! Vectors as JSON lines.

use serde_json::{Map, Value};

use super::{CONTENT_ID, VECTOR, VectorRow, at, row};
use crate::lines::{Line, Lines};
use crate::open::Input;
use crate::row::{Problem, Rejected};
use crate::separated::{decode, too_long};
use crate::source::{Reader, Step, broken};

/// Reads JSON lines.
pub(super) struct JsonVectors {
    lines: Lines,
    raw: Vec<u8>,
}

impl JsonVectors {
    pub(super) fn new(input: Input) -> Self {
        Self { lines: Lines::new(input), raw: Vec::new() }
    }

    fn row(&self) -> Result<VectorRow, Problem> {
        let text = decode(&self.raw, false)?;
        let object: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| Problem::row(format!("expected a JSON object: {error}")))?;
        let id = match object.get(CONTENT_ID) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err(at(CONTENT_ID, "expected the id of a title")),
        };
        let Some(Value::Array(numbers)) = object.get(VECTOR) else {
            return Err(at(VECTOR, "expected a list of numbers"));
        };
        let numbers = numbers.iter().enumerate().map(|(place, value)| match value.as_f64() {
            Some(number) => Ok(number as f32),
            None => Err(at(VECTOR, format!("value {} is not a number", place + 1))),
        });
        row(&id, numbers.collect::<Result<_, _>>()?)
    }
}

impl Reader<VectorRow> for JsonVectors {
    fn read(&mut self) -> Step<VectorRow> {
        loop {
            match self.lines.read(&mut self.raw) {
                Err(error) => return broken(self.lines.number(), &error),
                Ok(None) => return Step::End,
                Ok(Some(Line::TooLong)) => {
                    return Step::Rejected(self.reject(Problem::row(too_long())));
                }
                Ok(Some(Line::Whole)) if self.raw.trim_ascii().is_empty() => {}
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
        problem.at(self.lines.number(), &self.raw)
    }
}
