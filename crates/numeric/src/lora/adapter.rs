//! One user's adapter: what it has learned, and what it adds to a list.

use std::fmt;

use super::gate::Gate;
use crate::listwise::{List, Scratch, dot};
use crate::online::{self, Parts, State};

/// How an adapter learns and is served.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The pull of every number of `B_u` towards 0, above 0. The base layer is scaled so that 1 is right.
    pub ridge: f64,
    /// `B_u` is worked out anew after so many events, at least 1.
    pub solve_every: u32,
    /// `κ`: the most it adds to a logit, or takes away.
    pub kappa: f32,
    /// The `y` at which `lora` reaches 1.
    pub saturation: f32,
    /// `B_u` is never longer than this (Frobenius norm).
    pub longest: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ridge: 1.0, solve_every: 1, kappa: 4.0, saturation: 4.0, longest: 1e3 }
    }
}

/// What a user chose, and from what.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'c> {
    /// Features: `z` of every candidate, candidates×rank. Offsets: what is known without the adapter, `f`, plus the
    /// correction for sampling. Weight: 1 for a positive event, .5 for another.
    pub list: List<'c>,
    /// `h`, its first number 1.
    pub context: &'c [f32],
    /// What the event says of the title.
    pub opinion: Opinion,
}

/// What an event says of its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// The user liked it: the adapter is judged by whether it foresaw this.
    Positive,
    /// The user chose it.
    Neutral,
}

/// Why a choice teaches nothing. The adapter is then as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The list, the context or the chosen candidate is not of the adapter's shape.
    Shape,
    /// A number is not finite, or the weight not above 0.
    Number,
    /// The statistics no longer determine `B_u`.
    Unsolvable,
    /// `B_u` would be longer than [`Options::longest`].
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "the choice is not of the adapter's shape",
            Self::Number => "a number is not finite, or the weight not above 0",
            Self::Unsolvable => "the statistics no longer determine the weights",
            Self::TooLong => "the weights would be too long",
        })
    }
}

impl std::error::Error for Refusal {}

impl From<online::Error> for Refusal {
    fn from(error: online::Error) -> Self {
        match error {
            online::Error::Shape => Self::Shape,
            online::Error::Number => Self::Number,
        }
    }
}

/// What is stored of an adapter; n is d_out·rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// `B_u`, d_out×rank, row-major.
    pub solution: Vec<f64>,
    /// `P`, the lower triangle of n×n, row by row: n(n+1)/2 numbers.
    pub precision: Vec<f64>,
    /// `b`, d_out×rank.
    pub right: Vec<f64>,
    /// Events learned from.
    pub events: u64,
    /// [`Gate::gain`].
    pub gain: f64,
    /// Of these events, those since `B_u` was worked out.
    pub unsolved: u32,
}

impl Stored {
    fn parts(self) -> Result<Parts, Refusal> {
        let n = self.right.len();
        if self.precision.len() != n * (n + 1) / 2 {
            return Err(Refusal::Shape);
        }
        let mut precision = vec![0.0; n * n];
        let mut from = 0;
        for (at, row) in precision.chunks_exact_mut(n.max(1)).enumerate() {
            row[..=at].copy_from_slice(&self.precision[from..=from + at]);
            from += at + 1;
        }
        let Self { solution, right, events, .. } = self;
        Ok(Parts { precision, right, solution, lessons: events })
    }
}

/// One user's adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    state: State,
    gate: Gate,
    unsolved: u32,
    options: Options,
}

impl Adapter {
    /// A new adapter, which changes no score: `B_u`, `contexts`×`rank`, is zero.
    ///
    /// # Panics
    /// If `solve_every` is 0.
    pub fn new(rank: usize, contexts: usize, options: Options) -> Self {
        assert!(options.solve_every > 0, "solved after 1 event or more");
        let state = State::new(rank, contexts, learning(&options));
        Self { state, gate: Gate::default(), unsolved: 0, options }
    }

    /// A stored adapter.
    ///
    /// # Errors
    /// If it is of another shape, holds a number that is not finite, or `B_u` is too long.
    ///
    /// # Panics
    /// If `solve_every` is 0.
    pub fn from_stored(
        (rank, contexts): (usize, usize),
        options: Options,
        stored: Stored,
    ) -> Result<Self, Refusal> {
        let (gate, unsolved) = (Gate::from_gain(stored.gain)?, stored.unsolved);
        let state = State::from_parts((rank, contexts), learning(&options), stored.parts()?)?;
        let adapter = Self { state, gate, unsolved, ..Self::new(rank, contexts, options) };
        if adapter.length() > options.longest { Err(Refusal::TooLong) } else { Ok(adapter) }
    }

    /// An adapter that begins with the weights `B_u`, contexts×rank, of which nothing but the numbers is known: they are what
    /// is believed of the user in place of 0, with the same pull of [`Options::ridge`], so that learning goes on from them.
    /// `events` is how many they rest on.
    ///
    /// # Errors
    /// If they are not as many, one is not finite, or they are too long.
    ///
    /// # Panics
    /// If `solve_every` is 0.
    pub fn from_weights(
        (rank, contexts): (usize, usize),
        options: Options,
        weights: Vec<f64>,
        events: u64,
    ) -> Result<Self, Refusal> {
        let n = rank * contexts;
        if weights.len() != n {
            return Err(Refusal::Shape);
        }
        let stored = Stored {
            precision: vec![0.0; n * (n + 1) / 2],
            right: weights.iter().map(|b| options.ridge * b).collect(),
            solution: weights,
            events,
            gain: 0.0,
            unsolved: 0,
        };
        Self::from_stored((rank, contexts), options, stored)
    }

    /// The same before it has foreseen anything: what it gained while it was learned from the past is no proof.
    #[must_use]
    pub fn unproven(self) -> Self {
        Self { gate: Gate::default(), ..self }
    }

    /// What is to be stored.
    pub fn to_stored(&self) -> Stored {
        let Parts { precision, right, solution, lessons } = self.state.to_parts();
        let rows = precision.chunks_exact(right.len().max(1)).enumerate();
        Stored {
            solution,
            precision: rows.flat_map(|(at, row)| &row[..=at]).copied().collect(),
            right,
            events: lessons,
            gain: self.gate.gain(),
            unsolved: self.unsolved,
        }
    }

    /// rank, d_out.
    pub fn shape(&self) -> (usize, usize) {
        self.state.shape()
    }

    /// How it learns and is served.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Events learned from.
    pub fn events(&self) -> u64 {
        self.state.lessons()
    }

    /// What it has gained so far.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// Whether it foresees choices well enough to be served.
    pub fn is_served(&self) -> bool {
        self.gate.is_open()
    }

    /// `B_uᵀ h`: what each of the `rank` numbers of a candidate weighs in this context.
    ///
    /// # Panics
    /// If the context has not d_out numbers.
    pub fn weights(&self, context: &[f32]) -> Vec<f64> {
        self.state.weights(context)
    }

    /// `lora` of every candidate, −1..=1, served or not; `projected` is `z`, candidates×rank. `out` is overwritten. A
    /// candidate with a number that is not finite has 0.
    ///
    /// # Panics
    /// If the widths are not the adapter's.
    pub fn lora(&self, projected: &[f32], context: &[f32], out: &mut Vec<f32>) {
        let rank = self.shape().0;
        assert!(projected.len().is_multiple_of(rank), "rows of {rank}");
        let weights = self.weights(context);
        out.clear();
        let rows = projected.chunks_exact(rank);
        out.extend(rows.map(|z| self.options.lora(dot(z, &weights)) as f32));
    }

    /// Adds `κ · lora` to every candidate's logit, or nothing while it is not served.
    ///
    /// # Panics
    /// If the widths are not the adapter's, or there is not one logit a candidate.
    pub fn adjust(&self, projected: &[f32], context: &[f32], logits: &mut [f32]) {
        assert!(projected.len() == logits.len() * self.shape().0, "a row for every logit");
        if !self.is_served() {
            return;
        }
        let mut lora = Vec::new();
        self.lora(projected, context, &mut lora);
        for (logit, lora) in logits.iter_mut().zip(lora) {
            *logit += self.options.kappa * lora;
        }
    }

    /// Learns from a choice. After an error nothing has changed.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn learn(&mut self, choice: Choice<'_>, scratch: &mut Scratch) -> Result<(), Refusal> {
        self.check(&choice)?;
        let mut next = self.clone();
        if choice.opinion == Opinion::Positive {
            let (without, with) = self.losses(&choice);
            next.gate.note(without, with);
        }
        let lesson = self.state.lesson(choice.list, choice.context, scratch);
        next.state.learn(&lesson.ok_or(Refusal::Number)?)?;
        next.unsolved += 1;
        if next.unsolved >= next.options.solve_every {
            next.solve()?;
        }
        *self = next;
        Ok(())
    }

    /// Works `B_u` out anew.
    pub(super) fn solve(&mut self) -> Result<(), Refusal> {
        if !self.state.solve() {
            return Err(Refusal::Unsolvable);
        }
        self.unsolved = 0;
        if self.length() > self.options.longest { Err(Refusal::TooLong) } else { Ok(()) }
    }

    fn check(&self, choice: &Choice<'_>) -> Result<(), Refusal> {
        let (rank, contexts) = self.shape();
        let List { features, offsets, chosen, weight } = choice.list;
        let fits = chosen < offsets.len() && features.len() == offsets.len() * rank;
        if !fits || choice.context.len() != contexts {
            return Err(Refusal::Shape);
        }
        // All are looked at: that is faster than stopping at the first.
        let finite = |numbers: &[f32]| numbers.iter().fold(true, |all, x| all & x.is_finite());
        if weight > 0.0 && finite(features) && finite(offsets) && finite(choice.context) {
            Ok(())
        } else {
            Err(Refusal::Number)
        }
    }

    /// The choice's negative log-likelihood without the adapter, and with it as it would be served, in nats.
    ///
    /// # Panics
    /// If the choice is not of the adapter's shape.
    pub fn losses(&self, choice: &Choice<'_>) -> (f64, f64) {
        let List { features, offsets, chosen, .. } = choice.list;
        let known: Vec<f64> = offsets.iter().map(|offset| f64::from(*offset)).collect();
        let weights = self.weights(choice.context);
        let rows = features.chunks_exact(self.shape().0).zip(&known);
        let kappa = f64::from(self.options.kappa);
        let with: Vec<f64> =
            rows.map(|(z, known)| known + kappa * self.options.lora(dot(z, &weights))).collect();
        (loss(&known, chosen), loss(&with, chosen))
    }

    /// The Frobenius norm of `B_u`.
    fn length(&self) -> f64 {
        self.state.solution().iter().map(|b| b * b).sum::<f64>().sqrt()
    }
}

impl Options {
    fn lora(&self, y: f64) -> f64 {
        let lora = y / f64::from(self.saturation);
        if lora.is_finite() { lora.clamp(-1.0, 1.0) } else { 0.0 }
    }
}

fn learning(options: &Options) -> online::Options {
    online::Options { ridge: options.ridge, forgetting: 1.0 }
}

/// `ln Σ exp(logit) − logit of the chosen`.
fn loss(logits: &[f64], chosen: usize) -> f64 {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    highest + sum.ln() - logits[chosen]
}
