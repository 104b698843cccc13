//! Adapters that are carried over to another base layer.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::listwise::{List, Scratch};
use crate::lora::{Adapter, Base, Choice, Migration, Opinion, Options, Refusal, base};
use crate::matrix::Matrix;

const INPUTS: usize = 7;
const RIDGE: [f64; INPUTS] = [3.0, 3.0, 10.0, 10.0, 30.0, 30.0, 1.0];
const TITLES: usize = 12;

fn base(rows: &[[f32; INPUTS]]) -> Base {
    let rows = Matrix::from_vec(rows.concat(), INPUTS);
    Base::from_matrix(rows).expect("finite rows")
}

fn random_rows(rng: &mut ChaCha8Rng, rank: usize) -> Vec<[f32; INPUTS]> {
    (0..rank).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect()
}

/// An adapter that learned the same choices on this base layer as any other one with this seed.
fn taught(base: &Base, seed: u64) -> Adapter {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut adapter = Adapter::new(base.rank(), 2, Options::default());
    for _ in 0..15 {
        let features: Vec<f32> =
            (0..TITLES * INPUTS).map(|_| rng.random_range(-1.0..1.0)).collect();
        let (mut projected, offsets) = (Vec::new(), [0.0; TITLES]);
        base.project(&features, &mut projected);
        let chosen = rng.random_range(0..TITLES);
        let context = [1.0, rng.random_range(-1.0..1.0)];
        let list = List { features: &projected, offsets: &offsets, chosen, weight: 1.0 };
        let choice = Choice { list, context: &context, opinion: Opinion::Positive };
        adapter.learn(choice, &mut Scratch::default()).expect("a sound choice");
    }
    adapter
}

/// What every feature weighs for the user.
fn weights(base: &Base, adapter: &Adapter, context: &[f32]) -> Vec<f64> {
    let own = adapter.weights(context);
    let rows = base.as_matrix();
    let weight =
        |at: usize| own.iter().enumerate().map(|(k, own)| own * f64::from(rows.row(k)[at])).sum();
    (0..INPUTS).map(weight).collect()
}

/// The same directions, turned within their span by `angle`: priors stay the same.
fn turned(rows: &[[f32; INPUTS]], angle: f32) -> Vec<[f32; INPUTS]> {
    let (sin, cos) = angle.sin_cos();
    let mix = |a: f32, b: f32| -> [f32; INPUTS] {
        std::array::from_fn(|at| a * rows[0][at] + b * rows[1][at])
    };
    let mut turned = rows.to_vec();
    (turned[0], turned[1]) = (mix(cos, sin), mix(-sin, cos));
    turned
}

proptest! {
    /// Between base layers of one span and prior nothing is lost: the adapter is the one that would have learned there.
    #[test]
    fn on_the_same_span_it_is_as_if_it_had_learned_there(seed in 0_u64..200, angle in 0.0_f32..6.3) {
        let rows = random_rows(&mut ChaCha8Rng::seed_from_u64(seed), 3);
        let (from, to) = (base(&rows), base(&turned(&rows, angle)));
        let migration = Migration::between(&from, &to, &RIDGE).expect("of one width");
        let before = taught(&from, seed);
        let moved = before.migrated(&migration).expect("it fits");
        for context in [[1.0, 0.0], [1.0, -0.7]] {
            let found = weights(&to, &moved, &context);
            let expect = weights(&to, &taught(&to, seed), &context);
            for (found, expect) in found.iter().zip(&expect) {
                prop_assert!((found - expect).abs() < 1e-3, "{} for {}", found, expect);
            }
        }
        prop_assert_eq!((moved.events(), moved.gate()), (before.events(), before.gate()));
    }

    /// Whatever the base layers are, an adapter stays one: it goes on learning, and none is served that was not.
    #[test]
    fn it_goes_on_from_any_base_layer(seed in 0_u64..200, from in 1_usize..5, to in 1_usize..5) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (from, to) = (base(&random_rows(&mut rng, from)), base(&random_rows(&mut rng, to)));
        let migration = Migration::between(&from, &to, &RIDGE).expect("of one width");
        let before = taught(&from, seed);
        let moved = before.migrated(&migration).expect("it fits");
        prop_assert_eq!(moved.shape(), (to.rank(), 2));
        prop_assert_eq!(moved.is_served(), before.is_served());
        prop_assert!(moved.weights(&[1.0, 0.5]).iter().all(|weight| weight.is_finite()));
    }
}

#[test]
fn what_the_new_one_has_no_direction_for_is_lost_alone() {
    let axis = |at: usize| std::array::from_fn(|other| f32::from(u8::from(other == at)));
    // The last row is one along which users did not differ.
    let from = base(&[axis(0), axis(1), [0.0; INPUTS]]);
    let to = base(&[axis(2), axis(1)]);
    let migration = Migration::between(&from, &to, &RIDGE).expect("of one width");
    let moved = taught(&from, 5).migrated(&migration).expect("it fits");
    let own = moved.weights(&[1.0, 0.0]);
    assert_eq!(own[0], 0.0, "nothing was learned of it");
    assert!(own[1].abs() > 0.01, "{own:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let rows = random_rows(&mut ChaCha8Rng::seed_from_u64(1), 3);
    let (from, to) = (base(&rows), base(&rows[..2]));
    assert_eq!(Migration::between(&from, &to, &RIDGE[1..]), Err(base::Error::Shape));
    assert_eq!(Migration::between(&from, &to, &[0.0; INPUTS]), Err(base::Error::Number));
    let migration = Migration::between(&from, &to, &RIDGE).expect("of one width");
    assert_eq!(taught(&to, 1).migrated(&migration), Err(Refusal::Shape));
}
