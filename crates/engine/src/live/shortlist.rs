//! What is kept of scoring all titles of the model for one user.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sona_numeric::rows::RowSet;

/// A place for what is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Arc<Shortlist>>>);

impl Kept {
    /// What was kept last.
    pub(crate) fn get(&self) -> Option<Arc<Shortlist>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps `shortlist` for the next request.
    pub(crate) fn keep(&self, shortlist: Shortlist) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(shortlist));
    }
}

/// What scores were worked out from: the catalogue, and the vectors where they move within a model.
pub(crate) type Revision = (u64, u64);

/// The model's best titles for a taste, as long as the catalogue stays as it was.
#[derive(Debug)]
pub(crate) struct Shortlist {
    revision: Revision,
    best: Vec<(u32, f32)>,
    is_all: bool,
    /// For each of `best` the title of the user's that is most like it: a row, [`NONE`], or [`UNKNOWN`].
    alike: Vec<AtomicU32>,
}

/// Not worked out yet.
const UNKNOWN: u32 = u32::MAX;

/// There is none.
const NONE: u32 = u32::MAX - 1;

impl Shortlist {
    /// The best titles with their scores, best first, of `revision`; `is_all` if no other title scores
    /// above 0.
    pub(crate) fn new(revision: Revision, best: Vec<(u32, f32)>, is_all: bool) -> Self {
        let alike = best.iter().map(|_| AtomicU32::new(UNKNOWN)).collect();
        Self { revision, best, is_all, alike }
    }

    /// The `limit` best titles that are allowed, if the list is of this revision and long enough to tell.
    pub(crate) fn within(
        &self,
        revision: Revision,
        allowed: &RowSet,
        limit: usize,
    ) -> Option<Vec<(u32, f32)>> {
        if self.revision != revision {
            return None;
        }
        let mut best = Vec::with_capacity(limit.min(self.best.len()));
        best.extend(self.best.iter().filter(|(row, _)| allowed.contains(*row)).take(limit));
        (self.is_all || best.len() == limit).then_some(best)
    }

    /// The title of the user's that is most like `row`: from memory, or as `work_out` says.
    pub(crate) fn most_alike(
        &self,
        row: u32,
        work_out: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        let place = self.best.iter().position(|(listed, _)| *listed == row);
        let Some(alike) = place.and_then(|place| self.alike.get(place)) else {
            return work_out();
        };
        match alike.load(Ordering::Relaxed) {
            NONE => None,
            UNKNOWN => {
                let found = work_out();
                alike.store(found.unwrap_or(NONE), Ordering::Relaxed);
                found
            }
            known => Some(known),
        }
    }
}
