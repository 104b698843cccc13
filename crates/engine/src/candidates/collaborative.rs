//! Item factors times the user's factors, folded in from the whole history or from its latest part.

use sona_domain::Source;
use sona_numeric::matrix;
use sona_numeric::rows::RowSet;

use super::{Candidates, Question, scaled};
use crate::live::shortlist::Kept;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// The collaborative or the recent source for one request.
pub(crate) struct Collaborative<'q> {
    source: Source,
    snapshot: &'q Snapshot,
    taste: &'q Taste,
    /// The user's factors.
    vector: &'q [f32],
    best: Vec<(u32, f32)>,
    scale: f32,
}

impl<'q> Collaborative<'q> {
    /// The best titles for the whole history.
    pub(crate) fn new(question: &Question<'q>) -> Self {
        let taste = question.taste;
        Self::of(Source::Collaborative, question, (&taste.vector, &taste.by_factors))
    }

    /// The best titles for its latest part.
    pub(crate) fn recent(question: &Question<'q>) -> Self {
        let taste = question.taste;
        Self::of(Source::Recent, question, (&taste.recent_vector, &taste.by_recent_factors))
    }

    fn of(source: Source, question: &Question<'q>, (vector, kept): (&'q [f32], &Kept)) -> Self {
        let Question { snapshot, taste, .. } = *question;
        let score = |scores: &mut Vec<f32>| snapshot.score(vector, scores);
        let best =
            if vector.is_empty() { Vec::new() } else { question.best_of_all(kept, 0, 0.0, score) };
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { source, snapshot, taste, vector, best, scale }
    }
}

impl Candidates for Collaborative<'_> {
    fn source(&self) -> Source {
        self.source
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.raw(row) * self.scale).clamp(0.0, 1.0)
    }

    /// The product of the factors: 1 for what the user surely has, 0 for what they surely have not.
    fn raw(&self, row: u32) -> f32 {
        let known = self.snapshot.factors(row).filter(|_| !self.vector.is_empty());
        known.map_or(0.0, |factors| matrix::dot(factors, self.vector))
    }

    fn absent(&self) -> &'static str {
        match (self.snapshot.version(), self.taste.recent.is_empty()) {
            (None, _) => "no model is trained yet",
            (_, true) => "the user has no history yet",
            (_, false) => "the model does not know the user's titles yet",
        }
    }
}
