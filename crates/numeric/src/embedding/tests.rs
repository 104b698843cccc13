//! The derivatives against finite differences, and what a fit must give.

use super::batch::Batch;
use super::*;
use crate::matrix::Matrix;
use proptest::prelude::*;
use rand::RngExt;

/// Two worlds: who had an item of one goes on in it. Attribute 0 or 1 tells which world, the others tell nothing.
fn world(users: usize, items: u32, seed: u64) -> (Vec<Vec<u32>>, Attributes) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let attributes = (0..items).map(|item| vec![item % 2, 2 + random.random_range(0..5_u32)]);
    let attributes = attributes.collect();
    let sequences = (0..users as u32).map(|user| {
        let length = random.random_range(1..9);
        (0..length).map(|_| random.random_range(0..items / 2) * 2 + user % 2).collect()
    });
    (sequences.collect(), attributes)
}

fn small() -> Options {
    Options { width: 8, negatives: 20, batch: 32, ..Options::default() }
}

fn keep_on(_: Epoch) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A batch with everything that can be in one, and parameters large enough to matter.
fn scene(options: &Options, seed: u64) -> (Parameters, Features, Batch) {
    let (sequences, attributes) = world(40, 30, seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut examples = Examples::new(30, &sequences);
    examples.shuffle(&mut random);
    let rarity = parameters::rarity_among(&attributes, examples.known());
    let features = Features::new(&attributes, &rarity);
    let mut parameters = Parameters::draw(&examples, &rarity, options.width, &mut random);
    for side in [&mut parameters.input, &mut parameters.output] {
        side.own.as_mut_slice().iter_mut().for_each(|value| *value *= 10.0);
        side.shared.as_mut_slice().iter_mut().for_each(|value| *value *= 10.0);
    }
    for bias in &mut parameters.bias {
        *bias = random.random_range(-1.0..1.0);
    }
    let batch = examples.batch(0..70, options, &mut random);
    (parameters, features, batch)
}

/// The loss by every row behind the vectors, from the loss by the vectors.
fn by_row(
    side: &parameters::Side,
    features: &Features,
    items: &[u32],
    by_vector: &[f32],
) -> (Matrix, Matrix) {
    let width = side.own.width();
    let mut own = Matrix::zeros(side.own.rows(), width);
    let mut shared = Matrix::zeros(side.shared.rows(), width);
    for (item, slopes) in items.iter().zip(by_vector.chunks_exact(width)) {
        crate::kernel::add(own.row_mut(*item as usize), 1.0, slopes);
        for (attribute, value) in features.of(*item) {
            crate::kernel::add(shared.row_mut(*attribute as usize), *value, slopes);
        }
    }
    (own, shared)
}

/// Compares every number of `by` with what the loss does when the parameter moves.
fn check_slopes(
    (parameters, features, batch): &(Parameters, Features, Batch),
    by: &[f32],
    values: impl Fn(&mut Parameters) -> &mut [f32],
) {
    let largest = by.iter().fold(0.0_f32, |most, slope| most.max(slope.abs()));
    assert!(largest > 1e-4, "nothing to compare");
    for (at, slope) in by.iter().enumerate() {
        let step = 1.0 / 512.0;
        let moved = |by: f32| {
            let mut parameters = parameters.clone();
            values(&mut parameters)[at] += by;
            (f64::from(values(&mut parameters)[at]), reference::loss(&parameters, features, batch))
        };
        let ((low, below), (high, above)) = (moved(-step), moved(step));
        let expect = (above - below) / (high - low);
        let error = (f64::from(*slope) - expect).abs();
        assert!(error < 1e-4 * f64::from(largest), "{at}: {slope} against {expect}");
    }
}

#[test]
fn derivatives_are_what_finite_differences_say() {
    for (seed, options) in [
        (1, small()),
        (2, Options { width: 5, negatives: 100, vector_dropout: 0.0, ..small() }),
        (3, Options { width: 33, history: 2, history_dropout: 0.5, ..small() }),
    ] {
        let scene = scene(&options, seed);
        let (parameters, features, batch) = &scene;
        let mut room = Room::default();
        let sum = gradient::work_out(parameters, features, batch, &mut room);
        let expect = reference::loss(parameters, features, batch);
        assert!((sum / batch.len() as f64 - expect).abs() < 1e-5 * expect, "{sum} {expect}");
        let (own, shared) = by_row(&parameters.input, features, &batch.sources, &room.by_input);
        check_slopes(&scene, own.as_slice(), |p| p.input.own.as_mut_slice());
        check_slopes(&scene, shared.as_slice(), |p| p.input.shared.as_mut_slice());
        let (own, shared) =
            by_row(&parameters.output, features, &batch.candidates, &room.by_output);
        check_slopes(&scene, own.as_slice(), |p| p.output.own.as_mut_slice());
        check_slopes(&scene, shared.as_slice(), |p| p.output.shared.as_mut_slice());
        let mut bias = vec![0.0; parameters.bias.len()];
        for (item, slope) in batch.candidates.iter().zip(&room.by_bias) {
            bias[*item as usize] += slope;
        }
        check_slopes(&scene, &bias, |p| &mut p.bias);
    }
}

#[test]
fn a_batch_holds_what_was_asked_for() {
    let options = Options { negatives: 12, vector_dropout: 0.3, ..small() };
    let (_, features, batch) = scene(&options, 5);
    assert_eq!((batch.len(), batch.sampled, features.of(0).len()), (70, 12, 2));
    let mut once = batch.candidates.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), batch.candidates.len(), "each candidate once");
    assert!((batch.correction - (30.0_f32 / 12.0).ln()).abs() < 1e-6);
    let kept = batch.keep.iter().filter(|keep| **keep > 0.0).count() as f64;
    assert!((kept / batch.keep.len() as f64 - 0.7).abs() < 0.1);
    assert!(batch.keep.iter().all(|keep| *keep == 0.0 || (*keep - 1.0 / 0.7).abs() < 1e-6));
    let squares: f32 = batch.mentions(0).iter().map(|(_, weight)| weight.powi(2)).sum();
    assert!(squares <= 1.0 / 0.81 + 1e-5, "dropout aside the weights have length 1");
}

/// The share of `users` that a model sends on within their own world.
fn stays(model: &Model, attributes: &Attributes, rows: u32) -> f64 {
    let vectors = vectors(model, attributes, rows);
    let mut scores = Vec::new();
    let best = |from: u32, scores: &mut Vec<f32>| {
        let user = vectors.user(&[from]).unwrap();
        vectors.score(&user, scores);
        let sum: f32 = scores.iter().sum();
        assert!((sum - 1.0).abs() < 1e-4 && scores.iter().all(|score| *score >= 0.0), "{sum}");
        let better = |a: &u32, b: &u32| scores[*a as usize].total_cmp(&scores[*b as usize]);
        (0..rows).filter(|row| *row != from).max_by(better).unwrap()
    };
    let rows_stay = (0..rows).filter(|from| best(*from, &mut scores) % 2 == from % 2).count();
    rows_stay as f64 / f64::from(rows)
}

fn vectors(model: &Model, attributes: &Attributes, rows: u32) -> Vectors {
    let mut vectors = Vectors::new(model, rows as usize);
    for row in 0..rows {
        vectors.place(row, model, Some(row), attributes.of(row));
    }
    vectors
}

#[test]
fn what_belongs_together_comes_together_and_the_loss_falls() {
    let (sequences, attributes) = world(600, 40, 7);
    let mut losses = Vec::new();
    let options = Options { epochs: 12, learning_rate: 0.01, ..small() };
    let model = fit(&sequences, &attributes, &options, &mut |epoch| {
        losses.push((epoch.index, epoch.loss));
        ControlFlow::Continue(())
    });
    let share = stays(&model.unwrap(), &attributes, 40);
    assert!(share > 0.95, "{share}");
    assert_eq!(
        losses.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        (1..=12).collect::<Vec<_>>()
    );
    // Told from the world alone the best loss is ln 20.
    let (first, last) = (losses[0].1, losses[11].1);
    assert!(first > last && last < 1.1 * 20.0_f64.ln(), "{losses:?}");
}

#[test]
fn an_item_the_fit_never_saw_has_the_vectors_of_its_attributes() {
    let (sequences, attributes) = world(600, 40, 8);
    let options = Options { epochs: 12, learning_rate: 0.01, ..small() };
    let model = fit(&sequences, &attributes, &options, &mut keep_on).unwrap();
    let mut vectors = vectors(&model, &attributes, 40);
    vectors.grow(44);
    vectors.place(41, &model, None, &[1, 99]);
    vectors.place(42, &model, None, &[99]);
    assert_eq!(
        [40, 41, 42, 43, 50].map(|row| vectors.has(row)),
        [false, true, false, false, false]
    );
    let mut scores = Vec::new();
    let of = |recent: &[u32], scores: &mut Vec<f32>| {
        vectors.score(&vectors.user(recent).unwrap(), scores);
        scores[41]
    };
    let (odd, even) = (of(&[3], &mut scores), of(&[4], &mut scores));
    assert!(odd > 1.5 * even && scores[42] == 0.0, "{odd} {even}");
    assert!(vectors.user(&[41]).is_some() && vectors.user(&[42, 43]).is_none());
    assert_eq!(vectors.user(&[42, 3]), vectors.user(&[3]), "who is unknown takes no place");
}

#[test]
fn evidence_adds_up_to_the_logit() {
    let (sequences, attributes) = world(300, 40, 9);
    let model = fit(&sequences, &attributes, &small(), &mut keep_on).unwrap();
    let vectors = vectors(&model, &attributes, 40);
    let (recent, target) = ([3, 11, 3, 20, 99], 8);
    let evidence = vectors.evidence(&recent, target);
    assert!(
        evidence.is_sorted_by(|a, b| a.1 >= b.1) && evidence.iter().all(|(_, part)| *part > 0.0)
    );
    // One that speaks alone makes the whole of the logit, up to what all logits share.
    let mut scores = Vec::new();
    vectors.score(&vectors.user(&[3]).unwrap(), &mut scores);
    let (one, other) = (scores[8].ln(), scores[9].ln());
    let bias = |row: usize| model.to_parts().bias[row];
    let part = |target| vectors.evidence(&[3], target).first().map_or(0.0, |(_, part)| *part);
    let positive = part(8) > 0.0 && part(9) > 0.0;
    assert!(!positive || ((one - other) - (part(8) + bias(8) - part(9) - bias(9))).abs() < 1e-4);
    assert_eq!(vectors.evidence(&recent, 400), []);
}

#[test]
fn a_row_has_the_logit_it_has_among_all() {
    let (sequences, attributes) = world(300, 40, 9);
    let model = fit(&sequences, &attributes, &small(), &mut keep_on).unwrap();
    let mut vectors = vectors(&model, &attributes, 40);
    vectors.grow(42);
    let user = vectors.user(&[3, 11]).unwrap();
    let (mut logits, mut scores) = (Vec::new(), Vec::new());
    vectors.logits(&user, &mut logits);
    vectors.score(&user, &mut scores);
    for row in 0..40 {
        assert!((vectors.logit(&user, row) - logits[row as usize]).abs() < 1e-5);
        let relative = (logits[row as usize] - logits[0]).exp();
        assert!((scores[row as usize] / scores[0] - relative).abs() < 1e-4 * relative);
    }
    // One without vectors, and one that is not there.
    assert_eq!((logits[41], scores[41]), (f32::NEG_INFINITY, 0.0));
    assert_eq!([41, 400].map(|row| vectors.logit(&user, row)), [f32::NEG_INFINITY; 2]);
}

#[test]
fn threads_do_not_matter_and_the_seed_does() {
    let (sequences, attributes) = world(300, 200, 3);
    let options = Options { negatives: 150, batch: 200, epochs: 2, ..small() };
    let with = |threads, options: &Options| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&sequences, &attributes, options, &mut keep_on)).unwrap()
    };
    assert!(with(1, &options) == with(3, &options));
    assert!(with(1, &options) != with(1, &Options { seed: 2, ..options.clone() }));
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let check = |sequences: &[Vec<u32>], options: &Options, expect: &str| {
        let error = fit(sequences, &Attributes::new(3), options, &mut keep_on).unwrap_err();
        assert_eq!(error.to_string(), expect);
    };
    check(&[vec![1], vec![]], &small(), "nobody engaged with two items");
    let bad = Options { vector_dropout: 1.0, ..small() };
    check(&[vec![1, 2]], &bad, "vector_dropout must be at least 0 and below 1");
    let bad = Options { history_decay: f32::NAN, ..small() };
    check(&[vec![1, 2]], &bad, "history_decay must be above 0 and at most 1");
    let (sequences, attributes) = world(50, 10, 1);
    let stopped = fit(&sequences, &attributes, &small(), &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(Error::Cancelled));
}

#[test]
fn parts_are_read_back_and_broken_ones_refused() {
    let (sequences, attributes) = world(50, 10, 1);
    let model = fit(&sequences, &attributes, &small(), &mut keep_on).unwrap();
    assert_eq!((model.items(), model.attributes(), model.width()), (10, 7, 8));
    let parts = model.to_parts();
    assert_eq!(Model::from_parts(parts.clone()), Ok(model));
    let broken = |break_it: &dyn Fn(&mut Parts)| {
        let mut parts = parts.clone();
        break_it(&mut parts);
        Model::from_parts(parts).unwrap_err()
    };
    assert!(broken(&|p| p.bias[3] = f32::NAN).contains("not finite"));
    assert!(broken(&|p| p.shared_inputs.as_mut_slice()[0] = f32::INFINITY).contains("not finite"));
    assert!(broken(&|p| p.newcomer_bias = f32::NAN).contains("not finite"));
    assert!(broken(&|p| p.bias.truncate(4)).contains("differ"));
    assert!(broken(&|p| p.rarity.truncate(4)).contains("differ"));
    assert!(broken(&|p| p.own_outputs = Matrix::zeros(10, 9)).contains("differ"));
    assert!(broken(&|p| p.rarity[1] = -1.0).contains("rarity"));
    assert!(broken(&|p| p.history = 0).contains("history"));
    assert!(broken(&|p| p.history_decay = 1.5).contains("history"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_small_world_is_fitted(
        sequences in prop::collection::vec(prop::collection::vec(0_u32..9, 0..6), 1..14),
        attributes in prop::collection::vec(prop::collection::vec(0_u32..5, 0..4), 9),
        negatives in 1_usize..12,
    ) {
        let attributes: Attributes = attributes.into_iter().collect();
        let options = Options { negatives, width: 4, batch: 5, ..Options::default() };
        match fit(&sequences, &attributes, &options, &mut keep_on) {
            Ok(model) => {
                let vectors = vectors(&model, &attributes, 9);
                for item in sequences.iter().flatten() {
                    prop_assert!(vectors.has(*item));
                }
            }
            Err(error) => {
                prop_assert_eq!(error, Error::NoTargets);
                prop_assert!(sequences.iter().all(|sequence| sequence.len() < 2));
            }
        }
    }
}
