//! Adam (Kingma & Ba, *Adam: a method for stochastic optimization*, 2015), a row at a time: what a batch does not name
//! keeps its value and its moments, so a step costs what the batch holds, not what the catalogue holds.
#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use super::Options;
use super::batch::Batch;
use super::gradient::Room;
use super::parameters::{Features, Parameters, Side};
use crate::kernel;
use crate::matrix::Matrix;
use pulp::{Arch, Simd, WithSimd};

/// How slowly the mean of the derivatives moves.
const MEAN_DECAY: f32 = 0.9;

/// How slowly the mean of their squares moves.
const SQUARE_DECAY: f32 = 0.999;

/// Keeps a step finite where all derivatives were 0.
const EPSILON: f32 = 1e-8;

/// Where the descent is.
#[derive(Debug)]
pub(super) struct Learning {
    input: SideMoments,
    output: SideMoments,
    bias: Moments,
    steps: i32,
    rate: f32,
    decay: f32,
}

#[derive(Debug)]
struct SideMoments {
    own: Moments,
    shared: Moments,
    /// The loss by each shared row; 0 between two steps.
    by_shared: Matrix,
    /// The shared rows of this step, each once.
    touched: Vec<u32>,
    is_touched: Vec<bool>,
}

/// Running means of one table's derivatives and of their squares.
#[derive(Debug)]
struct Moments {
    mean: Matrix,
    square: Matrix,
}

/// What one step multiplies with.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The rate, corrected for how young the means are.
    rate: f32,
    /// `ε`, likewise.
    epsilon: f32,
    decay: f32,
}

impl Learning {
    pub(super) fn new(parameters: &Parameters, options: &Options) -> Self {
        Self {
            input: SideMoments::new(&parameters.input),
            output: SideMoments::new(&parameters.output),
            bias: Moments::new(parameters.bias.len(), 1),
            steps: 0,
            rate: options.learning_rate,
            decay: options.weight_decay,
        }
    }

    /// One step down the derivatives in `room`.
    pub(super) fn step(
        &mut self,
        parameters: &mut Parameters,
        features: &Features,
        batch: &Batch,
        room: &Room,
    ) {
        self.steps = self.steps.saturating_add(1);
        let correction = (1.0 - SQUARE_DECAY.powi(self.steps)).sqrt();
        let step = Step {
            rate: self.rate * correction / (1.0 - MEAN_DECAY.powi(self.steps)),
            epsilon: EPSILON * correction,
            decay: self.decay,
        };
        let Self { input, output, bias, .. } = self;
        let Parameters { input: inputs, output: outputs, bias: biases } = parameters;
        let sources = || input.step(inputs, features, (&batch.sources, &room.by_input), step);
        let candidates = || {
            output.step(outputs, features, (&batch.candidates, &room.by_output), step);
            let step = Step { decay: 0.0, ..step };
            for (item, slope) in batch.candidates.iter().zip(&room.by_bias) {
                let value = std::slice::from_mut(&mut biases[*item as usize]);
                bias.step(*item, value, std::slice::from_ref(slope), step);
            }
        };
        rayon::join(sources, candidates);
    }
}

impl SideMoments {
    fn new(side: &Side) -> Self {
        let (own, shared, width) = (side.own.rows(), side.shared.rows(), side.own.width());
        Self {
            own: Moments::new(own, width),
            shared: Moments::new(shared, width),
            by_shared: Matrix::zeros(shared, width),
            touched: Vec::new(),
            is_touched: vec![false; shared],
        }
    }

    /// Moves the rows behind the vectors of `items`; `slopes` is the loss by these vectors.
    fn step(
        &mut self,
        side: &mut Side,
        features: &Features,
        (items, slopes): (&[u32], &[f32]),
        step: Step,
    ) {
        for (item, slopes) in items.iter().zip(slopes.chunks_exact(side.own.width())) {
            for (attribute, value) in features.of(*item) {
                if !std::mem::replace(&mut self.is_touched[*attribute as usize], true) {
                    self.touched.push(*attribute);
                }
                kernel::add(self.by_shared.row_mut(*attribute as usize), *value, slopes);
            }
            self.own.step(*item, side.own.row_mut(*item as usize), slopes, step);
        }
        for attribute in self.touched.drain(..) {
            let slopes = self.by_shared.row_mut(attribute as usize);
            self.shared.step(attribute, side.shared.row_mut(attribute as usize), slopes, step);
            slopes.fill(0.0);
            self.is_touched[attribute as usize] = false;
        }
    }
}

impl Moments {
    fn new(rows: usize, width: usize) -> Self {
        Self { mean: Matrix::zeros(rows, width), square: Matrix::zeros(rows, width) }
    }

    fn step(&mut self, row: u32, values: &mut [f32], slopes: &[f32], step: Step) {
        let mean = self.mean.row_mut(row as usize);
        let square = self.square.row_mut(row as usize);
        Arch::new().dispatch(Move { values, slopes, mean, square, step });
    }
}

struct Move<'a> {
    values: &'a mut [f32],
    slopes: &'a [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    step: Step,
}

impl WithSimd for Move<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { values, slopes, mean, square, step } = self;
        let moments = mean.iter_mut().zip(square);
        for ((value, slope), (mean, square)) in values.iter_mut().zip(slopes).zip(moments) {
            let slope = slope + step.decay * *value;
            *mean += (1.0 - MEAN_DECAY) * (slope - *mean);
            *square += (1.0 - SQUARE_DECAY) * (slope * slope - *square);
            *value -= step.rate * *mean / (square.sqrt() + step.epsilon);
        }
    }
}
