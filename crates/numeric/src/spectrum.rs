//! The leading eigenvectors of a symmetric positive semi-definite matrix `S` that is known by its products only.
//!
//! Subspace iteration with a Chebyshev filter (Zhou & Saad, *A Chebyshev–Davidson algorithm for large symmetric
//! eigenproblems*, 2007): a polynomial that is small on the unwanted end of the spectrum and grows fast above it, so that a
//! few products with `S` separate even neighbouring eigenvalues, where plain powers would take hundreds.

use crate::matrix::Matrix;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Residual `‖Sv − θv‖` of a settled vector, relative to the largest eigenvalue.
const TOLERANCE: f32 = 2e-3;

/// Degrees of the filter, round by round. The first ones are low because the interval to suppress is only guessed.
const DEGREES: [usize; 12] = [2, 4, 8, 8, 10, 10, 12, 12, 12, 12, 12, 12];

/// Rounds of a sketch: enough for the strong vectors, while the weak ones only span what is left together.
const SKETCH_ROUNDS: usize = 2;

/// Rows of a matrix handled together: small enough for a cache, and a fixed order of additions.
const CHUNK: usize = 256;

/// A symmetric matrix with no eigenvalue below 0.
pub(crate) trait Symmetric {
    /// Rows, and columns.
    fn size(&self) -> usize;

    /// At most so many eigenvalues are above 0.
    fn rank(&self) -> usize;

    /// `S · x`.
    fn times(&self, x: &Matrix) -> Matrix;
}

/// Why there are no eigenvectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Error {
    /// They did not settle; the largest residual is given.
    NotConverged(f32),
    /// A dense step failed.
    Decomposition,
}

/// Eigenvectors as columns, the strongest first, and their eigenvalues.
pub(crate) struct Spectrum {
    pub(crate) vectors: Matrix,
    pub(crate) values: Vec<f32>,
}

/// The `wanted` leading eigenvectors, each settled; fewer if there are not that many.
pub(crate) fn settled(
    matrix: &impl Symmetric,
    wanted: usize,
    seed: u64,
) -> Result<Spectrum, Error> {
    let wanted = wanted.min(matrix.rank());
    let mut subspace = Subspace::start(matrix, wanted, seed)?;
    for degree in DEGREES {
        if subspace.residual(wanted) <= TOLERANCE {
            return Ok(subspace.leading(wanted));
        }
        subspace.filter(matrix, degree);
        subspace.settle(matrix)?;
    }
    match subspace.residual(wanted) {
        residual if residual <= TOLERANCE => Ok(subspace.leading(wanted)),
        residual => Err(Error::NotConverged(residual)),
    }
}

/// Vectors that together hold nearly all of `S` that `wanted` vectors can hold, found with few products; fewer if there
/// are not that many.
pub(crate) fn sketched(
    matrix: &impl Symmetric,
    wanted: usize,
    seed: u64,
) -> Result<Spectrum, Error> {
    let wanted = wanted.min(matrix.rank());
    let mut subspace = Subspace::start(matrix, wanted, seed)?;
    for degree in &DEGREES[..SKETCH_ROUNDS] {
        subspace.filter(matrix, *degree);
        subspace.settle(matrix)?;
    }
    Ok(subspace.leading(wanted))
}

/// An orthonormal basis of approximate eigenvectors, strongest first.
struct Subspace {
    vectors: Matrix,
    /// `S · vectors`.
    images: Matrix,
    values: Vec<f32>,
}

impl Subspace {
    fn start(matrix: &impl Symmetric, wanted: usize, seed: u64) -> Result<Self, Error> {
        // Columns beyond the wanted ones: their last eigenvalue is where suppression begins.
        let width = (wanted + (wanted / 4).max(16)).min(matrix.size());
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut vectors = Matrix::zeros(matrix.size(), width);
        for value in vectors.as_mut_slice() {
            *value = random.random_range(-1.0..1.0);
        }
        let images = Matrix::zeros(0, width);
        let mut this = Self { vectors, images, values: Vec::new() };
        this.settle(matrix)?;
        Ok(this)
    }

    /// The basis nearest to eigenvectors in the span of `vectors` (Rayleigh–Ritz).
    fn settle(&mut self, matrix: &impl Symmetric) -> Result<(), Error> {
        orthonormalise(&mut self.vectors)?;
        let images = matrix.times(&self.vectors);
        let projected = product(&self.vectors, &images);
        let width = self.vectors.width();
        // The two triangles differ by rounding.
        let symmetric = Mat::from_fn(width, width, |i, j| {
            f64::midpoint(projected[i * width + j], projected[j * width + i])
        });
        let eigen = symmetric.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Decomposition)?;
        // Ascending there, descending here.
        let from = |column: usize| width - 1 - column;
        let rotation: Vec<f32> =
            (0..width * width).map(|at| eigen.U()[(at / width, from(at % width))] as f32).collect();
        self.values = (0..width).map(|column| eigen.S()[from(column)] as f32).collect();
        self.vectors = times(&self.vectors, &rotation);
        self.images = times(&images, &rotation);
        Ok(())
    }

    /// Replaces the basis by a polynomial of `S` applied to it that suppresses what lies below the last value.
    fn filter(&mut self, matrix: &impl Symmetric, degree: usize) {
        let top = self.values[0];
        let end = self.values[self.values.len() - 1].max(top * 1e-6);
        let (centre, half) = (end / 2.0, end / 2.0);
        // Scaled so that the strongest vector keeps its length.
        let mut sigma = half / (top - centre).max(half);
        let first = sigma / half;
        let mut before = std::mem::take(&mut self.vectors);
        let mut now = combine(&self.images, first, &before, -centre * first);
        let twice = 2.0 / sigma;
        for _ in 1..degree {
            let next_sigma = 1.0 / (twice - sigma);
            let image = matrix.times(&now);
            let scale = 2.0 * next_sigma / half;
            let mut next = combine(&image, scale, &now, -centre * scale);
            let back = sigma * next_sigma;
            next.as_mut_slice()
                .par_iter_mut()
                .zip(before.as_slice())
                .for_each(|(value, before)| *value -= back * before);
            (before, now, sigma) = (now, next, next_sigma);
        }
        self.vectors = now;
    }

    /// The largest residual of the first `wanted` vectors, relative to the largest eigenvalue.
    fn residual(&self, wanted: usize) -> f32 {
        let width = self.vectors.width();
        let mut squares = vec![0.0_f64; width];
        let rows = self.vectors.as_slice().chunks(width).zip(self.images.as_slice().chunks(width));
        for (vector, image) in rows {
            for (column, square) in squares.iter_mut().enumerate().take(wanted) {
                let off = f64::from(image[column] - self.values[column] * vector[column]);
                *square += off * off;
            }
        }
        let largest = squares.into_iter().fold(0.0, f64::max).sqrt() as f32;
        if self.values[0] > 0.0 { largest / self.values[0] } else { largest }
    }

    fn leading(&self, wanted: usize) -> Spectrum {
        let rows = self.vectors.as_slice().chunks(self.vectors.width());
        let vectors =
            Matrix::from_vec(rows.flat_map(|row| &row[..wanted]).copied().collect(), wanted);
        Spectrum { vectors, values: self.values[..wanted].to_vec() }
    }
}

/// `a·x + b·y`.
fn combine(x: &Matrix, a: f32, y: &Matrix, b: f32) -> Matrix {
    let data = x.as_slice().par_iter().zip(y.as_slice()).map(|(x, y)| a * x + b * y).collect();
    Matrix::from_vec(data, x.width())
}

/// `xᵀy`, row-major, summed in a fixed order.
pub(crate) fn product(x: &Matrix, y: &Matrix) -> Vec<f64> {
    let (rows, columns) = (x.width(), y.width());
    let mut sum = vec![0.0_f64; rows * columns];
    let (xs, ys) = (rows * CHUNK, columns * CHUNK);
    // A few chunks are multiplied in parallel and added in order: bounded memory, fixed order.
    for (x, y) in x.as_slice().chunks(xs * 16).zip(y.as_slice().chunks(ys * 16)) {
        let parts: Vec<Vec<f32>> = x
            .par_chunks(xs)
            .zip(y.par_chunks(ys))
            .map(|(x, y)| {
                let mut part = vec![0.0_f32; rows * columns];
                let out = MatMut::from_row_major_slice_mut(&mut part, rows, columns);
                let x = MatRef::from_row_major_slice(x, x.len() / rows, rows);
                let y = MatRef::from_row_major_slice(y, y.len() / columns, columns);
                matmul(out, Accum::Replace, x.transpose(), y, 1.0, Par::Seq);
                part
            })
            .collect();
        for part in parts {
            for (total, value) in sum.iter_mut().zip(part) {
                *total += f64::from(value);
            }
        }
    }
    sum
}

/// `x · right`, where `right` is row-major with as many rows as `x` has columns.
pub(crate) fn times(x: &Matrix, right: &[f32]) -> Matrix {
    let depth = x.width();
    let width = right.len() / depth;
    let mut out = Matrix::zeros(x.rows(), width);
    let right = MatRef::from_row_major_slice(right, depth, width);
    let chunks = out.as_mut_slice().par_chunks_mut(width * CHUNK);
    chunks.zip(x.as_slice().par_chunks(depth * CHUNK)).for_each(|(out, x)| {
        let rows = x.len() / depth;
        let out = MatMut::from_row_major_slice_mut(out, rows, width);
        let x = MatRef::from_row_major_slice(x, rows, depth);
        matmul(out, Accum::Replace, x, right, 1.0, Par::Seq);
    });
    out
}

/// Gives the columns length 1 and right angles: Cholesky QR, repeated until it holds (Fukaya et al., *Shifted
/// Cholesky QR*, 2020).
fn orthonormalise(x: &mut Matrix) -> Result<(), Error> {
    const PASSES: usize = 5;
    let width = x.width();
    for _ in 0..PASSES {
        let mut gram = product(x, x);
        let off = |i: usize, j: usize, value: f64| (value - f64::from(i == j)).abs();
        let worst = gram.iter().enumerate().map(|(at, g)| off(at / width, at % width, *g));
        if worst.fold(0.0, f64::max) < 1e-4 {
            return Ok(());
        }
        // Columns of very different lengths are brought to one length first.
        let scales: Vec<f64> =
            (0..width).map(|i| gram[i * width + i].max(1e-30).sqrt().recip()).collect();
        for (at, value) in gram.iter_mut().enumerate() {
            *value *= scales[at / width] * scales[at % width];
        }
        // Single precision cannot tell columns apart that are nearer than this.
        let shift = 1e-6 * width as f64;
        let lower = |shift: f64| {
            let shifted = Mat::from_fn(width, width, |i, j| {
                gram[i * width + j] + if i == j { shift } else { 0.0 }
            });
            shifted.llt(Side::Lower).ok()
        };
        let factor = lower(0.0).or_else(|| lower(shift)).ok_or(Error::Decomposition)?;
        // x ← x · scales · L^−ᵀ
        let mut inverse = Mat::<f64>::identity(width, width);
        factor.L().solve_lower_triangular_in_place(inverse.as_mut());
        let right: Vec<f32> = (0..width * width)
            .map(|at| (scales[at / width] * inverse[(at % width, at / width)]) as f32)
            .collect();
        *x = times(x, &right);
    }
    Ok(())
}
