//! The loss of a batch in plain loops and double precision: slow and obvious.

use super::batch::Batch;
use super::parameters::{Features, Parameters, Side};

/// `E` of an item.
fn vector(side: &Side, features: &Features, item: u32) -> Vec<f64> {
    let mut vector: Vec<f64> = side.own.row(item as usize).iter().map(|v| f64::from(*v)).collect();
    for (attribute, value) in features.of(item) {
        for (sum, shared) in vector.iter_mut().zip(side.shared.row(*attribute as usize)) {
            *sum += f64::from(*value) * f64::from(*shared);
        }
    }
    vector
}

/// The mean over the examples of the cross entropy of the target against the sample.
pub(super) fn loss(parameters: &Parameters, features: &Features, batch: &Batch) -> f64 {
    let width = parameters.input.own.width();
    let mut sum = 0.0;
    for example in 0..batch.len() {
        let mut user = vec![0.0; width];
        for (slot, weight) in batch.mentions(example) {
            let vector = vector(&parameters.input, features, batch.sources[*slot as usize]);
            for (user, value) in user.iter_mut().zip(vector) {
                *user += f64::from(*weight) * value;
            }
        }
        for (user, keep) in user.iter_mut().zip(&batch.keep[example * width..]) {
            *user *= f64::from(*keep);
        }
        let logit = |slot: usize| {
            let item = batch.candidates[slot];
            let vector = vector(&parameters.output, features, item);
            let product: f64 = user.iter().zip(vector).map(|(user, value)| user * value).sum();
            product + f64::from(parameters.bias[item as usize])
        };
        let target = batch.targets[example] as usize;
        let others = (0..batch.sampled).filter(|slot| *slot != target);
        let others: f64 =
            others.map(|slot| (logit(slot) + f64::from(batch.correction)).exp()).sum();
        sum += (others + logit(target).exp()).ln() - logit(target);
    }
    sum / batch.len() as f64
}
