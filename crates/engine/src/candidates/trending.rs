//! Distinct viewers of the last days, recent ones counting more.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Candidates;
use crate::live::trending;

/// The trending source for one request.
pub(crate) struct Trending<'t> {
    trending: &'t trending::Trending,
    highest: f64,
}

impl<'t> Trending<'t> {
    /// Over what is trending now.
    pub(crate) fn new(trending: &'t trending::Trending) -> Self {
        Self { trending, highest: trending.highest() }
    }
}

impl Candidates for Trending<'_> {
    fn source(&self) -> Source {
        Source::Trending
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        let rows = self.trending.best().filter(|row| allowed.contains(*row));
        rows.take(limit).map(|row| (row, self.score(row))).collect()
    }

    fn score(&self, row: u32) -> f32 {
        if self.highest > 0.0 { (self.trending.score(row) / self.highest) as f32 } else { 0.0 }
    }

    fn absent(&self) -> &'static str {
        "nobody watched anything else lately"
    }
}
