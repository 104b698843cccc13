//! Files of vectors made elsewhere, one of a title or a user each.
//!
//! | format | layout |
//! |---|---|
//! | JSON lines | an object a line: `content_id` or `user_id`, and `vector`, a list of numbers |
//! | Parquet | the columns `content_id` (text), `user_id` (text) or both, of which a row has one, and `vector` (a list of floats) |
//! | safetensors | the tensor `vectors`, float32 `[n, width]`, and in the metadata `content_ids` or `user_ids`, a JSON list of n ids |
//!
//! Which one a file is, is seen from its first bytes. JSON lines and safetensors may be compressed (gzip, Zstandard).

mod jsonl;
mod parquet;
mod safetensors;

use std::path::Path;

use sona_domain::embedding;
use sona_domain::{ContentId, Entity, UserId};

use crate::error::Error;
use crate::open::{beginning, open};
use crate::parquet::MAGIC;
use crate::row::{Problem, Rejected};
use crate::source::{Reader, Rows};

use jsonl::JsonVectors;
use parquet::ParquetVectors;
use safetensors::TensorVectors;

/// The column of titles' ids, as files of vectors and their rejects have it.
pub const CONTENT_ID: &str = "content_id";

/// The column of users' ids.
pub const USER_ID: &str = "user_id";

/// The column of vectors.
pub const VECTOR: &str = "vector";

/// One good row of a file of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// Of which title or user.
    pub entity: Entity,
    /// The vector: 1 to [`embedding::MAX_EMBEDDING_WIDTH`] finite numbers that are not all zero.
    pub vector: Vec<f32>,
}

/// Reads a file of vectors from its beginning, in bounded memory; of safetensors the ids are in memory.
///
/// # Errors
/// If the file cannot be opened, or is in none of the layouts.
pub fn vectors(path: &Path) -> Result<Rows<VectorRow>, Error> {
    let start = beginning(path, 64)?;
    let reader: Box<dyn Reader<VectorRow>> = if start.starts_with(MAGIC) {
        Box::new(ParquetVectors::new(path)?)
    } else if safetensors::looks_like_it(&start) {
        Box::new(TensorVectors::new(path)?)
    } else if start.trim_ascii_start().first() == Some(&b'{') {
        Box::new(JsonVectors::new(open(path)?))
    } else {
        let layouts = "no file of vectors: expected JSON lines with content_id or user_id and vector, Parquet with these \
                       columns, or safetensors with a tensor vectors";
        return Err(Error::unrecognised(path, layouts));
    };
    Ok(Rows::new(reader))
}

impl Rows<VectorRow> {
    /// The row read last, refused by the caller because of this column.
    pub fn refuse(&self, column: &str, reason: impl Into<String>) -> Rejected {
        self.reject_with(at(column, reason))
    }
}

fn at(column: &str, reason: impl Into<String>) -> Problem {
    Problem { column: Some(column.to_owned()), reason: reason.into() }
}

/// What a row names: a title or a user.
fn entity(content_id: Option<&str>, user_id: Option<&str>) -> Result<Entity, Problem> {
    match (content_id, user_id) {
        (Some(id), None) => {
            let id = ContentId::new(id).map_err(|error| at(CONTENT_ID, error.to_string()))?;
            Ok(Entity::Content(id))
        }
        (None, Some(id)) => {
            let id = UserId::new(id).map_err(|error| at(USER_ID, error.to_string()))?;
            Ok(Entity::User(id))
        }
        (None, None) => Err(at(CONTENT_ID, "expected the id of a title, or in user_id of a user")),
        (Some(_), Some(_)) => Err(at(USER_ID, "a vector is of a title or of a user, not of both")),
    }
}

/// A row of these, if they are sound.
fn row(entity: Entity, vector: Vec<f32>) -> Result<VectorRow, Problem> {
    embedding::check(&vector).map_err(|reason| at(VECTOR, reason))?;
    Ok(VectorRow { entity, vector })
}
