//! The objective over all pairs, without visiting all pairs.
//!
//! The unobserved part is a sum over all pairs of `α0 (x·y)²`, which is `α0·Σ (XᵀX ∘ YᵀY)`; each observed
//! pair then replaces its `α0 s²` by `c (1 − s)²`. Sums are in double precision and fixed order.

use super::Options;
use super::project::Observed;
use crate::interactions::Interactions;
use crate::kernel;
use crate::matrix::Matrix;

/// `α0 (x·y)²` over all pairs, from the Gramians of both sides.
pub(super) fn everywhere(users: &[f64], items: &[f64], options: &Options) -> f64 {
    let products = users.iter().zip(items).map(|(x, y)| x * y);
    products.sum::<f64>() * f64::from(options.unobserved_weight)
}

/// What a row's observed pairs cost beyond `α0 s²`.
pub(super) fn observed(observed: Observed, fixed: &Matrix, x: &[f32], options: &Options) -> f64 {
    let mut sum = 0.0;
    kernel::dot_rows(fixed, observed.rows, x, |at, score| {
        sum += pair(options, options.gain(observed.weights[at]), score);
    });
    sum
}

/// What one observed pair costs beyond `α0 s²`.
pub(super) fn pair(options: &Options, gain: f32, score: f32) -> f64 {
    let alpha0 = f64::from(options.unobserved_weight);
    let score = f64::from(score);
    (alpha0 + f64::from(gain)) * (1.0 - score).powi(2) - alpha0 * score * score
}

/// The regularisation of one side.
pub(super) fn ridges(pairs: &Interactions, rows: &Matrix, options: &Options) -> f64 {
    let ridge = |row: usize| {
        let norm: f64 = rows.row(row).iter().map(|&value| f64::from(value).powi(2)).sum();
        options.ridge(pairs.row(row).0.len(), pairs.items()) * norm
    };
    (0..rows.rows()).map(ridge).sum()
}
