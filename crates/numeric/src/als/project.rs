//! One row's least-squares solution: the live fold-in, and the step of training where no shorter one will do.

use super::{Options, gramian::gramian};
use crate::kernel::{self, Factor};
use crate::matrix::Matrix;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par, Spec};

/// Everything needed to place a user among fixed items (or an item among fixed users): the Gramian of
/// the fixed side and the options.
#[derive(Clone, Debug)]
pub struct Projection {
    /// `α0·G`, f×f, as it was summed.
    exact: Vec<f64>,
    /// The same in the precision rows are solved in.
    base: Vec<f32>,
    options: Options,
    /// Rows of the fixed side.
    others: usize,
}

/// The observed pairs of one row: rows of the fixed side, each once, and their weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) rows: &'a [u32],
    pub(super) weights: &'a [f32],
}

/// Rows gathered before they are multiplied into `A`: at 64 factors they fill the first-level cache.
const PANEL: usize = 128;

/// How often a singular `A` gets a larger diagonal: from 1e-7 of its mean up to 1e4 of it.
const RESCUES: i32 = 12;

/// Memory of one thread, reused from row to row.
pub(super) struct Scratch {
    panel: Vec<f32>,
    factors: Vec<Factor>,
    /// `A`, then its Cholesky factor `L`; column-major, lower triangle only.
    a: Vec<f32>,
    stack: MemBuffer,
}

impl Scratch {
    pub(super) fn new(factors: usize) -> Self {
        let scratch = cholesky_in_place_scratch::<f32>(factors, Par::Seq, Spec::default());
        Self {
            panel: vec![0.0; PANEL * factors],
            factors: Vec::with_capacity(PANEL),
            a: vec![0.0; factors * factors],
            stack: MemBuffer::new(scratch),
        }
    }
}

impl Projection {
    /// Prepares for the rows of `items` as they are now.
    ///
    /// # Panics
    /// If `items` is not `options.factors` wide.
    pub fn new(items: &Matrix, options: &Options) -> Self {
        assert!(items.width() == options.factors, "items of {} factors", items.width());
        Self::with_gramian(&gramian(items), items.rows(), options)
    }

    /// The same from the Gramian of the `others` rows.
    pub(super) fn with_gramian(gramian: &[f64], others: usize, options: &Options) -> Self {
        let alpha0 = f64::from(options.unobserved_weight);
        let exact: Vec<f64> = gramian.iter().map(|value| alpha0 * value).collect();
        let base = exact.iter().map(|&value| value as f32).collect();
        Self { exact, base, options: options.clone(), others }
    }

    /// `α0·G`, f×f.
    pub(super) fn everywhere(&self) -> &[f64] {
        &self.exact
    }

    /// The factors of a user with this `history` of `(item, weight)`, each item once: the minimum of
    /// the training objective over `x`, to single precision.
    ///
    /// The rows of `items` are those the projection was made for, in any order, rows of zeros between them or not.
    /// An empty history gives zeros. An item that is not a row of `items`, or whose weight is not finite
    /// and above 0, is left out: a user may know items that the model does not.
    ///
    /// # Panics
    /// If `items` is not `options.factors` wide.
    pub fn project(&self, items: &Matrix, history: &[(u32, f32)]) -> Vec<f32> {
        assert!(items.width() == self.options.factors, "items of {} factors", items.width());
        let usable = |&&(item, weight): &&(u32, f32)| {
            (item as usize) < items.rows() && weight.is_finite() && weight > 0.0
        };
        let (rows, weights): (Vec<u32>, Vec<f32>) = history.iter().filter(usable).copied().unzip();
        let observed = Observed { rows: &rows, weights: &weights };
        let mut scratch = Scratch::new(self.options.factors);
        let mut x = vec![0.0; self.options.factors];
        if self.solve(items, observed, &mut scratch, &mut x) == Solved::Exactly {
            self.refine(items, observed, &scratch, &mut x);
        }
        x
    }

    /// Solves `(α0 G + Σ (c−α0) y yᵀ + λ_row I) x = Σ c y`, sums over the observed `y`.
    ///
    /// `x` is always finite. Where `A` is singular in single precision its diagonal is enlarged.
    pub(super) fn solve(
        &self,
        fixed: &Matrix,
        observed: Observed,
        scratch: &mut Scratch,
        x: &mut [f32],
    ) -> Solved {
        x.fill(0.0);
        if observed.rows.is_empty() {
            return Solved::Approximately;
        }
        for rescue in 0..=RESCUES {
            self.assemble(fixed, observed, scratch, x);
            if rescue > 0 {
                enlarge_diagonal(&mut scratch.a, x.len(), rescue);
            }
            if factorize(scratch, x.len()) {
                kernel::solve_cholesky(&scratch.a, x);
                if x.iter().all(|value| value.is_finite()) {
                    return if rescue == 0 { Solved::Exactly } else { Solved::Approximately };
                }
            }
        }
        x.fill(0.0);
        Solved::Approximately
    }

    /// Writes `A` into the scratch and the right side into `b`.
    fn assemble(&self, fixed: &Matrix, observed: Observed, scratch: &mut Scratch, b: &mut [f32]) {
        let f = self.options.factors;
        b.fill(0.0);
        scratch.a.copy_from_slice(&self.base);
        for (rows, weights) in observed.rows.chunks(PANEL).zip(observed.weights.chunks(PANEL)) {
            scratch.factors.clear();
            scratch.factors.extend(weights.iter().map(|&weight| {
                let gain = self.options.gain(weight);
                Factor { scale: gain.sqrt(), weight: self.options.unobserved_weight + gain }
            }));
            let panel = &mut scratch.panel[..f * rows.len()];
            kernel::gather(fixed, rows, &scratch.factors, panel, b);
            add_outer_products(panel, rows.len(), &mut scratch.a);
        }
        let ridge = self.options.ridge(observed.rows.len(), self.others) as f32;
        for diagonal in scratch.a.iter_mut().step_by(f + 1) {
            *diagonal += ridge;
        }
    }

    /// One step of iterative refinement: solves for what is left of `b − A x`, computed in double
    /// precision from the equations themselves, with the factor of `A` that is still there.
    fn refine(&self, fixed: &Matrix, observed: Observed, scratch: &Scratch, x: &mut [f32]) {
        let f = self.options.factors;
        let ridge = self.options.ridge(observed.rows.len(), self.others);
        let mut rest: Vec<f64> = (0..f)
            .map(|k| -ridge * f64::from(x[k]) - dot_mixed(&self.exact[k * f..(k + 1) * f], x))
            .collect();
        for (&row, &weight) in observed.rows.iter().zip(observed.weights) {
            let y = fixed.row(row as usize);
            let score: f64 = y.iter().zip(&*x).map(|(&y, &x)| f64::from(y) * f64::from(x)).sum();
            let gain = f64::from(self.options.gain(weight));
            let pull = f64::from(self.options.unobserved_weight) + gain * (1.0 - score);
            for (rest, &value) in rest.iter_mut().zip(y) {
                *rest += pull * f64::from(value);
            }
        }
        let mut step: Vec<f32> = rest.into_iter().map(|value| value as f32).collect();
        kernel::solve_cholesky(&scratch.a, &mut step);
        if step.iter().all(|value| value.is_finite()) {
            for (x, step) in x.iter_mut().zip(step) {
                *x += step;
            }
        }
    }
}

/// How a row was solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Solved {
    /// As the equations say, up to rounding; the scratch holds the factor of `A`.
    Exactly,
    /// There was nothing to solve, or the diagonal had to be enlarged.
    Approximately,
}

/// Adds `Σ p pᵀ` over the `rows` rows `p` of the panel to the lower triangle of `a`.
fn add_outer_products(panel: &[f32], rows: usize, a: &mut [f32]) {
    let f = panel.len() / rows;
    let panel = MatRef::from_column_major_slice(panel, f, rows);
    triangular::matmul(
        MatMut::from_column_major_slice_mut(a, f, f),
        BlockStructure::TriangularLower,
        Accum::Add,
        panel,
        BlockStructure::Rectangular,
        panel.transpose(),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// Replaces `A` by `L`; says whether `A` was positive definite.
fn factorize(scratch: &mut Scratch, f: usize) -> bool {
    let a = MatMut::from_column_major_slice_mut(&mut scratch.a, f, f);
    let stack = MemStack::new(&mut scratch.stack);
    let plain = LltRegularization::default();
    cholesky_in_place(a, plain, Par::Seq, stack, Spec::default()).is_ok()
}

fn enlarge_diagonal(a: &mut [f32], f: usize, rescue: i32) {
    let mean = a.iter().step_by(f + 1).sum::<f32>() / f as f32;
    let more = mean.max(f32::MIN_POSITIVE) * 10.0_f32.powi(rescue - 8);
    for diagonal in a.iter_mut().step_by(f + 1) {
        *diagonal += more.max(f32::MIN_POSITIVE);
    }
}

fn dot_mixed(a: &[f64], x: &[f32]) -> f64 {
    a.iter().zip(x).map(|(&a, &x)| a * f64::from(x)).sum()
}
