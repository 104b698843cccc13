//! What weighs how much in a list: a linear score whose softmax puts the chosen item first (McFadden, *Conditional logit
//! analysis of qualitative choice behavior*, 1974).
//!
//! ```text
//! w = argmin  Σ_l v_l · (ln Σ_i exp(o_li + w·φ_li) − w·φ_lt) / Σ_l v_l  +  ½ Σ_k ρ_k w_k²
//! ```
//!
//! A list `l` weighs `v_l`; its item `t` was chosen. `o_li` corrects for sampling: an item that stands for `m` others of its
//! kind has `o = ln m`. The objective is convex; Newton's method finds its minimum in a few passes over the lists.

use std::fmt;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::cholesky;

/// A pass gains less than this: the minimum is found.
const ENOUGH: f64 = 1e-9;

/// Most passes.
const PASSES: usize = 30;

/// Halvings of a step that makes things worse.
const HALVINGS: usize = 20;

/// Lists summed by one thread at a time; sums are added in their order.
const CHUNK: usize = 256;

/// Lists of items, in each of which one was chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    width: usize,
    features: Vec<f32>,
    offsets: Vec<f32>,
    /// Where each list ends.
    ends: Vec<usize>,
    chosen: Vec<u32>,
    weights: Vec<f32>,
}

/// One list.
#[derive(Debug, Clone, Copy)]
pub struct List<'l> {
    /// `φ`, items×features, row-major.
    pub features: &'l [f32],
    /// `o`, one an item.
    pub offsets: &'l [f32],
    /// Which item was chosen.
    pub chosen: usize,
    /// `v`, above 0.
    pub weight: f32,
}

impl Lists {
    /// No list yet, of items with `width` features.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Adds a list.
    ///
    /// # Panics
    /// If the lengths do not fit each other or nothing was chosen from it.
    pub fn push(&mut self, list: List<'_>) {
        let items = list.offsets.len();
        assert!(list.features.len() == items * self.width, "{items} rows of {}", self.width);
        assert!(list.chosen < items, "item {} of {items} was chosen", list.chosen);
        self.features.extend_from_slice(list.features);
        self.offsets.extend_from_slice(list.offsets);
        self.ends.push(self.offsets.len());
        self.chosen.push(list.chosen as u32);
        self.weights.push(list.weight);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True before the first.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Features of an item.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The `at`-th list.
    pub fn get(&self, at: usize) -> List<'_> {
        let (from, to) = (if at == 0 { 0 } else { self.ends[at - 1] }, self.ends[at]);
        List {
            features: &self.features[from * self.width..to * self.width],
            offsets: &self.offsets[from..to],
            chosen: self.chosen[at] as usize,
            weight: self.weights[at],
        }
    }

    /// All lists, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = List<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The lists before and from the `at`-th.
    pub fn split(&self, at: usize) -> (Self, Self) {
        let (mut before, mut after) = (Self::new(self.width), Self::new(self.width));
        for (n, list) in self.iter().enumerate() {
            (if n < at { &mut before } else { &mut after }).push(list);
        }
        (before, after)
    }
}

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// `w`.
    pub weights: Vec<f64>,
    /// The objective at `w`.
    pub loss: f64,
    /// Passes over the lists.
    pub passes: usize,
}

/// The caller's callback asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// Finds `w`, starting from `start`; `ridge` is `ρ`, all above 0. The same lists give the same bytes on any number of threads.
/// `before_pass` is called before each pass over the lists.
///
/// # Errors
/// [`Cancelled`] when the callback breaks.
///
/// # Panics
/// If `start` or `ridge` has not one number a feature.
pub fn fit(
    lists: &Lists,
    ridge: &[f64],
    start: &[f64],
    before_pass: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Fit, Cancelled> {
    let width = lists.width;
    assert!(ridge.len() == width && start.len() == width, "one number a feature");
    let mut pass = |weights: &[f64]| {
        let stopped = before_pass().is_break();
        if stopped { Err(Cancelled) } else { Ok(Slope::at(lists, ridge, weights)) }
    };
    let mut weights = start.to_vec();
    let mut at = pass(&weights)?;
    let mut passes = 1;
    while passes < PASSES {
        let Some(step) = cholesky::solve(&at.curvature, &at.gradient) else { break };
        let Some((next, there, tried)) = at.descend(&weights, &step, &mut pass)? else { break };
        passes += tried;
        let gain = at.loss - there.loss;
        (weights, at) = (next, there);
        if gain < ENOUGH * at.loss.abs().max(1.0) {
            break;
        }
    }
    Ok(Fit { weights, loss: at.loss, passes })
}

/// The objective, its gradient and its Hessian at one `w`.
struct Slope {
    loss: f64,
    gradient: Vec<f64>,
    /// Row-major.
    curvature: Vec<f64>,
}

impl Slope {
    fn at(lists: &Lists, ridge: &[f64], weights: &[f64]) -> Self {
        let width = lists.width;
        let mut slope = Self::flat(width);
        let chunks: Vec<Self> = (0..lists.len())
            .collect::<Vec<_>>()
            .par_chunks(CHUNK)
            .map(|chunk| {
                let mut sum = Self::flat(width);
                let mut scratch = Scratch::default();
                for list in chunk {
                    sum.add(lists.get(*list), weights, &mut scratch);
                }
                sum
            })
            .collect();
        for chunk in &chunks {
            slope.loss += chunk.loss;
            add(&mut slope.gradient, &chunk.gradient, 1.0);
            add(&mut slope.curvature, &chunk.curvature, 1.0);
        }
        let total: f64 = lists.weights.iter().map(|v| f64::from(*v)).sum();
        slope.scale(1.0 / total.max(f64::MIN_POSITIVE));
        for (k, (rho, w)) in ridge.iter().zip(weights).enumerate() {
            slope.loss += 0.5 * rho * w * w;
            slope.gradient[k] += rho * w;
            slope.curvature[k * width + k] += rho;
        }
        slope
    }

    fn flat(width: usize) -> Self {
        Self { loss: 0.0, gradient: vec![0.0; width], curvature: vec![0.0; width * width] }
    }

    fn scale(&mut self, by: f64) {
        self.loss *= by;
        self.gradient.iter_mut().for_each(|value| *value *= by);
        self.curvature.iter_mut().for_each(|value| *value *= by);
    }

    /// Adds one list's part.
    fn add(&mut self, list: List<'_>, weights: &[f64], scratch: &mut Scratch) {
        let weight = f64::from(list.weight);
        let moments = scratch.moments(list, |row| dot(row, weights));
        let target = row(list.features, weights.len(), list.chosen);
        self.loss += weight * (moments.log_sum - dot(target, weights));
        for (gradient, (mean, chosen)) in
            self.gradient.iter_mut().zip(moments.mean.iter().zip(target))
        {
            *gradient += weight * (mean - f64::from(*chosen));
        }
        add(&mut self.curvature, moments.covariance, weight);
    }

    /// The step if it helps, or the longest part of it by halves that does; with the number of tries.
    fn descend(
        &self,
        weights: &[f64],
        step: &[f64],
        pass: &mut dyn FnMut(&[f64]) -> Result<Self, Cancelled>,
    ) -> Result<Option<(Vec<f64>, Self, usize)>, Cancelled> {
        let mut length = 1.0;
        for tried in 1..=HALVINGS {
            let next: Vec<f64> = weights.iter().zip(step).map(|(w, s)| w - length * s).collect();
            let there = pass(&next)?;
            if there.loss <= self.loss {
                return Ok(Some((next, there, tried)));
            }
            length /= 2.0;
        }
        Ok(None)
    }
}

/// The mean and covariance of a list's features when items are chosen by the softmax of their scores.
#[derive(Debug)]
pub struct Moments<'s> {
    /// `ln Σ exp(o + score)`.
    pub log_sum: f64,
    /// `E φ`.
    pub mean: &'s [f64],
    /// `Cov φ`, row-major.
    pub covariance: &'s [f64],
}

/// Memory that is used from list to list.
#[derive(Debug, Default)]
pub struct Scratch {
    probability: Vec<f64>,
    mean: Vec<f64>,
    centred: Vec<f64>,
    likely: Vec<f64>,
    covariance: Vec<f64>,
}

impl Scratch {
    /// The moments of `list` under `score` of an item's features.
    pub fn moments(&mut self, list: List<'_>, score: impl Fn(&[f32]) -> f64) -> Moments<'_> {
        let width = list.features.len() / list.offsets.len();
        let rows = list.features.chunks_exact(width);
        let scores = rows.clone().zip(list.offsets).map(|(row, o)| f64::from(*o) + score(row));
        self.probability.clear();
        self.probability.extend(scores);
        let highest = self.probability.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for p in &mut self.probability {
            *p = (*p - highest).exp();
            sum += *p;
        }
        self.probability.iter_mut().for_each(|p| *p /= sum);
        reset(&mut self.mean, width);
        for (row, p) in rows.clone().zip(&self.probability) {
            add_row(&mut self.mean, row, *p);
        }
        reset(&mut self.covariance, width * width);
        // From here on only what is likely at all, and its probabilities.
        self.centred.clear();
        self.likely.clear();
        for (row, p) in rows.zip(&self.probability).filter(|(_, p)| **p > 1e-12) {
            let centred = row.iter().zip(&self.mean).map(|(value, mean)| f64::from(*value) - mean);
            self.centred.extend(centred);
            self.likely.push(*p);
        }
        add_squares(&mut self.covariance, &self.likely, &self.centred, width);
        for k in 0..width {
            for other in 0..k {
                self.covariance[other * width + k] = self.covariance[k * width + other];
            }
        }
        Moments { log_sum: highest + sum.ln(), mean: &self.mean, covariance: &self.covariance }
    }
}

/// As wide as the features are that users' adapters learn on.
const NARROW: usize = 8;

/// Adds `Σ p·c cᵀ` over the rows `c` of `width` numbers to the lower triangle of `sum`, row-major; above it anything may be left.
fn add_squares(sum: &mut [f64], p: &[f64], rows: &[f64], width: usize) {
    if width == NARROW {
        let rows = rows.as_chunks().0;
        // Few enough sums at a time for the processor's registers.
        add_lines(sum, &lines::<0, 4, 4>(p, rows));
        add_lines(&mut sum[4 * NARROW..], &lines::<4, 2, NARROW>(p, rows));
        add_lines(&mut sum[6 * NARROW..], &lines::<6, 2, NARROW>(p, rows));
        return;
    }
    for (p, c) in p.iter().zip(rows.chunks_exact(width)) {
        for (k, (line, value)) in sum.chunks_exact_mut(width).zip(c).enumerate() {
            // Loops of a few lengths are faster than those that end at the diagonal.
            let (scaled, end) = (p * value, ((k / NARROW + 1) * NARROW).min(width));
            line[..end].iter_mut().zip(&c[..end]).for_each(|(sum, other)| *sum += scaled * other);
        }
    }
}

/// The first `WIDTH` numbers of `COUNT` lines of `Σ p·c cᵀ`, from the line `FIRST` on.
fn lines<const FIRST: usize, const COUNT: usize, const WIDTH: usize>(
    p: &[f64],
    rows: &[[f64; NARROW]],
) -> [[f64; WIDTH]; COUNT] {
    let mut lines = [[0.0; WIDTH]; COUNT];
    for (p, c) in p.iter().zip(rows) {
        for (line, value) in lines.iter_mut().zip(&c[FIRST..]) {
            let scaled = p * value;
            line.iter_mut().zip(c).for_each(|(sum, other)| *sum += scaled * other);
        }
    }
    lines
}

fn add_lines<const WIDTH: usize>(sum: &mut [f64], lines: &[[f64; WIDTH]]) {
    for (sum, line) in sum.chunks_exact_mut(NARROW).zip(lines) {
        sum.iter_mut().zip(line).for_each(|(sum, value)| *sum += value);
    }
}

fn reset(values: &mut Vec<f64>, len: usize) {
    values.clear();
    values.resize(len, 0.0);
}

fn add_row(sum: &mut [f64], row: &[f32], scale: f64) {
    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += scale * f64::from(*value));
}

fn add(sum: &mut [f64], values: &[f64], scale: f64) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += scale * value);
}

fn row(features: &[f32], width: usize, at: usize) -> &[f32] {
    &features[at * width..(at + 1) * width]
}

/// The score of an item with these features.
pub fn dot(features: &[f32], weights: &[f64]) -> f64 {
    features.iter().zip(weights).map(|(value, weight)| f64::from(*value) * weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn fitted(lists: &Lists, ridge: &[f64]) -> Fit {
        let start = vec![0.0; ridge.len()];
        fit(lists, ridge, &start, &mut || ControlFlow::Continue(())).expect("nobody stops it")
    }

    /// Lists from which items are chosen by `truth`.
    fn chosen_by(truth: &[f64], lists: usize, items: usize) -> Lists {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut all = Lists::new(truth.len());
        for _ in 0..lists {
            let features: Vec<f32> =
                (0..items * truth.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let scores: Vec<f64> =
                features.chunks(truth.len()).map(|row| dot(row, truth).exp()).collect();
            let mut left = rng.random_range(0.0..scores.iter().sum());
            let mut chosen = 0;
            while chosen + 1 < items && left > scores[chosen] {
                left -= scores[chosen];
                chosen += 1;
            }
            all.push(List { features: &features, offsets: &vec![0.0; items], chosen, weight: 1.0 });
        }
        all
    }

    #[test]
    fn the_weights_by_which_items_were_chosen_are_found() {
        let truth = [1.5, -0.7, 0.0, 2.0];
        let lists = chosen_by(&truth, 4000, 20);
        let fit = fitted(&lists, &[1e-6; 4]);
        for (found, truth) in fit.weights.iter().zip(truth) {
            assert!((found - truth).abs() < 0.15, "{found} for {truth}");
        }
        assert!(fit.passes < 10, "{} passes", fit.passes);
    }

    #[test]
    fn the_gradient_and_curvature_are_those_of_the_loss() {
        let lists = chosen_by(&[1.0, -1.0, 0.5], 30, 8);
        let (ridge, w) = ([0.1, 0.2, 0.3], [0.3, -0.2, 0.9]);
        let here = Slope::at(&lists, &ridge, &w);
        let moved = |k: usize, by: f64| {
            let mut w = w;
            w[k] += by;
            Slope::at(&lists, &ridge, &w)
        };
        for k in 0..3 {
            let (up, down) = (moved(k, 1e-5), moved(k, -1e-5));
            assert!(((up.loss - down.loss) / 2e-5 - here.gradient[k]).abs() < 1e-8);
            for j in 0..3 {
                let slope = (up.gradient[j] - down.gradient[j]) / 2e-5;
                assert!((slope - here.curvature[k * 3 + j]).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn squares_of_every_width_are_added() {
        for width in [1, 3, 7, NARROW, 9, 16, 20] {
            let rows: Vec<f64> = (0..5 * width).map(|at| (at * at % 7) as f64 - 2.0).collect();
            let p = [0.5, 0.25, 2.0, 1.0, 0.125];
            let mut sum = vec![1.0; width * width];
            add_squares(&mut sum, &p, &rows, width);
            for (k, j) in (0..width).flat_map(|k| (0..=k).map(move |j| (k, j))) {
                let lines = p.iter().zip(rows.chunks(width));
                let expected: f64 = lines.map(|(p, c)| p * c[k] * c[j]).sum();
                assert_eq!(sum[k * width + j], 1.0 + expected, "{k}, {j} of {width}");
            }
        }
    }

    #[test]
    fn an_item_that_stands_for_many_counts_as_many() {
        let mut many = Lists::new(1);
        let features: Vec<f32> = [1.0].into_iter().chain([0.0; 10]).collect();
        many.push(List { features: &features, offsets: &[0.0; 11], chosen: 0, weight: 2.0 });
        let mut few = Lists::new(1);
        let offsets = [0.0, 10_f32.ln()];
        few.push(List { features: &[1.0, 0.0], offsets: &offsets, chosen: 0, weight: 1.0 });
        let fitted = |lists| fitted(lists, &[0.1]).weights[0];
        assert!((fitted(&many) - fitted(&few)).abs() < 1e-6);
    }

    #[test]
    fn threads_change_nothing() {
        let lists = chosen_by(&[1.0, -1.0], 2000, 5);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| fitted(&lists, &[1e-3; 2]))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn who_asks_to_stop_is_not_asked_again() {
        let lists = chosen_by(&[1.0, -1.0], 200, 5);
        let passes = fitted(&lists, &[1e-3; 2]).passes;
        for most in 0..=passes {
            let mut asked = 0;
            let found = fit(&lists, &[1e-3; 2], &[0.0; 2], &mut || {
                asked += 1;
                if asked > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(found.is_ok(), most == passes);
            assert_eq!(asked, passes.min(most + 1));
        }
    }
}
