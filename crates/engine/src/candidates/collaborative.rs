//! Item factors times the user's factors, folded in from the whole history.

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::{matrix, select};

use super::{Candidates, Question, scaled};
use crate::live::shortlist::Shortlist;
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
    /// The best titles of the model. All are scored once for a user; until the user, the model or the catalogue changes,
    /// later requests are answered from what is kept of that.
    pub(crate) fn new(question: &Question<'q>) -> Self {
        let Question { snapshot, taste, .. } = *question;
        let best = if taste.vector.is_empty() { Vec::new() } else { best(question) };
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { snapshot, taste, best, scale }
    }
}

fn best(question: &Question<'_>) -> Vec<(u32, f32)> {
    let Question { snapshot, taste, view, allowed, limit, .. } = *question;
    let revision = (view.revision(), 0);
    let kept = taste.by_factors.get();
    if let Some(best) = kept.and_then(|kept| kept.within(revision, allowed, limit)) {
        return best;
    }
    let mut scores = Vec::new();
    snapshot.score(&taste.vector, &mut scores);
    let best = select::top_k(&scores, allowed, limit, 0.0);
    if !question.narrowed {
        let is_all = best.len() < limit;
        taste.by_factors.keep(Shortlist::new(revision, best.clone(), is_all));
    }
    best
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
