//! Is a new model at least as good as the one that serves? Both rank the same titles, held out from both.

use rayon::prelude::*;
use sona_domain::ContentId;
use sona_numeric::als::{self, Projection};
use sona_numeric::matrix::Matrix;
use sona_numeric::rows::RowSet;
use sona_numeric::{metrics, select};

use crate::artifact::Artifact;
use crate::dataset::HeldOut;
use crate::options;

/// Length of the lists a model is judged by.
const JUDGED_AT: usize = 10;

/// With fewer held-out users no model is rejected: the difference would be chance.
const MIN_JUDGED: usize = 20;

/// Why a model is not served, if it is not.
pub(crate) fn rejection(
    ours: f64,
    theirs: Option<f64>,
    judged: usize,
    options: &options::Training,
) -> Option<String> {
    let theirs = theirs?;
    let floor = theirs * (1.0 - options.rejection_margin);
    (judged >= MIN_JUDGED && ours < floor).then(|| {
        format!(
            "held-out NDCG@10 {ours:.4} is below {floor:.4} (the serving model's {theirs:.4} less \
             {:.0} %) over {judged} users",
            options.rejection_margin * 100.0
        )
    })
}

/// Mean NDCG@10 of the held-out titles, each ranked among all titles its user has not engaged with.
pub(crate) fn ndcg(items: &Matrix, options: &als::Options, held_out: &[HeldOut]) -> f64 {
    if held_out.is_empty() {
        return 0.0;
    }
    let projection = Projection::new(items, options);
    let each: Vec<f64> = held_out
        .par_iter()
        .map(|user| {
            let mut allowed = RowSet::full(items.rows());
            for (row, _) in &user.history {
                allowed.remove(*row);
            }
            let mut scores = Vec::new();
            items.times(&projection.project(items, &user.history), &mut scores);
            let best = select::top_k(&scores, &allowed, JUDGED_AT, f32::NEG_INFINITY);
            let list: Vec<u32> = best.into_iter().map(|(row, _)| row).collect();
            metrics::ndcg(&list, &[user.target], JUDGED_AT)
        })
        .collect();
    // Starting from 0: an empty sum of floats is -0.
    each.iter().fold(0.0, |sum, one| sum + one) / each.len() as f64
}

impl Artifact {
    /// The factors in the row order of `items`; rows of zeros for titles this model does not know.
    pub(crate) fn factors_for(&self, items: &[ContentId]) -> Matrix {
        let mut factors = Matrix::zeros(items.len(), self.factors.width());
        for (row, id) in items.iter().enumerate() {
            if let Ok(known) = self.items.binary_search(id) {
                factors.row_mut(row).copy_from_slice(self.factors.row(known));
            }
        }
        factors
    }
}
