//! Distinct viewers of the last days, recent ones counting more.

use sona_domain::{Source, Timestamp};
use sona_numeric::rows::RowSet;

use super::Candidates;
use crate::live::trending;

/// The trending source for one request.
pub(crate) struct Trending<'t> {
    counts: &'t trending::Trending,
    highest: f64,
    now: Timestamp,
}

impl<'t> Trending<'t> {
    /// Over what is trending at `now`.
    pub(crate) fn new(trending: &'t trending::Trending, now: Timestamp) -> Self {
        Self { counts: trending, highest: trending.highest(), now }
    }
}

impl Candidates for Trending<'_> {
    fn source(&self) -> Source {
        Source::Trending
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        let rows = self.counts.best().filter(|row| allowed.contains(*row));
        rows.take(limit).map(|row| (row, self.score(row))).collect()
    }

    fn score(&self, row: u32) -> f32 {
        if self.highest > 0.0 { (self.counts.score(row) / self.highest) as f32 } else { 0.0 }
    }

    /// Viewers in the window, each by how long ago they watched.
    fn raw(&self, row: u32) -> f32 {
        self.counts.weight(row, self.now) as f32
    }

    fn absent(&self) -> &'static str {
        "nobody watched anything else lately"
    }
}
