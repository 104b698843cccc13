//! Distinct viewers of the last days, recent ones counting more.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Candidates;
use crate::live::trending;

/// The trending source for one request.
pub(crate) struct Trending<'t>(pub(crate) &'t trending::Trending);

impl Candidates for Trending<'_> {
    fn source(&self) -> Source {
        Source::Trending
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<u32> {
        self.0.best().filter(|row| allowed.contains(*row)).take(limit).collect()
    }

    fn score(&self, row: u32) -> f32 {
        self.0.score(row)
    }

    fn absent(&self) -> &'static str {
        "nobody watched anything else lately"
    }
}
