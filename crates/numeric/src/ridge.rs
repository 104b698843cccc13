//! Ridge regression of several targets at once, its strength found by generalised cross-validation (Golub, Heath & Wahba,
//! *Generalized cross-validation as a method for choosing a good ridge parameter*, 1979).
//!
//! ```text
//! B = argmin Σ_i c_i ‖y_i − Bᵀz_i‖² + λ‖B‖²
//! ```

use crate::matrix::Matrix;
use crate::spectrum::{product, times};
use faer::{Mat, Side};
use std::fmt;

/// Strengths tried, as shares of the largest eigenvalue of `ZᵀCZ`.
const STRENGTHS: [f64; 13] =
    [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];

/// What was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// `B`, k×f: what one unit of each input adds to each target.
    pub coefficients: Matrix,
    /// `λ`.
    pub strength: f64,
    /// Share of the targets' weighted squares explained, as generalised cross-validation expects it for rows not seen; at
    /// most 1, and below 0 where the fit is worse than none.
    pub explained: f64,
}

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Inputs, targets and weights differ in their number of rows, or there is none.
    Shape,
    /// A number is not finite, or a weight negative.
    Number,
    /// A dense step failed.
    Decomposition,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => write!(f, "inputs, targets and weights differ in length or are empty"),
            Self::Number => write!(f, "a number is not finite, or a weight negative"),
            Self::Decomposition => write!(f, "a dense decomposition failed"),
        }
    }
}

impl std::error::Error for Error {}

/// Fits targets `y` (n×f) on inputs `z` (n×k), row `i` weighing `weights[i]` ≥ 0.
///
/// # Errors
/// See [`Error`].
pub fn fit(z: &Matrix, y: &Matrix, weights: &[f32]) -> Result<Fit, Error> {
    let rows = weights.len();
    if rows == 0 || z.rows() != rows || y.rows() != rows || z.width() == 0 || y.width() == 0 {
        return Err(Error::Shape);
    }
    let numbers = z.as_slice().iter().chain(y.as_slice()).chain(weights);
    if !numbers.into_iter().all(|n| n.is_finite()) || weights.iter().any(|w| *w < 0.0) {
        return Err(Error::Number);
    }
    let (z, y) = (scaled(z, weights), scaled(y, weights));
    let (k, f) = (z.width(), y.width());
    let gram = product(&z, &z);
    let gram = Mat::from_fn(k, k, |i, j| f64::midpoint(gram[i * k + j], gram[j * k + i]));
    let eigen = gram.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Decomposition)?;
    let right = product(&z, &y);
    let along = eigen.U().transpose() * Mat::from_fn(k, f, |i, j| right[i * f + j]);
    let problem = Problem {
        values: (0..k).map(|i| eigen.S()[i].max(0.0)).collect(),
        squares: (0..k).map(|i| (0..f).map(|j| along[(i, j)].powi(2)).sum()).collect(),
        total: y.as_slice().iter().map(|v| f64::from(*v).powi(2)).sum(),
        rows: weights.iter().filter(|w| **w > 0.0).count() as f64,
    };
    let (strength, error) = problem.best();
    let solved = Mat::from_fn(k, f, |i, j| along[(i, j)] / (problem.values[i] + strength));
    let solved = eigen.U() * solved;
    let values = (0..k * f).map(|at| solved[(at / f, at % f)] as f32).collect();
    let explained = if problem.total > 0.0 { 1.0 - error / problem.total } else { 0.0 };
    Ok(Fit { coefficients: Matrix::from_vec(values, f), strength, explained })
}

/// The matrix `M`, symmetric, with `M² = a·I + b·BBᵀ` for `B` k×f: vectors `Mz` have the inner products of
/// `(√a·z, √b·Bᵀz)` without being longer than `z`. `a` > 0, `b` ≥ 0.
///
/// # Errors
/// [`Error::Decomposition`].
pub fn metric(a: f64, b: f64, coefficients: &Matrix) -> Result<Matrix, Error> {
    let k = coefficients.rows();
    let value = |i: usize, j: usize| f64::from(coefficients.row(i)[j]);
    let b_matrix = Mat::from_fn(k, coefficients.width(), value);
    let mut squared = &b_matrix * b_matrix.transpose();
    for i in 0..k {
        for j in 0..k {
            squared[(i, j)] = b * squared[(i, j)] + if i == j { a } else { 0.0 };
        }
    }
    let eigen = squared.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Decomposition)?;
    let scaled = Mat::from_fn(k, k, |i, j| eigen.U()[(i, j)] * eigen.S()[j].max(0.0).sqrt());
    let root = scaled * eigen.U().transpose();
    let values = (0..k * k).map(|at| root[(at / k, at % k)] as f32).collect();
    Ok(Matrix::from_vec(values, k))
}

/// `x · right`, row by row; `right` has a row per column of `x`.
///
/// # Panics
/// If it has not.
pub fn apply(x: &Matrix, right: &Matrix) -> Matrix {
    assert!(x.width() == right.rows(), "{} columns for {} rows", x.width(), right.rows());
    times(x, right.as_slice())
}

/// What is left of the problem once it is turned to the eigenvectors of `ZᵀCZ`.
struct Problem {
    /// Eigenvalues.
    values: Vec<f64>,
    /// Squares of the right-hand side along each eigenvector, over all targets.
    squares: Vec<f64>,
    /// The targets' weighted squares.
    total: f64,
    /// Rows that count.
    rows: f64,
}

impl Problem {
    /// The strength with the smallest expected error, and that error.
    fn best(&self) -> (f64, f64) {
        let largest = self.values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let tried = STRENGTHS.map(|share| (share * largest, self.expected_error(share * largest)));
        tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((largest, self.total))
    }

    /// The squares that remain, over the square of the share of freedom that remains.
    fn expected_error(&self, strength: f64) -> f64 {
        let mut remains = self.total;
        let mut used = 0.0;
        for (value, square) in self.values.iter().zip(&self.squares) {
            let shrunk = 1.0 / (value + strength);
            remains -= square * shrunk * (2.0 - value * shrunk);
            used += value * shrunk;
        }
        let free = (1.0 - used / self.rows).max(1e-3);
        remains.max(0.0) / (free * free)
    }
}

/// Each row times the root of its weight.
fn scaled(x: &Matrix, weights: &[f32]) -> Matrix {
    let mut out = x.clone();
    for (row, weight) in weights.iter().enumerate() {
        let root = weight.sqrt();
        out.row_mut(row).iter_mut().for_each(|value| *value *= root);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::dot;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(rows: usize, width: usize, seed: u64) -> Matrix {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Matrix::from_vec((0..rows * width).map(|_| random.random_range(-1.0..1.0)).collect(), width)
    }

    /// The gradient of the objective, in plain loops.
    fn gradient(z: &Matrix, y: &Matrix, weights: &[f32], fit: &Fit) -> f64 {
        let b = &fit.coefficients;
        let mut largest = 0.0_f64;
        for k in 0..z.width() {
            for f in 0..y.width() {
                let mut sum = fit.strength * f64::from(b.row(k)[f]);
                for (i, weight) in weights.iter().enumerate() {
                    let at: f64 = (0..z.width())
                        .map(|k| f64::from(z.row(i)[k]) * f64::from(b.row(k)[f]))
                        .sum();
                    let off = at - f64::from(y.row(i)[f]);
                    sum += f64::from(*weight) * off * f64::from(z.row(i)[k]);
                }
                largest = largest.max(sum.abs());
            }
        }
        largest
    }

    #[test]
    fn the_gradient_is_zero() {
        let (z, y) = (random(300, 7, 1), random(300, 3, 2));
        let weights: Vec<f32> = (0..300).map(|i| (i % 4) as f32 / 3.0).collect();
        let fit = fit(&z, &y, &weights).expect("sound");
        assert!(gradient(&z, &y, &weights, &fit) < 1e-3);
    }

    #[test]
    fn what_is_linear_is_found_and_noise_is_not() {
        let (z, truth) = (random(400, 6, 3), random(6, 2, 4));
        let y = apply(&z, &truth);
        let linear = fit(&z, &y, &[1.0; 400]).expect("sound");
        assert!(linear.explained > 0.999, "{}", linear.explained);
        for (found, expect) in linear.coefficients.as_slice().iter().zip(truth.as_slice()) {
            assert!((found - expect).abs() < 1e-3);
        }
        let noise = fit(&z, &random(400, 2, 5), &[1.0; 400]).expect("sound");
        assert!(noise.explained < 0.05, "{}", noise.explained);
    }

    #[test]
    fn the_metric_keeps_both_inner_products() {
        let b = random(5, 3, 6);
        let m = metric(0.3, 0.7, &b).expect("sound");
        let (x, y) = (random(1, 5, 7), random(1, 5, 8));
        let inner = |map: &Matrix| dot(apply(&x, map).row(0), apply(&y, map).row(0));
        let expect = 0.3 * dot(x.row(0), y.row(0)) + 0.7 * inner(&b);
        assert!((inner(&m) - expect).abs() < 1e-5);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let z = random(4, 2, 1);
        assert_eq!(fit(&z, &random(3, 1, 1), &[1.0; 4]), Err(Error::Shape));
        assert_eq!(fit(&z, &random(4, 1, 1), &[1.0, 1.0, -1.0, 1.0]), Err(Error::Number));
        assert_eq!(fit(&z, &random(4, 1, 1), &[f32::NAN; 4]), Err(Error::Number));
    }
}
