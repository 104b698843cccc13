//! Titles reached from the user's titles over people, genres, themes and viewers they share.

use sona_domain::Source;

use super::{Dense, Question};

/// Where the walk from the user's latest titles leads.
pub(crate) fn ask(question: &Question<'_>) -> Dense {
    let mut scores = Vec::new();
    if let Some(walk) = question.walk {
        walk.score(&mut scores);
    }
    let absent =
        match (question.snapshot.version(), question.walk, question.taste.recent.is_empty()) {
            (None, ..) => "no model is trained yet",
            (_, None, _) => "no graph is built where its weight is 0",
            (.., true) => "the user has no history yet",
            (.., false) => "nothing unseen is connected to the user's latest titles",
        };
    Dense::new(Source::Graph, scores, question.allowed, question.limit, absent)
}
