//! Everything durable: the database seam with its SQLite and PostgreSQL twins, the blob seam, and the vectors seam's
//! distributed side ([`vectors`]).
//!
//! Each group of methods is a small trait in a file of its own ([`events`], [`content`], [`imports`], [`users`],
//! [`profiles`], [`models`], [`jobs`], [`keys`], [`embeddings`], [`lessons`], [`exposures`], [`adapters`], [`adapter_changes`], [`written_users`]); [`Store`] is their sum. A URL decides which twin is opened
//! ([`open`]): `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. Nothing above this crate knows which one it got,
//! and nothing outside `sqlite/` and `postgres/` knows SQL.
//!
//! One method is one transaction; no transaction crosses the seam. "Not found" is `None` or `false`, never
//! an error. Times are passed in. Both twins pass the same contract suite (`tests/it`).

pub mod adapter_changes;
pub mod adapters;
mod at_hand;
pub mod blobs;
pub mod content;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod exposures;
pub mod imports;
pub mod jobs;
pub mod keys;
pub mod lessons;
pub mod models;
pub mod profiles;
pub mod users;
pub mod vectors;
pub mod written_users;

mod postgres;
mod row;
mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

pub use adapter_changes::{AdapterChange, AdapterChangeKind, AdapterChanges};
pub use adapters::{AdapterPosition, Adapters, Parent, Saved};
pub use blobs::Blobs;
pub use content::{Catalogue, ContentChange, Revision};
pub use embeddings::Embeddings;
pub use error::{Error, Result};
pub use events::{AppendOutcome, Events};
pub use exposures::Exposures;
pub use imports::{ImportBatch, ImportProgress, Imports};
pub use jobs::{Jobs, NewJob};
pub use keys::Keys;
pub use lessons::{Learned, Lessons};
pub use models::Models;
pub use profiles::Profiles;
pub use users::{RemovedUser, UserRemoval, Users};
pub use vectors::{VectorIndex, open_vectors};
pub use written_users::{UserWrite, WrittenUser, WrittenUsers};

/// The database: the truth everything in memory is a view of.
#[async_trait]
pub trait Store:
    Events
    + Catalogue
    + Imports
    + Users
    + Profiles
    + Models
    + Jobs
    + Keys
    + Embeddings
    + Lessons
    + Exposures
    + Adapters
    + AdapterChanges
    + WrittenUsers
    + Send
    + Sync
{
    /// Which twin this is and how it was reached, without credentials: for logs and `/health`.
    fn describe(&self) -> String;

    /// Answers if the database does: a round trip that reads one row.
    async fn ping(&self) -> Result<()>;

    /// Migrations applied so far: (number, name), oldest first.
    async fn migrations(&self) -> Result<Vec<(i64, String)>>;

    /// Waits for writes under way and closes every connection (SQLite also checkpoints its log).
    async fn close(&self);
}

/// Opens the database at `url` and brings its schema up to date.
///
/// `sqlite:PATH` (created if missing), `sqlite::memory:` (tests), `postgres://USER:PASSWORD@HOST:PORT/DB`.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    open_for(Purpose::Use, url).await
}

/// Opens the database at `url` to write imports into it, otherwise like [`open`].
///
/// An import into an empty log may then leave an index out until its end, if nobody else has the database open, and
/// one that was interrupted goes on without it. Everything is correct meanwhile, but looking up the history of a user
/// reads the whole log. Whoever calls [`open`] has all indexes.
pub async fn open_for_import(url: &str) -> Result<Arc<dyn Store>> {
    open_for(Purpose::Import, url).await
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Anything.
    Use,
    /// Imports alone.
    Import,
}

async fn open_for(purpose: Purpose, url: &str) -> Result<Arc<dyn Store>> {
    if url.starts_with("sqlite:") {
        Ok(Arc::new(sqlite::SqliteStore::open(url, purpose).await?))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(Arc::new(postgres::PostgresStore::open(url).await?))
    } else {
        Err(Error::Url(error::redact(url)))
    }
}
