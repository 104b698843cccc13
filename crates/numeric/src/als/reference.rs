//! The factorisation in plain loops over all pairs and double precision: slow and obvious.

use super::Options;
use crate::interactions::Interactions;
use crate::matrix::Matrix;

/// Confidence and preference of a pair.
fn target(pairs: &Interactions, user: usize, item: usize, options: &Options) -> (f64, f64) {
    let alpha0 = f64::from(options.unobserved_weight);
    let (items, weights) = pairs.row(user);
    match items.iter().position(|&other| other as usize == item) {
        Some(at) => (alpha0 + f64::from(options.confidence_alpha) * f64::from(weights[at]), 1.0),
        None => (alpha0, 0.0),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn ridge(pairs: &Interactions, row: usize, options: &Options) -> f64 {
    let n = pairs.row(row).0.len() as f64;
    let total = n + f64::from(options.unobserved_weight) * pairs.items() as f64;
    f64::from(options.regularization) * total.powf(f64::from(options.regularization_exponent))
}

/// The objective of [`crate::als`], pair by pair.
pub(super) fn loss(pairs: &Interactions, users: &Matrix, items: &Matrix, options: &Options) -> f64 {
    let mut sum = 0.0;
    for user in 0..pairs.users() {
        for item in 0..pairs.items() {
            let (c, p) = target(pairs, user, item, options);
            sum += c * (p - dot(users.row(user), items.row(item))).powi(2);
        }
        sum += ridge(pairs, user, options) * dot(users.row(user), users.row(user));
    }
    let by_item = pairs.transpose();
    for item in 0..pairs.items() {
        sum += ridge(&by_item, item, options) * dot(items.row(item), items.row(item));
    }
    sum
}

/// Row `row`'s normal equations over all pairs, by Gaussian elimination.
pub(super) fn solve(
    pairs: &Interactions,
    row: usize,
    fixed: &Matrix,
    options: &Options,
) -> Vec<f64> {
    let f = fixed.width();
    let mut a = vec![vec![0.0; f + 1]; f];
    for other in 0..fixed.rows() {
        let (c, p) = target(pairs, row, other, options);
        let y: Vec<f64> = fixed.row(other).iter().map(|&value| f64::from(value)).collect();
        for k in 0..f {
            for l in 0..f {
                a[k][l] += c * y[k] * y[l];
            }
            a[k][f] += c * p * y[k];
        }
    }
    for (k, equation) in a.iter_mut().enumerate() {
        equation[k] += ridge(pairs, row, options);
    }
    eliminate(a)
}

/// Solves the equations `[A | b]` with row exchanges.
fn eliminate(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let f = a.len();
    for k in 0..f {
        let largest = (k..f).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs()));
        a.swap(k, largest.unwrap_or(k));
        let pivot = a[k].clone();
        for equation in &mut a[k + 1..] {
            let share = equation[k] / pivot[k];
            for (value, pivot) in equation.iter_mut().zip(&pivot) {
                *value -= share * pivot;
            }
        }
    }
    let mut x = vec![0.0; f];
    for k in (0..f).rev() {
        let known: f64 = (k + 1..f).map(|l| a[k][l] * x[l]).sum();
        x[k] = (a[k][f] - known) / a[k][k];
    }
    x
}
