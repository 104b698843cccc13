//! Distinct viewers of all time; behind them what nobody has watched yet, so that no list is empty while an
//! unseen title exists.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Candidates;
use crate::live::counts::Counts;

/// The popular source for one request.
pub(crate) struct Popular<'c> {
    counts: &'c Counts,
    highest: f32,
}

impl<'c> Popular<'c> {
    /// Over all viewers there are now.
    pub(crate) fn new(counts: &'c Counts) -> Self {
        Self { counts, highest: counts.highest_popularity() }
    }
}

impl Candidates for Popular<'_> {
    fn source(&self) -> Source {
        Source::Popular
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        let rows = self.counts.popular().filter(|row| allowed.contains(*row));
        rows.take(limit).map(|row| (row, self.score(row))).collect()
    }

    /// `ln(1 + viewers)` relative to the best title.
    fn score(&self, row: u32) -> f32 {
        if self.highest > 0.0 { self.counts.popularity(row) / self.highest } else { 0.0 }
    }

    /// `ln(1 + viewers)`.
    fn raw(&self, row: u32) -> f32 {
        self.counts.popularity(row)
    }

    fn absent(&self) -> &'static str {
        "the user has seen or refused everything that is available"
    }
}
