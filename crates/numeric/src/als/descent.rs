//! The half-sweeps of training: a few steps of conjugate gradient per row, in coordinates where they suffice.
//!
//! A row's equations are `A x = b` with `A = α0 G + λ_row I + Σ (c−α0) y yᵀ`. Takács, Pilászy & Tikk,
//! *Applications of the conjugate gradient method for implicit feedback collaborative filtering* (2011),
//! take a few steps of conjugate gradient from the row's last value instead of solving them; a step costs
//! two products with the observed rows where the exact solution costs an outer product of each.
//!
//! What all rows share, `M = α0 G + λ_0 I = V (D + λ_0) Vᵀ`, serves as preconditioner (Concus, Golub & O'Leary,
//! 1976) by a change of coordinates made once for a half-sweep: with `S = (D + λ_0)^½`, `y' = S⁻¹ Vᵀ y` and
//! `x' = S Vᵀ x` the equations are `A' = P + Σ (c−α0) y' y'ᵀ`, where `P = I + δ S⁻²` is diagonal and
//! `δ = λ_row − λ_0`. Then no step multiplies with `G`, `P` preconditions what is left, and `A' ≥ P` makes
//! `rᵀ P⁻¹ r` of the rest `r = b' − A' x'` a bound of what the row's loss can still fall.
//!
//! Relaxation takes every step `ω` times as far, 1 ≤ ω < 2. A row's loss is quadratic along the way from its old
//! value to the steps' end and least there, so it still never rises; what is overshot is what the other
//! side's next half would have had to make up for (successive over-relaxation: Young, 1954).

use super::Options;
use super::loss;
use super::project::{Observed, Projection};
use crate::kernel;
use crate::matrix::Matrix;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

/// Widths are padded to a multiple of this, so that the widest registers leave no rest.
const PAD: usize = 16;

/// A row with more observed values than this reads them where they are instead of copying them: 1 MiB.
const PANEL_VALUES: usize = 1 << 18;

/// Rows brought into the coordinates by one task.
const ROWS_PER_TASK: usize = 256;

/// `λ_0` is at least this share of the largest eigenvalue of `α0 G`: `S` is used in single precision.
const LEAST_SHARE: f64 = 1e-6;

/// Steps of one row in one half-sweep, at most.
const MOST_STEPS: usize = 4;

/// A row is left as it is once its loss can fall by no more than this share of its confidence.
const ENOUGH: f32 = 1e-5;

/// A fixed side in the coordinates of its own Gramian.
pub(super) struct Whitened {
    /// `S⁻¹ Vᵀ y` for every row `y` of the fixed side, padded.
    rows: Matrix,
    /// `V S`, padded.
    enter: Matrix,
    /// `V S⁻¹`, padded.
    leave: Matrix,
    /// The diagonal of `S⁻²`, padded.
    spread: Vec<f32>,
    /// `λ_0`.
    ridge: f64,
    /// `ω`.
    relaxation: f32,
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
    /// `r = b' − A' x'`.
    rest: Vec<f32>,
    /// The diagonal of `P⁻¹`.
    scale: Vec<f32>,
    direction: Vec<f32>,
    /// `−A'` times the direction, then `P⁻¹ r`.
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
        let (rest, scale, direction, image) = (zeros(), zeros(), zeros(), zeros());
        let (scores, slopes) = (Vec::new(), Vec::new());
        Self {
            panel: Matrix::zeros(rows, width),
            all: (0..rows as u32).collect(),
            gains: Vec::new(),
            state: State { scores, slopes, rest, scale, direction, image },
        }
    }
}

impl Whitened {
    /// The coordinates for rows that move against `fixed`; `None` where they would not help.
    pub(super) fn new(fixed: &Matrix, projection: &Projection, options: &Options) -> Option<Self> {
        let f = fixed.width();
        let shared = MatRef::from_row_major_slice(projection.everywhere(), f, f);
        let eigen = shared.self_adjoint_eigen(Side::Lower).ok()?;
        let values: Vec<f64> = (0..f).map(|k| eigen.S()[k].max(0.0)).collect();
        let largest = values.iter().fold(0.0_f64, |most, &value| most.max(value));
        if largest <= 0.0 || !largest.is_finite() {
            return None;
        }
        let ridge = options.ridge(0, fixed.rows()).max(LEAST_SHARE * largest);
        let width = f.next_multiple_of(PAD);
        let scaled = |power: f64| {
            let mut matrix = Matrix::zeros(f, width);
            for row in 0..f {
                for (k, out) in matrix.row_mut(row)[..f].iter_mut().enumerate() {
                    *out = (eigen.U()[(row, k)] * (values[k] + ridge).powf(power)) as f32;
                }
            }
            matrix
        };
        let (enter, leave) = (scaled(0.5), scaled(-0.5));
        if !enter.as_slice().iter().chain(leave.as_slice()).all(|value| value.is_finite()) {
            return None;
        }
        let mut spread = vec![0.0; width];
        spread
            .iter_mut()
            .zip(&values)
            .for_each(|(out, value)| *out = (value + ridge).recip() as f32);
        let mut rows = Matrix::zeros(fixed.rows(), width);
        rows.as_mut_slice()
            .par_chunks_mut(width * ROWS_PER_TASK)
            .zip(fixed.as_slice().par_chunks(f * ROWS_PER_TASK))
            .for_each(|(to, from)| multiply(from, square(&leave), to));
        let options = options.clone();
        Some(Self { rows, enter, leave, spread, ridge, relaxation: 1.0, options })
    }

    /// The same with every step `relaxation` times as far, 1 ≤ relaxation < 2.
    pub(super) fn relaxed(self, relaxation: f32) -> Self {
        Self { relaxation, ..self }
    }

    /// Length of a row in these coordinates, padded.
    pub(super) fn width(&self) -> usize {
        self.rows.width()
    }

    /// Writes `x' = S Vᵀ x`, padded, of every row `x`.
    pub(super) fn enter(&self, rows: &[f32], out: &mut [f32]) {
        multiply(rows, square(&self.enter), out);
    }

    /// Writes `x = V S⁻¹ x'` of every padded row `x'`.
    pub(super) fn leave(&self, rows: &[f32], out: &mut [f32]) {
        multiply(rows, square(&self.leave).transpose(), out);
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
        let more = (self.options.ridge(n, self.rows.rows()) - self.ridge) as f32;
        let enough =
            gains.iter().fold(self.options.unobserved_weight * n as f32, |a, b| a + b) * ENOUGH;
        let seen = Equations { matrix: &self.rows, rows: observed.rows, gains, more };
        let copied = n <= all.len();
        let mut size = self.begin(seen, copied.then_some(&mut *panel), state, x);
        let (matrix, rows) = if copied { (&*panel, &all[..n]) } else { (&self.rows, seen.rows) };
        let equations = Equations { matrix, rows, ..seen };
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

    /// Scores, rest and first direction from `x'`; `rᵀ P⁻¹ r`. Copies the observed rows to the panel, if there is one.
    fn begin(
        &self,
        equations: Equations,
        panel: Option<&mut Matrix>,
        state: &mut State,
        x: &[f32],
    ) -> f32 {
        let Equations { matrix, rows, gains, more } = equations;
        let State { scores, slopes, rest, scale, direction, .. } = state;
        scores.resize(rows.len(), 0.0);
        slopes.resize(rows.len(), 0.0);
        for (scale, spread) in scale.iter_mut().zip(&self.spread) {
            *scale = (1.0 + more.max(0.0) * spread).recip();
        }
        self.shared(x, more, rest);
        let alpha0 = self.options.unobserved_weight;
        let pulled = |at: usize, score: f32| {
            scores[at] = score;
            alpha0 + gains[at] * (1.0 - score)
        };
        match panel {
            Some(panel) => {
                kernel::pull_and_copy(matrix, rows, panel.as_mut_slice(), (x, rest), pulled);
            }
            None => kernel::pull(matrix, rows, x, rest, pulled),
        }
        for ((direction, rest), scale) in direction.iter_mut().zip(&*rest).zip(&*scale) {
            *direction = scale * rest;
        }
        kernel::dot(rest, direction)
    }

    /// One step of conjugate gradient; `rᵀ P⁻¹ r` of the new rest, `None` if `A'` is singular
    /// along the direction.
    fn step(
        &self,
        equations: Equations,
        state: &mut State,
        x: &mut [f32],
        size: f32,
    ) -> Option<f32> {
        let Equations { matrix, rows, gains, more } = equations;
        let State { scores, slopes, rest, scale, direction, image } = state;
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
        kernel::add(x, self.relaxation * length, direction);
        kernel::add(scores, self.relaxation * length, slopes);
        kernel::add(rest, length, image);
        for ((out, scale), rest) in image.iter_mut().zip(&*scale).zip(&*rest) {
            *out = scale * rest;
        }
        let left = kernel::dot(rest, image);
        let keep = left / size;
        for (direction, image) in direction.iter_mut().zip(image) {
            *direction = *image + keep * *direction;
        }
        Some(left)
    }

    /// `out = −P v`.
    fn shared(&self, v: &[f32], more: f32, out: &mut [f32]) {
        for ((out, v), spread) in out.iter_mut().zip(v).zip(&self.spread) {
            *out = -v - more * spread * v;
        }
    }
}

/// What is in a padded matrix.
fn square(padded: &Matrix) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(padded.as_slice(), padded.rows(), padded.width())
}

/// `out = rows · right` for the rows of a row-major matrix.
fn multiply(rows: &[f32], right: MatRef<'_, f32>, out: &mut [f32]) {
    let (depth, width) = right.shape();
    let rows = MatRef::from_row_major_slice(rows, rows.len() / depth, depth);
    let out = MatMut::from_row_major_slice_mut(out, rows.nrows(), width);
    matmul(out, Accum::Replace, rows, right, 1.0, Par::Seq);
}
