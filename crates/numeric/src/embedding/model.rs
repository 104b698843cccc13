//! A fitted embedding.

use super::parameters::{Parameters, Side, feature_row};
use super::{Error, Options};
use crate::matrix::Matrix;

/// What was learnt of the items and attributes of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    parameters: Parameters,
    rarity: Vec<f32>,
    newcomer_bias: f32,
    history: usize,
    history_decay: f32,
}

/// A model as plain arrays, for whoever stores it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// `own` of `E_in`, items×width.
    pub own_inputs: Matrix,
    /// `own` of `E_out`, items×width.
    pub own_outputs: Matrix,
    /// `shared` of `E_in`, attributes×width.
    pub shared_inputs: Matrix,
    /// `shared` of `E_out`, attributes×width.
    pub shared_outputs: Matrix,
    /// `b`, one an item.
    pub bias: Vec<f32>,
    /// `ln(N/df_a)` at the fit; 0 for an attribute that gives nothing.
    pub rarity: Vec<f32>,
    /// `b` of an item the fit did not know.
    pub newcomer_bias: f32,
    /// How many of the newest items speak for a user.
    pub history: usize,
    /// Weight of each older item relative to the next newer one.
    pub history_decay: f32,
}

impl Model {
    /// `counts` says how often each item occurred.
    pub(super) fn new(
        mut parameters: Parameters,
        rarity: Vec<f32>,
        counts: &[u32],
        options: &Options,
    ) -> Result<Self, Error> {
        let newcomer_bias = newcomer_bias(&parameters.bias, counts);
        for (bias, count) in parameters.bias.iter_mut().zip(counts) {
            if *count == 0 {
                *bias = newcomer_bias;
            }
        }
        let (history, history_decay) = (options.history, options.history_decay);
        let model = Self { parameters, rarity, newcomer_bias, history, history_decay };
        if model.is_finite() { Ok(model) } else { Err(Error::NotFinite) }
    }

    fn is_finite(&self) -> bool {
        let Parameters { input, output, bias } = &self.parameters;
        let sides = [&input.own, &input.shared, &output.own, &output.shared];
        let rows = sides.into_iter().flat_map(Matrix::as_slice);
        let numbers = rows.chain(bias).chain(&self.rarity).chain([&self.newcomer_bias]);
        numbers.copied().all(f32::is_finite)
    }

    /// The model's arrays.
    pub fn to_parts(&self) -> Parts {
        let Parameters { input, output, bias } = self.parameters.clone();
        Parts {
            own_inputs: input.own,
            own_outputs: output.own,
            shared_inputs: input.shared,
            shared_outputs: output.shared,
            bias,
            rarity: self.rarity.clone(),
            newcomer_bias: self.newcomer_bias,
            history: self.history,
            history_decay: self.history_decay,
        }
    }

    /// Reads what [`Model::to_parts`] wrote.
    ///
    /// # Errors
    /// In words, if it cannot have written these.
    pub fn from_parts(parts: Parts) -> Result<Self, &'static str> {
        let width = parts.own_inputs.width();
        let fits = |matrix: &Matrix, rows: usize| matrix.rows() == rows && matrix.width() == width;
        let (items, attributes) = (parts.bias.len(), parts.rarity.len());
        let own = fits(&parts.own_inputs, items) && fits(&parts.own_outputs, items);
        // Without an attribute there is no row that would show a width.
        let shared = attributes == 0
            || (fits(&parts.shared_inputs, attributes) && fits(&parts.shared_outputs, attributes));
        if !own || !shared || width == 0 {
            return Err("rows, biases and rarities differ in number or width");
        }
        if !parts.rarity.iter().all(|rarity| *rarity >= 0.0) {
            return Err("a rarity is below 0");
        }
        if parts.history == 0 || !(parts.history_decay > 0.0 && parts.history_decay <= 1.0) {
            return Err("the history does not speak");
        }
        let model = Self {
            parameters: Parameters {
                input: Side { own: parts.own_inputs, shared: parts.shared_inputs },
                output: Side { own: parts.own_outputs, shared: parts.shared_outputs },
                bias: parts.bias,
            },
            rarity: parts.rarity,
            newcomer_bias: parts.newcomer_bias,
            history: parts.history,
            history_decay: parts.history_decay,
        };
        if model.is_finite() { Ok(model) } else { Err("a number is not finite") }
    }

    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.parameters.input.own.width()
    }

    /// Items of the fit.
    pub fn items(&self) -> usize {
        self.parameters.bias.len()
    }

    /// Attributes of the fit.
    pub fn attributes(&self) -> usize {
        self.rarity.len()
    }

    pub(super) fn history(&self) -> (usize, f32) {
        (self.history, self.history_decay)
    }

    /// `E_in` and `E_out` into the two slices, and `b`; `None`, and zeros, if nothing is known of the item.
    pub(super) fn vectors(
        &self,
        item: Option<u32>,
        attributes: &[u32],
        (input, output): (&mut [f32], &mut [f32]),
    ) -> Option<f32> {
        let item = item.filter(|item| (*item as usize) < self.items());
        let features = feature_row(attributes, &self.rarity);
        self.parameters.input.vector(item, &features, input);
        self.parameters.output.vector(item, &features, output);
        let is_something = input.iter().chain(&*output).any(|value| *value != 0.0);
        let bias = item.map_or(self.newcomer_bias, |item| self.parameters.bias[item as usize]);
        is_something.then_some(bias)
    }
}

/// What items few people had are found by, beyond their vectors: the mean of the rarest tenth of those that occurred.
fn newcomer_bias(bias: &[f32], counts: &[u32]) -> f32 {
    let mut known: Vec<(u32, f32)> =
        counts.iter().copied().zip(bias.iter().copied()).filter(|(count, _)| *count > 0).collect();
    known.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    known.truncate(known.len().div_ceil(10));
    let sum: f64 = known.iter().map(|(_, bias)| f64::from(*bias)).sum();
    (sum / known.len().max(1) as f64) as f32
}
