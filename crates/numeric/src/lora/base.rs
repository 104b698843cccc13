//! The base layer `A` that all adapters share, from what the users' choices say.
//!
//! ```text
//! H = Σ w Cov_p(e),  v = Σ w (e_chosen − E_p e)     one user's choices, p = softmax(f + correction for sampling)
//! W_u = L^½ (H + L)⁻¹ v                             what the user wants, whitened by the prior L = diag(ridge)
//! V = the leading eigenvectors of Σ_u (W_u − W̄)(W_u − W̄)ᵀ
//! A = Vᵀ L^−½
//! ```
//!
//! So `A` spans the directions in which users differ most from each other, and on them the prior of `B_u` is the identity.

use std::fmt;

use faer::{Mat, Side};

use crate::cholesky;
use crate::listwise::{List, Scratch};
use crate::matrix::Matrix;

/// An eigenvalue below this share of the largest is taken for rounding.
const SMALLEST: f64 = 1e-10;

/// What one user's choices say, before anything is learned of the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// `H`, d_in×d_in, row-major, symmetric.
    pub curvature: Vec<f64>,
    /// `v`.
    pub pull: Vec<f64>,
}

impl Evidence {
    /// Of no choice, over `inputs` features (d_in).
    pub fn new(inputs: usize) -> Self {
        Self { curvature: vec![0.0; inputs * inputs], pull: vec![0.0; inputs] }
    }

    /// Adds a choice. The list's features are `e`; its offsets hold `f` plus the correction for sampling. After an error
    /// nothing has changed.
    ///
    /// # Errors
    /// If the list is of another width, or a number in it is not finite.
    pub fn add(&mut self, list: List<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let inputs = self.pull.len();
        if list.chosen >= list.offsets.len() || list.features.len() != list.offsets.len() * inputs {
            return Err(Error::Shape);
        }
        let mut numbers = list.features.iter().chain(list.offsets);
        if !numbers.all(|number| number.is_finite()) || !is_weight(list.weight) {
            return Err(Error::Number);
        }
        let weight = f64::from(list.weight);
        let chosen = &list.features[list.chosen * inputs..(list.chosen + 1) * inputs];
        let moments = scratch.moments(list, |_| 0.0);
        for (sum, value) in self.curvature.iter_mut().zip(moments.covariance) {
            *sum += weight * value;
        }
        for (sum, (chosen, mean)) in self.pull.iter_mut().zip(chosen.iter().zip(moments.mean)) {
            *sum += weight * (f64::from(*chosen) - mean);
        }
        Ok(())
    }
}

fn is_weight(weight: f32) -> bool {
    weight.is_finite() && weight > 0.0
}

/// Why there is no base layer, or a user's evidence was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Something is of another width.
    Shape,
    /// A number is not finite, or a ridge or a weight not above 0.
    Number,
    /// All users want the same, or there are fewer than two.
    Nothing,
    /// A dense step failed.
    Decomposition,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "it is of another width",
            Self::Number => "a number is not finite, or a ridge or a weight not above 0",
            Self::Nothing => "users do not differ",
            Self::Decomposition => "a dense decomposition failed",
        })
    }
}

impl std::error::Error for Error {}

/// Gathers users, one after the other, and finds the base layer.
#[derive(Debug, Clone)]
pub struct BaseFit {
    /// `L`.
    ridge: Vec<f64>,
    users: u64,
    /// `W̄`.
    mean: Vec<f64>,
    /// `Σ (W_u − W̄)(W_u − W̄)ᵀ`, row-major.
    scatter: Vec<f64>,
}

impl BaseFit {
    /// With no user yet; `ridge` is `L`, one number for each of d_in features.
    ///
    /// # Errors
    /// If a ridge is not finite and above 0.
    pub fn new(ridge: &[f64]) -> Result<Self, Error> {
        if !ridge.iter().all(|value| value.is_finite() && *value > 0.0) {
            return Err(Error::Number);
        }
        let inputs = ridge.len();
        Ok(Self {
            ridge: ridge.to_vec(),
            users: 0,
            mean: vec![0.0; inputs],
            scatter: vec![0.0; inputs * inputs],
        })
    }

    /// Adds a user. After an error nothing has changed.
    ///
    /// # Errors
    /// If the evidence is of another width or not finite.
    pub fn add(&mut self, user: &Evidence) -> Result<(), Error> {
        let whitened = self.whitened(user)?;
        self.users += 1;
        // Welford's update: the mean and what lies around it, in one pass (*Technometrics* 4, 1962).
        let before: Vec<f64> = whitened.iter().zip(&self.mean).map(|(w, mean)| w - mean).collect();
        for (mean, off) in self.mean.iter_mut().zip(&before) {
            *mean += off / self.users as f64;
        }
        let inputs = self.ridge.len();
        let share = 1.0 - 1.0 / self.users as f64;
        for (row, off) in self.scatter.chunks_exact_mut(inputs.max(1)).zip(&before) {
            row.iter_mut().zip(&before).for_each(|(sum, other)| *sum += share * off * other);
        }
        Ok(())
    }

    /// `W_u = L^½ (H + L)⁻¹ v`.
    fn whitened(&self, user: &Evidence) -> Result<Vec<f64>, Error> {
        let inputs = self.ridge.len();
        if user.pull.len() != inputs || user.curvature.len() != inputs * inputs {
            return Err(Error::Shape);
        }
        if !user.pull.iter().chain(&user.curvature).all(|number| number.is_finite()) {
            return Err(Error::Number);
        }
        let mut matrix = user.curvature.clone();
        for (at, ridge) in self.ridge.iter().enumerate() {
            matrix[at * inputs + at] += ridge;
        }
        let solved = cholesky::solve(&matrix, &user.pull).ok_or(Error::Decomposition)?;
        Ok(solved.iter().zip(&self.ridge).map(|(value, ridge)| value * ridge.sqrt()).collect())
    }

    /// The base layer of `rank` rows. Where users differ in fewer directions, the last rows are zero; so are the columns of
    /// features that were zero everywhere.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finish(&self, rank: usize) -> Result<Base, Error> {
        let inputs = self.ridge.len();
        let scatter = Mat::from_fn(inputs, inputs, |i, j| self.scatter[i * inputs + j]);
        let eigen = scatter.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Decomposition)?;
        let largest = inputs.checked_sub(1).map_or(0.0, |last| eigen.S()[last]);
        if largest.is_nan() || largest <= 0.0 {
            return Err(Error::Nothing);
        }
        let mut rows = Matrix::zeros(rank, inputs);
        // Ascending there, descending here.
        for (row, column) in (0..inputs).rev().take(rank).enumerate() {
            if eigen.S()[column] <= SMALLEST * largest {
                break;
            }
            let vector: Vec<f64> = (0..inputs).map(|at| eigen.U()[(at, column)]).collect();
            let sign = sign_of(&vector);
            let scaled = vector.iter().zip(&self.ridge).map(|(v, ridge)| sign * v / ridge.sqrt());
            rows.row_mut(row).iter_mut().zip(scaled).for_each(|(out, value)| *out = value as f32);
        }
        Base::from_matrix(rows)
    }
}

/// Of a vector and its opposite one is taken, always the same: its largest number is above 0.
fn sign_of(vector: &[f64]) -> f64 {
    let largest = vector.iter().fold(0.0_f64, |a, b| if b.abs() > a.abs() { *b } else { a });
    if largest < 0.0 { -1.0 } else { 1.0 }
}

/// Rows of `A` that are multiplied at once.
const LANES: usize = 8;

/// `A`.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    rows: Matrix,
    /// The same by column: for every [`LANES`] rows, d_in times their numbers. Rows there are not are zero.
    blocks: Vec<[f32; LANES]>,
}

impl Base {
    /// The base layer of these rows, rank×d_in.
    ///
    /// # Errors
    /// If there is no row, a row is empty, or a number is not finite.
    pub fn from_matrix(rows: Matrix) -> Result<Self, Error> {
        if rows.rows() == 0 || rows.width() == 0 {
            return Err(Error::Shape);
        }
        if !rows.as_slice().iter().all(|number| number.is_finite()) {
            return Err(Error::Number);
        }
        let mut blocks = vec![[0.0; LANES]; rows.rows().div_ceil(LANES) * rows.width()];
        for row in 0..rows.rows() {
            let block = blocks[row / LANES * rows.width()..].iter_mut();
            block.zip(rows.row(row)).for_each(|(lanes, value)| lanes[row % LANES] = *value);
        }
        Ok(Self { rows, blocks })
    }

    /// Its rows, rank×d_in.
    pub fn as_matrix(&self) -> &Matrix {
        &self.rows
    }

    /// How many numbers a candidate is brought down to.
    pub fn rank(&self) -> usize {
        self.rows.rows()
    }

    /// d_in.
    pub fn inputs(&self) -> usize {
        self.rows.width()
    }

    /// `z` of every candidate of a list, candidates×rank: `A e` minus its mean over the list. `features` is `e`,
    /// candidates×d_in, row-major; `out` is overwritten.
    ///
    /// # Panics
    /// If the rows are not d_in wide.
    pub fn project(&self, features: &[f32], out: &mut Vec<f32>) {
        let (rank, inputs) = (self.rank(), self.inputs());
        assert!(features.len().is_multiple_of(inputs), "rows of {inputs}");
        out.clear();
        let mut mean = vec![0.0_f64; rank];
        for e in features.chunks_exact(inputs) {
            let from = out.len();
            self.blocks.chunks_exact(inputs).for_each(|block| out.extend(times(block, e)));
            out.truncate(from + rank);
            mean.iter_mut().zip(&out[from..]).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let count = (features.len() / inputs).max(1) as f64;
        for z in out.chunks_exact_mut(rank) {
            z.iter_mut().zip(&mean).for_each(|(value, sum)| *value -= (sum / count) as f32);
        }
    }
}

/// A few rows of `A` times `e`.
fn times(block: &[[f32; LANES]], e: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for (lanes, value) in block.iter().zip(e) {
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum += value * lane;
        }
    }
    sums
}
