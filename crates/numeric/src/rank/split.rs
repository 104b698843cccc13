//! Where a leaf is best divided.

use super::bins::Bins;
use super::histogram::{Histogram, Rounded, Sums};

/// What a split gains beside what the sides hold, at least: less is rounding.
const LEAST_SHARE: f64 = 1e-9;

/// A leaf in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) gain: f64,
    /// Which of the features a tree may use.
    pub(super) slot: usize,
    /// The last bin on the left side.
    pub(super) code: u8,
    /// Whether rows that miss the feature go left.
    pub(super) missing_left: bool,
    /// Of the left side.
    pub(super) left: Sums,
}

/// Which splits there may be, and what they are worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) slopes: &'a Rounded,
    pub(super) bins: &'a Bins,
    pub(super) used: &'a [usize],
    pub(super) l2: f64,
    pub(super) min_rows: usize,
}

impl Rules<'_> {
    /// The split that gains most, of equal ones that by the first feature at the lowest bin.
    pub(super) fn best(&self, cells: &Histogram, sums: Sums) -> Option<Split> {
        let mut best: Option<Split> = None;
        let whole = (sums, self.worth(sums));
        for (slot, cells) in cells.iter().enumerate() {
            let missing = cells[0];
            let bins = self.bins.count(self.used[slot]);
            let mut below = Sums::default();
            for (code, cell) in cells.iter().copied().enumerate().take(bins + 1).skip(1) {
                below = below.plus(cell);
                if sums.minus(below).count() < self.min_rows {
                    break;
                }
                if cell.count() == 0 {
                    continue;
                }
                for missing_left in [false, true] {
                    let left = match (missing.count(), missing_left) {
                        (0, true) => continue,
                        (_, false) => below,
                        (_, true) => below.plus(missing),
                    };
                    let split = Split { gain: 0.0, slot, code: code as u8, missing_left, left };
                    self.keep_better(&mut best, split, whole, missing.count() == 0);
                }
            }
        }
        best
    }

    #[inline]
    fn keep_better(
        &self,
        best: &mut Option<Split>,
        split: Split,
        (sums, worth): (Sums, f64),
        none_misses: bool,
    ) {
        let right = sums.minus(split.left);
        if split.left.count().min(right.count()) < self.min_rows {
            return;
        }
        let sides = self.worth(split.left) + self.worth(right);
        let gain = sides - worth;
        if gain > LEAST_SHARE * sides && best.is_none_or(|best| gain > best.gain) {
            let larger_left = split.left.count() >= right.count();
            let missing_left = if none_misses { larger_left } else { split.missing_left };
            *best = Some(Split { gain, missing_left, ..split });
        }
    }

    /// `G²/(H + λ)`.
    fn worth(&self, sums: Sums) -> f64 {
        self.slopes.gradient(sums).powi(2) / (self.slopes.hessian(sums) + self.l2)
    }

    /// `−G/(H + λ)`.
    pub(super) fn value(&self, sums: Sums) -> f64 {
        -self.slopes.gradient(sums) / (self.slopes.hessian(sums) + self.l2)
    }
}
