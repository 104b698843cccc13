//! Titles near the user's titles by who engaged with both.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Dense;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

/// Adds up what is near every title of the user.
pub(crate) fn ask(snapshot: &Snapshot, taste: &Taste, allowed: &RowSet, limit: usize) -> Dense {
    let mut scores = Vec::new();
    if !taste.engaged.is_empty() {
        snapshot.score_near(&taste.engaged, &mut scores);
    }
    let absent = match (snapshot.version(), snapshot.has_item_item(), taste.engaged.is_empty()) {
        (None, ..) => "no model is trained yet",
        (_, false, _) => "the model was trained without it",
        (_, _, true) => "the user has no history yet",
        (_, _, false) => "the model does not know the user's titles yet",
    };
    Dense::new(Source::ItemItem, scores, allowed, limit, absent)
}
