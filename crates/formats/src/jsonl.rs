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

/// Lines that are one JSON object each.
pub(crate) struct Objects {
    lines: Lines,
    raw: Vec<u8>,
}

impl Objects {
    pub(crate) fn new(input: Input) -> Self {
        Self { lines: Lines::new(input), raw: Vec::new() }
    }

    /// What `read` makes of the next line's object; empty lines do not count.
    pub(crate) fn step<T>(
        &mut self,
        read: impl FnOnce(&Map<String, Value>) -> Result<T, Problem>,
    ) -> Step<T> {
        loop {
            match self.lines.read(&mut self.raw) {
                Err(error) => return broken(self.lines.number(), &error),
                Ok(None) => return Step::End,
                Ok(Some(Line::TooLong)) => {
                    return Step::Rejected(self.reject(Problem::row(too_long())));
                }
                Ok(Some(Line::Whole)) if self.raw.trim_ascii().is_empty() => {}
                Ok(Some(Line::Whole)) => {
                    return match self.object().and_then(|object| read(&object)) {
                        Ok(row) => Step::Row(row),
                        Err(problem) => Step::Rejected(self.reject(problem)),
                    };
                }
            }
        }
    }

    /// The line last read, and what is wrong with it.
    pub(crate) fn reject(&self, problem: Problem) -> Rejected {
        problem.at(self.lines.number(), &self.raw)
    }

    fn object(&self) -> Result<Map<String, Value>, Problem> {
        let text = decode(&self.raw, false)?;
        serde_json::from_str(&text)
            .map_err(|error| Problem::row(format!("expected a JSON object: {error}")))
    }
}

/// Reads JSON lines.
pub(crate) struct JsonLines {
    objects: Objects,
    binding: Binding,
    keys: HashMap<String, Option<Field>>,
}

impl JsonLines {
    pub(crate) fn new(input: Input, binding: Binding) -> Self {
        let keys = binding.columns.iter().map(|c| (c.name.clone(), c.field)).collect();
        Self { objects: Objects::new(input), binding, keys }
    }
}

fn row_of(
    object: &Map<String, Value>,
    keys: &mut HashMap<String, Option<Field>>,
    binding: &mut Binding,
) -> Result<Row, Problem> {
    let mut cells = Vec::with_capacity(object.len());
    for (key, value) in object {
        if let (Some(field), Some(text)) = (field_of(keys, key), cell(value)) {
            cells.push((key.as_str(), field, text));
        }
    }
    binding.row(cells.iter().map(|(key, field, text)| (*key, *field, text.as_ref())))
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
        let Self { objects, binding, keys } = self;
        objects.step(|object| row_of(object, keys, binding))
    }

    fn reject(&self, problem: Problem) -> Rejected {
        self.objects.reject(problem)
    }
}
