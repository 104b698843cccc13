//! The inner loops, compiled for the widest registers the machine has.
//!
//! Plain safe loops, written so that the compiler can vectorise them, inlined into `pulp`'s dispatch.
//! The order of additions is fixed by [`LANES`] and multiplications are not fused with additions, so the
//! instruction set changes the speed, never a bit of the result.
#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use crate::matrix::Matrix;
use pulp::{Arch, Simd, WithSimd};

/// Partial sums kept side by side in a dot product.
const LANES: usize = 32;

/// `Σ a[i]·b[i]` over the shorter length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    Arch::new().dispatch(Dot { a, b })
}

/// Calls `each(k, rows[k] · v)` for the rows of `matrix` listed in `rows`.
pub(crate) fn dot_rows(matrix: &Matrix, rows: &[u32], v: &[f32], each: impl FnMut(usize, f32)) {
    Arch::new().dispatch(DotRows { matrix, rows, v, each });
}

/// Appends `row · v` to `out` for each row of the row-major `data`, whose rows are as long as `v`.
pub(crate) fn times(data: &[f32], v: &[f32], out: &mut Vec<f32>) {
    Arch::new().dispatch(Times { data, v, out });
}

/// Overwrites `panel` with the rows of `matrix` listed in `rows`, each times its `scale`, and adds
/// `Σ weight·row` (rows as they are) to `sum`.
pub(crate) fn gather(
    matrix: &Matrix,
    rows: &[u32],
    factors: &[Factor],
    panel: &mut [f32],
    sum: &mut [f32],
) {
    Arch::new().dispatch(Gather { matrix, rows, factors, panel, sum });
}

/// What a gathered row is multiplied with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor {
    /// In the panel.
    pub(crate) scale: f32,
    /// In the sum.
    pub(crate) weight: f32,
}

/// Solves `L Lᵀ x = b` in place of `b`; `l` is column-major, only its lower triangle is read.
pub(crate) fn solve_cholesky(l: &[f32], b: &mut [f32]) {
    Arch::new().dispatch(SolveCholesky { l, b });
}

#[inline(always)]
fn dot_loop(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sums = [0.0_f32; LANES];
    let (a_wide, a_rest) = a[..n].as_chunks::<LANES>();
    let (b_wide, b_rest) = b[..n].as_chunks::<LANES>();
    for (x, y) in a_wide.iter().zip(b_wide) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += x * y;
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        dot_loop(self.a, self.b)
    }
}

struct DotRows<'a, F> {
    matrix: &'a Matrix,
    rows: &'a [u32],
    v: &'a [f32],
    each: F,
}

impl<F: FnMut(usize, f32)> WithSimd for DotRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        for (k, &row) in self.rows.iter().enumerate() {
            (self.each)(k, dot_loop(self.matrix.row(row as usize), self.v));
        }
    }
}

struct Times<'a> {
    data: &'a [f32],
    v: &'a [f32],
    out: &'a mut Vec<f32>,
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.data.chunks_exact(self.v.len()) {
            self.out.push(dot_loop(row, self.v));
        }
    }
}

struct Gather<'a> {
    matrix: &'a Matrix,
    rows: &'a [u32],
    factors: &'a [Factor],
    panel: &'a mut [f32],
    sum: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.matrix.width();
        let places = self.panel.chunks_exact_mut(width);
        for ((&row, factor), place) in self.rows.iter().zip(self.factors).zip(places) {
            let values = self.matrix.row(row as usize);
            for ((place, sum), value) in place.iter_mut().zip(&mut *self.sum).zip(values) {
                *place = factor.scale * value;
                *sum += factor.weight * value;
            }
        }
    }
}

struct SolveCholesky<'a> {
    l: &'a [f32],
    b: &'a mut [f32],
}

impl WithSimd for SolveCholesky<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (l, b) = (self.l, self.b);
        let n = b.len();
        for k in 0..n {
            let column = &l[k * n + k..(k + 1) * n];
            let x = b[k] / column[0];
            b[k] = x;
            for (rest, value) in b[k + 1..].iter_mut().zip(&column[1..]) {
                *rest -= value * x;
            }
        }
        for k in (0..n).rev() {
            let column = &l[k * n + k..(k + 1) * n];
            b[k] = (b[k] - dot_loop(&column[1..], &b[k + 1..])) / column[0];
        }
    }
}
