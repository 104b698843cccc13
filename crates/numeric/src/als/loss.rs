//! The objective over all pairs, without visiting all pairs.

use super::{Options, gramian::gramian};
use crate::interactions::Interactions;
use crate::kernel;
use crate::matrix::Matrix;
use rayon::prelude::*;

/// The loss of [`crate::als`].
///
/// The unobserved part is a sum over all pairs of `α0 (x·y)²`, which is `α0·Σ (XᵀX ∘ YᵀY)`; each observed
/// pair then replaces its `α0 s²` by `c (1 − s)²`. Sums are in double precision and fixed order.
pub(super) fn loss(pairs: &Interactions, users: &Matrix, items: &Matrix, options: &Options) -> f64 {
    let alpha0 = f64::from(options.unobserved_weight);
    let everywhere: f64 =
        gramian(users).iter().zip(gramian(items)).map(|(x, y)| x * y).sum::<f64>() * alpha0;
    let observed: Vec<f64> = (0..pairs.users())
        .into_par_iter()
        .map(|user| {
            let (row_items, weights) = pairs.row(user);
            let x = users.row(user);
            let mut sum = options.ridge(row_items.len(), items.rows()) * squared_norm(x);
            kernel::dot_rows(items, row_items, x, |at, score| {
                let score = f64::from(score);
                let confidence = alpha0 + f64::from(options.gain(weights[at]));
                sum += confidence * (1.0 - score).powi(2) - alpha0 * score * score;
            });
            sum
        })
        .collect();
    let mut item_counts = vec![0_usize; items.rows()];
    for user in 0..pairs.users() {
        for &item in pairs.row(user).0 {
            item_counts[item as usize] += 1;
        }
    }
    let item_ridge: f64 = item_counts
        .iter()
        .enumerate()
        .map(|(item, &n)| options.ridge(n, users.rows()) * squared_norm(items.row(item)))
        .sum();
    everywhere + observed.iter().sum::<f64>() + item_ridge
}

fn squared_norm(row: &[f32]) -> f64 {
    row.iter().map(|&value| f64::from(value).powi(2)).sum()
}
