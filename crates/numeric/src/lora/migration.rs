//! What becomes of users' adapters when the base layer is found anew.
//!
//! On a base layer `A` a user's statistics are `P = A H Aᵀ` and `b = A g`: what lessons said of the features themselves, `H`
//! and `g`, seen along its rows. The least that explains them under the prior `L = diag(ridge)` is
//!
//! ```text
//! H = M P Mᵀ,  g = M b,  M = L Aᵀ G⁻¹               G = A L Aᵀ
//! P' = A' H A'ᵀ = Sᵀ P S,  b' = Sᵀ b                S = G⁻¹ A L A'ᵀ, rank×rank'
//! ```
//!
//! and `P'`, `b'` are what is kept on another base layer `A'`, block by block of contexts. Between base layers of the same span
//! nothing is lost; what a user wants in a direction the new one does not have is.

use super::adapter::{Adapter, Refusal};
use super::base::{Base, Error};
use crate::cholesky;

/// Of the largest number of `G`'s diagonal, so much is added to all: rows that say nearly the same stay apart.
const APART: f64 = 1e-9;

/// The way from one base layer to another: `S`.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// rank×rank', row-major.
    steps: Vec<f64>,
    from: usize,
    to: usize,
}

impl Migration {
    /// From one base layer to another; `ridge` is `L`, one number for each of d_in features.
    ///
    /// # Errors
    /// If the base layers and the ridge are not of one width, or a ridge is not finite and above 0.
    pub fn between(from: &Base, to: &Base, ridge: &[f64]) -> Result<Self, Error> {
        if from.inputs() != ridge.len() || to.inputs() != ridge.len() {
            return Err(Error::Shape);
        }
        if !ridge.iter().all(|value| value.is_finite() && *value > 0.0) {
            return Err(Error::Number);
        }
        let mut within = products(from, from, ridge);
        steady(&mut within, from.rank());
        let across = products(from, to, ridge);
        let mut steps = vec![0.0; from.rank() * to.rank()];
        for column in 0..to.rank() {
            let right: Vec<f64> =
                (0..from.rank()).map(|row| across[row * to.rank() + column]).collect();
            let solved = cholesky::solve(&within, &right).ok_or(Error::Decomposition)?;
            for (row, value) in solved.into_iter().enumerate() {
                steps[row * to.rank() + column] = value;
            }
        }
        Ok(Self { steps, from: from.rank(), to: to.rank() })
    }

    /// `Sᵀ block S`; `block` is rank×rank.
    fn both_sides(&self, block: &[f64]) -> Vec<f64> {
        let halfway = times(block, &self.steps, self.from, self.to);
        times(&transposed(&self.steps, self.to), &halfway, self.from, self.to)
    }

    /// `Sᵀ right`.
    fn one_side(&self, right: &[f64]) -> Vec<f64> {
        times(&transposed(&self.steps, self.to), right, self.from, 1)
    }
}

impl Adapter {
    /// The adapter on another base layer, as far as that has what it learned. What it has gained stays proven.
    ///
    /// # Errors
    /// If it is not of the first base layer's rank, or its numbers determine no weights there.
    pub fn migrated(&self, migration: &Migration) -> Result<Self, Refusal> {
        let (rank, contexts) = self.shape();
        if rank != migration.from {
            return Err(Refusal::Shape);
        }
        let mut stored = self.to_stored();
        let (n, to) = (rank * contexts, migration.to);
        let mut precision = vec![0.0; (to * contexts).pow(2)];
        for a in 0..contexts {
            for e in 0..=a {
                let block: Vec<f64> = (0..rank * rank)
                    .map(|at| lower(&stored.precision, a * rank + at / rank, e * rank + at % rank))
                    .collect();
                let moved = migration.both_sides(&block);
                for (at, value) in moved.into_iter().enumerate() {
                    let (row, column) = (a * to + at / to, e * to + at % to);
                    precision[row * to * contexts + column] = value;
                }
            }
        }
        debug_assert_eq!(stored.right.len(), n);
        stored.right =
            stored.right.chunks_exact(rank).flat_map(|b| migration.one_side(b)).collect();
        let rows = precision.chunks_exact(to * contexts).enumerate();
        stored.precision = rows.flat_map(|(at, row)| &row[..=at]).copied().collect();
        stored.solution = vec![0.0; to * contexts];
        let mut moved = Self::from_stored((to, contexts), self.options(), stored)?;
        moved.solve()?;
        Ok(moved)
    }
}

/// `one L otherᵀ`.
fn products(one: &Base, other: &Base, ridge: &[f64]) -> Vec<f64> {
    let (one, other) = (one.as_matrix(), other.as_matrix());
    let dot = |a: usize, b: usize| {
        let pairs = one.row(a).iter().zip(other.row(b)).zip(ridge);
        pairs.map(|((x, y), ridge)| f64::from(*x) * ridge * f64::from(*y)).sum()
    };
    (0..one.rows()).flat_map(|a| (0..other.rows()).map(move |b| dot(a, b))).collect()
}

/// Adds a little to the diagonal, and 1 where a row is zero: nothing was learned along it.
fn steady(matrix: &mut [f64], n: usize) {
    let largest = (0..n).map(|at| matrix[at * n + at]).fold(0.0, f64::max);
    for at in 0..n {
        let value = &mut matrix[at * n + at];
        *value += if *value > 0.0 { APART * largest } else { 1.0 };
    }
}

/// A number of a symmetric matrix of which the lower triangle is kept row by row.
fn lower(triangle: &[f64], i: usize, j: usize) -> f64 {
    let (i, j) = (i.max(j), i.min(j));
    triangle[i * (i + 1) / 2 + j]
}

/// `a b`; `inner` is the width of `a`, `width` that of `b`.
fn times(a: &[f64], b: &[f64], inner: usize, width: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(a.len() / inner * width);
    for row in a.chunks_exact(inner) {
        for column in 0..width {
            out.push(row.iter().enumerate().map(|(k, value)| value * b[k * width + column]).sum());
        }
    }
    out
}

/// The transpose of a matrix of this width.
fn transposed(matrix: &[f64], width: usize) -> Vec<f64> {
    let columns = 0..width;
    columns.flat_map(|column| matrix.iter().skip(column).step_by(width)).copied().collect()
}
