//! A source that scores few titles out of many.

use std::cell::RefCell;

use sona_domain::Source;
use sona_numeric::rows::RowSet;
use sona_numeric::scores::Scores;
use sona_numeric::select;

use super::{Candidates, scaled};

thread_local! {
    /// The room for one source's scores is as wide as the catalogue: the next request takes it over.
    static ROOM: RefCell<Vec<Scores>> = const { RefCell::new(Vec::new()) };
}

/// Scores above 0 of some titles, scaled so that the best allowed one is 1.
pub(crate) struct Sparse {
    source: Source,
    scores: Scores,
    /// By the newest title alone.
    by_newest: Scores,
    best: Vec<(u32, f32)>,
    scale: f32,
    absent: &'static str,
}

impl Sparse {
    /// Scales what `score` puts into the scores it is given, which may hold another request's before, by so many of the user's
    /// newest titles. `absent` is said if no
    /// allowed title has one.
    pub(crate) fn new(
        source: Source,
        (allowed, limit): (&RowSet, usize),
        absent: &'static str,
        score: impl Fn(&mut Scores, usize),
    ) -> Self {
        let room = || ROOM.with_borrow_mut(Vec::pop).unwrap_or_default();
        let (mut scores, mut by_newest) = (room(), room());
        score(&mut scores, usize::MAX);
        score(&mut by_newest, 1);
        let scored = scores.iter().filter(|(row, _)| allowed.contains(*row));
        let best = select::top_k_of(scored, limit, 0.0);
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { source, scores, by_newest, best, scale, absent }
    }
}

impl Drop for Sparse {
    fn drop(&mut self) {
        let both = [&mut self.scores, &mut self.by_newest].map(std::mem::take);
        ROOM.with_borrow_mut(|room| room.extend(both));
    }
}

impl Candidates for Sparse {
    fn source(&self) -> Source {
        self.source
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.raw(row) * self.scale).clamp(0.0, 1.0)
    }

    fn raw(&self, row: u32) -> f32 {
        self.scores.of(row)
    }

    fn by_newest(&self, row: u32) -> f32 {
        self.by_newest.of(row)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
