//! Matrix factorisation for implicit feedback by alternating least squares.
//!
//! The objective of Hu, Koren & Volinsky, *Collaborative filtering for implicit feedback datasets*
//! (2008), over **all** pairs, observed or not, with regularisation scaled by frequency as in Rendle,
//! Krichene, Zhang & Koren, *Revisiting the performance of iALS* (2021):
//!
//! ```text
//! loss = Σ_{u,i} c_ui (p_ui − x_u·y_i)²
//!      + λ Σ_u (n_u + α0·|I|)^ν ‖x_u‖²  +  λ Σ_i (n_i + α0·|U|)^ν ‖y_i‖²
//! c_ui = α0 + α·w_ui if observed, α0 otherwise      p_ui = 1 if observed, 0 otherwise
//! ```
//!
//! With one side fixed the other has a closed form, row by row: [`Projection`] solves it exactly and places
//! live users. Training needs no exact row in a pass whose other side moves next; it takes a few steps of
//! preconditioned conjugate gradient from the last pass (`descent`), which never raise the loss either.

mod descent;
mod gramian;
mod loss;
mod project;
#[cfg(test)]
mod reference;
mod sweep;
#[cfg(test)]
mod tests;

pub use project::Projection;

use crate::interactions::Interactions;
use crate::matrix::Matrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::ops::ControlFlow;
use sweep::Half;

/// What is fitted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `f`: length of a factor row; 1..=1024.
    pub factors: usize,
    /// `α0`: confidence that an unobserved pair is no preference; ≥ 0.
    pub unobserved_weight: f32,
    /// `λ`; ≥ 0. With `λ` = 0 a row may have no unique solution; the smallest workable one is taken.
    pub regularization: f32,
    /// `ν`: 0 regularises all rows alike, 1 in proportion to their total weight; 0..=2.
    pub regularization_exponent: f32,
    /// `α`: confidence added per unit of engagement weight; > 0.
    pub confidence_alpha: f32,
    /// Passes over users and items; ≥ 1.
    pub iterations: usize,
    /// Seed of the initial factors.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            factors: 64,
            unobserved_weight: 0.1,
            regularization: 0.03,
            regularization_exponent: 1.0,
            confidence_alpha: 2.0,
            iterations: 10,
            seed: 1,
        }
    }
}

/// `ω` of the passes between the first and the last. 1.3 to 1.6 save two to three passes of seven.
const OVER_RELAXATION: f32 = 1.4;

/// Weight of a pair beyond `α0` is cut here: above it single precision cannot hold it beside the rest.
const MOST_CONFIDENCE: f32 = 1e6;

impl Options {
    /// `α0` at which all pairs together, taken as unobserved, weigh `ratio` times what the observed ones add to
    /// them (`Σ α·w`). Unlike `α0` itself the ratio means the same on a dense and on a sparse matrix. Users
    /// and items without a pair do not count.
    pub fn unobserved_weight_for(ratio: f32, alpha: f32, interactions: &Interactions) -> f32 {
        let mut observed = 0.0_f64;
        let (mut users, mut has) = (0_u64, vec![false; interactions.items()]);
        for user in 0..interactions.users() {
            let (items, weights) = interactions.row(user);
            users += u64::from(!items.is_empty());
            observed += weights.iter().map(|w| f64::from(*w)).sum::<f64>();
            for item in items {
                has[*item as usize] = true;
            }
        }
        let pairs = users * has.iter().filter(|has| **has).count() as u64;
        if pairs == 0 {
            return 0.0;
        }
        (f64::from(ratio) * f64::from(alpha) * observed / pairs as f64) as f32
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`Error::Options`] with the first one outside, in words.
    pub fn check(&self) -> Result<(), Error> {
        let within = |value: f32, low: f32, high: f32| value >= low && value <= high;
        let checks = [
            ((1..=1024).contains(&self.factors), "factors must be 1..=1024"),
            (within(self.unobserved_weight, 0.0, 1e6), "unobserved_weight must be 0..=1e6"),
            (within(self.regularization, 0.0, 1e6), "regularization must be 0..=1e6"),
            (
                within(self.regularization_exponent, 0.0, 2.0),
                "regularization_exponent must be 0..=2",
            ),
            (
                within(self.confidence_alpha, f32::MIN_POSITIVE, 1e6),
                "confidence_alpha must be above 0 and at most 1e6",
            ),
            (self.iterations >= 1, "iterations must be at least 1"),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, words)) => Err(Error::Options(words)),
            None => Ok(()),
        }
    }

    /// `c − α0` of an observed pair.
    fn gain(&self, weight: f32) -> f32 {
        (self.confidence_alpha * weight).min(MOST_CONFIDENCE)
    }

    /// `λ (n + α0·others)^ν` of a row with `n` observed pairs out of `others` possible ones.
    fn ridge(&self, n: usize, others: usize) -> f64 {
        let total = n as f64 + f64::from(self.unobserved_weight) * others as f64;
        f64::from(self.regularization) * total.powf(f64::from(self.regularization_exponent))
    }
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An option is outside its range; the words say which and what the range is.
    Options(&'static str),
    /// The caller's callback asked to stop.
    Cancelled,
    /// The loss left the range of numbers; use smaller weights or more regularisation.
    NotFinite,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(words) => f.write_str(words),
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotFinite => f.write_str("the loss is not finite"),
        }
    }
}

impl std::error::Error for Error {}

/// One finished pass over users and items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// Counted from 1.
    pub index: usize,
    /// The objective after it: over all pairs, regularisation included. See [`crate::als`].
    pub loss: f64,
}

/// Factors of both sides; the score of a pair is the dot product of their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `X`, users×f.
    pub users: Matrix,
    /// `Y`, items×f.
    pub items: Matrix,
}

/// Fits both sides, calling `on_iteration` after each pass.
///
/// The same interactions, options and seed give the same bytes on the same machine, whatever the number
/// of threads of the current `rayon` pool. Users and items without a pair get zeros.
///
/// # Errors
/// [`Error::Options`], [`Error::Cancelled`] when the callback breaks, [`Error::NotFinite`].
pub fn fit(
    interactions: &Interactions,
    options: &Options,
    on_iteration: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
) -> Result<Model, Error> {
    options.check()?;
    let by_item = interactions.transpose();
    let mut users = Matrix::zeros(interactions.users(), options.factors);
    let mut items = initial(&by_item, options);
    let mut items_gramian = gramian::gramian(&items);
    for index in 1..=options.iterations {
        let relaxation = relaxation(index, options.iterations);
        Half::new(interactions, &items, &items_gramian, options)
            .relaxed(relaxation)
            .improve(&mut users);
        let users_gramian = gramian::gramian(&users);
        let half = Half::new(&by_item, &users, &users_gramian, options).relaxed(relaxation);
        let observed = half.improve(&mut items);
        drop(half);
        items_gramian = gramian::gramian(&items);
        let loss = observed
            + loss::everywhere(&users_gramian, &items_gramian, options)
            + loss::ridges(interactions, &users, options)
            + loss::ridges(&by_item, &items, options);
        if !loss.is_finite() {
            return Err(Error::NotFinite);
        }
        if on_iteration(Iteration { index, loss }).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(Model { users, items })
}

/// How far the rows of a pass go, where 1 is to the least loss. The first pass leaves arbitrary values, which show no
/// way to be continued, and nothing follows the last that would make use of what it overshoots.
fn relaxation(index: usize, iterations: usize) -> f32 {
    if index == 1 || index == iterations { 1.0 } else { OVER_RELAXATION }
}

/// Uniform in ±0.1·√(3/f), that is with standard deviation 0.1/√f; zeros for items nobody has.
fn initial(by_item: &Interactions, options: &Options) -> Matrix {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let bound = 0.1 * (3.0 / options.factors as f32).sqrt();
    let mut items = Matrix::zeros(by_item.users(), options.factors);
    for item in 0..items.rows() {
        // Drawn for every row, so that an item's start does not depend on which others are empty.
        for value in items.row_mut(item) {
            *value = random.random_range(-bound..bound);
        }
        if by_item.row(item).0.is_empty() {
            items.row_mut(item).fill(0.0);
        }
    }
    items
}
