//! What is fitted, and why it may not be.

use super::model::MOST_LEAVES;
use std::fmt;

/// What is fitted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Trees, fewer if the fit stops early; ≥ 1.
    pub trees: usize,
    /// Leaves of a tree, fewer if nothing is left to gain; 2..=32.
    pub leaves: usize,
    /// `rate`: what a leaf's value is multiplied with; above 0, at most 1.
    pub learning_rate: f64,
    /// Candidates each side of a split has at least; ≥ 1.
    pub min_leaf_rows: usize,
    /// `λ`: pull of a leaf's value towards 0, in units of `h`; above 0 and finite.
    pub l2: f64,
    /// Share of the features that a tree may split by, drawn anew for each, at least one; above 0, at most 1.
    pub feature_share: f64,
    /// `T`: a pair counts if one of both is among this many first of the present order; ≥ 1.
    pub truncation: usize,
    /// Bins of a feature, not counting one for those that miss it; 2..=255.
    pub bins: usize,
    /// `σ`: steepness of the cost of a pair; above 0 and finite.
    pub sigmoid: f64,
    /// Trees without a better held-out NDCG after which the fit stops and keeps the trees up to the best; 0 = never.
    /// Without held-out queries it has no effect.
    pub patience: usize,
    /// Seed of the features a tree may use, and of the rows whose values make the bins.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trees: 120,
            leaves: 15,
            learning_rate: 0.08,
            min_leaf_rows: 50,
            l2: 1.0,
            feature_share: 0.7,
            truncation: 20,
            bins: 255,
            sigmoid: 1.0,
            patience: 0,
            seed: 1,
        }
    }
}

impl Options {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`Error::Options`] with the first one outside, in words.
    pub fn check(&self) -> Result<(), Error> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let checks = [
            (self.trees >= 1, "trees must be at least 1"),
            ((2..=MOST_LEAVES).contains(&self.leaves), "leaves must be 2..=32"),
            (share(self.learning_rate), "learning_rate must be above 0 and at most 1"),
            (self.min_leaf_rows >= 1, "min_leaf_rows must be at least 1"),
            (positive(self.l2), "l2 must be above 0 and finite"),
            (share(self.feature_share), "feature_share must be above 0 and at most 1"),
            (self.truncation >= 1, "truncation must be at least 1"),
            ((2..=255).contains(&self.bins), "bins must be 2..=255"),
            (positive(self.sigmoid), "sigmoid must be above 0 and finite"),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, words)) => Err(Error::Options(words)),
            None => Ok(()),
        }
    }
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An option is outside its range; the words say which and what the range is.
    Options(&'static str),
    /// Features, sizes, gains and weights do not fit together; the words say how.
    Shape(&'static str),
    /// A feature is infinite, or a gain or weight is negative or not finite.
    Number,
    /// More candidates than can be counted, 16,777,215.
    TooManyRows(usize),
    /// In no query that counts do two candidates differ in gain.
    NothingToOrder,
    /// The caller's callback asked to stop.
    Cancelled,
    /// A number left the range of numbers.
    NotFinite,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(words) | Self::Shape(words) => f.write_str(words),
            Self::Number => {
                f.write_str("a feature is infinite, or a gain or weight negative or not finite")
            }
            Self::TooManyRows(rows) => {
                write!(f, "at most {} candidates, there are {rows}", super::histogram::MOST_ROWS)
            }
            Self::NothingToOrder => f.write_str("in no query do two candidates differ in gain"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotFinite => f.write_str("a number is not finite"),
        }
    }
}

impl std::error::Error for Error {}
