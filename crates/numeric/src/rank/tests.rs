//! Gradients and trees against plain loops, and what a fit must give.

mod model;

use super::lambda::{Cost, Slope};
use super::order::Order;
use super::queries::Groups;
use super::*;
use crate::matrix::Matrix;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;

/// Queries with candidates whose gains are known.
#[derive(Clone)]
struct Made {
    features: Matrix,
    sizes: Vec<u32>,
    gains: Vec<f32>,
}

impl Made {
    fn queries(&self) -> Queries<'_> {
        Queries { features: &self.features, sizes: &self.sizes, gains: &self.gains, weights: None }
    }
}

/// Queries of 12 candidates: a gain of 3 for the best by `worth`, 1 for the second; one value in `missing` is missing.
fn made(queries: usize, width: usize, missing: u32, worth: fn(&[f32]) -> f32, seed: u64) -> Made {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut gains) = (Vec::new(), Vec::new());
    for _ in 0..queries {
        let mut worths = Vec::new();
        for _ in 0..12 {
            let x: Vec<f32> = (0..width).map(|_| random.random_range(-1.0..1.0)).collect();
            worths.push(worth(&x) + random.random_range(-0.1..0.1));
            values.extend(
                x.into_iter().map(|value| {
                    if random.random_range(0..missing) == 0 { f32::NAN } else { value }
                }),
            );
        }
        let above = |worth: f32| worths.iter().filter(|other| **other > worth).count();
        gains.extend(worths.iter().map(|worth| [3.0, 1.0].get(above(*worth)).unwrap_or(&0.0)));
    }
    Made { features: Matrix::from_vec(values, width), sizes: vec![12; queries], gains }
}

/// No sum of its features has its order.
fn interaction(x: &[f32]) -> f32 {
    x[0] * x[1] + 0.2 * x[2]
}

fn small() -> Options {
    Options { trees: 40, leaves: 8, min_leaf_rows: 10, ..Options::default() }
}

fn fitted(made: &Made, options: &Options) -> Fit {
    fit(&made.queries(), None, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Mean NDCG at 10 of the order that `score` makes.
fn ndcg(made: &Made, score: impl Fn(&[f32]) -> f64) -> f64 {
    let scores: Vec<f64> = (0..made.gains.len()).map(|row| score(made.features.row(row))).collect();
    let mut start = 0;
    let of = |size: &u32| {
        let range = start..start + *size as usize;
        start = range.end;
        let mut order: Vec<usize> = range.clone().collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut ideal = made.gains[range].to_vec();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let dcg = |gains: &mut dyn Iterator<Item = f32>| -> f64 {
            let first = gains.take(NDCG_AT).enumerate();
            first.map(|(at, gain)| f64::from(gain) / (at as f64 + 2.0).log2()).sum()
        };
        dcg(&mut order.iter().map(|row| made.gains[*row])) / dcg(&mut ideal.into_iter())
    };
    made.sizes.iter().map(of).sum::<f64>() / made.sizes.len() as f64
}

/// The derivatives of one query at `scores`.
fn slopes(gains: &[f32], scores: &[f64], options: &Options) -> Vec<Slope> {
    let features = Matrix::zeros(gains.len(), 1);
    let sizes = [gains.len() as u32];
    let groups =
        Groups::new(&Queries { features: &features, sizes: &sizes, gains, weights: None }).unwrap();
    let mut order = Order::new(&groups);
    order.add(|first, own| own.copy_from_slice(&scores[first..first + own.len()]));
    let mut slopes = vec![Slope::default(); gains.len()];
    Cost::new(&groups, options).slopes(&order, &mut slopes);
    slopes
}

proptest! {
    #[test]
    fn slopes_are_those_of_a_double_loop(
        rows in prop::collection::vec((0_u8..4, -3_i8..3), 2..30),
        truncation in 1_usize..12,
        sigmoid in 0.5_f64..2.0,
    ) {
        let gains: Vec<f32> = rows.iter().map(|(gain, _)| f32::from(*gain)).collect();
        prop_assume!(gains.iter().any(|gain| *gain != gains[0]));
        let scores: Vec<f64> = rows.iter().map(|(_, score)| f64::from(*score) / 2.0).collect();
        let options = Options { truncation, sigmoid, ..Options::default() };
        let expect = reference::slopes(&gains, &scores, &options);
        for (found, (g, h)) in slopes(&gains, &scores, &options).iter().zip(expect) {
            prop_assert!((found.g - g).abs() < 1e-12 && (found.h - h).abs() < 1e-12, "{:?} {} {}", found, g, h);
        }
    }
}

#[test]
fn slopes_are_what_finite_differences_say() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let gains: Vec<f32> = (0..15).map(|_| random.random_range(0..3) as f32).collect();
    let scores: Vec<f64> = (0..15).map(|_| random.random_range(-1.0..1.0)).collect();
    let options = Options { truncation: 6, sigmoid: 1.5, ..Options::default() };
    let found = slopes(&gains, &scores, &options);
    let cost = |row: usize, step: f64| {
        let mut moved = scores.clone();
        moved[row] += step;
        reference::cost(&gains, &scores, &moved, &options)
    };
    let step = 1e-4;
    let numeric = |row| {
        let (below, at, above) = (cost(row, -step), cost(row, 0.0), cost(row, step));
        ((above - below) / (2.0 * step), (above - 2.0 * at + below) / (step * step))
    };
    // Up to the scale of the query, which is one number.
    let scale = found[0].g / numeric(0).0;
    assert!(scale > 0.0 && scale <= 1.0 / std::f64::consts::LN_2);
    for (row, found) in found.iter().enumerate() {
        let (g, h) = numeric(row);
        assert!((found.g - scale * g).abs() < 1e-6, "{row} {found:?} {g}");
        assert!((found.h - scale * h).abs() < 1e-5, "{row} {found:?} {h}");
    }
}

/// Checks the first tree of a fit against the best of all splits, leaf by leaf.
fn check_first_tree(made: &Made, options: &Options) {
    let model = fitted(made, &Options { trees: 1, feature_share: 1.0, ..options.clone() }).model;
    let parts = model.to_parts();
    let mut slopes = Vec::new();
    for gains in made.gains.chunks(12) {
        slopes.extend(reference::slopes(gains, &[0.0; 12], options));
    }
    let data: Vec<Vec<f32>> =
        (0..made.gains.len()).map(|row| made.features.row(row).to_vec()).collect();
    let best = |rows: &[usize]| reference::split(&data, rows, &slopes, options);
    let all: Vec<usize> = (0..data.len()).collect();
    let mut leaves = vec![(0, best(&all), all)];
    for split in 0..options.leaves - 1 {
        let gain = |leaf: &(usize, Option<reference::Split>, Vec<usize>)| {
            leaf.1.as_ref().map_or(0.0, |split| split.0)
        };
        let at = (0..leaves.len()).max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
        let (node, best_split, rows) = leaves.swap_remove(at.unwrap());
        let Some((_, feature, threshold, left)) = best_split else { panic!("no split is left") };
        assert_eq!(parts.features[node] as usize, feature, "split {split}");
        assert_eq!(parts.thresholds[node], threshold, "split {split}");
        assert_eq!(parts.children[node] as usize, 2 * split + 1, "split {split}");
        assert_eq!(parts.covers[node] as usize, rows.len());
        let right: Vec<usize> = rows.into_iter().filter(|row| !left.contains(row)).collect();
        for (side, rows) in [left, right].into_iter().enumerate() {
            leaves.push((2 * split + 1 + side, best(&rows), rows));
        }
    }
    for (node, _, rows) in leaves {
        let g: f64 = rows.iter().map(|row| slopes[*row].0).sum();
        let h: f64 = rows.iter().map(|row| slopes[*row].1).sum();
        let value = -options.learning_rate * g / (h + options.l2);
        assert!((parts.values[node] - value).abs() < 1e-7, "{} {value}", parts.values[node]);
        for row in rows {
            assert_eq!(model.score(&data[row]), parts.values[node], "rows fall where they were");
        }
    }
}

#[test]
fn splits_are_the_best_of_all() {
    let options = Options { leaves: 6, min_leaf_rows: 4, ..Options::default() };
    for seed in 0..4 {
        check_first_tree(&made(18, 3, 1000, interaction, seed), &options);
        check_first_tree(&made(18, 3, 4, interaction, seed), &options);
    }
    let coarse = |seed| {
        let mut made = made(20, 4, 9, interaction, seed);
        let round = |value: &mut f32| *value = (*value * 3.0).round() + 0.0;
        made.features.as_mut_slice().iter_mut().for_each(round);
        made
    };
    for seed in 4..8 {
        check_first_tree(&coarse(seed), &options);
    }
}

#[test]
fn an_interaction_is_learned_that_no_linear_order_has() {
    let (train, test) = (made(400, 5, 1000, interaction, 1), made(200, 5, 1000, interaction, 2));
    let fit = fitted(&train, &Options { trees: 80, ..small() });
    let by_trees = ndcg(&test, |x| fit.model.score(x));
    let mut best_linear = 0.0_f64;
    for direction in 0..64 {
        let angle = f64::from(direction) * std::f64::consts::TAU / 64.0;
        for third in [0.0, 0.3, 1.0, 5.0] {
            let linear = |x: &[f32]| {
                f64::from(x[0]) * angle.cos()
                    + f64::from(x[1]) * angle.sin()
                    + third * f64::from(x[2])
            };
            best_linear = best_linear.max(ndcg(&test, linear));
        }
    }
    assert!(by_trees > 0.9 && best_linear < 0.65, "{by_trees} {best_linear}");
    let [first, second, ..] = fit.importances[..] else { panic!("five features") };
    let noise = fit.importances[4];
    assert!(first.gain.min(second.gain) > 10.0 * noise.gain && first.splits > 0);
    let ndcgs: Vec<f64> = fit.iterations.iter().map(|iteration| iteration.ndcg).collect();
    assert!(ndcgs[..8].is_sorted() && ndcgs[79] > ndcgs[7], "{ndcgs:?}");
    assert!((ndcgs[79] - ndcg(&train, |x| fit.model.score(x))).abs() < 1e-12);
}

#[test]
fn what_is_missing_goes_where_it_belongs() {
    // Missing is worth most, which no threshold says.
    let mut train = made(200, 2, 1000, |_| 0.0, 3);
    for row in 0..train.gains.len() {
        train.features.row_mut(row)[0] = if train.gains[row] > 0.0 { f32::NAN } else { 0.5 };
    }
    let model = fitted(&train, &small()).model;
    assert!(model.score(&[f32::NAN, 0.0]) > model.score(&[0.5, 0.0]));
    assert!(ndcg(&train, |x| model.score(x)) > 0.9);
    // Missing is as good as a high value, and as bad as a low one.
    for sign in [1.0, -1.0] {
        let mut train = made(300, 1, 1000, |x| x[0], 4);
        for value in train.features.as_mut_slice() {
            if sign * *value > 0.6 {
                *value = f32::NAN;
            }
        }
        let model = fitted(&train, &small()).model;
        let (missing, high, low) =
            (model.score(&[f32::NAN]), model.score(&[0.5]), model.score(&[-0.5]));
        let belongs = if sign > 0.0 { missing > high } else { (missing - low).abs() < 0.5 };
        assert!(belongs && high > low + 1.0, "{missing} {high} {low}");
    }
}

#[test]
fn threads_do_not_matter_and_the_seed_does() {
    let train = made(3_000, 4, 7, interaction, 6);
    let with = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&train, &Options { trees: 6, seed, ..small() }))
    };
    assert!(with(1, 1) == with(3, 1));
    assert!(with(1, 1).model != with(1, 2).model);
}

#[test]
fn the_fit_stops_where_held_out_queries_do_not_gain() {
    let noisy = |seed| made(60, 6, 1000, |x| 0.3 * x[0] * x[1], seed);
    let (train, test) = (noisy(1), noisy(2));
    let options = Options { trees: 200, patience: 8, ..small() };
    let mut seen = Vec::new();
    let fit = fit(&train.queries(), Some(&test.queries()), &options, &mut |iteration| {
        seen.push(iteration);
        ControlFlow::Continue(())
    });
    let fit = fit.unwrap();
    assert_eq!(seen, fit.iterations);
    let held_out: Vec<f64> = seen.iter().map(|iteration| iteration.held_out.unwrap()).collect();
    let best = held_out.iter().copied().fold(0.0, f64::max);
    let at = held_out.iter().position(|ndcg| *ndcg == best).unwrap();
    assert_eq!((fit.model.trees(), seen.len()), (at + 1, at + 9));
    assert!((ndcg(&test, |x| fit.model.score(x)) - best).abs() < 1e-12);
    let splits: usize = fit.importances.iter().map(|importance| importance.splits).sum();
    let leaves = fit.model.to_parts().children.iter().filter(|child| **child == 0).count();
    assert_eq!(leaves, splits + fit.model.trees());
}

#[test]
fn queries_that_teach_nothing_change_nothing() {
    let train = made(50, 3, 9, interaction, 8);
    let mut more = train.clone();
    more.sizes.extend([1, 2, 0]);
    more.gains.extend([5.0, 2.0, 2.0]);
    let rows = more.gains.len() * 3;
    let mut values = more.features.as_slice().to_vec();
    values.resize(rows, 7.0);
    more.features = Matrix::from_vec(values, 3);
    assert!(fitted(&train, &small()) == fitted(&more, &small()));
    // A query of weight 2 is one that is there twice; one of weight 0 is not there.
    let weights = [vec![1.0; 49], vec![0.0]].concat();
    let weighted = Queries { weights: Some(&weights), ..train.queries() };
    let weighted = fit(&weighted, None, &small(), &mut |_| ControlFlow::Continue(())).unwrap();
    let without = Made {
        features: Matrix::from_vec(train.features.as_slice()[..49 * 36].to_vec(), 3),
        sizes: vec![12; 49],
        gains: train.gains[..49 * 12].to_vec(),
    };
    assert!(weighted == fitted(&without, &small()));
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let train = made(5, 3, 9, interaction, 1);
    let check = |queries: &Queries<'_>, options: &Options, expect: &str| {
        let error = fit(queries, None, options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.to_string(), expect);
    };
    let good = train.queries();
    check(&good, &Options { leaves: 33, ..small() }, "leaves must be 2..=32");
    check(&good, &Options { bins: 256, ..small() }, "bins must be 2..=255");
    check(&good, &Options { l2: 0.0, ..small() }, "l2 must be above 0 and finite");
    let short = "features, sizes and gains differ in their number of rows";
    check(&Queries { sizes: &[12; 4], ..good }, &small(), short);
    check(&Queries { gains: &train.gains[1..], ..good }, &small(), short);
    let weights = Queries { weights: Some(&[1.0]), ..good };
    check(&weights, &small(), "there must be one weight a query");
    let number = "a feature is infinite, or a gain or weight negative or not finite";
    check(&Queries { gains: &[-1.0; 60], ..good }, &small(), number);
    check(&Queries { weights: Some(&[f32::NAN; 5]), ..good }, &small(), number);
    let infinite = Matrix::from_vec(vec![f32::INFINITY; 180], 3);
    check(&Queries { features: &infinite, ..good }, &small(), number);
    let equal = Queries { gains: &[1.0; 60], ..good };
    check(&equal, &small(), "in no query do two candidates differ in gain");
    let empty = Matrix::zeros(60, 0);
    check(&Queries { features: &empty, ..good }, &small(), "there is no feature");
    let stopped = fit(&good, None, &small(), &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(Error::Cancelled));
    let other = made(5, 4, 9, interaction, 1);
    let error = fit(&good, Some(&other.queries()), &small(), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.to_string().contains("another number of features"));
}

#[test]
fn features_that_tell_nothing_apart_give_trees_of_one_leaf() {
    let mut train = made(5, 3, 1000, interaction, 1);
    train.features = Matrix::zeros(60, 3);
    let fit = fitted(&train, &small());
    assert_eq!((fit.model.trees(), fit.model.score(&[1.0, 2.0, 3.0])), (40, 0.0));
    let mut contributions = Vec::new();
    fit.model.attribute_rows(&train.features, &mut contributions);
    assert!(contributions.iter().all(|contribution| *contribution == 0.0));
}
