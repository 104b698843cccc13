//! What an adapter promises, against plain loops and by property.

mod base;
mod gradient;
mod migration;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::adapter::{Adapter, Choice, Opinion, Options, Refusal};
use super::gate;
use super::reference::{Reference, Scene, loss};
use crate::listwise::{List, Scratch};

const RANK: usize = 8;
const CONTEXTS: usize = 2;

/// A choice of random candidates; the one with most of `want` was chosen.
fn scene(rng: &mut ChaCha8Rng, candidates: usize, want: &[f32]) -> Scene {
    let mut row = || -> Vec<f32> { want.iter().map(|_| rng.random_range(-1.0..1.0)).collect() };
    let z: Vec<Vec<f32>> = (0..candidates).map(|_| row()).collect();
    let score = |z: &Vec<f32>| z.iter().zip(want).map(|(z, want)| z * want).sum::<f32>();
    let best = |a: &usize, b: &usize| score(&z[*a]).total_cmp(&score(&z[*b]));
    let chosen = (0..candidates).max_by(best).expect("a candidate");
    let known = (0..candidates).map(|_| rng.random_range(-2.0..2.0)).collect();
    let gap = rng.random_range(-1.0..1.0);
    Scene { z, known, chosen, weight: 1.0, context: vec![1.0, gap] }
}

fn wanted() -> Vec<f32> {
    (0..RANK).map(|k| if k == 2 { 3.0 } else { 0.0 }).collect()
}

fn learn(adapter: &mut Adapter, scene: &Scene, opinion: Opinion) -> Result<(), Refusal> {
    let features = scene.z.concat();
    let list = List {
        features: &features,
        offsets: &scene.known,
        chosen: scene.chosen,
        weight: scene.weight,
    };
    let choice = Choice { list, context: &scene.context, opinion };
    adapter.learn(choice, &mut Scratch::default())
}

/// An adapter that has learned from `events` choices.
fn taught(events: usize, options: Options) -> Adapter {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut adapter = Adapter::new(RANK, CONTEXTS, options);
    for _ in 0..events {
        let scene = scene(&mut rng, 40, &wanted());
        learn(&mut adapter, &scene, Opinion::Positive).expect("a sound choice");
    }
    adapter
}

fn lora(adapter: &Adapter, z: &[f32], context: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    adapter.lora(z, context, &mut out);
    out
}

#[test]
fn it_learns_what_plain_loops_learn() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut reference = Reference::new(RANK, CONTEXTS);
    let mut adapter = Adapter::new(RANK, CONTEXTS, Options::default());
    for n in 0..40 {
        let mut scene = scene(&mut rng, 30, &wanted());
        scene.weight = if n % 3 == 0 { 0.5 } else { 1.0 };
        reference.learn(&scene, 1.0);
        learn(&mut adapter, &scene, Opinion::Neutral).expect("a sound choice");
        for (found, expect) in
            adapter.weights(&[1.0, 0.3]).iter().zip(reference.weights(&[1.0, 0.3]))
        {
            assert!((found - expect).abs() < 1e-5, "{found} for {expect} after {n}");
        }
    }
}

/// From the second-order expansion of the loss, `r` and `H` have to be its gradient and curvature at the present `B`.
#[test]
fn the_statistics_are_gradient_and_curvature_of_the_loss() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let before = taught(15, Options::default());
    let scene = scene(&mut rng, 150, &wanted());
    let mut after = before.clone();
    learn(&mut after, &scene, Opinion::Positive).expect("a sound choice");
    let (old, new) = (before.to_stored(), after.to_stored());
    let n = RANK * CONTEXTS;
    let curvature = |i: usize, j: usize| {
        let at = i.max(j) * (i.max(j) + 1) / 2 + i.min(j);
        new.precision[at] - old.precision[at]
    };
    let solution = &old.solution;
    // b grew by P vec(B) less the gradient.
    let gradient: Vec<f64> = (0..n)
        .map(|i| {
            let known: f64 = (0..n).map(|j| curvature(i, j) * solution[j]).sum();
            known - (new.right[i] - old.right[i])
        })
        .collect();
    let weights = |b: &[f64]| -> Vec<f64> {
        let of = |k| (0..CONTEXTS).map(|a| f64::from(scene.context[a]) * b[a * RANK + k]).sum();
        (0..RANK).map(of).collect()
    };
    let at = |moves: &[(usize, f64)]| {
        let mut b = solution.clone();
        for (i, by) in moves {
            b[*i] += by;
        }
        loss(&scene, &weights(&b))
    };
    let near = |found: f64, expect: f64, scale: f64| {
        assert!((found - expect).abs() <= 1e-4 * scale, "{found} for {expect}");
    };
    let steepest = gradient.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    let most_curved = (0..n).map(|i| curvature(i, i)).fold(0.0, f64::max);
    let (small, larger) = (1e-6, 1e-3);
    for (i, slope) in gradient.iter().enumerate() {
        near(*slope, (at(&[(i, small)]) - at(&[(i, -small)])) / (2.0 * small), steepest);
        for j in 0..n {
            let corner = |a: f64, b: f64| at(&[(i, a * larger), (j, b * larger)]);
            let second =
                corner(1.0, 1.0) - corner(1.0, -1.0) - corner(-1.0, 1.0) + corner(-1.0, -1.0);
            near(curvature(i, j), second / (4.0 * larger * larger), most_curved);
        }
    }
}

#[test]
fn a_new_adapter_changes_no_score() {
    let fresh = Adapter::new(RANK, CONTEXTS, Options::default());
    assert!(fresh.is_served());
    let z: Vec<f32> = (0..4 * RANK).map(|n| (n as f32 - 9.0) * 1e30).collect();
    assert_eq!(lora(&fresh, &z, &[1.0, -0.7]), [0.0; 4]);
    let logits = [0.1, -0.0, f32::MIN_POSITIVE, -7.5];
    let mut adjusted = logits;
    fresh.adjust(&z, &[1.0, -0.7], &mut adjusted);
    assert_eq!(adjusted, logits);
}

#[test]
fn what_the_user_wants_comes_up() {
    let z = {
        let mut z = vec![0.0; 2 * RANK];
        (z[2], z[RANK + 2]) = (0.5, -0.5);
        z
    };
    for events in [10, 60] {
        let adapter = taught(events, Options::default());
        assert_eq!((adapter.events(), adapter.is_served()), (events as u64, true));
        let mut logits = [1.0, 1.0];
        adapter.adjust(&z, &[1.0, 0.0], &mut logits);
        assert!(logits[0] > 1.0 && logits[1] < 1.0, "{logits:?}");
        let lora = lora(&adapter, &z, &[1.0, 0.0]);
        assert!((logits[0] - 1.0 - 4.0 * lora[0]).abs() < 1e-6);
    }
}

#[test]
fn lora_is_a_quarter_of_y_up_to_one() {
    let adapter = taught(60, Options::default());
    let weight = adapter.weights(&[1.0, 0.0])[2];
    let mut z = vec![0.0; 3 * RANK];
    (z[2], z[RANK + 2], z[2 * RANK + 2]) = (0.5, 1e6, f32::NEG_INFINITY);
    let found = lora(&adapter, &z, &[1.0, 0.0]);
    assert!((f64::from(found[0]) - 0.5 * weight / 4.0).abs() < 1e-6);
    assert_eq!(found[1..], [1.0, 0.0], "1 at most, and 0 for what is not finite");
}

#[test]
fn solving_less_often_learns_the_same_in_the_end() {
    let rare = taught(20, Options { solve_every: 10, ..Options::default() });
    assert_eq!(rare.to_stored().unsolved, 0);
    let between = taught(19, Options { solve_every: 10, ..Options::default() });
    assert_eq!(between.to_stored().unsolved, 9);
    let ten = taught(10, Options { solve_every: 10, ..Options::default() });
    assert_eq!(between.weights(&[1.0, 0.0]), ten.weights(&[1.0, 0.0]), "B is that of the tenth");
    assert_ne!(rare.weights(&[1.0, 0.0]), ten.weights(&[1.0, 0.0]));
}

#[test]
fn the_gate_shuts_on_an_adapter_that_misleads_and_opens_again() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut adapter = taught(60, Options::default());
    assert!(adapter.gate().gain() > 5.0, "{}", adapter.gate().gain());
    let opposite: Vec<f32> = wanted().iter().map(|want| -want).collect();
    let mut shut = false;
    for n in 0..400 {
        let choice = scene(&mut rng, 40, &opposite);
        learn(&mut adapter, &choice, Opinion::Positive).expect("a sound choice");
        assert_eq!(adapter.is_served(), adapter.gate().gain() >= gate::TOLERANCE);
        shut |= n < 60 && !adapter.is_served();
    }
    assert!(shut, "it was not served while it was wrong");
    assert!(adapter.is_served(), "it has learned better: {}", adapter.gate().gain());
}

#[test]
fn the_gate_counts_what_the_adapter_foresaw() {
    // Few events: no y is far enough from 0 to be cut off.
    let mut adapter = taught(12, Options::default());
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for opinion in [Opinion::Positive, Opinion::Neutral] {
        let choice = scene(&mut rng, 40, &wanted());
        let before = adapter.gate().gain();
        let weights = adapter.weights(&choice.context);
        let gained = loss(&choice, &[0.0; RANK]) - loss(&choice, &weights);
        learn(&mut adapter, &choice, opinion).expect("a sound choice");
        let expect = match opinion {
            Opinion::Positive => 0.98 * before + gained,
            Opinion::Neutral => before,
        };
        assert!((adapter.gate().gain() - expect).abs() < 1e-6, "{opinion:?}");
    }
}

/// Mean loss of the choices of one user with another's adapter, as it would be served.
fn loss_with(adapter: &Adapter, choices: &[Scene]) -> f64 {
    let losses = choices.iter().map(|choice| {
        let mut logits = choice.known.clone();
        adapter.adjust(&choice.z.concat(), &choice.context, &mut logits);
        loss(&Scene { known: logits, ..choice.clone() }, &[0.0; RANK])
    });
    losses.sum::<f64>() / choices.len() as f64
}

#[test]
fn what_is_learned_is_the_users_own() {
    let users = [2, 5].map(|k| {
        let want: Vec<f32> = (0..RANK).map(|at| if at == k { 3.0 } else { 0.0 }).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(k as u64);
        let mut choices: Vec<Scene> = (0..60).map(|_| scene(&mut rng, 40, &want)).collect();
        let later = choices.split_off(30);
        let mut adapter = Adapter::new(RANK, CONTEXTS, Options::default());
        for choice in &choices {
            learn(&mut adapter, choice, Opinion::Positive).expect("a sound choice");
        }
        (adapter, later)
    });
    let fresh = Adapter::new(RANK, CONTEXTS, Options::default());
    for (own, other) in [(0, 1), (1, 0)] {
        let (adapter, later) = &users[own];
        let (with, without) = (loss_with(adapter, later), loss_with(&fresh, later));
        assert!(with < without - 0.5, "{with} {without}");
        assert!(loss_with(&users[other].0, later) > without, "another's adapter is no help");
    }
}

#[test]
fn a_stored_adapter_goes_on_as_if_nothing_had_happened() {
    let options = Options { solve_every: 7, ..Options::default() };
    let mut one = taught(25, options);
    let stored = one.to_stored();
    let mut other = Adapter::from_stored((RANK, CONTEXTS), options, stored.clone()).expect("whole");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..20 {
        let scene = scene(&mut rng, 20, &wanted());
        for adapter in [&mut one, &mut other] {
            learn(adapter, &scene, Opinion::Positive).expect("a sound choice");
        }
    }
    assert_eq!(one, other);
    let from = |shape, stored| Adapter::from_stored(shape, options, stored);
    assert_eq!(from((RANK, 3), stored.clone()), Err(Refusal::Shape));
    let mut wild = stored.clone();
    wild.gain = f64::NAN;
    assert_eq!(from((RANK, CONTEXTS), wild), Err(Refusal::Number));
    let mut short = stored.clone();
    short.precision.pop();
    assert_eq!(from((RANK, CONTEXTS), short), Err(Refusal::Shape));
    let mut long = stored;
    long.solution[0] = 1e9;
    assert_eq!(from((RANK, CONTEXTS), long), Err(Refusal::TooLong));
}

#[test]
fn weights_alone_are_what_is_believed_at_first() {
    let learned = taught(30, Options::default());
    let weights = learned.to_stored().solution;
    let begin =
        |weights: Vec<f64>| Adapter::from_weights(learned.shape(), Options::default(), weights, 12);
    let mut adapter = begin(weights.clone()).expect("well formed");
    assert_eq!((adapter.to_stored().solution, adapter.events()), (weights.clone(), 12));
    let context = [1.0; 2];
    assert_eq!(adapter.weights(&context), learned.weights(&context));
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    learn(&mut adapter, &scene(&mut rng, 12, &wanted()), Opinion::Neutral).expect("learned");
    let moved = adapter.to_stored().solution;
    let far: f64 = moved.iter().zip(&weights).map(|(b, a)| (b - a).powi(2)).sum();
    let long: f64 = weights.iter().map(|b| b * b).sum();
    assert!(far > 0.0 && far < long, "one choice moves them a little: {far} {long}");
    assert_eq!(begin(vec![0.0; 3]), Err(Refusal::Shape));
    assert_eq!(begin(vec![f64::NAN; weights.len()]), Err(Refusal::Number));
    assert_eq!(begin(vec![1e6; weights.len()]), Err(Refusal::TooLong));
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut adapter = taught(12, Options::default());
    let before = adapter.clone();
    let sound = scene(&mut ChaCha8Rng::seed_from_u64(1), 10, &wanted());
    let mut check = |spoil: &dyn Fn(&mut Scene), expect: Refusal| {
        let mut scene = sound.clone();
        spoil(&mut scene);
        assert_eq!(learn(&mut adapter, &scene, Opinion::Positive), Err(expect));
        assert_eq!(adapter, before, "{expect}");
    };
    check(&|scene| scene.z[3][1] = f32::NAN, Refusal::Number);
    check(&|scene| scene.known[0] = f32::INFINITY, Refusal::Number);
    check(&|scene| scene.context[1] = f32::NAN, Refusal::Number);
    check(&|scene| scene.weight = 0.0, Refusal::Number);
    check(&|scene| scene.weight = f32::NAN, Refusal::Number);
    check(&|scene| scene.z[3][1] = f32::MAX, Refusal::TooLong);
    check(&|scene| scene.chosen = 10, Refusal::Shape);
    check(&|scene| scene.context = vec![1.0], Refusal::Shape);
    check(&|scene| scene.z = vec![vec![1.0; RANK + 1]; 10], Refusal::Shape);
    check(&|scene| (scene.z, scene.known) = (vec![], vec![]), Refusal::Shape);
}

#[test]
fn weights_that_would_be_too_long_are_refused() {
    let options = Options { longest: 0.5, ..Options::default() };
    let mut adapter = Adapter::new(RANK, CONTEXTS, options);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut refused = 0;
    for _ in 0..50 {
        let before = adapter.clone();
        match learn(&mut adapter, &scene(&mut rng, 40, &wanted()), Opinion::Positive) {
            Ok(()) => {}
            Err(refusal) => {
                assert_eq!((refusal, &adapter), (Refusal::TooLong, &before));
                refused += 1;
            }
        }
        let length: f64 = adapter.to_stored().solution.iter().map(|b| b * b).sum();
        assert!(length.sqrt() <= 0.5);
    }
    assert!(refused > 0);
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let wide = prop_oneof![-3.0..3.0_f32, -1e4..1e4_f32];
    (2..30_usize).prop_flat_map(move |count| {
        let z = prop::collection::vec(prop::collection::vec(wide.clone(), RANK), count);
        let known = prop::collection::vec(-50.0..50.0_f32, count);
        (z, known, 0..count, 0.01..1.0_f32, -3.0..3.0_f32).prop_map(
            |(z, known, chosen, weight, gap)| Scene {
                z,
                known,
                chosen,
                weight,
                context: vec![1.0, gap],
            },
        )
    })
}

proptest! {
    #[test]
    fn it_stays_finite_and_in_bounds(scenes in prop::collection::vec(any_scene(), 1..12)) {
        let mut adapter = Adapter::new(RANK, CONTEXTS, Options::default());
        for scene in &scenes {
            let before = adapter.clone();
            if learn(&mut adapter, scene, Opinion::Positive).is_err() {
                prop_assert_eq!(&adapter, &before);
            }
            let z = scene.z.concat();
            let found = lora(&adapter, &z, &scene.context);
            prop_assert!(found.iter().all(|lora| (-1.0..=1.0).contains(lora)));
            let mut logits = scene.known.clone();
            adapter.adjust(&z, &scene.context, &mut logits);
            for (after, before) in logits.iter().zip(&scene.known) {
                prop_assert!((after - before).abs() <= 4.0 + 1e-4);
            }
            prop_assert!(adapter.gate().gain().is_finite());
        }
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(scene in any_scene(), turn in 0..30_usize) {
        let mut turned = scene.clone();
        let count = scene.z.len();
        turned.z.rotate_left(turn % count);
        turned.known.rotate_left(turn % count);
        turned.chosen = (scene.chosen + count - turn % count) % count;
        let [one, other] = [scene, turned].map(|scene| {
            let mut adapter = Adapter::new(RANK, CONTEXTS, Options::default());
            let learned = learn(&mut adapter, &scene, Opinion::Positive);
            (learned, adapter.weights(&scene.context))
        });
        prop_assert_eq!(one.0, other.0);
        let longest = one.1.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
        for (a, b) in one.1.iter().zip(&other.1) {
            prop_assert!((a - b).abs() < 1e-4 * longest, "{} {}", a, b);
        }
    }
}
