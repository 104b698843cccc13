//! Sources of candidates. Each one scores titles 0..=1 and brings its best; what it cannot answer it says.

pub(crate) mod collaborative;
pub(crate) mod context;
pub(crate) mod item_item;
pub(crate) mod popular;
pub(crate) mod sequence;
pub(crate) mod trending;

use sona_domain::{RequestContext, Source};
use sona_numeric::rows::RowSet;

use crate::catalogue::View;
use crate::live::counts::Counts;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;

use context::Context;
use popular::Popular;
use trending::Trending;

/// Everything a source may look at to answer one request.
pub(crate) struct Question<'q> {
    pub(crate) snapshot: &'q Snapshot,
    pub(crate) counts: &'q Counts,
    pub(crate) trending: &'q crate::live::trending::Trending,
    pub(crate) taste: &'q Taste,
    pub(crate) view: &'q View,
    pub(crate) context: &'q RequestContext,
    pub(crate) sequence: &'q sona_numeric::sequence::Options,
    /// The rows that may be shown.
    pub(crate) allowed: &'q RowSet,
    /// How many candidates each source may bring.
    pub(crate) limit: usize,
}

impl<'q> Question<'q> {
    /// All sources, in listing order.
    pub(crate) fn sources(&self) -> Vec<Box<dyn Candidates + 'q>> {
        let (counts, allowed, limit) = (self.counts, self.allowed, self.limit);
        vec![
            Box::new(collaborative::ask(self.snapshot, self.taste, allowed, limit)),
            Box::new(item_item::ask(self.snapshot, self.taste, allowed, limit)),
            Box::new(sequence::ask(counts, self.taste, self.sequence, allowed, limit)),
            Box::new(Trending(self.trending)),
            Box::new(Popular(counts)),
            Box::new(Context::new(self.context, self.view, counts, allowed, limit)),
        ]
    }
}

/// One source's view of one request.
pub(crate) trait Candidates {
    /// Which source.
    fn source(&self) -> Source;

    /// Its best allowed rows, best first, at most `limit`.
    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<u32>;

    /// Its score of any row, 0..=1; 0 means it has nothing to say.
    fn score(&self, row: u32) -> f32;

    /// Why it brings nothing, for when it does not.
    fn absent(&self) -> &'static str;
}

/// A source that has scored all rows, scaled so that the best allowed one is 1.
pub(crate) struct Dense {
    source: Source,
    scores: Vec<f32>,
    best: Vec<(u32, f32)>,
    scale: f32,
    absent: &'static str,
}

impl Dense {
    /// Scales `scores`; only positive ones count. `absent` is said if there are none.
    pub(crate) fn new(
        source: Source,
        scores: Vec<f32>,
        allowed: &RowSet,
        limit: usize,
        absent: &'static str,
    ) -> Self {
        let best = sona_numeric::select::top_k(&scores, allowed, limit, 0.0);
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { source, scores, best, scale, absent }
    }
}

impl Candidates for Dense {
    fn source(&self) -> Source {
        self.source
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<u32> {
        self.best.iter().take(limit).map(|(row, _)| *row).collect()
    }

    fn score(&self, row: u32) -> f32 {
        let raw = self.scores.get(row as usize).copied().unwrap_or(0.0);
        (raw * self.scale).clamp(0.0, 1.0)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
