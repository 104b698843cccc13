//! A vector that stands for something, under the model that made it.

use crate::id::{ContentId, UserId};

/// The widest vector that is kept.
pub const MAX_EMBEDDING_WIDTH: usize = 4096;

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
    /// Whether there was once a vector of every catalogue entry that can have one.
    pub is_complete: bool,
}
