//! The other trainer: gradient descent on `B` alone, for a base layer over embeddings of items and a preference vector of the
//! user.
//!
//! ```text
//! y = s B (A x)                                     x: an item's embedding, d_in; y: d_out; s = α / rank
//! p = sigmoid(y · q)                                q: the user's preference, d_out
//! L = −(t ln p + (1 − t) ln(1 − p))                 t: the event's engagement weight
//! ∂L/∂B_ij = (p − t) s q_i (A x)_j
//! ```
//!
//! It knows nothing of the list an item was chosen from; where there is a ranker, [`super::adapter`] learns more from as much.

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::base::Base;
use crate::listwise::dot;
use crate::matrix::Matrix;

/// A probability is kept this far from 0 and 1, where its logarithm would not be finite.
const CLIP: f64 = 1e-7;

/// How it is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// `α`, above 0; `s = α / rank`.
    pub alpha: f32,
    /// Length of a step.
    pub learning_rate: f32,
    /// How often a training goes through all events, in their order.
    pub passes: u32,
    /// With fewer events nothing is trained.
    pub least_events: usize,
    /// `B` is never longer than this (Frobenius norm).
    pub longest: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self { alpha: 16.0, learning_rate: 0.001, passes: 5, least_events: 10, longest: 1e3 }
    }
}

/// An event to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Example<'e> {
    /// `x`, the item's embedding.
    pub embedding: &'e [f32],
    /// `t`, the event's engagement weight, 0..=1.
    pub label: f32,
}

/// Why nothing was trained. The adapter is then as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are too few events.
    FewEvents {
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// An embedding or the preference is of another width.
    Shape,
    /// A number is not finite, or a label not in 0..=1.
    Number,
    /// `B` would be longer than [`Options::longest`].
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewEvents { found, needed } => {
                write!(f, "there are {found} events, and {needed} are needed")
            }
            Self::Shape => write!(f, "an embedding or the preference is of another width"),
            Self::Number => write!(f, "a number is not finite, or a label not in 0 to 1"),
            Self::TooLong => write!(f, "the weights would be too long"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A base layer of random numbers, symmetric around 0 and scaled by the widths (Glorot & Bengio, *Understanding the difficulty
/// of training deep feedforward neural networks*, 2010), rank×d_in. The same seed gives the same layer.
///
/// # Panics
/// If a width is 0.
pub fn random_base(rank: usize, inputs: usize, seed: u64) -> Base {
    assert!(rank > 0 && inputs > 0, "widths above 0");
    let bound = (6.0 / (rank + inputs) as f32).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..rank * inputs).map(|_| rng.random_range(-bound..bound)).collect();
    Base::from_matrix(Matrix::from_vec(values, inputs)).expect("finite numbers in rows")
}

/// A user's `B`, and how often it was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// `B`, d_out×rank. Zero at birth.
    pub rows: Matrix,
    /// Trainings so far.
    pub iterations: u64,
}

/// What a training came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trained {
    /// Mean loss over the events before the first step.
    pub loss_before: f64,
    /// The same after the last.
    pub loss_after: f64,
}

impl Weights {
    /// New weights, which score everything 0.
    pub fn new(rank: usize, outputs: usize) -> Self {
        Self { rows: Matrix::zeros(outputs, rank), iterations: 0 }
    }

    /// `clamp(y · q, −1, 1)` of an item.
    ///
    /// # Errors
    /// If a width is not the layer's, or the result not finite.
    pub fn score(
        &self,
        base: &Base,
        embedding: &[f32],
        preference: &[f32],
        options: &Options,
    ) -> Result<f32, Refusal> {
        self.check(base, preference)?;
        if embedding.len() != base.inputs() {
            return Err(Refusal::Shape);
        }
        let a = brought_down(base, embedding);
        let score = Descent::new(self, preference, options).logit(&a) as f32;
        if score.is_finite() { Ok(score.clamp(-1.0, 1.0)) } else { Err(Refusal::Number) }
    }

    /// Mean loss over `examples`, in nats; 0 if there are none.
    ///
    /// # Errors
    /// As [`Weights::train`], but for few events.
    pub fn loss(
        &self,
        base: &Base,
        examples: &[Example<'_>],
        preference: &[f32],
        options: &Options,
    ) -> Result<f64, Refusal> {
        let examples = self.prepare(base, examples, preference)?;
        Ok(Descent::new(self, preference, options).mean_loss(&examples))
    }

    /// Learns from `examples`, in their order; after an error nothing has changed.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn train(
        &mut self,
        base: &Base,
        examples: &[Example<'_>],
        preference: &[f32],
        options: &Options,
    ) -> Result<Trained, Refusal> {
        let (found, needed) = (examples.len(), options.least_events);
        if found < needed {
            return Err(Refusal::FewEvents { found, needed });
        }
        let examples = self.prepare(base, examples, preference)?;
        let mut descent = Descent::new(self, preference, options);
        let loss_before = descent.mean_loss(&examples);
        for _ in 0..options.passes {
            for example in &examples {
                descent.step(example);
            }
        }
        let next = descent.end(self, preference);
        next.check_length(options)?;
        let loss_after = Descent::new(&next, preference, options).mean_loss(&examples);
        *self = next;
        Ok(Trained { loss_before, loss_after })
    }

    /// `A x` and label of each event.
    fn prepare(
        &self,
        base: &Base,
        examples: &[Example<'_>],
        preference: &[f32],
    ) -> Result<Vec<Prepared>, Refusal> {
        self.check(base, preference)?;
        let prepared = examples.iter().map(|Example { embedding, label }| {
            if embedding.len() != base.inputs() {
                return Err(Refusal::Shape);
            }
            let a = brought_down(base, embedding);
            let fits = (0.0..=1.0).contains(label) && a.iter().all(|number| number.is_finite());
            if fits { Ok(Prepared { a, label: f64::from(*label) }) } else { Err(Refusal::Number) }
        });
        prepared.collect()
    }

    fn check(&self, base: &Base, preference: &[f32]) -> Result<(), Refusal> {
        if base.rank() != self.rows.width() || preference.len() != self.rows.rows() {
            return Err(Refusal::Shape);
        }
        let finite = preference.iter().all(|number| number.is_finite());
        if finite { Ok(()) } else { Err(Refusal::Number) }
    }

    fn check_length(&self, options: &Options) -> Result<(), Refusal> {
        let square: f32 = self.rows.as_slice().iter().map(|b| b * b).sum();
        if !square.is_finite() {
            return Err(Refusal::Number);
        }
        if square.sqrt() > options.longest { Err(Refusal::TooLong) } else { Ok(()) }
    }
}

/// An event as it is learned from.
struct Prepared {
    /// `A x`.
    a: Vec<f32>,
    label: f64,
}

/// Steps down the gradient. Every step takes a multiple of `q (A x)ᵀ` from `B`, so after any number of them `B = B₀ − q wᵀ`,
/// and `y · q = s (Bᵀq) · (A x)` needs only `u = Bᵀq`: a step costs as much as the rank, whatever d_out is.
struct Descent {
    scaling: f64,
    learning_rate: f64,
    /// `‖q‖²`.
    square: f64,
    u: Vec<f64>,
    w: Vec<f64>,
}

impl Descent {
    fn new(weights: &Weights, preference: &[f32], options: &Options) -> Self {
        let rank = weights.rows.width();
        let mut u = vec![0.0; rank];
        for (row, q) in weights.rows.as_slice().chunks_exact(rank).zip(preference) {
            u.iter_mut().zip(row).for_each(|(sum, b)| *sum += f64::from(*q) * f64::from(*b));
        }
        Self {
            scaling: f64::from(options.alpha) / rank as f64,
            learning_rate: f64::from(options.learning_rate),
            square: preference.iter().map(|q| f64::from(*q) * f64::from(*q)).sum(),
            u,
            w: vec![0.0; rank],
        }
    }

    /// `y · q`; `a` is `A x`.
    fn logit(&self, a: &[f32]) -> f64 {
        self.scaling * dot(a, &self.u)
    }

    fn step(&mut self, Prepared { a, label }: &Prepared) {
        let by = self.learning_rate * (sigmoid(self.logit(a)) - label) * self.scaling;
        for ((u, w), a) in self.u.iter_mut().zip(&mut self.w).zip(a) {
            *w += by * f64::from(*a);
            *u -= by * self.square * f64::from(*a);
        }
    }

    fn mean_loss(&self, examples: &[Prepared]) -> f64 {
        let losses = examples.iter().map(|Prepared { a, label }| {
            let p = sigmoid(self.logit(a)).clamp(CLIP, 1.0 - CLIP);
            -(label * p.ln() + (1.0 - label) * (1.0 - p).ln())
        });
        losses.sum::<f64>() / examples.len().max(1) as f64
    }

    /// `B₀ − q wᵀ`, trained once more.
    fn end(&self, before: &Weights, preference: &[f32]) -> Weights {
        let mut next = before.clone();
        next.iterations += 1;
        for (i, q) in preference.iter().enumerate() {
            let row = next.rows.row_mut(i);
            row.iter_mut().zip(&self.w).for_each(|(b, w)| *b -= (f64::from(*q) * w) as f32);
        }
        next
    }
}

/// `A x`.
fn brought_down(base: &Base, embedding: &[f32]) -> Vec<f32> {
    let mut a = Vec::with_capacity(base.rank());
    base.as_matrix().times(embedding, &mut a);
    a
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
