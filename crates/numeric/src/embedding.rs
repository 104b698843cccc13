//! A small embedding of items, learnt from what comes after what and from what the items are.
//!
//! Each item `i` has one vector by which it speaks for a user and one by which it is found, both of the form
//!
//! ```text
//! E_i = own_i + Σ_a x_ia · shared_a          x_ia = ln(N/df_a) over the item's attributes, at unit length
//! u   = Σ_k decay^k E_in[recent_k] / √(Σ_k decay^2k)                  k = 0 the newest
//! z_j = u · E_out[j] + b_j
//! ```
//!
//! so an item nobody has had yet, but that has attributes, has both vectors at once, and so has a user the fit never
//! saw. Factorised items as in Shi et al., *Local representative-based matrix factorization for cold-start
//! recommendation* (2017) and Kula, *Metadata embeddings for user and item cold-start recommendations* (2015).
//!
//! Every place of every sequence but the first is a target. The loss is the cross entropy of a softmax over the target
//! and a sample of items, drawn evenly and shared by the batch, whose logits are raised by `ln(N/n)` so that the sample
//! of `n` stands for all `N` (Bengio & Senécal, *Adaptive importance sampling to accelerate training of a neural
//! probabilistic language model*, 2008); the target is left out of its own sample. Dropout is on `u` and on the items of
//! the history (Srivastava et al., 2014). Steps are those of Adam (Kingma & Ba, 2015), taken only for what a batch names.

mod adam;
mod batch;
mod gradient;
mod model;
mod parameters;
#[cfg(test)]
mod reference;
mod softmax;
#[cfg(test)]
mod tests;
mod vectors;

pub use model::{Model, Parts};
pub use vectors::Vectors;

use crate::attribute::Attributes;
use adam::Learning;
use batch::Examples;
use gradient::Room;
use parameters::{Features, Parameters};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::ops::ControlFlow;

/// What is fitted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Length of a vector; 1..=1024.
    pub width: usize,
    /// How many of the newest items speak for a user; ≥ 1.
    pub history: usize,
    /// Weight of each older item relative to the next newer one; above 0, at most 1.
    pub history_decay: f32,
    /// `n`: items a target is told from; all where there are no more; ≥ 1.
    pub negatives: usize,
    /// Times every target is looked at; ≥ 1.
    pub epochs: usize,
    /// Targets of one step; ≥ 1.
    pub batch: usize,
    /// Length of a step of Adam; above 0, at most 1.
    pub learning_rate: f32,
    /// Share of `u` left out at random while fitting, in 0..1.
    pub vector_dropout: f32,
    /// Share of the history left out at random while fitting, in 0..1.
    pub history_dropout: f32,
    /// Pull of every step towards 0, per parameter; ≥ 0.
    pub weight_decay: f32,
    /// Seed of the first values and of all that is drawn.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 64,
            history: 10,
            history_decay: 0.6,
            negatives: 1024,
            epochs: 8,
            batch: 512,
            learning_rate: 3e-3,
            vector_dropout: 0.4,
            history_dropout: 0.1,
            weight_decay: 0.0,
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
        let share = |value: f32| (0.0..1.0).contains(&value);
        let positive = |value: f32| value > 0.0 && value <= 1.0;
        let checks = [
            ((1..=1024).contains(&self.width), "width must be 1..=1024"),
            (self.history >= 1, "history must be at least 1"),
            (positive(self.history_decay), "history_decay must be above 0 and at most 1"),
            (self.negatives >= 1, "negatives must be at least 1"),
            (self.epochs >= 1, "epochs must be at least 1"),
            (self.batch >= 1, "batch must be at least 1"),
            (positive(self.learning_rate), "learning_rate must be above 0 and at most 1"),
            (share(self.vector_dropout), "vector_dropout must be at least 0 and below 1"),
            (share(self.history_dropout), "history_dropout must be at least 0 and below 1"),
            ((0.0..=1.0).contains(&self.weight_decay), "weight_decay must be 0..=1"),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, words)) => Err(Error::Options(words)),
            None => Ok(()),
        }
    }
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An option is outside its range; the words say which and what the range is.
    Options(&'static str),
    /// No sequence has two items.
    NoTargets,
    /// The caller's callback asked to stop.
    Cancelled,
    /// A number left the range of numbers; a lower learning rate may help.
    NotFinite,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(words) => f.write_str(words),
            Self::NoTargets => f.write_str("nobody engaged with two items"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotFinite => f.write_str("the loss is not finite"),
        }
    }
}

impl std::error::Error for Error {}

/// One finished pass over the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub index: usize,
    /// The mean loss of its targets, as they were met, dropout included.
    pub loss: f64,
}

/// Fits the embedding to `sequences` (each oldest first), calling `on_epoch` after each pass.
///
/// Only what occurs in a sequence is drawn and moves; an item that does not lives from its attributes alone, and an
/// attribute that only such items have gives nothing. The same input, options and seed give the same bytes on the same
/// machine, whatever the number of threads of the current `rayon` pool.
///
/// # Errors
/// See [`Error`].
///
/// # Panics
/// If a sequence names a row that `attributes` has no room for.
pub fn fit(
    sequences: &[Vec<u32>],
    attributes: &Attributes,
    options: &Options,
    on_epoch: &mut dyn FnMut(Epoch) -> ControlFlow<()>,
) -> Result<Model, Error> {
    options.check()?;
    let mut examples = Examples::new(attributes.items(), sequences);
    if examples.is_empty() {
        return Err(Error::NoTargets);
    }
    let rarity = parameters::rarity_among(attributes, examples.known());
    let features = Features::new(attributes, &rarity);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut parameters = Parameters::draw(&examples, &rarity, options.width, &mut random);
    let mut learning = Learning::new(&parameters, options);
    let mut room = Room::default();
    for index in 1..=options.epochs {
        examples.shuffle(&mut random);
        let mut sum = 0.0;
        for range in examples.batches(options.batch) {
            let batch = examples.batch(range, options, &mut random);
            sum += gradient::work_out(&parameters, &features, &batch, &mut room);
            learning.step(&mut parameters, &features, &batch, &room);
        }
        let loss = sum / examples.len() as f64;
        if !loss.is_finite() {
            return Err(Error::NotFinite);
        }
        if on_epoch(Epoch { index, loss }).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Model::new(parameters, rarity, examples.counts(), options)
}

/// The weights of `known` items of a history, newest first: `decay^k / √(Σ decay^2k)`.
fn history_weights(known: usize, decay: f32) -> impl Iterator<Item = f32> {
    let power = move |k: usize| decay.powi(k as i32);
    let length = (0..known).map(|k| power(k).powi(2)).sum::<f32>().sqrt();
    (0..known).map(move |k| power(k) / length)
}
