//! Vectors as JSON lines.

use serde_json::{Map, Value};

use super::{CONTENT_ID, VECTOR, VectorRow, at, row};
use crate::jsonl::Objects;
use crate::open::Input;
use crate::row::{Problem, Rejected};
use crate::source::{Reader, Step};

/// Reads JSON lines.
pub(super) struct JsonVectors(Objects);

impl JsonVectors {
    pub(super) fn new(input: Input) -> Self {
        Self(Objects::new(input))
    }
}

fn row_of(object: &Map<String, Value>) -> Result<VectorRow, Problem> {
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

impl Reader<VectorRow> for JsonVectors {
    fn read(&mut self) -> Step<VectorRow> {
        self.0.step(row_of)
    }

    fn reject(&self, problem: Problem) -> Rejected {
        self.0.reject(problem)
    }
}
