//! `{"item": [1, 2, 3], …}`: items and the numbers of their attributes, streamed out of one large object.

use std::io::BufRead;

use sona_domain::ContentId;

use crate::open::Input;
use crate::row::{ItemAttributes, Problem, Rejected, Row};
use crate::source::{Reader, Step, broken};

/// The most bytes one item's key or list may take.
const MAX_MEMBER: usize = 1 << 20;

/// Reads the members of the object one by one.
pub(crate) struct AttributeMap {
    input: Input,
    line: u64,
    /// The member last read, as it stands in the file.
    raw: Vec<u8>,
}

impl AttributeMap {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, line: 1, raw: Vec::new() }
    }

    /// Reads up to and including the next `]`; `false` if there is none.
    fn next_member(&mut self) -> std::io::Result<bool> {
        self.raw.clear();
        loop {
            let available = self.input.fill_buf()?;
            if available.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b']', available);
            let part = &available[..end.map_or(available.len(), |end| end + 1)];
            self.line += memchr::memchr_iter(b'\n', part).count() as u64;
            if self.raw.len() + part.len() > MAX_MEMBER {
                return Err(std::io::Error::other(format!(
                    "an item has more than {MAX_MEMBER} bytes of attributes"
                )));
            }
            self.raw.extend_from_slice(part);
            let used = part.len();
            self.input.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn row(&self) -> Result<Row, Problem> {
        let wrong = |why: String| Problem::row(format!("expected \"item\": [numbers]: {why}"));
        let text = std::str::from_utf8(&self.raw).map_err(|error| wrong(error.to_string()))?;
        let member = text.trim_start().trim_start_matches(['{', ',']).trim_start();
        let object = format!("{{{member}}}");
        let parsed: std::collections::BTreeMap<String, Vec<u32>> =
            serde_json::from_str(&object).map_err(|error| wrong(error.to_string()))?;
        let (item, attributes) =
            parsed.into_iter().next().ok_or_else(|| wrong("there is none".to_owned()))?;
        let item = ContentId::new(item).map_err(|error| wrong(error.to_string()))?;
        Ok(Row::Attributes(ItemAttributes { item, attributes }))
    }
}

impl Reader for AttributeMap {
    fn read(&mut self) -> Step {
        match self.next_member() {
            Err(error) => broken(self.line, &error),
            Ok(true) => match self.row() {
                Ok(row) => Step::Row(row),
                Err(problem) => Step::Rejected(self.reject(problem)),
            },
            Ok(false) => match self.raw.trim_ascii() {
                b"}" | b"{}" => Step::End,
                _ => broken(self.line, &"the object is not closed"),
            },
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        problem.at(self.line, &self.raw)
    }
}
