//! What others engaged with around the titles the user engaged with last.

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use super::{Candidates, Dense};
use crate::live::counts::Counts;
use crate::live::users::Taste;

/// The sequence source for one request.
pub(crate) struct Sequence {
    dense: Dense,
    absent: &'static str,
}

impl Sequence {
    /// Scores the neighbours of the user's latest titles.
    pub(crate) fn new(
        counts: &Counts,
        taste: &Taste,
        options: &sequence::Options,
        allowed: &RowSet,
        limit: usize,
    ) -> Self {
        let mut scores = Vec::new();
        if !taste.recent.is_empty() {
            scores.resize(counts.viewers.len(), 0.0);
            counts.transitions.score(&taste.recent, &counts.viewers, options, &mut scores);
        }
        let absent = if taste.recent.is_empty() {
            "the user has no history yet"
        } else {
            "nobody else engaged with the user's latest titles and something unseen"
        };
        Self { dense: Dense::new(scores, allowed, limit), absent }
    }
}

impl Candidates for Sequence {
    fn source(&self) -> Source {
        Source::Sequence
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
