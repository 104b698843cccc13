//! Titles near the user's titles by who engaged with both.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::{Candidates, Dense};
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// The item-item source for one request.
pub(crate) struct ItemItem {
    dense: Dense,
    absent: &'static str,
}

impl ItemItem {
    /// Adds up what is near every title of the user.
    pub(crate) fn new(snapshot: &Snapshot, taste: &Taste, allowed: &RowSet, limit: usize) -> Self {
        let mut scores = Vec::new();
        if !taste.engaged.is_empty() {
            snapshot.score_near(&taste.engaged, &mut scores);
        }
        let absent = match (snapshot.version(), taste.engaged.is_empty()) {
            (None, _) => "no model is trained yet",
            (_, true) => "the user has no history yet",
            (_, false) => "the model does not know the user's titles yet",
        };
        Self { dense: Dense::new(scores, allowed, limit), absent }
    }
}

impl Candidates for ItemItem {
    fn source(&self) -> Source {
        Source::ItemItem
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<u32> {
        self.dense.best(limit)
    }

    fn score(&self, row: u32) -> f32 {
        self.dense.score(row)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
