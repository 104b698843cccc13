//! What others engaged with around the titles the user engaged with last.

use std::cell::Cell;

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::scores::Scores;
use sona_numeric::select;

use super::{Candidates, scaled};
use crate::live::counts::Counts;

thread_local! {
    /// The room for one request's scores is as wide as the catalogue: the next request takes it over.
    static ROOM: Cell<Option<Scores>> = const { Cell::new(None) };
}

/// The sequence source for one request.
pub(crate) struct Sequence {
    scores: Scores,
    best: Vec<(u32, f32)>,
    scale: f32,
    has_history: bool,
}

impl Sequence {
    /// Scores the neighbours of the user's latest titles, which are `latest` with their weights.
    pub(crate) fn new(
        counts: &Counts,
        latest: &[(u32, f32)],
        allowed: &RowSet,
        limit: usize,
    ) -> Self {
        let mut scores = ROOM.take().unwrap_or_default();
        counts.transitions.score(latest, &counts.viewers, &mut scores);
        let scored = scores.iter().filter(|(row, _)| allowed.contains(*row));
        let best = select::top_k_of(scored, limit, 0.0);
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { scores, best, scale, has_history: !latest.is_empty() }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        ROOM.set(Some(std::mem::take(&mut self.scores)));
    }
}

impl Candidates for Sequence {
    fn source(&self) -> Source {
        Source::Sequence
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.scores.of(row) * self.scale).clamp(0.0, 1.0)
    }

    fn absent(&self) -> &'static str {
        if self.has_history {
            "nobody else engaged with the user's latest titles and something unseen"
        } else {
            "the user has no history yet"
        }
    }
}
