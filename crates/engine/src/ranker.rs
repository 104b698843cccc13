//! What decides the order of a list: what every source says of a candidate, and what the candidate is, weighed by what the
//! log taught.
//!
//! `features` says what is known of a candidate and of the moment. `Ranker` holds what a training found: the weights of a
//! linear score whose softmax puts first what users chose next ([`sona_numeric::listwise`]), `trees` that order the best
//! among themselves where they see more ([`sona_numeric::rank`]), and what the shared layer above both
//! ([`sona_numeric::online`]) had learned when the training ended. `learner` goes on from there, event by event.

mod artifact;
pub(crate) mod choice;
pub(crate) mod features;
pub(crate) mod fit;
pub(crate) mod foresee;
mod judge;
mod learner;
pub(crate) mod moment;
pub(crate) mod past;
pub(crate) mod rank;
pub(crate) mod replay;
mod serving;
mod stored;
mod train;
pub(crate) mod trees;
pub(crate) mod viewer;

pub(crate) use serving::Serving;
pub use train::RANKER_NAME;

use sona_numeric::{listwise, online};

use features::Layout;
use trees::{Best, Titles, Trees, User};

/// A trained ranker.
#[derive(Debug, Clone)]
pub(crate) struct Ranker {
    pub(crate) layout: Layout,
    /// What every feature weighs.
    pub(crate) weights: Vec<f64>,
    /// What the weights do not see.
    pub(crate) trees: Option<Trees>,
    /// What the shared layer had learned.
    pub(crate) layer: online::State,
}

impl Ranker {
    /// A ranker of these weights, above which nothing is learned yet.
    pub(crate) fn new(layout: Layout, weights: Vec<f64>) -> Self {
        let layer = Self::untaught(&layout);
        Self { layout, weights, trees: None, layer }
    }

    /// The same with trees.
    pub(crate) fn with_trees(&self, trees: Trees) -> Self {
        Self { trees: Some(trees), ..self.clone() }
    }

    /// A layer that has learned nothing.
    pub(crate) fn untaught(layout: &Layout) -> online::State {
        online::State::new(layout.width(), moment::MOMENT, online::Options::default())
    }

    /// A layer that learns as its own does, and has learned nothing.
    pub(crate) fn fresh_layer(&self) -> online::State {
        online::State::new(self.layout.width(), moment::MOMENT, self.layer.options())
    }

    /// What the weights say of titles with these features.
    pub(crate) fn weighted(&self, features: &[f32]) -> Vec<f64> {
        let rows = features.chunks_exact(self.weights.len().max(1));
        rows.map(|row| listwise::dot(row, &self.weights)).collect()
    }

    /// The logits of titles with these features, before the layer; each stands for so many, by the logarithm.
    pub(crate) fn base(&self, features: &[f32], stands_for: &[f32], user: User) -> Vec<f64> {
        let weighted = self.weighted(features);
        let mut logits = weighted.clone();
        if let Some(trees) = &self.trees {
            let titles = Titles { features, scores: &weighted, stands_for, user };
            let best = Best::of(&titles, weighted.len());
            best.reorder((&self.weights, trees), stands_for, &mut logits);
        }
        logits
    }
}
