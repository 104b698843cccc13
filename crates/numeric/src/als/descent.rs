//! The half-sweeps of training: a few steps of conjugate gradient per row, in coordinates where they suffice.
//!
//! A row's equations are `A x = b` with `A = α0 G + λ_row I + Σ (c−α0) y yᵀ`. Takács, Pilászy & Tikk,
//! *Applications of the conjugate gradient method for implicit feedback collaborative filtering* (2011),
//! take a few steps of conjugate gradient from the row's last value instead of solving them; a step costs
//! two products with the observed rows where the exact solution costs an outer product of each.
//!
//! What all rows share, `M = α0 G + λ_0 I = L Lᵀ`, serves as preconditioner (Concus, Golub & O'Leary,
//! 1976) by a change of coordinates made once for a half-sweep: with `y' = L⁻¹ y` and `x' = Lᵀ x` the
//! equations are `A' = I + δ K + Σ (c−α0) y' y'ᵀ`, `K = L⁻¹ L⁻ᵀ`, `δ = λ_row − λ_0`. Then no step
//! multiplies with `G`, and `A' ≥ I` makes `‖b' − A' x'‖²` a bound of what the row's loss can still fall.

use super::Options;
use super::loss;
use super::project::{Observed, Projection};
use crate::kernel;
use crate::matrix::Matrix;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::{MatMut, Par, Spec};
use rayon::prelude::*;

/// Widths are padded to a multiple of this, so that the widest registers leave no rest.
const PAD: usize = 16;

/// A row with more observed values than this reads them where they are instead of copying them: 1 MiB.
const PANEL_VALUES: usize = 1 << 18;

/// `λ_0` is at least this share of the largest diagonal value of `α0 G`: `L` is used in single precision.
const LEAST_SHARE: f64 = 1e-5;

/// Steps of one row in one half-sweep, at most.
const MOST_STEPS: usize = 4;

/// A row is left as it is once its loss can fall by no more than this share of its confidence.
const ENOUGH: f32 = 1e-5;

/// A fixed side in the coordinates of its own Gramian.
pub(super) struct Whitened {
    /// `L⁻¹ y` for every row `y` of the fixed side, padded.
    rows: Matrix,
    /// `L`, padded.
    factor: Matrix,
    /// `L⁻¹`, padded.
    inverse: Matrix,
    /// `K`, padded.
    spread: Matrix,
    /// `λ_0`.
    ridge: f64,
    options: Options,
}

/// Memory of one thread, reused from row to row.
pub(super) struct Room {
    panel: Matrix,
    /// 0, 1, 2, …: all rows of the panel.
    all: Vec<u32>,
    gains: Vec<f32>,
    state: State,
}

/// Where the descent of one row is.
struct State {
    /// `s = x'·y'` of the observed pairs.
    scores: Vec<f32>,
    /// What a step of length 1 adds to them.
    slopes: Vec<f32>,
    /// `b' − A' x'`.
    rest: Vec<f32>,
    direction: Vec<f32>,
    /// `−A'` times the direction.
    image: Vec<f32>,
}

/// What one row's equations are made of.
#[derive(Clone, Copy)]
struct Equations<'a> {
    matrix: &'a Matrix,
    /// The observed rows of the matrix.
    rows: &'a [u32],
    /// Their `c − α0`.
    gains: &'a [f32],
    /// `δ`.
    more: f32,
}

impl Room {
    pub(super) fn new(factors: usize) -> Self {
        let width = factors.next_multiple_of(PAD);
        let rows = PANEL_VALUES / width;
        let zeros = || vec![0.0; width];
        let (rest, direction, image) = (zeros(), zeros(), zeros());
        Self {
            panel: Matrix::zeros(rows, width),
            all: (0..rows as u32).collect(),
            gains: Vec::new(),
            state: State { scores: Vec::new(), slopes: Vec::new(), rest, direction, image },
        }
    }
}

impl Whitened {
    /// The coordinates for rows that move against `fixed`; `None` where they would not help.
    pub(super) fn new(fixed: &Matrix, projection: &Projection, options: &Options) -> Option<Self> {
        let f = fixed.width();
        let mut m = projection.everywhere().to_vec();
        let largest = m.iter().step_by(f + 1).fold(0.0_f64, |most, &value| most.max(value));
        if largest <= 0.0 || !largest.is_finite() {
            return None;
        }
        let ridge = options.ridge(0, fixed.rows()).max(LEAST_SHARE * largest);
        m.iter_mut().step_by(f + 1).for_each(|diagonal| *diagonal += ridge);
        let (factor, inverse) = factorize(m, f)?;
        let width = inverse.width();
        let turned = transposed(&inverse);
        let mut spread = Matrix::zeros(f, width);
        kernel::multiply(inverse.as_slice(), width, &turned, spread.as_mut_slice());
        let mut rows = Matrix::zeros(fixed.rows(), width);
        rows.as_mut_slice()
            .par_chunks_mut(width * 256)
            .zip(fixed.as_slice().par_chunks(f * 256))
            .for_each(|(to, from)| kernel::multiply(from, f, &turned, to));
        Some(Self { rows, factor, inverse, spread, ridge, options: options.clone() })
    }

    /// Length of a row in these coordinates, padded.
    pub(super) fn width(&self) -> usize {
        self.rows.width()
    }

    /// Writes `x' = Lᵀ x` of every row `x`.
    pub(super) fn enter(&self, rows: &[f32], out: &mut [f32]) {
        kernel::multiply(rows, self.options.factors, &self.factor, out);
    }

    /// Writes `x = L⁻ᵀ x'` of every row `x'`, padded.
    pub(super) fn leave(&self, rows: &[f32], out: &mut [f32]) {
        kernel::multiply(rows, self.width(), &self.inverse, out);
    }

    /// Improves `x'` and returns what its observed pairs cost beyond `α0 s²`; `None` if a number left
    /// the range of single precision.
    pub(super) fn descend(
        &self,
        observed: Observed,
        room: &mut Room,
        x: &mut [f32],
    ) -> Option<f64> {
        let n = observed.rows.len();
        let Room { panel, all, gains, state } = room;
        gains.clear();
        gains.extend(observed.weights.iter().map(|&weight| self.options.gain(weight)));
        let (matrix, rows) = if n <= all.len() {
            kernel::copy_rows(&self.rows, observed.rows, panel.as_mut_slice());
            (&*panel, &all[..n])
        } else {
            (&self.rows, observed.rows)
        };
        let more = (self.options.ridge(n, self.rows.rows()) - self.ridge) as f32;
        let equations = Equations { matrix, rows, gains, more };
        let enough =
            gains.iter().fold(self.options.unobserved_weight * n as f32, |a, b| a + b) * ENOUGH;
        let mut size = self.begin(equations, state, x);
        for _ in 0..MOST_STEPS {
            if size <= enough {
                break;
            }
            match self.step(equations, state, x, size) {
                Some(left) => size = left,
                None => break,
            }
        }
        let pairs = gains.iter().zip(&state.scores);
        let loss: f64 = pairs.map(|(&gain, &score)| loss::pair(&self.options, gain, score)).sum();
        (loss.is_finite() && size.is_finite()).then_some(loss)
    }

    /// Scores, rest and first direction from `x'`; the squared length of the rest.
    fn begin(&self, equations: Equations, state: &mut State, x: &[f32]) -> f32 {
        let Equations { matrix, rows, gains, more } = equations;
        let State { scores, slopes, rest, direction, .. } = state;
        scores.resize(rows.len(), 0.0);
        slopes.resize(rows.len(), 0.0);
        self.shared(x, more, rest);
        let alpha0 = self.options.unobserved_weight;
        kernel::pull(matrix, rows, x, rest, |at, score| {
            scores[at] = score;
            alpha0 + gains[at] * (1.0 - score)
        });
        direction.copy_from_slice(rest);
        kernel::dot(rest, rest)
    }

    /// One step of conjugate gradient; the squared length of the new rest, `None` if `A'` is singular
    /// along the direction.
    fn step(
        &self,
        equations: Equations,
        state: &mut State,
        x: &mut [f32],
        size: f32,
    ) -> Option<f32> {
        let Equations { matrix, rows, gains, more } = equations;
        let State { scores, slopes, rest, direction, image } = state;
        self.shared(direction, more, image);
        kernel::pull(matrix, rows, direction, image, |at, slope| {
            slopes[at] = slope;
            -gains[at] * slope
        });
        let curvature = -kernel::dot(direction, image);
        if curvature <= 0.0 {
            return None;
        }
        let length = size / curvature;
        kernel::add(x, length, direction);
        kernel::add(scores, length, slopes);
        kernel::add(rest, length, image);
        let left = kernel::dot(rest, rest);
        let keep = left / size;
        for (direction, rest) in direction.iter_mut().zip(rest) {
            *direction = *rest + keep * *direction;
        }
        Some(left)
    }

    /// `out = −(I + δ K) v`.
    fn shared(&self, v: &[f32], more: f32, out: &mut [f32]) {
        for (out, v) in out.iter_mut().zip(v) {
            *out = -v;
        }
        if more != 0.0 {
            kernel::times_each(self.spread.as_slice(), v, |k, value| out[k] -= more * value);
        }
    }
}

/// `L` and `L⁻¹` of `m`, padded.
fn factorize(mut m: Vec<f64>, f: usize) -> Option<(Matrix, Matrix)> {
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(f, Par::Seq, Spec::default()));
    let a = MatMut::from_column_major_slice_mut(&mut m, f, f);
    let plain = LltRegularization::default();
    cholesky_in_place(a, plain, Par::Seq, MemStack::new(&mut memory), Spec::default()).ok()?;
    let inverse = inverted(&m, f);
    let padded = |value: &dyn Fn(usize, usize) -> f64| {
        let mut square = Matrix::zeros(f, f.next_multiple_of(PAD));
        for row in 0..f {
            for column in 0..=row {
                square.row_mut(row)[column] = value(row, column) as f32;
            }
        }
        square
    };
    let factor = padded(&|row, column| m[column * f + row]);
    let inverse = padded(&|row, column| inverse[row * f + column]);
    let mut all = factor.as_slice().iter().chain(inverse.as_slice());
    all.all(|value| value.is_finite()).then_some((factor, inverse))
}

/// `L⁻¹`, row-major, of a column-major `L`.
fn inverted(l: &[f64], f: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; f * f];
    for row in 0..f {
        let (done, current) = inverse.split_at_mut(row * f);
        let current = &mut current[..=row];
        for (k, earlier) in done.chunks_exact(f).enumerate() {
            let share = l[k * f + row];
            for (value, earlier) in current.iter_mut().zip(&earlier[..=k]) {
                *value -= share * earlier;
            }
        }
        current[row] = 1.0;
        let diagonal = l[row * f + row];
        for value in current {
            *value /= diagonal;
        }
    }
    inverse
}

/// The transpose of a square, padded.
fn transposed(square: &Matrix) -> Matrix {
    let mut turned = Matrix::zeros(square.rows(), square.width());
    for row in 0..square.rows() {
        for column in 0..square.rows() {
            turned.row_mut(column)[row] = square.row(row)[column];
        }
    }
    turned
}
