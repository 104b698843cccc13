//! Where to try next: a seeded search that first spreads over the cube and then closes in on what did best.
//!
//! The next point is a function of the seed and the trials so far, so an interrupted search goes on as if it
//! had not been.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One place in the unit cube and what was found there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) point: Vec<f64>,
    pub(crate) value: f64,
}

/// New points start from one of so many best ones.
const PARENTS: usize = 3;

/// Width of a step when closing in begins, and after many steps.
const STEP: (f64, f64) = (0.25, 0.03);

/// The next point. The first one is `start`; then come points spread evenly, then steps from the best.
pub(crate) fn next(seed: u64, start: &[f64], found: &[Found]) -> Vec<f64> {
    let (dimensions, trial) = (start.len(), found.len());
    let spread = 4 + 2 * dimensions;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    if trial == 0 {
        return start.to_vec();
    }
    if trial <= spread {
        // One shift for the whole sequence: the seed moves it without breaking its evenness.
        let shift = |dimension: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(dimension as u64);
            rng.random_range(0.0..1.0)
        };
        let place = |d: usize| (radical_inverse(trial as u64, PRIMES[d]) + shift(d)) % 1.0;
        return (0..dimensions).map(place).collect();
    }
    rng.set_stream(u64::MAX - trial as u64);
    let mut best: Vec<_> = found.iter().collect();
    best.sort_by(|a, b| b.value.total_cmp(&a.value));
    let parent = best[rng.random_range(0..PARENTS.min(best.len()))];
    let progress = ((trial - spread) as f64 / (10 * dimensions) as f64).min(1.0);
    let width = STEP.0 * (STEP.1 / STEP.0).powf(progress);
    step(&parent.point, width, &mut rng)
}

/// Moves at least one coordinate by about `width`, staying in the cube.
fn step(from: &[f64], width: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let forced = rng.random_range(0..from.len());
    let moved = from.iter().enumerate().map(|(dimension, place)| {
        if dimension != forced && rng.random_range(0.0..1.0) < 0.5 {
            return *place;
        }
        // The sum of four uniforms has standard deviation √(4/12): near enough to a bell.
        let bell: f64 = (0..4).map(|_| rng.random_range(-0.5..0.5)).sum();
        reflect(place + width * bell * 3_f64.sqrt())
    });
    moved.collect()
}

/// Folds a number back into 0..=1.
fn reflect(place: f64) -> f64 {
    let folded = place.rem_euclid(2.0);
    if folded > 1.0 { 2.0 - folded } else { folded }
}

/// Bases of the Halton sequence (Halton, 1960).
const PRIMES: [u64; 10] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29];

fn radical_inverse(mut index: u64, base: u64) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0 / base as f64);
    while index > 0 {
        value += (index % base) as f64 * unit;
        index /= base;
        unit /= base as f64;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(seed: u64, trials: usize, value: impl Fn(&[f64]) -> f64) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for _ in 0..trials {
            let point = next(seed, &[0.1, 0.9, 0.5], &found);
            let value = value(&point);
            found.push(Found { point, value });
        }
        found
    }

    fn hill(point: &[f64]) -> f64 {
        let peak = [0.7, 0.2, 0.45];
        -point.iter().zip(peak).map(|(x, p)| (x - p) * (x - p)).sum::<f64>()
    }

    #[test]
    fn climbs_a_hill() {
        let found = search(3, 60, hill);
        assert_eq!(found[0].point, [0.1, 0.9, 0.5]);
        let best = |found: &[Found]| found.iter().map(|f| f.value).fold(f64::MIN, f64::max);
        assert!(best(&found) > -0.01, "{}", best(&found));
        assert!(best(&found) > best(&found[..11]), "closing in gained something");
        assert!(found.iter().flat_map(|f| &f.point).all(|place| (0.0..=1.0).contains(place)));
    }

    #[test]
    fn an_interrupted_search_goes_on_the_same_way() {
        let whole = search(5, 30, hill);
        for cut in [1, 7, 20] {
            assert_eq!(next(5, &[0.1, 0.9, 0.5], &whole[..cut]), whole[cut].point);
        }
        assert_ne!(search(6, 30, hill)[5].point, whole[5].point);
    }
}
