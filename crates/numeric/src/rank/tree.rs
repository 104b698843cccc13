//! One tree, grown leaf by leaf.

use super::bins::MISSING;
use super::histogram::{self, Histogram, Sums};
use super::model::Node;
use super::split::{Rules, Split};
use rayon::prelude::*;
use std::ops::Range;

/// Rows divided by one thread at a time.
const BLOCK: usize = 16_384;

/// A tree and which rows fell where.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) nodes: Vec<Node>,
    /// Rows, leaf by leaf, ascending within each.
    rows: Vec<u32>,
    /// Each leaf's place in `rows`, and its value.
    leaves: Vec<(Range<usize>, f64)>,
    /// Feature and gain of every split.
    pub(super) splits: Vec<(usize, f64)>,
}

impl Grown {
    /// Adds to the scores of the rows from `first` what their leaves are worth.
    pub(super) fn add_to(&self, first: usize, scores: &mut [f64]) {
        let end = first + scores.len();
        for (range, value) in &self.leaves {
            let rows = &self.rows[range.clone()];
            let rows = &rows[rows.partition_point(|row| (*row as usize) < first)..];
            for row in rows.iter().map(|row| *row as usize).take_while(|row| *row < end) {
                scores[row - first] += value;
            }
        }
    }
}

/// A leaf that may be divided.
struct Leaf {
    node: usize,
    /// Its place in the rows.
    range: Range<usize>,
    sums: Sums,
    /// Empty where nothing could come of it.
    cells: Histogram,
    split: Option<Split>,
}

/// Grows a tree of at most `leaves` leaves, whose values are multiplied with `rate`. One that finds no split is a single leaf
/// worth 0.
pub(super) fn grow(rules: &Rules<'_>, leaves: usize, rate: f64) -> Grown {
    let mut growth = Growth::new(rules);
    while growth.leaves.len() < leaves && growth.divide_best(leaves) {}
    growth.finish(rate)
}

/// A tree in the making.
struct Growth<'a> {
    rules: &'a Rules<'a>,
    nodes: Vec<Node>,
    rows: Vec<u32>,
    /// Room to divide rows in.
    room: Vec<u32>,
    leaves: Vec<Leaf>,
    splits: Vec<(usize, f64)>,
}

impl<'a> Growth<'a> {
    fn new(rules: &'a Rules<'a>) -> Self {
        let rows: Vec<u32> = (0..rules.bins.rows() as u32).collect();
        let sums = rules.slopes.total();
        let cells = histogram::build(&rows, rules.bins, rules.slopes, rules.used);
        let split = rules.best(&cells, sums);
        let root = Leaf { node: 0, range: 0..rows.len(), sums, cells, split };
        Self {
            rules,
            nodes: vec![Node::leaf(0.0, rows.len() as u32)],
            room: vec![0; rows.len()],
            rows,
            leaves: vec![root],
            splits: Vec::new(),
        }
    }

    /// Divides the leaf whose split gains most; false if there is none.
    fn divide_best(&mut self, leaves: usize) -> bool {
        let gain = |leaf: &Leaf| leaf.split.map_or(f64::NEG_INFINITY, |split| split.gain);
        let ranked = (0..self.leaves.len()).rev();
        let best = ranked.max_by(|a, b| gain(&self.leaves[*a]).total_cmp(&gain(&self.leaves[*b])));
        let Some((at, split)) = best.and_then(|at| Some((at, self.leaves[at].split?))) else {
            return false;
        };
        let feature = self.rules.used[split.slot];
        self.splits.push((feature, split.gain));
        let (left, right) = self.divide(at, split, feature);
        // The last two leaves are not divided any more.
        let last = self.leaves.len() + 1 == leaves;
        let (left, right) = if last { (left, right) } else { self.prepare(at, left, right) };
        self.leaves[at] = left;
        self.leaves.push(right);
        true
    }

    /// The two sides of leaf `at`, still without histograms.
    fn divide(&mut self, at: usize, split: Split, feature: usize) -> (Leaf, Leaf) {
        let leaf = &self.leaves[at];
        let bins = self.rules.bins;
        let codes = bins.codes(feature);
        let goes_left = |row: u32| {
            let code = codes[row as usize];
            if code == MISSING { split.missing_left } else { code <= split.code }
        };
        let range = leaf.range.clone();
        let count =
            divide_rows(&mut self.rows[range.clone()], &mut self.room[range.clone()], &goes_left);
        let (left, right) = (split.left, leaf.sums.minus(split.left));
        let node = self.nodes.len();
        self.nodes[leaf.node] = Node {
            feature: feature as u32,
            threshold: bins.threshold(feature, split.code),
            left: node as u32,
            missing_left: split.missing_left,
            value: 0.0,
            cover: range.len() as u32,
        };
        let middle = range.start + count;
        let side = |node, range, sums| Leaf { node, range, sums, cells: Vec::new(), split: None };
        for sums in [left, right] {
            self.nodes.push(Node::leaf(0.0, sums.count() as u32));
        }
        (side(node, range.start..middle, left), side(node + 1, middle..range.end, right))
    }

    /// Finds the splits of two sides of leaf `at`: the smaller one's histogram is built, the other's is what it leaves.
    fn prepare(&mut self, at: usize, mut left: Leaf, mut right: Leaf) -> (Leaf, Leaf) {
        let rules = self.rules;
        let divisible = |leaf: &Leaf| leaf.sums.count() >= 2 * rules.min_rows;
        if divisible(&left) || divisible(&right) {
            let mut rest = std::mem::take(&mut self.leaves[at].cells);
            let (small, large) = if left.range.len() <= right.range.len() {
                (&mut left, &mut right)
            } else {
                (&mut right, &mut left)
            };
            let rows = &self.rows[small.range.clone()];
            small.cells = histogram::build(rows, rules.bins, rules.slopes, rules.used);
            histogram::subtract(&mut rest, &small.cells);
            large.cells = rest;
            for leaf in [small, large] {
                leaf.split = rules.best(&leaf.cells, leaf.sums);
            }
        }
        (left, right)
    }

    fn finish(mut self, rate: f64) -> Grown {
        let mut leaves = Vec::new();
        if self.leaves.len() > 1 {
            for leaf in &self.leaves {
                let value = rate * self.rules.value(leaf.sums);
                self.nodes[leaf.node].value = value;
                leaves.push((leaf.range.clone(), value));
            }
        }
        Grown { nodes: self.nodes, rows: self.rows, leaves, splits: self.splits }
    }
}

/// Brings the rows that go left before those that do not, in their order; how many go left. `room` is as long as `rows`.
fn divide_rows(
    rows: &mut [u32],
    room: &mut [u32],
    goes_left: &(impl Fn(u32) -> bool + Sync),
) -> usize {
    let blocks = rows.par_chunks(BLOCK).zip(room.par_chunks_mut(BLOCK));
    let counts: Vec<usize> = blocks
        .map(|(rows, room)| {
            // Left ones from the front, the others from the back.
            let (mut front, mut back) = (0, room.len());
            for &row in rows {
                let left = goes_left(row);
                back -= usize::from(!left);
                room[if left { front } else { back }] = row;
                front += usize::from(left);
            }
            front
        })
        .collect();
    let (mut lefts, mut rights) = rows.split_at_mut(counts.iter().sum());
    let count = lefts.len();
    let mut moves = Vec::with_capacity(counts.len());
    for (room, count) in room.chunks(BLOCK).zip(counts) {
        let (left, left_rest) = lefts.split_at_mut(count);
        let (right, right_rest) = rights.split_at_mut(room.len() - count);
        moves.push((room.split_at(count), left, right));
        (lefts, rights) = (left_rest, right_rest);
    }
    moves.into_par_iter().for_each(|((from_left, from_right), left, right)| {
        left.copy_from_slice(from_left);
        for (to, from) in right.iter_mut().zip(from_right.iter().rev()) {
            *to = *from;
        }
    });
    count
}
