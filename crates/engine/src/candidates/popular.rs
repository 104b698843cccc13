//! Distinct viewers of all time; behind them what nobody has watched yet, so that no list is empty while an
//! unseen title exists.

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::Candidates;
use crate::live::counts::Counts;

/// The popular source for one request.
pub(crate) struct Popular<'c>(pub(crate) &'c Counts);

impl Candidates for Popular<'_> {
    fn source(&self) -> Source {
        Source::Popular
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<u32> {
        self.0.popular().filter(|row| allowed.contains(*row)).take(limit).collect()
    }

    fn score(&self, row: u32) -> f32 {
        self.0.popularity(row)
    }

    fn absent(&self) -> &'static str {
        "the user has seen or refused everything that is available"
    }
}
