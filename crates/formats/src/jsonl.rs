//! One JSON object a line, with the fields of the API or any others that were mapped.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::field::Field;
use crate::lines::{Line, Lines};
use crate::open::Input;
use crate::row::{Problem, Rejected, Row};
use crate::separated::{decode, too_long};
use crate::source::{Binding, Reader, Step, broken};

/// Most distinct keys whose meaning is remembered.
const MAX_KEYS: usize = 1000;

/// Reads JSON lines.
pub(crate) struct JsonLines {
    lines: Lines,
    binding: Binding,
    keys: HashMap<String, Option<Field>>,
    raw: Vec<u8>,
}

impl JsonLines {
    pub(crate) fn new(input: Input, binding: Binding) -> Self {
        let keys = binding.columns.iter().map(|c| (c.name.clone(), c.field)).collect();
        Self { lines: Lines::new(input), binding, keys, raw: Vec::new() }
    }

    fn row(&mut self) -> Result<Row, Problem> {
        let text = decode(&self.raw, false)?;
        let object: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| Problem::row(format!("expected a JSON object: {error}")))?;
        let mut cells = Vec::with_capacity(object.len());
        for (key, value) in &object {
            if let (Some(field), Some(text)) = (field_of(&mut self.keys, key), cell(value)) {
                cells.push((key.as_str(), field, text));
            }
        }
        self.binding.row(cells.iter().map(|(key, field, text)| (*key, *field, text.as_ref())))
    }
}

/// What a key holds; a key the caller did not map is known by its name.
fn field_of(keys: &mut HashMap<String, Option<Field>>, key: &str) -> Option<Field> {
    if let Some(field) = keys.get(key) {
        return *field;
    }
    let field = Field::of_column(key).filter(|field| !keys.values().any(|f| f == &Some(*field)));
    if keys.len() < MAX_KEYS {
        keys.insert(key.to_owned(), field);
    }
    field
}

/// A value as a cell of text has it; `None` for null.
fn cell(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(Cow::Owned(value.to_string()))
        }
    }
}

impl Reader for JsonLines {
    fn read(&mut self) -> Step {
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
