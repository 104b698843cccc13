//! What is wrong with an input, and where: every problem of a body, found in one pass.
//!
//! [`Object`] reads the fields of a JSON object and notes each problem with its JSON Pointer
//! (RFC 6901) instead of stopping at the first. [`Object::finish`] also reports keys nobody asked for,
//! so a misspelt field is never silently ignored.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// One problem: where it is and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the body; empty for the body as a whole.
    pub pointer: String,
    /// What is wrong, in one sentence that says what would be right.
    pub detail: String,
}

/// All problems found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// No problems yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a problem at `pointer`.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl fmt::Display) {
        self.0.push(Violation { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// How many problems there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order they were found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// `value` if nothing is wrong, all the problems otherwise.
    pub fn unless<T>(self, value: Option<T>) -> Result<T, Violations> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, v) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            let place = if v.pointer.is_empty() { "body" } else { &v.pointer };
            write!(f, "{separator}{place}: {}", v.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

/// Reads the fields of one JSON object; every problem lands in the shared [`Violations`].
pub struct Object<'v, 'p> {
    at: String,
    fields: &'v Map<String, Value>,
    asked: Vec<&'static str>,
    problems: &'p mut Violations,
}

impl<'v, 'p> Object<'v, 'p> {
    /// Starts reading `value`, which sits at `at`; `None` (noted) if it is not an object.
    pub fn open(
        value: &'v Value,
        at: impl Into<String>,
        problems: &'p mut Violations,
    ) -> Option<Self> {
        let at = at.into();
        let Some(fields) = value.as_object() else {
            problems.add(at, format!("expected a JSON object, found {}", kind(value)));
            return None;
        };
        Some(Self { at, fields, asked: Vec::new(), problems })
    }

    /// The pointer of a field.
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, escape(name))
    }

    /// Notes a problem with a field.
    pub fn problem(&mut self, name: &str, detail: impl fmt::Display) {
        let pointer = self.pointer(name);
        self.problems.add(pointer, detail);
    }

    /// The raw field; JSON `null` counts as absent.
    pub fn raw(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.push(name);
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A string turned into `T` by `read`; a problem if it is of another kind or `read` refuses it.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'v str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.raw(name)?;
        let Some(text) = value.as_str() else {
            self.problem(name, format!("expected a string, found {}", kind(value)));
            return None;
        };
        read(text).map_err(|error| self.problem(name, error)).ok()
    }

    /// Like [`Object::parsed`], and its absence is a problem too.
    pub fn required<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'v str) -> Result<T, E>,
    ) -> Option<T> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            self.asked.push(name);
            self.problem(name, "this field is required");
            return None;
        }
        self.parsed(name, read)
    }

    /// Text of at most `max_chars` characters.
    pub fn text(&mut self, name: &'static str, max_chars: usize) -> Option<String> {
        self.parsed(name, |text| bounded(text, max_chars))
    }

    /// A finite number within `min..=max`.
    pub fn number(&mut self, name: &'static str, min: f64, max: f64) -> Option<f64> {
        let value = self.raw(name)?;
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            Some(number) => {
                self.problem(name, format!("must be between {min} and {max}, found {number}"));
                None
            }
            None => {
                self.problem(name, format!("expected a number, found {}", kind(value)));
                None
            }
        }
    }

    /// A whole number within `min..=max`.
    pub fn integer(&mut self, name: &'static str, min: i64, max: i64) -> Option<i64> {
        let value = self.raw(name)?;
        match value.as_i64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.problem(
                    name,
                    format!("expected a whole number between {min} and {max}, found {value}"),
                );
                None
            }
        }
    }

    /// `true` or `false`; absent is `false`.
    pub fn flag(&mut self, name: &'static str) -> bool {
        match self.raw(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(value) => {
                self.problem(name, format!("expected true or false, found {}", kind(value)));
                false
            }
        }
    }

    /// An RFC 3339 instant.
    pub fn timestamp(&mut self, name: &'static str) -> Option<Timestamp> {
        self.parsed(name, Timestamp::parse)
    }

    /// A list of distinct non-empty strings, each at most `max_chars` characters.
    pub fn names(&mut self, name: &'static str, max_items: usize, max_chars: usize) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        self.items(name, max_items, |value, at, problems| {
            match value.as_str().map(|text| bounded(text, max_chars)) {
                Some(Ok(text)) if !names.contains(&text) => names.push(text),
                Some(Ok(_)) => {}
                Some(Err(error)) => problems.add(at, error),
                None => problems.add(at, format!("expected a string, found {}", kind(value))),
            }
        });
        names
    }

    /// Calls `each` with every element of a list field, its pointer and the problems.
    pub fn items(
        &mut self,
        name: &'static str,
        max_items: usize,
        mut each: impl FnMut(&'v Value, String, &mut Violations),
    ) {
        let Some(value) = self.raw(name) else { return };
        let Some(items) = value.as_array() else {
            self.problem(name, format!("expected a list, found {}", kind(value)));
            return;
        };
        if items.len() > max_items {
            self.problem(name, format!("at most {max_items} entries, found {}", items.len()));
            return;
        }
        for (n, item) in items.iter().enumerate() {
            each(item, format!("{}/{n}", self.pointer(name)), self.problems);
        }
    }

    /// Reports the keys nobody asked for, each with the nearest known one.
    pub fn finish(self) {
        for key in self.fields.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let hint = nearest(key, self.asked.iter().copied()).map_or_else(
                || format!("; known fields: {}", self.asked.join(", ")),
                |near| format!("; did you mean {near:?}?"),
            );
            self.problems.add(
                format!("{}/{}", self.at, escape(key)),
                format!("unknown field {key:?}{hint}"),
            );
        }
    }
}

/// The candidate that looks most like `word`, if one looks alike at all.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Non-empty text of at most `max_chars` characters, without NUL.
pub(crate) fn bounded(text: &str, max_chars: usize) -> Result<String, String> {
    let length = text.chars().count();
    if length == 0 {
        Err("must not be empty".to_owned())
    } else if length > max_chars {
        Err(format!("at most {max_chars} characters, found {length}"))
    } else if text.contains('\0') {
        Err("must not contain NUL".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// What a JSON value is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// RFC 6901 escaping of one reference token.
fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_problem_is_noted_with_its_place() {
        let body = json!({"rating": 9, "flag": "yes", "tags": ["a", 3], "ratng": 1, "a/b": 0});
        let mut problems = Violations::new();
        let mut object = Object::open(&body, "/2", &mut problems).expect("an object");
        object.number("rating", 1.0, 5.0);
        object.flag("flag");
        object.names("tags", 10, 20);
        object.required("id", |text| Ok::<_, String>(text.to_owned()));
        object.finish();
        let pointers: Vec<_> = problems.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(pointers, ["/2/rating", "/2/flag", "/2/tags/1", "/2/id", "/2/a~1b", "/2/ratng"]);
    }

    #[test]
    fn a_misspelt_key_names_its_neighbour() {
        assert_eq!(
            nearest("unobserved_wieght", ["factors", "unobserved_weight"]),
            Some("unobserved_weight")
        );
        assert_eq!(nearest("zzz", ["factors"]), None);
    }
}
