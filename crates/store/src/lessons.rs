//! Lessons: what the layer above a ranker learns from events, in one order for everybody.

use async_trait::async_trait;

use crate::error::Result;

/// What lessons came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The last lesson that is in it.
    pub through: i64,
    /// The state, as whoever learned it writes it.
    pub state: Vec<u8>,
}

/// The lessons, by the ranker's version. Sequences begin at 1 and have no gap, and whoever sees one sees all before it that
/// are not deleted.
#[async_trait]
pub trait Lessons: Send + Sync {
    /// Appends lessons in order.
    async fn append_lessons(&self, model_version: i64, lessons: &[Vec<u8>]) -> Result<()>;

    /// Up to `limit` lessons strictly after `sequence`, in order.
    async fn lessons_after(
        &self,
        model_version: i64,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Vec<u8>)>>;

    /// What the lessons up to the last time somebody wrote it came to; `None` if nobody did yet.
    async fn learned(&self, model_version: i64) -> Result<Option<Learned>>;

    /// Writes what the lessons came to and deletes those that are in it; `false` if what is stored holds as many, or lessons
    /// are said to be in it that do not exist.
    async fn put_learned(&self, model_version: i64, learned: &Learned) -> Result<bool>;

    /// Deletes all of rankers older than `model_version`.
    async fn delete_lessons_before(&self, model_version: i64) -> Result<()>;
}
