//! What can go wrong in the engine, named after what the caller can do about it.

use sona_domain::{ContentId, UserId};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed engine call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalogue has no such entry.
    #[error("there is no content {0:?}")]
    UnknownContent(ContentId),
    /// There is no such user.
    #[error("there is no user {0:?}")]
    UnknownUser(UserId),
    /// The catalogue already has an entry of this id.
    #[error("content {0:?} exists already")]
    ContentExists(ContentId),
    /// Too many events wait to be written; try again shortly.
    #[error("the event queue is full")]
    Busy,
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    Closed,
    /// Another worker holds the job, or it was cancelled.
    #[error("training job {0} is no longer ours")]
    LostJob(sona_domain::JobId),
    /// There is nothing to learn from.
    #[error("nothing to train on: {0}")]
    NothingToTrain(String),
    /// Training failed.
    #[error("training failed: {0}")]
    Training(#[from] sona_numeric::als::Error),
    /// Finding what is near each title failed.
    #[error("training failed: {0}")]
    ItemItem(#[from] sona_numeric::item_item::Error),
    /// No text encoder is there: none is configured and none is learned yet.
    #[error("there is no text encoder yet: configure one, or learn one with `sona train encoder`")]
    NoEncoder,
    /// The vectors in use are imported: there is no encoder, and none may be learned.
    #[error("the vectors in use are imported (encoder.vectors): nothing encodes texts")]
    Imported,
    /// A set of vectors cannot have this name.
    #[error("encoder.vectors: {0}")]
    Set(String),
    /// Vectors of one set have different widths.
    #[error("expected vectors of {expected} numbers as the set has, found one of {found}")]
    Width {
        /// The set's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// The text encoder cannot be opened, or has no vector for a text.
    #[error(transparent)]
    Encoder(#[from] sona_encoder::Error),
    /// Learning a text encoder failed.
    #[error("learning the text encoder failed: {0}")]
    Learning(#[from] sona_encoder::learn::Error),
    /// Learning the embedding failed.
    #[error("training failed: {0}")]
    Embedding(#[from] sona_numeric::embedding::Error),
    /// A model file cannot be used.
    #[error("model file {key}: {detail}")]
    Artifact {
        /// Its key in the blob store.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// Something cannot be done to a user's adapter.
    #[error(transparent)]
    Adapter(#[from] crate::AdapterError),
    /// Several callers waited for one piece of work that failed.
    #[error(transparent)]
    Shared(std::sync::Arc<Error>),
    /// The database or the blob store failed.
    #[error(transparent)]
    Store(#[from] sona_store::Error),
}

impl Error {
    /// True if trying again shortly may help: too much is waiting, or the database or blob store does not answer.
    pub fn is_temporary(&self) -> bool {
        match self.root() {
            Self::Busy => true,
            Self::Store(error) => {
                use sona_store::Error;
                matches!(
                    error,
                    Error::Unavailable(_) | Error::Blob { .. } | Error::IndexUnavailable { .. }
                )
            }
            Self::UnknownContent(_)
            | Self::UnknownUser(_)
            | Self::ContentExists(_)
            | Self::Closed
            | Self::LostJob(_)
            | Self::NothingToTrain(_)
            | Self::Training(_)
            | Self::ItemItem(_)
            | Self::NoEncoder
            | Self::Imported
            | Self::Set(_)
            | Self::Width { .. }
            | Self::Encoder(_)
            | Self::Learning(_)
            | Self::Embedding(_)
            | Self::Artifact { .. }
            | Self::Adapter(_)
            | Self::Shared(_) => false,
        }
    }

    /// The failure itself, whoever else waited for it.
    pub fn root(&self) -> &Self {
        if let Self::Shared(shared) = self { shared.root() } else { self }
    }
}
