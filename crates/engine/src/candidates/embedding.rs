//! The probability of each title to come next, by an embedding of the user's latest titles.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::{Candidates, Question};
use crate::snapshot::embedding::Placed;

/// Logits are told apart down to so much below the best one.
const LOWEST: f32 = -20.0;

/// The embedding source for one request.
pub(crate) struct Embedding<'q> {
    placed: Option<&'q Placed>,
    user: Vec<f32>,
    /// Rows with their logits.
    best: Vec<(u32, f32)>,
    absent: &'static str,
}

impl<'q> Embedding<'q> {
    /// The most probable titles.
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
        let score = |logits: &mut Vec<f32>| placed.vectors.logits(&user, logits);
        let best =
            question.best_of_all(&taste.by_embedding, placed.revision, f32::NEG_INFINITY, score);
        Self { placed: Some(placed), user, best, absent }
    }

    /// `e^(logit − highest)`: how probable relative to the most probable allowed title.
    fn relative(&self, logit: f32) -> f32 {
        let highest = self.best.first().map_or(f32::INFINITY, |(_, highest)| *highest);
        (logit - highest).exp().clamp(0.0, 1.0)
    }
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

    /// The logit relative to that of the best allowed title.
    fn raw(&self, row: u32) -> f32 {
        let Some(placed) = self.placed else { return 0.0 };
        let highest = self.best.first().map_or(0.0, |(_, highest)| *highest);
        (placed.vectors.logit(&self.user, row) - highest).max(LOWEST)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
