//! What others engaged with around the titles the user engaged with last.

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use super::Dense;
use crate::live::counts::Counts;
use crate::live::users::Taste;

/// Scores the neighbours of the user's latest titles.
pub(crate) fn ask(
    counts: &Counts,
    taste: &Taste,
    options: &sequence::Options,
    allowed: &RowSet,
    limit: usize,
) -> Dense {
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
    Dense::new(Source::Sequence, scores, allowed, limit, absent)
}
