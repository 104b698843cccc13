//! A vector that stands for something, under the model that made it.

use crate::Timestamp;
use crate::id::{ContentId, UserId};

/// The widest vector that is kept.
pub const MAX_EMBEDDING_WIDTH: usize = 4096;

/// What the names of imported sets of vectors begin with where vectors are kept: no encoder's name does.
pub const IMPORTED: &str = "imported:";

/// Longest name of an imported set, in bytes.
const MAX_NAME: usize = 100;

/// The name under which the vectors of an imported set are kept.
///
/// # Errors
/// In words, if the set's name is not 1 to 100 letters, digits, `.`, `_` and `-`.
pub fn imported(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
        return Err(format!(
            "expected 1 to {MAX_NAME} letters, digits, '.', '_' and '-', found {name:?}"
        ));
    }
    Ok(format!("{IMPORTED}{name}"))
}

/// Whether a vector can be kept: 1 to [`MAX_EMBEDDING_WIDTH`] finite numbers with a length above 0.
///
/// # Errors
/// In words what is wrong.
pub fn check(vector: &[f32]) -> Result<(), String> {
    if !(1..=MAX_EMBEDDING_WIDTH).contains(&vector.len()) {
        return Err(format!("expected 1 to {MAX_EMBEDDING_WIDTH} numbers, found {}", vector.len()));
    }
    if let Some(place) = vector.iter().position(|number| !number.is_finite()) {
        return Err(format!("value {} is not finite", place + 1));
    }
    let square: f32 = vector.iter().map(|number| number * number).sum();
    if square.is_normal() {
        Ok(())
    } else {
        Err("it is zero or too long to have a direction".to_owned())
    }
}

/// What a vector stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// A catalogue entry.
    Content(ContentId),
    /// A user.
    User(UserId),
}

impl Entity {
    /// What it is.
    pub const fn kind(&self) -> EntityType {
        match self {
            Self::Content(_) => EntityType::Content,
            Self::User(_) => EntityType::User,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Content(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl From<ContentId> for Entity {
    fn from(id: ContentId) -> Self {
        Self::Content(id)
    }
}

impl From<UserId> for Entity {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

/// What there are vectors of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityType {
    /// Catalogue entries.
    Content,
    /// Users.
    User,
}

impl EntityType {
    /// The database name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::User => "user",
        }
    }
}

/// One vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// What it stands for.
    pub entity: Entity,
    /// The vector: finite, as wide as all others of its model, at most [`MAX_EMBEDDING_WIDTH`].
    pub vector: Vec<f32>,
    /// SHA-256 of what it was made from: whoever finds another digest makes the vector anew.
    pub source_digest: [u8; 32],
}

/// A model of which vectors are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Its name; models of one name make vectors that can be compared.
    pub name: String,
    /// How wide its vectors are.
    pub width: usize,
    /// When all that can have a vector were last said to have one; `None` before the first time. Whoever keeps the vectors
    /// of an imported set in memory reads them anew when it changes.
    pub completed_at: Option<Timestamp>,
}
