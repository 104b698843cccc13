//! The softmax of one example and its derivative, compiled for the widest registers the machine has.
#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use pulp::{Arch, Simd, WithSimd};

/// Partial results kept side by side.
const LANES: usize = 32;

/// What the target of an example costs, and how that changes with its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) loss: f32,
    /// `p − 1`, times the scale.
    pub(super) slope: f32,
}

/// Turns the sampled `logits`, still without their `offsets`, into the slopes `p` of the cross entropy, times `scale`.
/// A logit of −∞ takes no part.
pub(super) fn slopes(logits: &mut [f32], offsets: &[f32], target: f32, scale: f32) -> Target {
    Arch::new().dispatch(Slopes { logits, offsets, target, scale })
}

/// Turns `logits` into probabilities. A logit of −∞ takes no part.
pub(super) fn probabilities(logits: &mut [f32]) {
    Arch::new().dispatch(Probabilities { logits });
}

struct Slopes<'a> {
    logits: &'a mut [f32],
    offsets: &'a [f32],
    target: f32,
    scale: f32,
}

impl WithSimd for Slopes<'_> {
    type Output = Target;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Target {
        let Self { logits, offsets, target, scale } = self;
        for (logit, offset) in logits.iter_mut().zip(offsets) {
            *logit += offset;
        }
        let most = largest(logits).max(target);
        let sampled = exponentiate(logits, most);
        let own = exp(target - most);
        let sum = sampled + own;
        let share = scale / sum;
        for value in logits {
            *value *= share;
        }
        Target { loss: sum.ln() + most - target, slope: -share * sampled }
    }
}

struct Probabilities<'a> {
    logits: &'a mut [f32],
}

impl WithSimd for Probabilities<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Where nothing takes part any number does as the largest.
        let most = largest(self.logits).max(f32::MIN);
        let share = exponentiate(self.logits, most).max(f32::MIN_POSITIVE).recip();
        for value in self.logits {
            *value *= share;
        }
    }
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (wide, rest) = values.as_chunks::<LANES>();
    for values in wide {
        for lane in 0..LANES {
            most[lane] = if values[lane] > most[lane] { values[lane] } else { most[lane] };
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, value| most.max(*value))
}

/// `e^(value − most)` in place; returns their sum.
#[inline(always)]
fn exponentiate(values: &mut [f32], most: f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (wide, rest) = values.as_chunks_mut::<LANES>();
    for values in wide {
        for lane in 0..LANES {
            values[lane] = exp(values[lane] - most);
            sums[lane] += values[lane];
        }
    }
    for (value, sum) in rest.iter_mut().zip(&mut sums) {
        *value = exp(*value - most);
        *sum += *value;
    }
    sums.iter().sum()
}

/// Adding it leaves a float's fraction bits with the nearest whole number.
const ROUND: f32 = 12_582_912.0;

/// `e^x` for `x ≤ 0`, to about 2e-7 of itself; 0 below −87. After Cephes (Moshier): `x = n ln 2 + r` with `|r| ≤ ln 2 / 2` and a
/// polynomial in `r`, all of it in steps a vector register can take.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let polynomial =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
            + 0.166_666_65)
            * r
            + 0.5;
    let fraction = polynomial * r * r + r + 1.0;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { fraction * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_library_s() {
        for step in 0..=870_000 {
            let x = -(step as f32) * 1e-4;
            let (got, expect) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - expect).abs() <= 3e-7 * expect, "{x}: {got} {expect}");
        }
        assert_eq!((exp(0.0), exp(-100.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn slopes_are_those_of_the_cross_entropy() {
        for n in [1_usize, 31, 32, 100] {
            let logits: Vec<f32> = (0..n).map(|k| (k as f32 * 0.7).sin() * 5.0).collect();
            let offsets: Vec<f32> = (0..n).map(|k| (k as f32 * 0.3).cos()).collect();
            let (mut got, target) = (logits.clone(), 1.5_f32);
            got[0] = f32::NEG_INFINITY;
            let own = slopes(&mut got, &offsets, target, 0.25);
            let power = |k: usize| f64::from(logits[k] + offsets[k]).exp();
            let sum = f64::from(target).exp() + (1..n).map(power).sum::<f64>();
            assert_eq!(got[0], 0.0);
            for (k, got) in got.iter().enumerate().skip(1) {
                assert!((f64::from(*got) - 0.25 * power(k) / sum).abs() < 1e-6);
            }
            let share = f64::from(target).exp() / sum;
            assert!((f64::from(own.slope) - 0.25 * (share - 1.0)).abs() < 1e-6);
            assert!((f64::from(own.loss) + share.ln()).abs() < 1e-5);
        }
    }
}
