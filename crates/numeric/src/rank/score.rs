//! Many candidates at once, by what they fail instead of where they go.
//!
//! A tree's leaves are numbered from left to right, one bit each. A condition that a candidate fails rules out the leaves
//! to its left; the lowest bit that is left is the leaf (Lucchese et al., *QuickScorer: a Fast Algorithm to Rank
//! Documents with Additive Ensembles of Regression Trees*, 2015). Every condition is asked of several candidates
//! side by side, without a branch.

#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use super::model::Node;
use crate::matrix::Matrix;
use pulp::{Arch, Simd, WithSimd};

/// Candidates side by side.
const LANES: usize = 16;

/// All conditions of all trees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conditions {
    width: usize,
    all: Vec<Condition>,
    trees: Vec<Tree>,
    /// Of the leaves, tree after tree, from left to right.
    values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Condition {
    feature: u32,
    threshold: f32,
    /// Leaves that failing it leaves possible.
    keep: u32,
}

/// Where a tree's conditions and leaves end; those of missing features that go left come first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tree {
    missing_left: usize,
    all: usize,
    values: usize,
}

impl Conditions {
    pub(super) fn new(width: usize) -> Self {
        Self { width, all: Vec::new(), trees: Vec::new(), values: Vec::new() }
    }

    /// Adds a tree.
    pub(super) fn push(&mut self, nodes: &[Node]) {
        let (mut found, mut leaves) = (Vec::new(), Vec::new());
        visit(nodes, 0, &mut found, &mut leaves);
        let (left, right): (Vec<_>, Vec<_>) = found.into_iter().partition(|(left, _)| *left);
        self.all.extend(left.into_iter().map(|(_, condition)| condition));
        let missing_left = self.all.len();
        self.all.extend(right.into_iter().map(|(_, condition)| condition));
        self.values.extend(leaves);
        let (all, values) = (self.all.len(), self.values.len());
        self.trees.push(Tree { missing_left, all, values });
    }

    /// Appends the scores of the rows of `candidates`.
    pub(super) fn score(&self, candidates: &Matrix, scores: &mut Vec<f64>) {
        Arch::new().dispatch(Score { of: self, candidates, scores });
    }
}

/// Finds the conditions below `node` with whether what is missing goes left, and its leaves' values.
fn visit(
    nodes: &[Node],
    node: usize,
    conditions: &mut Vec<(bool, Condition)>,
    leaves: &mut Vec<f64>,
) {
    let Node { feature, threshold, left, missing_left, value, .. } = nodes[node];
    if nodes[node].is_leaf() {
        leaves.push(value);
        return;
    }
    let first = leaves.len();
    visit(nodes, left as usize, conditions, leaves);
    let ruled_out = (first..leaves.len()).fold(0, |bits: u32, leaf| bits | 1 << leaf);
    conditions.push((missing_left, Condition { feature, threshold, keep: !ruled_out }));
    visit(nodes, left as usize + 1, conditions, leaves);
}

struct Score<'a> {
    of: &'a Conditions,
    candidates: &'a Matrix,
    scores: &'a mut Vec<f64>,
}

impl WithSimd for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.of.width;
        // Feature by feature.
        let mut columns = vec![0.0; LANES * width];
        for rows in self.candidates.as_slice().chunks(LANES * width) {
            let rows = rows.chunks_exact(width);
            let count = rows.len();
            for (lane, row) in rows.enumerate() {
                for (column, value) in columns.chunks_exact_mut(LANES).zip(row) {
                    column[lane] = *value;
                }
            }
            let mut sums = [0.0; LANES];
            for (at, sums) in sums.chunks_exact_mut(S::F32_LANES).enumerate() {
                add_trees(simd, self.of, &columns, at, sums);
            }
            self.scores.extend_from_slice(&sums[..count]);
        }
    }
}

/// Adds all trees to the sums of the candidates in register `at` of each feature.
#[inline(always)]
fn add_trees<S: Simd>(simd: S, of: &Conditions, columns: &[f32], at: usize, sums: &mut [f64]) {
    let per_feature = LANES / S::F32_LANES;
    let (columns, _) = S::as_simd_f32s(columns);
    let all = simd.splat_u32s(u32::MAX);
    let mut room = [0; LANES];
    let (mut start, mut first) = (0, 0);
    for tree in &of.trees {
        let mut possible = all;
        for condition in &of.all[start..tree.missing_left] {
            let values = columns[condition.feature as usize * per_feature + at];
            let fails = simd.greater_than_f32s(values, simd.splat_f32s(condition.threshold));
            let keep = simd.select_u32s(fails, simd.splat_u32s(condition.keep), all);
            possible = simd.and_u32s(possible, keep);
        }
        for condition in &of.all[tree.missing_left..tree.all] {
            let values = columns[condition.feature as usize * per_feature + at];
            let holds = simd.less_than_or_equal_f32s(values, simd.splat_f32s(condition.threshold));
            let keep = simd.select_u32s(holds, all, simd.splat_u32s(condition.keep));
            possible = simd.and_u32s(possible, keep);
        }
        S::as_mut_simd_u32s(&mut room).0[0] = possible;
        let values = &of.values[first..tree.values];
        for (sum, possible) in sums.iter_mut().zip(&room) {
            *sum += values[possible.trailing_zeros() as usize];
        }
        (start, first) = (tree.all, tree.values);
    }
}
