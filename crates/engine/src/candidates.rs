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

use collaborative::Collaborative;
use context::Context;
use item_item::ItemItem;
use popular::Popular;
use sequence::Sequence;
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
        vec![
            Box::new(Collaborative::new(self.snapshot, self.taste, self.allowed, self.limit)),
            Box::new(ItemItem::new(self.snapshot, self.taste, self.allowed, self.limit)),
            Box::new(Sequence::new(
                self.counts,
                self.taste,
                self.sequence,
                self.allowed,
                self.limit,
            )),
            Box::new(Trending(self.trending)),
            Box::new(Popular(self.counts)),
            Box::new(Context::new(self.context, self.view, self.counts, self.allowed, self.limit)),
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

/// Scores of all rows, scaled so that the best allowed one is 1.
pub(crate) struct Dense {
    scores: Vec<f32>,
    best: Vec<(u32, f32)>,
    scale: f32,
}

impl Dense {
    /// Scales `scores`; only positive ones count.
    pub(crate) fn new(scores: Vec<f32>, allowed: &RowSet, limit: usize) -> Self {
        let best = sona_numeric::select::top_k(&scores, allowed, limit, 0.0);
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { scores, best, scale }
    }

    /// The best allowed rows.
    pub(crate) fn best(&self, limit: usize) -> Vec<u32> {
        self.best.iter().take(limit).map(|(row, _)| *row).collect()
    }

    /// The scaled score of a row.
    pub(crate) fn score(&self, row: u32) -> f32 {
        let raw = self.scores.get(row as usize).copied().unwrap_or(0.0);
        (raw * self.scale).clamp(0.0, 1.0)
    }
}
