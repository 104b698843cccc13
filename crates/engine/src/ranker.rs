//! What decides the order of a list: what every source says of a candidate, and what the candidate is, weighed by what the
//! log taught.
//!
//! `features` says what is known of a candidate and of the moment. `Ranker` holds what a training found: the weights of a
//! linear score whose softmax puts first what users chose next ([`sona_numeric::listwise`]), trees beside it where they see
//! more ([`sona_numeric::rank`]), and what the shared layer above both ([`sona_numeric::online`]) had learned when the
//! training ended. `learner` goes on from there, event by event.

mod artifact;
pub(crate) mod features;
pub(crate) mod fit;
mod learner;
pub(crate) mod moment;
mod past;
pub(crate) mod rank;
pub(crate) mod replay;
mod serving;
mod stored;
mod train;
pub(crate) mod viewer;

pub(crate) use serving::Serving;
pub use train::RANKER_NAME;

use sona_numeric::listwise;
use sona_numeric::matrix::Matrix;
use sona_numeric::{online, rank as forest};

use features::Layout;

/// What trees see besides a candidate's features: how much is known of the user, and two numbers of the moment.
const USER: usize = 3;

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

/// Trees whose scores are added.
#[derive(Debug, Clone)]
pub(crate) struct Trees {
    pub(crate) model: forest::Model,
    /// What their score is multiplied with.
    pub(crate) share: f64,
}

impl Ranker {
    /// A ranker of these weights, above which nothing is learned yet.
    pub(crate) fn new(layout: Layout, weights: Vec<f64>) -> Self {
        let layer = Self::untaught(&layout);
        Self { layout, weights, trees: None, layer }
    }

    /// Its weights and trees beside them, which speak in these shares.
    pub(crate) fn with_trees(&self, shares: [f64; 2], model: forest::Model) -> Self {
        let weights = self.weights.iter().map(|weight| weight * shares[0]).collect();
        let trees = Some(Trees { model, share: shares[1] });
        Self { weights, trees, ..self.clone() }
    }

    /// A layer that has learned nothing.
    pub(crate) fn untaught(layout: &Layout) -> online::State {
        online::State::new(layout.width(), moment::MOMENT, online::Options::default())
    }

    /// A layer that learns as its own does, and has learned nothing.
    pub(crate) fn fresh_layer(&self) -> online::State {
        online::State::new(self.layout.width(), moment::MOMENT, self.layer.options())
    }

    /// The logits of `rows` candidates with these features, before the layer.
    pub(crate) fn base(&self, features: &[f32], rows: usize, user: [f32; USER]) -> Vec<f64> {
        let mut logits = self.tree_logits(features, rows, user);
        for (logit, row) in logits.iter_mut().zip(features.chunks_exact(self.weights.len())) {
            *logit += listwise::dot(row, &self.weights);
        }
        logits
    }

    /// What the trees add to them.
    pub(crate) fn tree_logits(&self, features: &[f32], rows: usize, user: [f32; USER]) -> Vec<f64> {
        let mut scores = vec![0.0; rows];
        if let Some(Trees { model, share }) = &self.trees {
            model.score_rows(&tree_rows(features, rows, user), &mut scores);
            for score in &mut scores {
                *score *= share;
            }
        }
        scores
    }
}

/// What trees see of `rows` candidates.
pub(crate) fn tree_rows(features: &[f32], rows: usize, user: [f32; USER]) -> Matrix {
    let width = features.len() / rows.max(1);
    let mut data = Vec::with_capacity(rows * (width + USER));
    for row in features.chunks_exact(width.max(1)) {
        data.extend_from_slice(row);
        data.extend_from_slice(&user);
    }
    Matrix::from_vec(data, width + USER)
}

/// What trees see of a user at a moment.
pub(crate) fn user(titles: usize, moment: &[f32; moment::MOMENT]) -> [f32; USER] {
    [features::depth(titles), moment[1], moment[2]]
}
