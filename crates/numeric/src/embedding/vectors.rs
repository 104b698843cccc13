//! The vectors a model gives to the items of a catalogue, and what they say for a user.

use super::{Model, history_weights, softmax};
use crate::kernel;
use crate::matrix::{Matrix, dot};

/// `E_in`, `E_out` and `b` by row. 8 bytes for each number of a vector, 4 for `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    inputs: Matrix,
    outputs: Matrix,
    /// −∞ for a row without vectors.
    bias: Vec<f32>,
    history: usize,
    history_decay: f32,
}

impl Vectors {
    /// Room for the rows `0..rows`, none with vectors yet.
    pub fn new(model: &Model, rows: usize) -> Self {
        let (history, history_decay) = model.history();
        Self {
            inputs: Matrix::zeros(rows, model.width()),
            outputs: Matrix::zeros(rows, model.width()),
            bias: vec![f32::NEG_INFINITY; rows],
            history,
            history_decay,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bias.len()
    }

    /// Makes room for the rows `0..rows`. A smaller number changes nothing.
    pub fn grow(&mut self, rows: usize) {
        self.inputs.grow(rows);
        self.outputs.grow(rows);
        if self.bias.len() < rows {
            self.bias.resize(rows, f32::NEG_INFINITY);
        }
    }

    /// Gives `row` the vectors of an item of the fit, if it is one, with these attributes of the fit.
    ///
    /// # Panics
    /// If there is no such row; see [`Vectors::grow`].
    pub fn place(&mut self, row: u32, model: &Model, item: Option<u32>, attributes: &[u32]) {
        let row = row as usize;
        let both = (self.inputs.row_mut(row), self.outputs.row_mut(row));
        self.bias[row] = model.vectors(item, attributes, both).unwrap_or(f32::NEG_INFINITY);
    }

    /// `u` of a user with the `recent` rows, newest first; those without vectors are passed over. `None` if nobody speaks.
    pub fn user(&self, recent: &[u32]) -> Option<Vec<f32>> {
        let sources = self.sources(recent);
        let mut user = vec![0.0; self.inputs.width()];
        for (row, weight) in &sources {
            kernel::add(&mut user, *weight, self.inputs.row(*row as usize));
        }
        (!sources.is_empty()).then_some(user)
    }

    /// `z` of every row for a [user](Self::user), into `logits`; −∞ for one without vectors.
    pub fn logits(&self, user: &[f32], logits: &mut Vec<f32>) {
        self.outputs.times(user, logits);
        for (logit, bias) in logits.iter_mut().zip(&self.bias) {
            *logit += bias;
        }
    }

    /// `z` of one row, up to the order of additions; −∞ for one without vectors or beyond the end.
    pub fn logit(&self, user: &[f32], row: u32) -> f32 {
        match self.bias.get(row as usize) {
            Some(bias) if *bias > f32::NEG_INFINITY => {
                dot(user, self.outputs.row(row as usize)) + bias
            }
            _ => f32::NEG_INFINITY,
        }
    }

    /// The probability of every row to come next, into `scores`; 0 for one without vectors.
    pub fn score(&self, user: &[f32], scores: &mut Vec<f32>) {
        self.logits(user, scores);
        softmax::probabilities(scores);
    }

    /// Which of the `recent` rows speak for `target`, and how much each adds to its logit: strongest first, only what is
    /// above 0.
    pub fn evidence(&self, recent: &[u32], target: u32) -> Vec<(u32, f32)> {
        if !self.has(target) {
            return Vec::new();
        }
        let towards = self.outputs.row(target as usize);
        let mut found: Vec<(u32, f32)> = Vec::new();
        for (row, weight) in self.sources(recent) {
            let contribution = weight * dot(self.inputs.row(row as usize), towards);
            match found.iter_mut().find(|(other, _)| *other == row) {
                Some((_, sum)) => *sum += contribution,
                None => found.push((row, contribution)),
            }
        }
        found.retain(|(_, contribution)| *contribution > 0.0);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    /// Whether `row` has vectors.
    pub fn has(&self, row: u32) -> bool {
        self.bias.get(row as usize).is_some_and(|bias| *bias > f32::NEG_INFINITY)
    }

    fn sources(&self, recent: &[u32]) -> Vec<(u32, f32)> {
        let known: Vec<u32> =
            recent.iter().copied().filter(|row| self.has(*row)).take(self.history).collect();
        let weights = history_weights(known.len(), self.history_decay);
        known.into_iter().zip(weights).collect()
    }
}
