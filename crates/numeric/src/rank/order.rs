//! The present order of every query's candidates, and how good it is.

use super::queries::Groups;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of the queries one thread looks after at a time.
const BLOCK: usize = 4096;

/// Scores of all rows and the order they make.
#[derive(Debug)]
pub(super) struct Order<'g> {
    pub(super) groups: &'g Groups,
    /// Runs of queries that are worked on together.
    pub(super) blocks: Vec<Range<usize>>,
    /// One a row.
    pub(super) scores: Vec<f64>,
    /// For each query its candidates, counted within it, best first.
    pub(super) places: Vec<u32>,
}

impl<'g> Order<'g> {
    /// All scores 0.
    pub(super) fn new(groups: &'g Groups) -> Self {
        let queries = 0..groups.weights.len();
        let places = queries.flat_map(|query| 0..groups.range(query).len() as u32).collect();
        let (blocks, scores) = (groups.blocks(BLOCK), vec![0.0; groups.len()]);
        Self { groups, blocks, scores, places }
    }

    /// Adds to the scores: `add` is given the first row of a block and its scores.
    pub(super) fn add(&mut self, add: impl Fn(usize, &mut [f64]) + Sync) {
        let scores = self.groups.cut(&self.blocks, &mut self.scores);
        let blocks = scores.into_par_iter().zip(&self.blocks);
        blocks.for_each(|(scores, block)| add(self.groups.starts[block.start], scores));
        self.sort();
    }

    fn sort(&mut self) {
        let Self { groups, blocks, scores, places } = self;
        let cut = groups.cut(blocks, places);
        cut.into_par_iter().zip(&*blocks).for_each(|(places, block)| {
            let start = groups.starts[block.start];
            let mut scored: Vec<(f64, u32)> = Vec::new();
            for query in block.clone() {
                let range = groups.range(query);
                let scores = &scores[range.clone()];
                let places = &mut places[range.start - start..range.end - start];
                scored.clear();
                scored.extend(places.iter().map(|place| (scores[*place as usize], *place)));
                scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                for (place, (_, sorted)) in places.iter_mut().zip(&scored) {
                    *place = *sorted;
                }
            }
        });
    }

    /// Mean NDCG at `at` of the queries, each by its weight.
    pub(super) fn ndcg(&self, at: usize, ideals: &[f64]) -> f64 {
        let groups = self.groups;
        let of = |query: usize| {
            let range = groups.range(query);
            let (gains, places) = (&groups.gains[range.clone()], &self.places[range]);
            let gained = places.iter().map(|place| gains[*place as usize]);
            groups.weights[query] * dcg(gained, at) * ideals[query]
        };
        let blocks = self.blocks.par_iter().map(|block| block.clone().map(of).sum::<f64>());
        let sum: f64 = blocks.collect::<Vec<_>>().into_iter().sum();
        sum / groups.weights.iter().sum::<f64>()
    }
}

/// One over the best possible DCG at `at`, one a query.
pub(super) fn inverse_ideals(groups: &Groups, at: usize) -> Vec<f64> {
    let queries = (0..groups.weights.len()).into_par_iter();
    queries
        .map(|query| {
            let mut gains = groups.gains[groups.range(query)].to_vec();
            gains.sort_unstable_by(|a, b| b.total_cmp(a));
            dcg(gains.into_iter(), at).recip()
        })
        .collect()
}

/// `Σ gain/log2(1 + r)` over the first `at`.
fn dcg(gains: impl Iterator<Item = f32>, at: usize) -> f64 {
    let gains = gains.take(at).enumerate().filter(|(_, gain)| *gain > 0.0);
    gains.map(|(place, gain)| f64::from(gain) * discount(place)).sum()
}

/// Of a place counted from 0.
pub(super) fn discount(place: usize) -> f64 {
    (place as f64 + 2.0).log2().recip()
}
