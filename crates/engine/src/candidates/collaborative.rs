//! Item factors times the user's factors, folded in from the whole history.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Dense;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// Scores every row of the model.
pub(crate) fn ask(snapshot: &Snapshot, taste: &Taste, allowed: &RowSet, limit: usize) -> Dense {
    let mut scores = Vec::new();
    if !taste.vector.is_empty() {
        snapshot.score(&taste.vector, &mut scores);
    }
    let absent = match (snapshot.version(), taste.recent.is_empty()) {
        (None, _) => "no model is trained yet",
        (_, true) => "the user has no history yet",
        (_, false) => "the model does not know the user's titles yet",
    };
    Dense::new(Source::Collaborative, scores, allowed, limit, absent)
}
