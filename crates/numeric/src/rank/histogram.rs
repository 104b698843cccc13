//! Sums of derivatives by feature and bin, in integers.

use super::bins::{Bins, Word};
use super::lambda::Slope;
use rayon::prelude::*;

/// Bits of a sum's second word below the count of rows.
const HESSIAN_BITS: u32 = 40;

/// Rows that can be counted above them.
pub(super) const MOST_ROWS: usize = (1 << (64 - HESSIAN_BITS)) - 1;

/// Bits of the largest `|g|` and the largest `h`.
const ROW_BITS: (i32, i32) = (30, 31);

/// Rows summed by one thread at a time.
const BLOCK: usize = 8192;

/// Rows of them that are summed feature after feature, so that their derivatives stay close.
const PANEL: usize = 1024;

/// Sums over rows: of `g` in units, and of `h` in units with the number of rows above it. One addition of two words
/// adds all three.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(16))]
pub(super) struct Sums {
    gradient: i64,
    hessian_and_count: u64,
}

impl Sums {
    fn of_row((gradient, hessian): (i32, u32)) -> Self {
        let hessian_and_count = u64::from(hessian) + (1 << HESSIAN_BITS);
        Self { gradient: i64::from(gradient), hessian_and_count }
    }

    /// Number of rows.
    pub(super) fn count(self) -> usize {
        (self.hessian_and_count >> HESSIAN_BITS) as usize
    }

    fn add(&mut self, other: Self) {
        self.gradient += other.gradient;
        self.hessian_and_count += other.hessian_and_count;
    }

    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// Without `part`, which is one of its parts.
    pub(super) fn minus(self, part: Self) -> Self {
        Self {
            gradient: self.gradient - part.gradient,
            hessian_and_count: self.hessian_and_count - part.hessian_and_count,
        }
    }
}

/// How large derivatives are.
#[derive(Clone, Copy, Default)]
struct Extent {
    /// `|g|` and `h`.
    largest: (f64, f64),
    /// `Σ |g|`, not finite if one is not.
    gradients: f64,
    /// `Σ h`.
    hessians: f64,
}

impl Extent {
    fn of(slopes: &[Slope]) -> Self {
        slopes.iter().fold(Self::default(), |all, slope| {
            let g = slope.g.abs();
            all.with(Self { largest: (g, slope.h), gradients: g, hessians: slope.h })
        })
    }

    fn with(self, other: Self) -> Self {
        Self {
            largest: (self.largest.0.max(other.largest.0), self.largest.1.max(other.largest.1)),
            gradients: self.gradients + other.gradients,
            hessians: self.hessians + other.hessians,
        }
    }
}

/// The derivatives of all rows, rounded to units.
#[derive(Debug)]
pub(super) struct Rounded {
    /// Of each row `g` and `h`, in units.
    rows: Vec<(i32, u32)>,
    gradient_unit: f64,
    hessian_unit: f64,
}

impl Rounded {
    /// `None` if a derivative is not finite.
    pub(super) fn new(slopes: &[Slope]) -> Option<Self> {
        // Blocks are summed apart and then in order, so that threads do not matter.
        let blocks: Vec<Extent> = slopes.par_chunks(BLOCK).map(Extent::of).collect();
        let all = blocks.into_iter().fold(Extent::default(), Extent::with);
        if !all.gradients.is_finite() || !all.hessians.is_finite() {
            return None;
        }
        let gradient_scale = scale(all.largest.0, ROW_BITS.0);
        // One bit is left for what rounding adds.
        let hessian_scale =
            scale(all.hessians, HESSIAN_BITS as i32 - 1).min(scale(all.largest.1, ROW_BITS.1));
        let rows = slopes.par_iter().map(|slope| {
            let (g, h) = (nearest(slope.g * gradient_scale), nearest(slope.h * hessian_scale));
            (g as i32, h as u32)
        });
        Some(Self {
            rows: rows.collect(),
            gradient_unit: gradient_scale.recip(),
            hessian_unit: hessian_scale.recip(),
        })
    }

    /// Sums over all rows.
    pub(super) fn total(&self) -> Sums {
        self.rows.par_iter().map(|row| Sums::of_row(*row)).reduce(Sums::default, Sums::plus)
    }

    /// `Σ g`.
    pub(super) fn gradient(&self, sums: Sums) -> f64 {
        sums.gradient as f64 * self.gradient_unit
    }

    /// `Σ h`.
    pub(super) fn hessian(&self, sums: Sums) -> f64 {
        // Signed numbers are turned into floats faster.
        let hessian = (sums.hessian_and_count & ((1 << HESSIAN_BITS) - 1)) as i64;
        hessian as f64 * self.hessian_unit
    }
}

/// The power of two that brings `value` to at most `bits` bits, as a factor.
fn scale(value: f64, bits: i32) -> f64 {
    // The exponent of a normal number: value < 2^(exponent + 1).
    let exponent = ((value.max(f64::MIN_POSITIVE).to_bits() >> 52) & 0x7ff) as i32 - 1023;
    2_f64.powi((bits - exponent - 1).min(1023))
}

/// The nearest integer of a number within ±2^50.
fn nearest(value: f64) -> i64 {
    // The last bit of so large a number is worth 1.
    const LARGE: f64 = 6_755_399_441_055_744.0;
    (value + LARGE).to_bits() as i64 - LARGE.to_bits() as i64
}

/// Sums by bin, of each feature a tree may use.
pub(super) type Histogram = Vec<[Sums; 256]>;

/// The histogram of `rows` over the features `used`.
pub(super) fn build(rows: &[u32], bins: &Bins, slopes: &Rounded, used: &[usize]) -> Histogram {
    let empty = || vec![[Sums::default(); 256]; used.len()];
    if rows.len() <= BLOCK {
        return add_rows(empty(), rows, bins, slopes, used);
    }
    let blocks = rows.par_chunks(BLOCK);
    blocks
        .fold(empty, |cells, rows| add_rows(cells, rows, bins, slopes, used))
        .reduce(empty, |into, other| merge(into, &other))
}

fn add_rows(
    mut cells: Histogram,
    rows: &[u32],
    bins: &Bins,
    slopes: &Rounded,
    used: &[usize],
) -> Histogram {
    let words = bins.words();
    let mut own = [Sums::default(); PANEL];
    let mut codes = vec![Word::default(); PANEL * words];
    for rows in rows.chunks(PANEL) {
        let own = &mut own[..rows.len()];
        for (own, row) in own.iter_mut().zip(rows) {
            *own = Sums::of_row(slopes.rows[*row as usize]);
        }
        let (first, last) = (rows[0] as usize, rows[rows.len() - 1] as usize);
        if last - first + 1 == rows.len() {
            for (cells, feature) in cells.iter_mut().zip(used) {
                let codes = &bins.codes(*feature)[first..=last];
                add_feature(cells, codes.iter().copied(), own);
            }
        } else {
            // What is far apart is read once, not once a feature.
            for (at, row) in rows.iter().enumerate() {
                for (word, codes) in bins.row(*row).iter().zip(codes.chunks_exact_mut(PANEL)) {
                    codes[at] = *word;
                }
            }
            for (cells, feature) in cells.iter_mut().zip(used) {
                let codes = &codes[feature / size_of::<Word>() * PANEL..][..rows.len()];
                let at = feature % size_of::<Word>();
                add_feature(cells, codes.iter().map(|codes| codes[at]), own);
            }
        }
    }
    cells
}

#[inline]
fn add_feature(cells: &mut [Sums; 256], codes: impl Iterator<Item = u8>, own: &[Sums]) {
    for (code, own) in codes.zip(own) {
        cells[usize::from(code)].add(*own);
    }
}

fn merge(mut into: Histogram, other: &Histogram) -> Histogram {
    for (into, other) in into.iter_mut().zip(other) {
        for (into, other) in into.iter_mut().zip(other) {
            into.add(*other);
        }
    }
    into
}

/// Makes a leaf's histogram into that of what `part` leaves of it.
pub(super) fn subtract(from: &mut Histogram, part: &Histogram) {
    for (from, part) in from.iter_mut().zip(part) {
        for (from, part) in from.iter_mut().zip(part) {
            *from = from.minus(*part);
        }
    }
}
