//! The gradient trainer.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lora::base::Base;
use crate::lora::gradient::{Example, Options, Refusal, Weights, random_base};

const INPUTS: usize = 12;
const OUTPUTS: usize = 7;
const RANK: usize = 4;

struct Scene {
    base: Base,
    embeddings: Vec<Vec<f32>>,
    labels: Vec<f32>,
    preference: Vec<f32>,
}

impl Scene {
    fn new(events: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut vector =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let embeddings: Vec<_> = (0..events).map(|_| vector(INPUTS)).collect();
        let labels = embeddings.iter().map(|x| if x[0] > 0.0 { 0.9 } else { 0.1 }).collect();
        let preference = vector(OUTPUTS);
        Self { base: random_base(RANK, INPUTS, 1), embeddings, labels, preference }
    }

    fn examples(&self) -> Vec<Example<'_>> {
        let pairs = self.embeddings.iter().zip(&self.labels);
        pairs.map(|(embedding, label)| Example { embedding, label: *label }).collect()
    }

    fn train(&self, weights: &mut Weights, options: &Options) -> Result<(), Refusal> {
        weights.train(&self.base, &self.examples(), &self.preference, options).map(|_| ())
    }
}

/// One step of one event moves `B` down the loss's slope, which finite differences find.
#[test]
fn a_step_goes_down_the_gradient() {
    let mut scene = Scene::new(30);
    let mut weights = Weights::new(RANK, OUTPUTS);
    let often = Options { learning_rate: 0.02, ..Options::default() };
    scene.train(&mut weights, &often).expect("trained");
    scene.embeddings.truncate(1);
    scene.labels.truncate(1);
    let one = Options { learning_rate: 1.0, passes: 1, least_events: 1, ..Options::default() };
    let mut stepped = weights.clone();
    scene.train(&mut stepped, &one).expect("trained");
    let loss_at = |i: usize, j: usize, by: f32| {
        let mut moved = weights.clone();
        moved.rows.row_mut(i)[j] += by;
        let loss = moved.loss(&scene.base, &scene.examples(), &scene.preference, &one);
        (loss.expect("sound"), f64::from(moved.rows.row(i)[j]))
    };
    let found = |i: usize, j: usize| f64::from(weights.rows.row(i)[j] - stepped.rows.row(i)[j]);
    let pairs = || (0..OUTPUTS).flat_map(|i| (0..RANK).map(move |j| (i, j)));
    let steepest = pairs().map(|(i, j)| found(i, j).abs()).fold(0.0, f64::max);
    assert!(steepest > 0.01, "{steepest}");
    for (i, j) in pairs() {
        let ((up, above), (down, below)) = (loss_at(i, j, 2e-3), loss_at(i, j, -2e-3));
        let slope = (up - down) / (above - below);
        assert!((found(i, j) - slope).abs() < 1e-4 * steepest, "{} for {slope}", found(i, j));
    }
}

#[test]
fn training_learns_and_counts() {
    let scene = Scene::new(60);
    let options = Options { learning_rate: 0.005, passes: 200, ..Options::default() };
    let mut weights = Weights::new(RANK, OUTPUTS);
    let trained = weights.train(&scene.base, &scene.examples(), &scene.preference, &options);
    let trained = trained.expect("trained");
    assert!((trained.loss_before - 2.0_f64.ln()).abs() < 1e-9, "{trained:?}");
    assert!(trained.loss_after < 0.9 * trained.loss_before, "{trained:?}");
    assert_eq!(weights.iterations, 1, "once a training, not a pass");
    scene.train(&mut weights, &options).expect("trained");
    assert_eq!(weights.iterations, 2);
    let mut again = Weights::new(RANK, OUTPUTS);
    scene.train(&mut again, &options).expect("trained");
    scene.train(&mut again, &options).expect("trained");
    assert_eq!(again, weights, "the same events, the same bytes");
    let rows: Vec<&[f32]> = (0..OUTPUTS).map(|i| weights.rows.row(i)).collect();
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "rows move each by its preference");
}

#[test]
fn new_weights_score_nothing_and_scores_are_bounded() {
    let scene = Scene::new(20);
    let options = Options { learning_rate: 2.0, passes: 200, ..Options::default() };
    let mut weights = Weights::new(RANK, OUTPUTS);
    let score = |weights: &Weights| {
        weights.score(&scene.base, &scene.embeddings[0], &scene.preference, &options)
    };
    assert_eq!(score(&weights), Ok(0.0));
    scene.train(&mut weights, &options).expect("trained");
    assert!(score(&weights).expect("sound").abs() <= 1.0);
    assert_ne!(score(&weights), Ok(0.0));
}

#[test]
fn a_random_layer_is_symmetric_and_seeded() {
    let base = random_base(8, 512, 9);
    assert_eq!(base, random_base(8, 512, 9));
    assert_ne!(base, random_base(8, 512, 10));
    let values = base.as_matrix().as_slice();
    let bound = (6.0_f32 / 520.0).sqrt();
    assert!(values.iter().all(|value| value.abs() <= bound));
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    assert!(mean.abs() < bound / 20.0, "{mean}");
    assert!(values.iter().any(|value| *value < -bound / 2.0));
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let options = Options::default();
    let check = |scene: &Scene, options: &Options, expect: Refusal| {
        let mut weights = Weights::new(RANK, OUTPUTS);
        assert_eq!(scene.train(&mut weights, options), Err(expect));
        assert_eq!(weights, Weights::new(RANK, OUTPUTS), "{expect}");
    };
    check(&Scene::new(9), &options, Refusal::FewEvents { found: 9, needed: 10 });
    let spoilt = |spoil: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new(20);
        spoil(&mut scene);
        scene
    };
    check(&spoilt(&|s| s.embeddings[3][0] = f32::NAN), &options, Refusal::Number);
    check(&spoilt(&|s| s.labels[3] = 1.5), &options, Refusal::Number);
    check(&spoilt(&|s| s.preference[0] = f32::INFINITY), &options, Refusal::Number);
    check(&spoilt(&|s| s.embeddings[3].truncate(2)), &options, Refusal::Shape);
    // Of a preference of another width no output is dropped: it is refused.
    check(&spoilt(&|s| s.preference.truncate(5)), &options, Refusal::Shape);
    let wild = Options { learning_rate: 1e6, ..options };
    check(&Scene::new(20), &wild, Refusal::TooLong);
    let saturated = spoilt(&|s| s.embeddings.iter_mut().for_each(|x| x.fill(1e6)));
    let mut weights = Weights::new(RANK, OUTPUTS);
    let fast = Options { learning_rate: 1e-6, ..options };
    let trained =
        weights.train(&saturated.base, &saturated.examples(), &saturated.preference, &fast);
    assert!(trained.expect("clipped").loss_after.is_finite());
}
