//! What others engaged with around the titles the user engaged with last.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Sparse;
use crate::live::counts::Counts;

/// Scores the neighbours of the user's latest titles, which are `latest` with their weights.
pub(crate) fn ask(
    counts: &Counts,
    latest: &[(u32, f32)],
    allowed: &RowSet,
    limit: usize,
) -> Sparse {
    let absent = if latest.is_empty() {
        "the user has no history yet"
    } else {
        "nobody else engaged with the user's latest titles and something unseen"
    };
    Sparse::new(Source::Sequence, (allowed, limit), absent, |scores, newest| {
        let latest = &latest[..latest.len().min(newest)];
        counts.transitions.score(latest, &counts.viewers, scores);
    })
}
