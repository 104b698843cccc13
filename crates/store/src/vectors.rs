//! The vectors seam's distributed side: an index of title vectors outside of this process, shared by all that serve.
//!
//! The embedded side is not here: a process holds the vectors of all titles anyway and searches in them by row, exactly and
//! without IO. What is here is a copy that others can search: it is made from the database, may be lost at any time, and is never read
//! back. Which side searches is decided by a URL ([`open_vectors`]).

mod qdrant;

use std::sync::Arc;

use async_trait::async_trait;
use sona_domain::ContentId;

use crate::error::{Error, Result};

/// The URL of the embedded side.
pub const EMBEDDED: &str = "memory:";

/// The vectors of one encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorSet {
    /// The encoder's name; vectors of two encoders are never in one set.
    pub encoder: String,
    /// How many numbers each has.
    pub width: usize,
}

/// A title's vector, as it is kept in the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whose it is.
    pub content_id: ContentId,
    /// As many numbers as the set is wide; only their direction counts.
    pub vector: Vec<f32>,
    /// Of what it was made from, so that it is known to be out of date without reading it.
    pub source_digest: [u8; 32],
}

/// Which titles a search may find.
pub enum Allowed<'a> {
    /// These: few.
    Only(&'a [ContentId]),
    /// All but these: few.
    AllBut(&'a [ContentId]),
    /// Those of which it is true: many are and many are not.
    Where(&'a (dyn Fn(&ContentId) -> bool + Send + Sync)),
}

/// One search.
pub struct Search<'a> {
    /// As wide as the set.
    pub vector: &'a [f32],
    /// How many titles to find: no more than there are in the set that are allowed, so that finding fewer means that the
    /// index lacks some.
    pub limit: usize,
    /// Among which.
    pub allowed: Allowed<'a>,
}

/// Some titles of a set with the digests of what their vectors were made from, in the order of the index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The titles.
    pub titles: Vec<(ContentId, [u8; 32])>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// An index of vectors by cosine, in sets.
///
/// Every write is in every later search when it returns. Writes are tried again a few times while the index does not answer.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// Where it is, without credentials: for logs and `/health`.
    fn describe(&self) -> String;

    /// Answers with the version of the index's server if there is one.
    async fn ping(&self) -> Result<String>;

    /// Makes a set if there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is one of another width or another measure.
    async fn create(&self, set: &VectorSet) -> Result<()>;

    /// Adds or replaces vectors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if one has another width than the set, and nothing is written; [`Error::NoSet`] if the set is gone.
    async fn upsert(&self, set: &VectorSet, points: &[Point]) -> Result<()>;

    /// Takes titles out; those that are not there are no error.
    ///
    /// # Errors
    /// [`Error::NoSet`] if the set is gone.
    async fn remove(&self, set: &VectorSet, titles: &[ContentId]) -> Result<()>;

    /// Up to `limit` titles of a set, from the beginning or from [`Page::next`] on.
    ///
    /// # Errors
    /// [`Error::NoSet`] if the set is gone.
    async fn page(&self, set: &VectorSet, from: Option<&str>, limit: u32) -> Result<Page>;

    /// The allowed titles whose vectors are nearest to one, the nearest first: [`Search::limit`] of them, or all that are
    /// allowed. It may miss some that are nearer than those it finds.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the vector has another width than the set; [`Error::NoSet`] if the set is gone.
    async fn nearest(&self, set: &VectorSet, search: &Search<'_>) -> Result<Vec<ContentId>>;

    /// Deletes all sets but this one; answers how many.
    async fn keep_only(&self, set: &VectorSet) -> Result<usize>;
}

/// The index at `url`; `None` for `memory:`, where the process searches by itself.
///
/// `qdrant://HOST[:6334][/NAME]`, or `qdrants://` for TLS. NAME (up to 64 of `A-Z a-z 0-9 _ -`, `sona` if left out) keeps
/// several installations apart on one server. Nothing is connected yet: an index that does not answer is no reason not to start.
/// `api_key` is sent with every request unless it is empty.
pub fn open_vectors(url: &str, api_key: &str) -> Result<Option<Arc<dyn VectorIndex>>> {
    if url == EMBEDDED {
        return Ok(None);
    }
    Ok(Some(Arc::new(qdrant::Qdrant::open(url, api_key)?)))
}

/// Refuses a vector that is not as wide as its set.
fn check_width(set: &VectorSet, found: usize) -> Result<()> {
    if found == set.width {
        return Ok(());
    }
    let VectorSet { encoder, width } = set;
    Err(Error::Invalid(format!("a vector of {found} numbers among the {width} wide of {encoder}")))
}
