//! Features in bins: the few values a split may fall between.

use crate::matrix::Matrix;
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Rows whose values make the bins, at most.
const SAMPLE: usize = 200_000;

/// Rows coded at once.
const BLOCK: usize = 4096;

/// The code of a missing feature; bins count from 1.
pub(super) const MISSING: u8 = 0;

/// Codes of features beside each other, read at once.
pub(super) type Word = [u8; 8];

/// Every feature of every row as the number of its bin, in two orders: where all rows are read or one feature, by feature;
/// where some rows are read, by row.
#[derive(Debug)]
pub(super) struct Bins {
    by_feature: Vec<u8>,
    by_row: Vec<Word>,
    /// Words of a row.
    words: usize,
    rows: usize,
    /// Of each feature, what lies between its bins, ascending: bin `k` holds what is above `between[k − 2]` and at most
    /// `between[k − 1]`.
    between: Vec<Vec<f32>>,
    /// Features that tell rows apart.
    usable: Vec<usize>,
}

impl Bins {
    /// Of the `rows` of `features`, `most` bins a feature; row `k` here is `rows[k]` there.
    pub(super) fn new(features: &Matrix, rows: &[u32], most: usize, random: &mut impl Rng) -> Self {
        let width = features.width();
        let sample = sample(rows, random);
        let between: Vec<Vec<f32>> = (0..width)
            .into_par_iter()
            .map(|feature| {
                let values = sample.iter().map(|row| features.row(*row as usize)[feature]);
                between(values.filter(|value| !value.is_nan()).collect(), most)
            })
            .collect();
        let words = width.div_ceil(size_of::<Word>());
        let mut by_row = vec![Word::default(); rows.len() * words];
        by_row.par_chunks_mut(BLOCK * words).zip(rows.par_chunks(BLOCK)).for_each(
            |(coded, rows)| {
                for (coded, row) in coded.chunks_exact_mut(words).zip(rows) {
                    let values = features.row(*row as usize).iter().zip(&between);
                    for (code, (value, between)) in coded.as_flattened_mut().iter_mut().zip(values)
                    {
                        *code = bin(*value, between);
                    }
                }
            },
        );
        let mut by_feature = vec![MISSING; rows.len() * width];
        let columns = by_feature.par_chunks_mut(rows.len().max(1)).enumerate();
        columns.for_each(|(feature, column)| {
            let (word, at) = (feature / size_of::<Word>(), feature % size_of::<Word>());
            for (code, row) in column.iter_mut().zip(by_row.chunks_exact(words)) {
                *code = row[word][at];
            }
        });
        let rows = rows.len();
        let mut bins = Self { by_feature, by_row, words, rows, between, usable: Vec::new() };
        bins.usable = (0..width).into_par_iter().filter(|feature| bins.differs(*feature)).collect();
        bins
    }

    fn differs(&self, feature: usize) -> bool {
        let codes = self.codes(feature);
        codes.iter().any(|code| *code != codes[0])
    }

    /// Features that tell rows apart.
    pub(super) fn usable(&self) -> &[usize] {
        &self.usable
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The codes of a feature, one a row.
    pub(super) fn codes(&self, feature: usize) -> &[u8] {
        &self.by_feature[feature * self.rows..(feature + 1) * self.rows]
    }

    /// How many words a row's codes are.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// The codes of a row, eight features a word.
    pub(super) fn row(&self, row: u32) -> &[Word] {
        &self.by_row[row as usize * self.words..][..self.words]
    }

    /// How many bins `feature` has.
    pub(super) fn count(&self, feature: usize) -> usize {
        self.between[feature].len() + 1
    }

    /// What a value in one of the bins `1..=code` is at most, and one in a later bin is above.
    pub(super) fn threshold(&self, feature: usize, code: u8) -> f32 {
        self.between[feature].get(usize::from(code) - 1).copied().unwrap_or(f32::MAX)
    }
}

fn bin(value: f32, between: &[f32]) -> u8 {
    if value.is_nan() {
        MISSING
    } else {
        1 + between.partition_point(|threshold| value > *threshold) as u8
    }
}

/// One row drawn from each of [`SAMPLE`] stretches of the same length; all rows where there are no more. A fixed step would
/// meet the same places of every query.
fn sample(rows: &[u32], random: &mut impl Rng) -> Vec<u32> {
    if rows.len() <= SAMPLE {
        return rows.to_vec();
    }
    let start = |at: usize| at * rows.len() / SAMPLE;
    (0..SAMPLE).map(|at| rows[random.random_range(start(at)..start(at + 1))]).collect()
}

/// What lies between at most `most` bins: every distinct value has one of its own where that many suffice; otherwise bins
/// hold about as many rows each, and a value with many rows has one of its own.
fn between(mut values: Vec<f32>, most: usize) -> Vec<f32> {
    // `+ 0.0` makes −0 into 0.
    for value in &mut values {
        *value += 0.0;
    }
    values.sort_unstable_by(f32::total_cmp);
    let mut distinct: Vec<(f32, usize)> = Vec::new();
    for value in &values {
        match distinct.last_mut() {
            Some((last, count)) if last == value => *count += 1,
            _ => distinct.push((*value, 1)),
        }
    }
    let mut between = Vec::new();
    let (mut rows_left, mut bins_left, mut rows) = (values.len(), most, 0);
    for (at, pair) in distinct.windows(2).enumerate() {
        let ((value, count), (next, next_count)) = (pair[0], pair[1]);
        rows += count;
        let share = rows_left as f64 / bins_left as f64;
        let enough_bins = distinct.len() - at <= bins_left;
        let is_full =
            rows as f64 >= share || next_count as f64 >= share && rows as f64 >= share / 2.0;
        if enough_bins || is_full {
            between.push(middle(value, next));
            rows_left -= rows;
            bins_left -= 1;
            rows = 0;
        }
        if bins_left == 1 {
            break;
        }
    }
    between
}

/// A number that `low` is at most and `high` above.
fn middle(low: f32, high: f32) -> f32 {
    let middle = f32::midpoint(low, high);
    if middle < high { middle } else { low }
}
