//! Vectors as JSON lines.

use serde_json::{Map, Value};

use super::{CONTENT_ID, USER_ID, VECTOR, VectorRow, at, entity, row};
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
    let id = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(Value::Number(id)) => Ok(Some(id.to_string())),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(at(name, "expected an id"))
        }
    };
    let entity = entity(id(CONTENT_ID)?.as_deref(), id(USER_ID)?.as_deref())?;
    let Some(Value::Array(numbers)) = object.get(VECTOR) else {
        return Err(at(VECTOR, "expected a list of numbers"));
    };
    let numbers = numbers.iter().enumerate().map(|(place, value)| match value.as_f64() {
        Some(number) => Ok(number as f32),
        None => Err(at(VECTOR, format!("value {} is not a number", place + 1))),
    });
    row(entity, numbers.collect::<Result<_, _>>()?)
}

impl Reader<VectorRow> for JsonVectors {
    fn read(&mut self) -> Step<VectorRow> {
        self.0.step(row_of)
    }

    fn reject(&self, problem: Problem) -> Rejected {
        self.0.reject(problem)
    }
}
