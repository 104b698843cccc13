//! What follows what: counts of ordered pairs of items in users' sequences.
//!
//! `C[i→j] += d^−e` when `j` came `d ≤ window` places after `i`, and `C[j→i] += backward/d`. Raw counts
//! are stored and normalised while reading, so one event is at most `2·window` additions and no
//! popularity ever makes stored numbers stale. A user's score for `j` is
//!
//! ```text
//! Σ_k decay^k · C[recent_k → j] / ((pop_i + shift)^a · pop_j^b)        k = 0 the newest
//! ```
//!
//! A popular item would in time be near every other one, so a row that reaches twice
//! [`Options::neighbours`] is cut to its strongest: memory is bounded by the catalogue, and as every cut
//! makes room for as many newcomers, cutting costs little. What a row loses counts anew if it comes back.
//!
//! A decayed session-based nearest-neighbour scheme, near to Ludewig & Jannach, *Evaluation of
//! session-based recommendation algorithms* (2018), with softer normalisation by popularity.

use rayon::prelude::*;
use std::fmt;

pub use score::Popularity;

mod score;
#[cfg(test)]
mod tests;

/// How pairs are counted and read.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many items back a pair may reach; ≥ 1.
    pub window: usize,
    /// `e` of the forward count `d^−e`; ≥ 0.
    pub distance_exponent: f32,
    /// Factor of the backward count `backward/d`; 0 turns it off.
    pub backward: f32,
    /// `n`: a row that reaches `2n` neighbours keeps the `n` with the highest counts, ties to the lower
    /// row; ≥ 1. Below that nothing is lost.
    pub neighbours: usize,
    /// How many of the newest items speak for a user; ≥ 1.
    pub history: usize,
    /// Weight of each older item relative to the next newer one, in 0..1.
    pub history_decay: f32,
    /// `a`: how strongly popular sources are held back.
    pub source_popularity_exponent: f32,
    /// Added to the source's popularity, so that rare sources are not over-trusted; ≥ 0.
    pub source_popularity_shift: f32,
    /// `b`: how strongly popular targets are held back.
    pub target_popularity_exponent: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: 20,
            distance_exponent: 0.5,
            backward: 0.25,
            neighbours: 256,
            history: 10,
            history_decay: 0.6,
            source_popularity_exponent: 0.4,
            source_popularity_shift: 10.0,
            target_popularity_exponent: 0.2,
        }
    }
}

impl Options {
    fn forward_count(&self, distance: usize) -> f32 {
        (distance as f32).powf(-self.distance_exponent)
    }

    fn backward_count(&self, distance: usize) -> f32 {
        self.backward / distance as f32
    }

    /// What is left of a count after others were taken back and lies below this is rounding: half of the
    /// least that one pair counts.
    fn remainder(&self) -> f32 {
        let forward = self.forward_count(self.window.max(1));
        let backward = self.backward_count(self.window.max(1));
        0.5 * if backward > 0.0 { forward.min(backward) } else { forward }
    }
}

/// The counts `C`: for each item a list of the items near it, ascending by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    rows: Vec<Vec<(u32, f32)>>,
}

/// Why stored arrays are not valid counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrError {
    /// `indptr` is empty, does not start at 0, decreases, or does not end at the number of entries.
    Pointers,
    /// `indices` and `values` differ in length.
    Lengths,
    /// In this row the neighbours are not strictly ascending, out of range, or the row itself.
    Indices {
        /// The row.
        row: usize,
    },
    /// In this row a count is not finite or not above zero.
    Values {
        /// The row.
        row: usize,
    },
}

impl fmt::Display for CsrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointers => write!(f, "row pointers do not rise from 0 to the number of entries"),
            Self::Lengths => write!(f, "indices and values differ in length"),
            Self::Indices { row } => {
                write!(f, "neighbours of row {row} are not ascending rows other than itself")
            }
            Self::Values { row } => write!(f, "a count of row {row} is not finite and above 0"),
        }
    }
}

impl std::error::Error for CsrError {}

impl Transitions {
    /// No counts yet, for the items `0..items`.
    pub fn new(items: usize) -> Self {
        Self { rows: vec![Vec::new(); items] }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.rows.len()
    }

    /// Makes room for the items `0..items`. A smaller number changes nothing.
    pub fn grow(&mut self, items: usize) {
        if items > self.rows.len() {
            self.rows.resize_with(items, Vec::new);
        }
    }

    /// Number of stored pairs.
    pub fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Vec::is_empty)
    }

    /// Counts that `item` was engaged with right after `before` (oldest first; only the last `window`
    /// matter). An item is not counted after itself. Rows not known yet are made room for.
    pub fn observe(&mut self, before: &[u32], item: u32, options: &Options) {
        let highest = before.iter().copied().max().unwrap_or(0).max(item);
        self.grow(highest as usize + 1);
        for (at, &earlier) in before.iter().rev().take(options.window).enumerate() {
            if earlier != item {
                self.add(earlier, item, options.forward_count(at + 1), options.neighbours);
                self.add(item, earlier, options.backward_count(at + 1), options.neighbours);
            }
        }
    }

    /// Takes back what [`Transitions::observe`] counted for the same arguments. Counts nobody else added to
    /// are gone afterwards; a pair whose row was cut meanwhile has no more to lose.
    pub fn forget(&mut self, before: &[u32], item: u32, options: &Options) {
        let remainder = options.remainder();
        for (at, &earlier) in before.iter().rev().take(options.window).enumerate() {
            if earlier != item {
                self.take(earlier, item, options.forward_count(at + 1), remainder);
                self.take(item, earlier, options.backward_count(at + 1), remainder);
            }
        }
    }

    fn take(&mut self, from: u32, to: u32, count: f32, remainder: f32) {
        let Some(row) = self.rows.get_mut(from as usize) else { return };
        let Ok(at) = row.binary_search_by_key(&to, |&(neighbour, _)| neighbour) else { return };
        row[at].1 -= count;
        if row[at].1 < remainder {
            row.remove(at);
        }
    }

    fn add(&mut self, from: u32, to: u32, count: f32, neighbours: usize) {
        if count > 0.0 {
            let row = &mut self.rows[from as usize];
            match row.binary_search_by_key(&to, |&(neighbour, _)| neighbour) {
                Ok(at) => row[at].1 += count,
                Err(at) => {
                    row.insert(at, (to, count));
                    keep_strongest(row, neighbours);
                }
            }
        }
    }

    /// Counts whole sequences (each oldest first) in parallel: what [`Transitions::observe`] gives event
    /// by event, up to the order of additions and to what rows cut earlier have lost. The result does not depend on the number of threads.
    /// Rows at or above `items` are made room for.
    pub fn from_sequences(items: usize, sequences: &[Vec<u32>], options: &Options) -> Self {
        let highest = sequences.iter().flatten().max().map_or(0, |&row| row as usize + 1);
        let items = items.max(highest);
        let occurrences = Occurrences::new(items, sequences);
        let counts = Counts {
            forward: (1..=options.window).map(|d| options.forward_count(d)).collect(),
            backward: (1..=options.window).map(|d| options.backward_count(d)).collect(),
        };
        let rows = (0..items)
            .into_par_iter()
            .with_min_len(64)
            .map_init(
                || (vec![0.0_f32; items], Vec::new()),
                |(sums, touched), item| {
                    for &(sequence, at) in occurrences.of(item) {
                        counts.add(&sequences[sequence as usize], at as usize, sums, touched);
                    }
                    touched.sort_unstable();
                    let mut row: Vec<_> = touched
                        .drain(..)
                        .map(|other| (other, std::mem::take(&mut sums[other as usize])))
                        .collect();
                    keep_strongest(&mut row, options.neighbours);
                    row
                },
            )
            .collect();
        Self { rows }
    }

    /// `C[from→to]`, 0 if never counted.
    pub fn count(&self, from: u32, to: u32) -> f32 {
        let row = self.row(from);
        row.binary_search_by_key(&to, |&(neighbour, _)| neighbour).map_or(0.0, |at| row[at].1)
    }

    /// The items counted after (or, weaker, before) `from`, ascending by row, with `C[from→·]`.
    pub fn neighbours(&self, from: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.row(from).iter().copied()
    }

    fn row(&self, from: u32) -> &[(u32, f32)] {
        self.rows.get(from as usize).map_or(&[], Vec::as_slice)
    }

    /// The counts as compressed rows: row pointers (items + 1), neighbours, counts.
    pub fn to_csr(&self) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
        let mut indptr = Vec::with_capacity(self.items() + 1);
        indptr.push(0);
        let (mut indices, mut values) =
            (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for row in &self.rows {
            for &(neighbour, count) in row {
                indices.push(neighbour);
                values.push(count);
            }
            indptr.push(indices.len() as u64);
        }
        (indptr, indices, values)
    }

    /// Reads what [`Transitions::to_csr`] wrote.
    ///
    /// # Errors
    /// Arrays that [`Transitions::to_csr`] cannot have written; see [`CsrError`].
    pub fn from_csr(indptr: &[u64], indices: &[u32], values: &[f32]) -> Result<Self, CsrError> {
        if indices.len() != values.len() {
            return Err(CsrError::Lengths);
        }
        let ends_meet =
            indptr.first() == Some(&0) && indptr.last() == Some(&(indices.len() as u64));
        if !ends_meet || !indptr.is_sorted() {
            return Err(CsrError::Pointers);
        }
        let items = indptr.len() - 1;
        let mut rows = Vec::with_capacity(items);
        for (row, bounds) in indptr.windows(2).enumerate() {
            let range = bounds[0] as usize..bounds[1] as usize;
            let (neighbours, counts) = (&indices[range.clone()], &values[range]);
            let in_range = neighbours.last().is_none_or(|&last| (last as usize) < items);
            let ascending = neighbours.is_sorted_by(|a, b| a < b);
            if !in_range || !ascending || neighbours.binary_search(&(row as u32)).is_ok() {
                return Err(CsrError::Indices { row });
            }
            if !counts.iter().all(|&count| count.is_finite() && count > 0.0) {
                return Err(CsrError::Values { row });
            }
            rows.push(neighbours.iter().copied().zip(counts.iter().copied()).collect());
        }
        Ok(Self { rows })
    }
}

/// Cuts a row of `2 · neighbours` or more to its `neighbours` strongest.
fn keep_strongest(row: &mut Vec<(u32, f32)>, neighbours: usize) {
    let neighbours = neighbours.max(1);
    if row.len() >= neighbours.saturating_mul(2) {
        let stronger_first =
            |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        row.select_nth_unstable_by(neighbours - 1, stronger_first);
        row.truncate(neighbours);
        row.sort_unstable_by_key(|&(neighbour, _)| neighbour);
    }
}

/// What a pair adds at distance 1, 2, …, window.
struct Counts {
    forward: Vec<f32>,
    backward: Vec<f32>,
}

impl Counts {
    /// Adds to the row of the item at place `at` what this one occurrence of it gives; `touched` lists
    /// the neighbours whose sum is not 0.
    fn add(&self, sequence: &[u32], at: usize, sums: &mut [f32], touched: &mut Vec<u32>) {
        let (past, future) = (&sequence[..at], &sequence[at + 1..]);
        let after = future.iter().zip(&self.forward);
        let before = past.iter().rev().zip(&self.backward);
        for (&other, &count) in after.chain(before) {
            if other != sequence[at] && count > 0.0 {
                let sum = &mut sums[other as usize];
                if *sum == 0.0 {
                    touched.push(other);
                }
                *sum += count;
            }
        }
    }
}

/// Where each item occurs: `(sequence, place)` in ascending order.
struct Occurrences {
    starts: Vec<usize>,
    places: Vec<(u32, u32)>,
}

impl Occurrences {
    fn new(items: usize, sequences: &[Vec<u32>]) -> Self {
        let mut starts = vec![0_usize; items + 1];
        for &item in sequences.iter().flatten() {
            starts[item as usize + 1] += 1;
        }
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut places = vec![(0, 0); starts[items]];
        for (sequence, items) in sequences.iter().enumerate() {
            for (at, &item) in items.iter().enumerate() {
                places[next[item as usize]] = (sequence as u32, at as u32);
                next[item as usize] += 1;
            }
        }
        Self { starts, places }
    }

    fn of(&self, item: usize) -> &[(u32, u32)] {
        &self.places[self.starts[item]..self.starts[item + 1]]
    }
}
