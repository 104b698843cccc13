//! Every vector is looked at: first its code, then, of the few that may be among the best, the vector itself.
//!
//! With codes `q̂`, `v̂` of a query `q` and a vector `v` of length 1,
//!
//! ```text
//! |q·v − q̂·v̂|  ≤  ‖q − q̂‖·‖v‖ + ‖q̂‖·‖v − v̂‖
//! ```
//!
//! so the codes bound what the vectors give. Whoever's bound reaches the k-th best score found is scored by its
//! vector: the answer is that of scoring all of them, not an approximation.

use super::kernel::{AHEAD, Kernel, Line, prefetch};
use super::quantize::{Code, encode, lines_of};
use crate::matrix::dot;
use crate::rows::RowSet;
use crate::select::top_k;

/// Vectors scored by themselves before the k-th best score is known; more are as bounds demand.
const RERANKED: usize = 200;

/// Vectors whose codes are multiplied in one go.
const BLOCK: usize = 256;

/// Vectors of length 1 by row, with their codes.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    width: usize,
    vectors: Vec<f32>,
    lines: Vec<Line>,
    codes: Vec<Code>,
    present: RowSet,
    kernel: Kernel,
}

impl Exact {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            vectors: Vec::new(),
            lines: Vec::new(),
            codes: Vec::new(),
            present: RowSet::new(0),
            kernel: Kernel::available()[0],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The rows that have a vector.
    pub(super) fn present(&self) -> &RowSet {
        &self.present
    }

    pub(super) fn vector(&self, row: u32) -> Option<&[f32]> {
        let start = row as usize * self.width;
        self.present.contains(row).then(|| &self.vectors[start..start + self.width])
    }

    /// Takes a vector of length 1 for `row`.
    pub(super) fn put(&mut self, row: u32, vector: &[f32]) {
        let (at, lines) = (row as usize, lines_of(self.width));
        if at >= self.codes.len() {
            self.codes.resize(at + 1, Code::default());
            self.lines.resize((at + 1) * lines, Line::ZERO);
            self.vectors.resize((at + 1) * self.width, 0.0);
            self.present.grow(at + 1);
        }
        self.vectors[at * self.width..][..self.width].copy_from_slice(vector);
        self.codes[at] = encode(vector, &mut self.lines[at * lines..][..lines]);
        self.present.insert(row);
    }

    pub(super) fn remove(&mut self, row: u32) -> bool {
        self.present.remove(row)
    }

    /// The `k` best of `rows`, all of which must have a vector; best first, ties to the lower row.
    pub(super) fn search(&self, query: &[f32], k: usize, rows: &RowSet) -> Vec<(u32, f32)> {
        let first = k.max(RERANKED);
        if k == 0 || rows.count() <= first {
            return self.best(query, rows.iter(), k);
        }
        let bounds = self.bounds(query, rows);
        let likely = top_k(&bounds, rows, first, f32::NEG_INFINITY);
        let best = self.best(query, likely.iter().map(|(row, _)| *row), k);
        let (Some(&(_, bar)), Some(&last)) = (best.last(), likely.last()) else { return best };
        if last.1 < bar {
            return best;
        }
        let reached = rows.iter().filter(|row| {
            let bound = bounds[*row as usize];
            bound >= bar && (bound < last.1 || bound == last.1 && *row > last.0)
        });
        self.best(query, best.iter().map(|(row, _)| *row).chain(reached), k)
    }

    /// The `k` best of distinct `rows`.
    pub(super) fn best(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        k: usize,
    ) -> Vec<(u32, f32)> {
        let vector = |row: u32| &self.vectors[row as usize * self.width..][..self.width];
        let rows: Vec<u32> = rows.collect();
        let scored = rows.iter().enumerate().map(|(n, &row)| {
            if let Some(&later) = rows.get(n + AHEAD) {
                prefetch(vector(later));
            }
            (row, dot(query, vector(row)).clamp(-1.0, 1.0))
        });
        let mut scored: Vec<_> = scored.collect();
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored.truncate(k);
        scored
    }

    /// By row, the most `query` can give with the vectors of `rows`.
    fn bounds(&self, query: &[f32], rows: &RowSet) -> Vec<f32> {
        let mut lines = vec![Line::ZERO; lines_of(self.width)];
        let code = encode(query, &mut lines);
        // What the sums of single precision may be off, see `dot`.
        let rounding = (self.width / 32 + 16) as f32 * f32::EPSILON;
        let mut bounds = vec![f32::NEG_INFINITY; self.codes.len()];
        let (mut block, mut products) = ([0; BLOCK], [0; BLOCK]);
        let mut rest = rows.iter();
        loop {
            let mut count = 0;
            for (place, row) in block.iter_mut().zip(&mut rest) {
                *place = row;
                count += 1;
            }
            if count == 0 {
                return bounds;
            }
            self.kernel.dots(&lines, &self.lines, &block[..count], &mut products);
            for (&row, &product) in block[..count].iter().zip(&products) {
                let of = self.codes[row as usize];
                let error = code.residual + code.length * of.residual + rounding;
                bounds[row as usize] = product as f32 * (code.scale * of.scale) + error;
            }
        }
    }
}
