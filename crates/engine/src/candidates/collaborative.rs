//! Item factors times the user's factors, folded in from the whole history.

use sona_domain::Source;
use sona_numeric::matrix;
use sona_numeric::rows::RowSet;

use super::{Candidates, Question, scaled};
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// The collaborative source for one request.
pub(crate) struct Collaborative<'q> {
    snapshot: &'q Snapshot,
    taste: &'q Taste,
    best: Vec<(u32, f32)>,
    scale: f32,
}

impl<'q> Collaborative<'q> {
    /// The best titles of the model.
    pub(crate) fn new(question: &Question<'q>) -> Self {
        let Question { snapshot, taste, .. } = *question;
        let score = |scores: &mut Vec<f32>| snapshot.score(&taste.vector, scores);
        let best = if taste.vector.is_empty() {
            Vec::new()
        } else {
            question.best_of_all(&taste.by_factors, 0, 0.0, score)
        };
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { snapshot, taste, best, scale }
    }
}

impl Candidates for Collaborative<'_> {
    fn source(&self) -> Source {
        Source::Collaborative
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        match self.snapshot.factors(row) {
            Some(factors) if self.scale > 0.0 => {
                (matrix::dot(factors, &self.taste.vector) * self.scale).clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    fn absent(&self) -> &'static str {
        match (self.snapshot.version(), self.taste.recent.is_empty()) {
            (None, _) => "no model is trained yet",
            (_, true) => "the user has no history yet",
            (_, false) => "the model does not know the user's titles yet",
        }
    }
}
