//! The probability of each title to come next, by an embedding of the user's latest titles.

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::select;

use super::{Candidates, Question};
use crate::live::shortlist::Shortlist;
use crate::snapshot::embedding::Placed;

/// The embedding source for one request.
pub(crate) struct Embedding<'q> {
    placed: Option<&'q Placed>,
    user: Vec<f32>,
    /// Rows with their logits.
    best: Vec<(u32, f32)>,
    absent: &'static str,
}

impl<'q> Embedding<'q> {
    /// The best titles. All are scored once for a user; until the user, the model or the catalogue changes, later requests
    /// are answered from what is kept of that.
    pub(crate) fn new(question: &Question<'q>) -> Self {
        let Question { snapshot, taste, embedding, .. } = *question;
        let absent = match (snapshot.version(), embedding, taste.recent.is_empty()) {
            (None, ..) => "no model is trained yet",
            (_, None, _) => "the model was trained without it",
            (.., true) => "the user has no history yet",
            (.., false) => "the model does not know the user's titles yet",
        };
        let user = embedding.and_then(|placed| placed.vectors.user(&taste.recent));
        let Some((placed, user)) = embedding.zip(user) else {
            return Self { placed: None, user: Vec::new(), best: Vec::new(), absent };
        };
        let best = best(question, placed, &user);
        Self { placed: Some(placed), user, best, absent }
    }

    /// `e^(logit − highest)`: how probable relative to the most probable allowed title.
    fn relative(&self, logit: f32) -> f32 {
        let highest = self.best.first().map_or(f32::INFINITY, |(_, highest)| *highest);
        (logit - highest).exp().clamp(0.0, 1.0)
    }
}

fn best(question: &Question<'_>, placed: &Placed, user: &[f32]) -> Vec<(u32, f32)> {
    let Question { taste, view, allowed, limit, .. } = *question;
    let revision = (view.revision(), placed.revision);
    let kept = taste.by_embedding.get();
    if let Some(best) = kept.and_then(|kept| kept.within(revision, allowed, limit)) {
        return best;
    }
    let mut logits = Vec::new();
    placed.vectors.logits(user, &mut logits);
    let best = select::top_k(&logits, allowed, limit, f32::NEG_INFINITY);
    if !question.narrowed {
        let is_all = best.len() < limit;
        taste.by_embedding.keep(Shortlist::new(revision, best.clone(), is_all));
    }
    best
}

impl Candidates for Embedding<'_> {
    fn source(&self) -> Source {
        Source::Embedding
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        let best = self.best.iter().take(limit);
        best.map(|(row, logit)| (*row, self.relative(*logit))).collect()
    }

    fn score(&self, row: u32) -> f32 {
        let logit = self.placed.map(|placed| placed.vectors.logit(&self.user, row));
        logit.map_or(0.0, |logit| self.relative(logit))
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
