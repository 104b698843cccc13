//! Item factors times the user's factors, folded in from the whole history.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::{Candidates, Dense};
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// The collaborative source for one request.
pub(crate) struct Collaborative {
    dense: Dense,
    absent: &'static str,
}

impl Collaborative {
    /// Scores every row of the model.
    pub(crate) fn new(snapshot: &Snapshot, taste: &Taste, allowed: &RowSet, limit: usize) -> Self {
        let mut scores = Vec::new();
        if !taste.vector.is_empty() {
            snapshot.score(&taste.vector, &mut scores);
        }
        let absent = match (snapshot.version(), taste.recent.is_empty()) {
            (None, _) => "no model is trained yet",
            (_, true) => "the user has no history yet",
            (_, false) => "the model does not know the user's titles yet",
        };
        Self { dense: Dense::new(scores, allowed, limit), absent }
    }
}

impl Candidates for Collaborative {
    fn source(&self) -> Source {
        Source::Collaborative
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
