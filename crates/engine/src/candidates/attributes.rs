//! Titles that share attributes with the titles the user engaged with last.

use sona_domain::Source;
use sona_numeric::attribute::Near;
use sona_numeric::rows::RowSet;

use super::Sparse;
use crate::live::counts::Counts;
use crate::live::users::Taste;

/// Scores what is alike to the user's latest titles. Nothing is trained: a title that was just added takes part.
pub(crate) fn ask(
    near: &Near,
    counts: &Counts,
    taste: &Taste,
    allowed: &RowSet,
    limit: usize,
) -> Sparse {
    let absent = if taste.recent.is_empty() {
        "the user has no history yet"
    } else {
        "nothing unseen shares attributes with the user's latest titles"
    };
    Sparse::new(Source::Attributes, (allowed, limit), absent, |scores, newest| {
        let recent = &taste.recent[..taste.recent.len().min(newest)];
        near.score(recent, counts.viewers.viewers(), scores);
    })
}
