//! The index outside of this process, what this process knows of it, and how it has answered lately.
//!
//! It is a help, never the truth: whatever it lacks, and whenever it is late or fails, the vectors in memory are searched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use sona_domain::{ContentId, Timestamp};
use sona_numeric::rows::RowSet;
use sona_store::VectorIndex;

use super::journal::Journal;

/// So many searches in a row that came too late or failed, and no more are made for [`REST_SECONDS`].
const FAILURES: u32 = 3;

/// How long an index that failed is left alone.
const REST_SECONDS: i64 = 1;

/// Warnings of searches that came too late or failed are at least so far apart.
const WARN_EVERY_SECONDS: f64 = 60.0;

/// An index that lacks titles it was thought to have is compared with memory at most so often.
const DOUBT_EVERY_SECONDS: f64 = 60.0;

/// Why an index was not used, though one is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It does not have all vectors yet.
    Incomplete,
    /// It took longer than it may.
    Late,
    /// It did not answer, or not as it should.
    Failed,
    /// It failed lately, and is not asked for a moment.
    Resting,
    /// It found fewer titles than there are.
    TooFew,
}

impl Lack {
    const ALL: [Self; 5] =
        [Self::Incomplete, Self::Late, Self::Failed, Self::Resting, Self::TooFew];

    /// For an answer's reader.
    pub(crate) fn explain(self) -> &'static str {
        match self {
            Self::Incomplete => "the vector index is not complete yet; memory was searched",
            Self::Late => "the vector index was too slow; memory was searched",
            Self::Failed => "the vector index failed; memory was searched",
            Self::Resting => "the vector index failed lately; memory was searched",
            Self::TooFew => "the vector index found too few titles; memory was searched",
        }
    }

    /// For metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Resting => "resting",
            Self::TooFew => "too_few",
        }
    }
}

/// The titles of the vectors in memory that the index has, by this process's knowledge.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Of which [`super::Vectors::generation`]; 0 is none.
    pub(super) generation: u64,
    titles: HashMap<u32, ContentId>,
    rows: RowSet,
}

impl Copied {
    pub(super) fn of(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    pub(super) fn insert(&mut self, row: u32, title: ContentId) {
        self.rows.grow(row as usize + 1);
        self.rows.insert(row);
        self.titles.insert(row, title);
    }

    pub(super) fn remove(&mut self, row: u32) {
        self.rows.remove(row);
        self.titles.remove(&row);
    }

    pub(super) fn title(&self, row: u32) -> Option<&ContentId> {
        self.titles.get(&row)
    }

    pub(super) fn rows(&self) -> &RowSet {
        &self.rows
    }
}

/// An index outside of this process.
pub(crate) struct Elsewhere {
    pub(super) index: Arc<dyn VectorIndex>,
    /// How long a request waits for it.
    pub(super) deadline: Duration,
    pub(super) journal: Arc<Journal>,
    generations: AtomicU64,
    copied: RwLock<Copied>,
    /// For which generation the other sets were dropped.
    pub(super) tidied: AtomicU64,
    answered: AtomicU64,
    lacked: [AtomicU64; Lack::ALL.len()],
    condition: Mutex<Condition>,
}

#[derive(Debug, Default)]
struct Condition {
    /// Searches in a row that came too late or failed.
    failures: u32,
    rests_until: Option<Timestamp>,
    warned_at: Option<Timestamp>,
    /// Warnings kept back since.
    unsaid: u64,
    search_error: Option<String>,
    copy_error: Option<String>,
    /// When it last turned out to lack titles it was thought to have.
    doubted_at: Option<Timestamp>,
}

impl Elsewhere {
    pub(crate) fn new(index: Arc<dyn VectorIndex>, deadline: Duration) -> Self {
        Self {
            index,
            deadline,
            journal: Arc::default(),
            generations: AtomicU64::new(0),
            copied: RwLock::default(),
            tidied: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            lacked: Default::default(),
            condition: Mutex::default(),
        }
    }

    /// Where it is, without credentials.
    pub(crate) fn describe(&self) -> String {
        self.index.describe()
    }

    /// What is wrong with it.
    pub(crate) fn error(&self) -> Option<String> {
        let condition = self.condition();
        condition.copy_error.clone().or_else(|| condition.search_error.clone())
    }

    /// Searches so far, by what became of them.
    pub(crate) fn searches(&self) -> Vec<(&'static str, u64)> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let lacked = Lack::ALL.iter().map(|lack| lack.as_str()).zip(self.lacked.iter().map(count));
        std::iter::once(("answered", count(&self.answered))).chain(lacked).collect()
    }

    /// Has the copying looked at what there is to do.
    pub(crate) fn wake(&self) {
        self.journal.wake();
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn copied(&self) -> RwLockReadGuard<'_, Copied> {
        self.copied.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn copied_mut(&self) -> RwLockWriteGuard<'_, Copied> {
        self.copied.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all titles compared anew.
    pub(super) fn forget(&self) {
        *self.copied_mut() = Copied::default();
        self.wake();
    }

    /// As [`Elsewhere::forget`], but not more often than every [`DOUBT_EVERY_SECONDS`].
    fn doubt(&self, condition: &mut Condition, now: Timestamp) {
        let is_fresh = |at: Timestamp| now.seconds_since(at) < DOUBT_EVERY_SECONDS;
        if !condition.doubted_at.is_some_and(is_fresh) {
            condition.doubted_at = Some(now);
            self.forget();
        }
    }

    pub(super) fn is_resting(&self, now: Timestamp) -> bool {
        self.condition().rests_until.is_some_and(|until| now < until)
    }

    /// Counts a search that was answered.
    pub(super) fn note_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let mut condition = self.condition();
        condition.failures = 0;
        condition.rests_until = None;
        if condition.search_error.take().is_some() {
            tracing::info!("the vector index answers again");
        }
    }

    /// Counts a search that memory had to answer; `detail` says what the index said.
    pub(super) fn note_lack(&self, lack: Lack, detail: &str, now: Timestamp) {
        self.lacked[lack as usize].fetch_add(1, Ordering::Relaxed);
        if matches!(lack, Lack::Incomplete | Lack::Resting) {
            return;
        }
        let mut condition = self.condition();
        if matches!(lack, Lack::Late | Lack::Failed) {
            condition.failures += 1;
            condition.search_error = Some(detail.to_owned());
            if condition.failures >= FAILURES {
                condition.rests_until = Some(now.plus_seconds(REST_SECONDS));
            }
        }
        if lack == Lack::TooFew {
            self.doubt(&mut condition, now);
        }
        let warned =
            condition.warned_at.is_some_and(|at| now.seconds_since(at) < WARN_EVERY_SECONDS);
        if warned {
            condition.unsaid += 1;
            return;
        }
        condition.warned_at = Some(now);
        let before = std::mem::take(&mut condition.unsaid);
        tracing::warn!(
            outcome = lack.as_str(),
            detail,
            before,
            "memory was searched in place of the vector index"
        );
    }

    /// Remembers how copying went; logs when that changes.
    pub(super) fn note_copy(&self, error: Option<String>) {
        let mut condition = self.condition();
        if condition.copy_error == error {
            return;
        }
        if let Some(error) = &error {
            tracing::warn!(%error, "the vector index cannot be kept in step");
        } else {
            tracing::info!("the vector index is kept in step again");
        }
        condition.copy_error = error;
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
