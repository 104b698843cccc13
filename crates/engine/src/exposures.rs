//! What was shown, written behind the answers.
//!
//! A request puts its list into a queue and goes on; a task of its own writes what waits, in batches. A database that does
//! not answer is tried again; what the queue has no room for meanwhile is dropped and counted, never waited for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sona_domain::{ExposedItem, Exposure, RecommendationId, Recommendations, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Engine;
use crate::error::Result;

/// What waits is written this often.
const PERIOD: Duration = Duration::from_millis(500);

/// Lists written in one commit; where so many wait they are written at once.
const BATCH: usize = 500;

/// Lists that may wait: about 20 MB where every list is of the longest kind.
const QUEUE: usize = 10_000;

/// Old lists deleted in one commit.
const DELETED: usize = 500;

/// Where nothing old is left, it is looked for again after so long.
const REST: Duration = Duration::from_mins(10);

/// That lists are dropped is said at most this often.
const SAID_EVERY: Duration = Duration::from_mins(1);

const SECONDS_PER_DAY: i64 = 86_400;

/// What became of the lists this process has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExposureCounts {
    /// Lists written.
    pub written: u64,
    /// Lists dropped: there was no room, or the database refused them.
    pub dropped: u64,
    /// Lists that wait to be written, or are being written.
    pub waiting: u64,
}

/// The lists that wait to be written.
#[derive(Default)]
pub(crate) struct Exposures {
    waiting: Mutex<VecDeque<Exposure>>,
    /// Held by whoever writes: when it is free nothing is on its way.
    writing: tokio::sync::Mutex<()>,
    wake: Notify,
    stopped: AtomicBool,
    /// Lists that are being written.
    under_way: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Exposures {
    /// Puts a list into the queue, if there is room.
    fn push(&self, exposure: Exposure) {
        let mut waiting = self.waiting();
        if waiting.len() >= QUEUE {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(exposure);
        if waiting.len() == BATCH {
            self.wake.notify_one();
        }
    }

    fn take(&self) -> Vec<Exposure> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(BATCH);
        self.under_way.store(count as u64, Ordering::Release);
        waiting.drain(..count).collect()
    }

    /// Puts back what could not be written; the oldest are dropped where there is no more room.
    fn put_back(&self, batch: Vec<Exposure>) {
        let mut waiting = self.waiting();
        batch.into_iter().rev().for_each(|exposure| waiting.push_front(exposure));
        let too_many = waiting.len().saturating_sub(QUEUE);
        waiting.drain(..too_many);
        self.dropped.fetch_add(too_many as u64, Ordering::Relaxed);
    }

    /// Drops all that wait.
    fn give_up(&self) {
        let left = std::mem::take(&mut *self.waiting()).len();
        self.dropped.fetch_add(left as u64, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Exposure>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the lists so far.
    pub(crate) fn counts(&self) -> ExposureCounts {
        // Those under way are counted before those written: a list is met at least once.
        let waiting = self.waiting().len() as u64 + self.under_way.load(Ordering::Acquire);
        ExposureCounts {
            written: self.written.load(Ordering::Acquire),
            dropped: self.dropped.load(Ordering::Acquire),
            waiting,
        }
    }
}

impl Engine {
    /// What was shown under this name; `None` if there is no such list, it has expired, or it is not written yet, which takes
    /// about half a second.
    pub async fn exposure(&self, id: &RecommendationId) -> Result<Option<Exposure>> {
        Ok(self.store.exposure(id).await?)
    }

    /// Notes that a list is shown. Does not wait and cannot fail.
    pub(crate) fn expose(&self, list: &Recommendations, ranker_version: Option<i64>) {
        if self.options.exposures.keep_days == 0 {
            return;
        }
        let items = list.recommendations.iter().zip(1..).map(|(item, rank)| ExposedItem {
            content_id: item.content_id.clone(),
            rank,
            score: item.score,
        });
        self.exposures.push(Exposure {
            recommendation_id: list.recommendation_id.clone(),
            user_id: list.user_id.clone(),
            shown_at: list.generated_at,
            model_version: list.model_version,
            ranker_version,
            items: items.collect(),
        });
    }

    /// Writes all that waits. What a database that does not answer could not take waits on.
    pub(crate) async fn write_exposures(&self) -> Result<()> {
        let _turn = self.exposures.writing.lock().await;
        loop {
            let batch = self.exposures.take();
            if batch.is_empty() {
                return Ok(());
            }
            let count = batch.len() as u64;
            let written = self.store.put_exposures(&batch).await.map_err(crate::Error::from);
            match &written {
                Ok(()) => {
                    self.exposures.written.fetch_add(count, Ordering::Release);
                }
                Err(error) if error.is_temporary() => self.exposures.put_back(batch),
                Err(_) => {
                    self.exposures.dropped.fetch_add(count, Ordering::Release);
                }
            }
            self.exposures.under_way.store(0, Ordering::Release);
            written?;
        }
    }

    /// Ends the task and writes what waits; what cannot be written now is lost.
    pub(crate) async fn close_exposures(&self) {
        self.exposures.stopped.store(true, Ordering::Release);
        self.exposures.wake.notify_one();
        if let Err(error) = self.write_exposures().await {
            tracing::warn!(%error, "what was shown last could not be written");
            self.exposures.give_up();
        }
    }

    /// Deletes some of the lists that are too old; true if there may be more.
    async fn delete_old_exposures(&self) -> Result<bool> {
        let days = i64::from(self.options.exposures.keep_days);
        let before: Timestamp = self.clock.now().plus_seconds(-days * SECONDS_PER_DAY);
        Ok(self.store.delete_exposures(before, DELETED).await? == DELETED as u64)
    }
}

/// Writes and deletes until the engine is closed or gone.
pub(crate) async fn write_behind(engine: Weak<Engine>, exposures: Arc<Exposures>) {
    let mut said = Said::default();
    let mut delete_at = Instant::now();
    loop {
        // Whichever is first; a turn too many does no harm.
        let _ = tokio::time::timeout(PERIOD, exposures.wake.notified()).await;
        let Some(engine) = engine.upgrade() else { return };
        if exposures.stopped.load(Ordering::Acquire) {
            return;
        }
        let mut done = engine.write_exposures().await;
        if done.is_ok() && Instant::now() >= delete_at {
            let deleted = engine.delete_old_exposures().await;
            if !matches!(deleted, Ok(true)) {
                delete_at = Instant::now() + REST;
            }
            done = deleted.map(|_| ());
        }
        said.failure(done.err().map(|error| error.to_string()));
        said.dropped(exposures.counts().dropped);
    }
}

/// What the log has been told.
#[derive(Default)]
struct Said {
    failure: Option<String>,
    dropped: u64,
    at: Option<Instant>,
}

impl Said {
    /// Says what is wrong when that changes.
    fn failure(&mut self, failure: Option<String>) {
        if self.failure != failure {
            if let Some(error) = &failure {
                tracing::warn!(%error, "what was shown cannot be written or deleted; trying again");
            }
            self.failure = failure;
        }
    }

    /// Says that more lists were dropped, now and then.
    fn dropped(&mut self, dropped: u64) {
        if dropped > self.dropped && self.at.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            let lists = dropped - self.dropped;
            tracing::warn!(lists, "what was shown is not logged: too much waits to be written");
            (self.dropped, self.at) = (dropped, Some(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use sona_domain::UserId;

    use super::*;

    fn exposure(n: usize) -> Exposure {
        Exposure {
            recommendation_id: RecommendationId::new(n.to_string()).expect("an id"),
            user_id: UserId::new("u").expect("an id"),
            shown_at: Timestamp::from_seconds(0),
            model_version: None,
            ranker_version: None,
            items: Vec::new(),
        }
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let exposures = Exposures::default();
        (0..QUEUE + 3).for_each(|n| exposures.push(exposure(n)));
        let counts = |dropped, waiting| ExposureCounts { written: 0, dropped, waiting };
        assert_eq!(exposures.counts(), counts(3, QUEUE as u64));
        let batch = exposures.take();
        assert_eq!((batch.len(), &batch[0]), (BATCH, &exposure(0)));
        assert_eq!(exposures.counts(), counts(3, QUEUE as u64), "those under way too");
        (0..2).for_each(|n| exposures.push(exposure(n)));
        exposures.put_back(batch);
        exposures.under_way.store(0, Ordering::Release);
        assert_eq!(exposures.counts(), counts(5, QUEUE as u64));
        assert_eq!(exposures.take()[0], exposure(2), "the oldest made room");
        exposures.under_way.store(0, Ordering::Release);
        exposures.give_up();
        assert_eq!(exposures.counts(), counts(5 + QUEUE as u64 - BATCH as u64, 0));
    }
}
