//! What each feature adds to a score: Shapley values of the trees.
//!
//! Of a candidate `x`, let `f(S)` be the mean score over the fit's candidates, by their numbers in the nodes, that take
//! `x`'s way at the splits by features in `S` and all ways at the others. Feature `i` is given the mean of
//! `f(S ∪ i) − f(S)` over all orders in which features may join (Lundberg et al., *From local explanations to global
//! understanding with explainable AI for trees*, 2020, "path-dependent" TreeSHAP).
//!
//! A leaf of value `v` whose way asks for the features `1..d` adds, with `o_i` 1 if `x` takes the way at every split by
//! `i` and else 0, and `z_i` the product of the shares of candidates that take it there,
//!
//! ```text
//! φ_i = v (o_i − z_i) Σ_{S ∌ i} |S|!(d−1−|S|)!/d! Π_{j∈S} o_j Π_{j∉S} z_j
//!     = v (o_i − z_i) ∫₀¹ Π_{j≠i} (z_j (1−t) + o_j t) dt
//! ```
//!
//! because `∫ t^k (1−t)^(d−1−k) dt = k!(d−1−k)!/d!`. The integrand is a polynomial of degree `d − 1`, for which Gauss'
//! quadrature with `⌈d/2⌉` points is exact. At each point one product over all `j` serves every `i`, whose factor is divided
//! out again: `(o_i − z_i)/(z_i (1−t) + o_i t)` is a constant of the leaf where `o_i = 1`, and `−1/(1−t)` where it is 0: the
//! same for all such `i`.

#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use super::model::{MOST_LEAVES, Node};
use super::quadrature::{Point, points};
use crate::matrix::Matrix;
use pulp::{Arch, Simd, WithSimd};

/// Candidates side by side.
const LANES: usize = 8;

/// The ways to all leaves of all trees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Paths {
    width: usize,
    steps: Vec<Step>,
    /// Of each leaf's points, of each its steps.
    factors: Vec<Factor>,
    leaves: Vec<Leaf>,
    bias: f64,
    /// By their number, `⌈d/2⌉`.
    points: Vec<Vec<Point>>,
}

/// What a way asks of one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    /// The value lies between both, ends included.
    low: f64,
    high: f64,
    /// `z`, above 0.
    share: f64,
    feature: u32,
    /// Whether what is missing takes it.
    missing: bool,
}

/// A feature's factor of the integrand at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Factor {
    /// Where the candidate takes the way: `z(1−t) + t`.
    taken: f64,
    /// Where it does not: `z(1−t)`.
    left: f64,
    /// `(1 − z)/(z(1−t) + t)`.
    gives: f64,
}

/// Where a way ends in the steps and in their factors.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Leaf {
    steps: usize,
    factors: usize,
    value: f64,
}

impl Paths {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            steps: Vec::new(),
            factors: Vec::new(),
            leaves: Vec::new(),
            bias: 0.0,
            points: (0..=MOST_LEAVES / 2).map(points).collect(),
        }
    }

    /// Adds a tree.
    pub(super) fn push(&mut self, nodes: &[Node]) {
        self.visit(nodes, 0, &[]);
    }

    fn visit(&mut self, nodes: &[Node], at: usize, way: &[Step]) {
        let node = nodes[at];
        if node.is_leaf() {
            self.push_leaf(node.value, way);
            return;
        }
        let left = node.left as usize;
        for (child, is_left) in [(left, true), (left + 1, false)] {
            let share = f64::from(nodes[child].cover) / f64::from(node.cover);
            self.visit(nodes, child, &with_step(way, &node, is_left, share));
        }
    }

    fn push_leaf(&mut self, value: f64, way: &[Step]) {
        self.bias += value * way.iter().map(|step| step.share).product::<f64>();
        self.steps.extend_from_slice(way);
        for Point { at, rest, .. } in &self.points[way.len().div_ceil(2)] {
            let factors = way.iter().map(|step| {
                let left = step.share * rest;
                let taken = left + at;
                Factor { taken, left, gives: (1.0 - step.share) / taken }
            });
            self.factors.extend(factors);
        }
        self.leaves.push(Leaf { steps: self.steps.len(), factors: self.factors.len(), value });
    }

    pub(super) fn bias(&self) -> f64 {
        self.bias
    }

    /// Appends what each feature contributes, candidate after candidate.
    pub(super) fn contributions(&self, candidates: &Matrix, contributions: &mut Vec<f64>) {
        Arch::new().dispatch(Contributions { paths: self, candidates, out: contributions });
    }
}

/// `way` and what `node` asks of whoever goes to the left or right.
fn with_step(way: &[Step], node: &Node, is_left: bool, share: f64) -> Vec<Step> {
    let mut way = way.to_vec();
    let at = way.iter().position(|step| step.feature == node.feature).unwrap_or(way.len());
    if at == way.len() {
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        way.push(Step { low, high, share: 1.0, feature: node.feature, missing: true });
    }
    let step = &mut way[at];
    step.share *= share;
    step.missing &= node.missing_left == is_left;
    if is_left {
        step.high = step.high.min(f64::from(node.threshold));
    } else {
        // The next number above, so that both ends are inside.
        step.low = step.low.max(f64::from(node.threshold.next_up()));
    }
    way
}

struct Contributions<'a> {
    paths: &'a Paths,
    candidates: &'a Matrix,
    out: &'a mut Vec<f64>,
}

impl WithSimd for Contributions<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.paths.width;
        // Feature by feature.
        let mut columns = vec![0.0; LANES * width];
        let mut sums = vec![0.0; LANES * width];
        for rows in self.candidates.as_slice().chunks(LANES * width) {
            for (lane, row) in rows.chunks_exact(width).enumerate() {
                for (column, value) in columns.chunks_exact_mut(LANES).zip(row) {
                    column[lane] = f64::from(*value);
                }
            }
            sums.fill(0.0);
            for at in 0..LANES / S::F64_LANES {
                add_leaves(simd, self.paths, at, &columns, &mut sums);
            }
            for lane in 0..rows.len() / width {
                self.out.extend(sums.chunks_exact(LANES).map(|sums| sums[lane]));
            }
        }
    }
}

/// Adds all leaves' contributions to the sums of the candidates in register `at` of each feature.
#[inline(always)]
fn add_leaves<S: Simd>(simd: S, paths: &Paths, at: usize, columns: &[f64], sums: &mut [f64]) {
    let per_feature = LANES / S::F64_LANES;
    let (columns, _) = S::as_simd_f64s(columns);
    let (sums, _) = S::as_mut_simd_f64s(sums);
    let place = |step: &Step| step.feature as usize * per_feature + at;
    let nothing = simd.splat_f64s(0.0);
    let mut holds = [simd.less_than_f64s(nothing, nothing); MOST_LEAVES];
    let mut taken = [nothing; MOST_LEAVES];
    let (mut start, mut first) = (0, 0);
    for leaf in &paths.leaves {
        let way = &paths.steps[start..leaf.steps];
        for ((step, holds), taken) in way.iter().zip(&mut holds).zip(&mut taken) {
            *holds = step.holds(simd, columns[place(step)]);
            *taken = nothing;
        }
        let mut left = nothing;
        let points = &paths.points[way.len().div_ceil(2)];
        let by_point = paths.factors[first..leaf.factors].chunks_exact(way.len().max(1));
        for (point, factors) in points.iter().zip(by_point) {
            let mut product = simd.splat_f64s(leaf.value * point.weight);
            for (factor, holds) in factors.iter().zip(&holds) {
                let (yes, no) = (simd.splat_f64s(factor.taken), simd.splat_f64s(factor.left));
                product = simd.mul_f64s(product, simd.select_f64s(*holds, yes, no));
            }
            for (factor, taken) in factors.iter().zip(&mut taken) {
                *taken = simd.mul_add_e_f64s(product, simd.splat_f64s(factor.gives), *taken);
            }
            left = simd.mul_add_e_f64s(product, simd.splat_f64s(-point.rest.recip()), left);
        }
        for ((step, holds), taken) in way.iter().zip(&holds).zip(&taken) {
            let sum = &mut sums[place(step)];
            *sum = simd.add_f64s(*sum, simd.select_f64s(*holds, *taken, left));
        }
        (start, first) = (leaf.steps, leaf.factors);
    }
}

impl Step {
    /// Who takes it.
    #[inline(always)]
    fn holds<S: Simd>(&self, simd: S, values: S::f64s) -> S::m64s {
        let (low, high) = (simd.splat_f64s(self.low), simd.splat_f64s(self.high));
        if self.missing {
            // What is missing is neither below nor above.
            let below = simd.less_than_f64s(values, low);
            simd.not_m64s(simd.or_m64s(below, simd.greater_than_f64s(values, high)))
        } else {
            let above = simd.greater_than_or_equal_f64s(values, low);
            simd.and_m64s(above, simd.less_than_or_equal_f64s(values, high))
        }
    }
}
