//! The inner loops, compiled for the widest registers the machine has.
//!
//! Plain safe loops, written so that the compiler can vectorise them, inlined into `pulp`'s dispatch.
//! In what answers requests (dot products, the fold-in) the order of additions is fixed by [`LANES`] and
//! multiplications are not fused with additions, so the instruction set changes the speed, never a bit of
//! the result. The kernels of training, [`pull`] and [`pull_and_copy`], use whole registers and fused
//! multiplications: there the result is the same on the same machine.
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

/// Adds `Σ each(k, y·v) y` over the rows `y = rows[k]` of `matrix` to `out`.
///
/// Widths must be multiples of the widest register.
pub(crate) fn pull(
    matrix: &Matrix,
    rows: &[u32],
    v: &[f32],
    out: &mut [f32],
    each: impl FnMut(usize, f32) -> f32,
) {
    Arch::new().dispatch(Pull { matrix, rows, v, out, each });
}

/// As [`pull`] with `v` and `out`; copies the rows into `panel`, one after the other, as it meets them.
pub(crate) fn pull_and_copy(
    matrix: &Matrix,
    rows: &[u32],
    panel: &mut [f32],
    (v, out): (&[f32], &mut [f32]),
    each: impl FnMut(usize, f32) -> f32,
) {
    Arch::new().dispatch(PullAndCopy { pull: Pull { matrix, rows, v, out, each }, panel });
}

/// `out += scale·v`.
pub(crate) fn add(out: &mut [f32], scale: f32, v: &[f32]) {
    Arch::new().dispatch(Add { out, scale, v });
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

struct Add<'a> {
    out: &'a mut [f32],
    scale: f32,
    v: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, v) in self.out.iter_mut().zip(self.v) {
            *out += self.scale * v;
        }
    }
}

/// Rows a pull takes at once.
const BLOCK: usize = 8;

struct Pull<'a, F> {
    matrix: &'a Matrix,
    rows: &'a [u32],
    v: &'a [f32],
    out: &'a mut [f32],
    each: F,
}

struct PullAndCopy<'a, F> {
    pull: Pull<'a, F>,
    panel: &'a mut [f32],
}

impl<F: FnMut(usize, f32) -> f32> WithSimd for Pull<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (v, _) = S::as_simd_f32s(self.v);
        let (out, _) = S::as_mut_simd_f32s(self.out);
        let (blocks, rest) = self.rows.as_chunks::<BLOCK>();
        for (at, block) in blocks.iter().enumerate() {
            let rows = simd_rows::<S, BLOCK>(self.matrix, block);
            pull_block(simd, rows, (v, &mut *out), |k, dot| (self.each)(at * BLOCK + k, dot));
        }
        for (at, &row) in rest.iter().enumerate() {
            let rows = simd_rows::<S, 1>(self.matrix, &[row]);
            let at = blocks.len() * BLOCK + at;
            pull_block(simd, rows, (v, &mut *out), |_, dot| (self.each)(at, dot));
        }
    }
}

impl<F: FnMut(usize, f32) -> f32> WithSimd for PullAndCopy<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pull { matrix, rows, v, out, mut each } = self.pull;
        let (v, _) = S::as_simd_f32s(v);
        let (out, _) = S::as_mut_simd_f32s(out);
        let panel = &mut S::as_mut_simd_f32s(self.panel).0[..rows.len() * v.len()];
        let (blocks, rest) = rows.as_chunks::<BLOCK>();
        let (panel, panel_rest) = panel.split_at_mut(blocks.len() * BLOCK * v.len());
        for (at, (block, copy)) in
            blocks.iter().zip(panel.chunks_exact_mut(BLOCK * v.len())).enumerate()
        {
            let rows = copy_block(simd_rows::<S, BLOCK>(matrix, block), copy);
            pull_block(simd, rows, (v, &mut *out), |k, dot| each(at * BLOCK + k, dot));
        }
        for (at, (&row, copy)) in rest.iter().zip(panel_rest.chunks_exact_mut(v.len())).enumerate()
        {
            let rows = copy_block(simd_rows::<S, 1>(matrix, &[row]), copy);
            let at = blocks.len() * BLOCK + at;
            pull_block(simd, rows, (v, &mut *out), |_, dot| each(at, dot));
        }
    }
}

#[inline(always)]
fn simd_rows<'a, S: Simd, const ROWS: usize>(
    matrix: &'a Matrix,
    rows: &[u32; ROWS],
) -> [&'a [S::f32s]; ROWS] {
    std::array::from_fn(|at| S::as_simd_f32s(matrix.row(rows[at] as usize)).0)
}

/// Copies rows into `panel`, one after the other; where they are then.
#[inline(always)]
fn copy_block<'a, R: Copy, const ROWS: usize>(
    rows: [&[R]; ROWS],
    panel: &'a mut [R],
) -> [&'a [R]; ROWS] {
    let length = panel.len() / ROWS;
    let rows = rows.map(|row| &row[..length]);
    // Side by side, so that the memory is asked for all of them at once.
    for at in 0..length {
        for row in 0..ROWS {
            panel[row * length + at] = rows[row][at];
        }
    }
    let panel = &*panel;
    std::array::from_fn(|row| &panel[row * length..(row + 1) * length])
}

#[inline(always)]
fn pull_block<S: Simd, const ROWS: usize>(
    simd: S,
    rows: [&[S::f32s]; ROWS],
    (v, out): (&[S::f32s], &mut [S::f32s]),
    mut each: impl FnMut(usize, f32) -> f32,
) {
    let length = v.len();
    let out = &mut out[..length];
    let y = rows.map(|row| &row[..length]);
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    for at in 0..length {
        for row in 0..ROWS {
            sums[row] = simd.mul_add_e_f32s(y[row][at], v[at], sums[row]);
        }
    }
    let mut factors = [simd.splat_f32s(0.0); ROWS];
    for row in 0..ROWS {
        factors[row] = simd.splat_f32s(each(row, simd.reduce_sum_f32s(sums[row])));
    }
    for at in 0..length {
        let mut sum = out[at];
        for row in 0..ROWS {
            sum = simd.mul_add_e_f32s(factors[row], y[row][at], sum);
        }
        out[at] = sum;
    }
}
