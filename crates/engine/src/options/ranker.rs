//! How the order of lists is learned.

use serde::{Deserialize, Serialize};
use sona_numeric::rank;

/// The ranker: what is learned from the latest part of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ranker {
    /// At most so many of the latest events are replayed.
    pub events: usize,
    /// At most this share of the log is.
    pub share: f64,
    /// About so many of the choices in them are learned from.
    pub choices: usize,
    /// With fewer there is no ranker.
    pub least_choices: usize,
    /// Trees that see what weights do not; 0 = none are tried.
    pub trees: usize,
    /// Leaves of a tree.
    pub leaves: usize,
    /// What a tree may add.
    pub learning_rate: f64,
    /// Candidates each side of a split has at least.
    pub min_leaf_rows: usize,
    /// Seed of the features a tree may use.
    pub seed: u64,
}

impl Default for Ranker {
    fn default() -> Self {
        let trees = rank::Options::default();
        Self {
            events: 50_000,
            share: 0.25,
            choices: 20_000,
            least_choices: 200,
            trees: trees.trees,
            leaves: trees.leaves,
            learning_rate: trees.learning_rate,
            min_leaf_rows: trees.min_leaf_rows,
            seed: trees.seed,
        }
    }
}

impl From<&Ranker> for rank::Options {
    fn from(o: &Ranker) -> Self {
        Self {
            trees: o.trees,
            leaves: o.leaves,
            learning_rate: o.learning_rate,
            min_leaf_rows: o.min_leaf_rows,
            seed: o.seed,
            ..Self::default()
        }
    }
}
