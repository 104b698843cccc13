//! Vectors in safetensors: the header's length (8 bytes, little-endian), the header (JSON), then the tensors' bytes, of
//! which one row at a time is read.

use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use sona_domain::embedding::MAX_EMBEDDING_WIDTH;

use super::{CONTENT_ID, USER_ID, VectorRow, entity, row};
use crate::error::Error;
use crate::open::{Input, open};
use crate::row::{Problem, Rejected};
use crate::source::{Reader, Step, broken};

/// The largest header, in bytes; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// The tensor, and the keys of the ids in the metadata.
const TENSOR: &str = "vectors";
const CONTENT_IDS: &str = "content_ids";
const USER_IDS: &str = "user_ids";
const METADATA: &str = "__metadata__";

/// What the header says of the tensor.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    /// Its first byte and the one after its last, from the end of the header.
    data_offsets: [u64; 2],
}

/// Reads the rows of a tensor.
pub(super) struct TensorVectors {
    input: Input,
    ids: Vec<String>,
    /// What the ids are of: [`CONTENT_ID`] or [`USER_ID`].
    column: &'static str,
    /// One row.
    bytes: Vec<u8>,
    /// Rows read.
    count: usize,
}

/// Whether a file that begins so may be one: a header that begins as JSON, of a length it may have.
pub(super) fn looks_like_it(start: &[u8]) -> bool {
    let Some((length, rest)) = start.split_first_chunk() else { return false };
    (2..=MAX_HEADER).contains(&u64::from_le_bytes(*length)) && rest.first() == Some(&b'{')
}

impl TensorVectors {
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let mut input = open(path)?;
        let unusable = |detail: String| Error::unrecognised(path, detail);
        let header = header(&mut input).map_err(|error| {
            unusable(format!("the header of safetensors cannot be read: {error}"))
        })?;
        let (tensor, column, ids) = described(header).map_err(unusable)?;
        let [rows, width] = tensor.shape[..] else {
            return Err(unusable(format!("{TENSOR} must be [n, width], not {:?}", tensor.shape)));
        };
        let [from, to] = tensor.data_offsets;
        let fits = (1..=MAX_EMBEDDING_WIDTH as u64).contains(&width)
            && rows.checked_mul(4 * width).is_some_and(|size| to.checked_sub(from) == Some(size));
        if !fits {
            let detail =
                format!("{TENSOR} is {rows} rows of {width} numbers in bytes {from}..{to}");
            return Err(unusable(detail));
        }
        if ids.len() as u64 != rows {
            let detail = format!("{TENSOR} has {rows} rows, {column}s {} ids", ids.len());
            return Err(unusable(detail));
        }
        io::copy(&mut (&mut input).take(from), &mut io::sink())?;
        Ok(Self { input, ids, column, bytes: vec![0; 4 * width as usize], count: 0 })
    }
}

fn header(input: &mut Input) -> io::Result<Map<String, Value>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(io::Error::other(format!("it is said to have {length} bytes")));
    }
    let mut text = Vec::new();
    input.take(length).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// The tensor, what the ids are of, and the ids; in words what is missing.
fn described(
    mut header: Map<String, Value>,
) -> Result<(Tensor, &'static str, Vec<String>), String> {
    let tensor = header.remove(TENSOR).ok_or_else(|| format!("there is no tensor {TENSOR}"))?;
    let tensor: Tensor = serde_json::from_value(tensor)
        .map_err(|error| format!("the header of {TENSOR} cannot be read: {error}"))?;
    if tensor.dtype != "F32" {
        return Err(format!("{TENSOR} must be float32 (F32), not {}", tensor.dtype));
    }
    let listed = |name| header.get(METADATA).and_then(|metadata| metadata.get(name));
    let text = |name| listed(name).and_then(Value::as_str);
    let (column, ids) = match (text(CONTENT_IDS), text(USER_IDS)) {
        (Some(ids), None) => (CONTENT_ID, ids),
        (None, Some(ids)) => (USER_ID, ids),
        (None, None) => return Err(format!("the metadata has no {CONTENT_IDS} and no {USER_IDS}")),
        (Some(_), Some(_)) => {
            return Err(format!("the metadata has both {CONTENT_IDS} and {USER_IDS}"));
        }
    };
    let ids = serde_json::from_str(ids)
        .map_err(|error| format!("{column}s is not a JSON list of texts: {error}"))?;
    Ok((tensor, column, ids))
}

impl Reader<VectorRow> for TensorVectors {
    fn read(&mut self) -> Step<VectorRow> {
        if self.count == self.ids.len() {
            return Step::End;
        }
        self.count += 1;
        if let Err(error) = self.input.read_exact(&mut self.bytes) {
            return broken(self.count as u64, &error);
        }
        let numbers = self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let id = Some(self.ids[self.count - 1].as_str());
        let of_users = self.column == USER_ID;
        let entity = if of_users { entity(None, id) } else { entity(id, None) };
        match entity.and_then(|entity| row(entity, numbers.collect())) {
            Ok(row) => Step::Row(row),
            Err(problem) => Step::Rejected(self.reject(problem)),
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        let id = self.count.checked_sub(1).map_or("", |at| &self.ids[at]);
        problem.at(self.count as u64, id.as_bytes())
    }
}
