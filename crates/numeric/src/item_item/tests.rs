//! The item-item model against the dense formula, and what must hold for any matrix.

use super::*;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Two tastes and some noise.
fn world(users: usize, items: usize, seed: u64) -> Interactions {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows = (0..users).map(|user| {
        let has = |item: usize, random: &mut ChaCha8Rng| {
            let likely = if user % 2 == item % 2 { 0.4 } else { 0.08 };
            random.random_range(0.0..1.0) < likely
        };
        (0..items).filter(|item| has(*item, &mut random)).map(|item| (item as u32, 1.0)).collect()
    });
    Interactions::from_rows(items, rows.collect::<Vec<Vec<(u32, f32)>>>()).unwrap()
}

/// The formula in dense double precision.
fn reference(interactions: &Interactions, options: &Options, history: &[u32]) -> Vec<f64> {
    let (users, items) = (interactions.users(), interactions.items());
    let by_item = interactions.transpose();
    let degree = |rows: &Interactions, row: usize| rows.row(row).0.len() as f64;
    let root = |d: f64| if d > 0.0 { d.sqrt().recip() } else { 0.0 };
    let scaled = Mat::from_fn(users, items, |u, i| {
        let has = interactions.row(u).0.contains(&(i as u32));
        f64::from(has) * root(degree(interactions, u)) * root(degree(&by_item, i))
    });
    let gram = scaled.transpose() * &scaled;
    let eigen = gram.self_adjoint_eigen(Side::Lower).unwrap();
    let of = |i: usize| degree(&by_item, i);
    let low_pass = |i: usize, j: usize| {
        let leading = items - options.components.min(items)..items;
        leading.map(|c| eigen.U()[(i, c)] * eigen.U()[(j, c)]).sum::<f64>()
            * root(of(i))
            * of(j).sqrt()
    };
    (0..items)
        .map(|j| {
            let each = history.iter().map(|i| *i as usize).filter(|i| *i != j);
            each.map(|i| gram[(i, j)] + f64::from(options.low_pass_weight) * low_pass(i, j)).sum()
        })
        .collect()
}

fn scores(model: &Model, history: &[u32]) -> Vec<f32> {
    let mut scores = Vec::new();
    model.score(history, &mut scores);
    scores
}

#[test]
fn agrees_with_the_dense_formula() {
    let interactions = world(120, 60, 3);
    for (components, low_pass_weight) in [(6, 0.3), (60, 1.0), (0, 0.3), (6, 0.0)] {
        let options = Options { components, low_pass_weight, ..Options::default() };
        let model = fit(&interactions, &options).unwrap();
        let history = [2, 7, 31];
        let expect = reference(&interactions, &options, &history);
        for (item, (got, expect)) in scores(&model, &history).iter().zip(expect).enumerate() {
            if !history.contains(&(item as u32)) {
                assert!(
                    (f64::from(*got) - expect).abs() < 2e-3,
                    "{components}: {item} {got} {expect}"
                );
            }
        }
    }
}

#[test]
fn evidence_adds_up_to_the_score() {
    let model = fit(&world(80, 40, 1), &Options { components: 5, ..Options::default() }).unwrap();
    let history = [0, 4, 9, 99];
    let target = 12;
    let evidence = model.evidence(&history, target);
    assert!(evidence.is_sorted_by(|a, b| a.1 >= b.1) && evidence.len() <= 3, "{evidence:?}");
    let alone: f32 = [0, 4, 9].iter().map(|item| scores(&model, &[*item])[target as usize]).sum();
    assert!((alone - scores(&model, &history)[target as usize]).abs() < 1e-5);
    for (item, weight) in evidence {
        assert!((weight - scores(&model, &[item])[target as usize]).abs() < 1e-5);
    }
    assert_eq!(model.evidence(&history, 4_000), []);
}

#[test]
fn fewer_neighbours_are_the_strongest() {
    let interactions = world(100, 50, 2);
    let options = Options { components: 0, ..Options::default() };
    let all = fit(&interactions, &options).unwrap();
    let some = fit(&interactions, &Options { neighbours: 5, ..options }).unwrap();
    assert_eq!(some.pairs(), 250);
    for item in 0..50 {
        let (all, some) = (scores(&all, &[item]), scores(&some, &[item]));
        let weakest = some.iter().filter(|s| **s > 0.0).fold(f32::MAX, |a, b| a.min(*b));
        for (kept, whole) in some.iter().zip(&all) {
            assert!(*kept == *whole || (*kept == 0.0 && *whole <= weakest), "{kept} {whole}");
        }
    }
}

#[test]
fn threads_do_not_matter_and_the_seed_hardly() {
    let interactions = world(150, 90, 5);
    let options = Options { components: 8, ..Options::default() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&interactions, &options)).unwrap()
    };
    assert_eq!(with(1), with(3));
    let other = fit(&interactions, &Options { seed: 9, ..options.clone() }).unwrap();
    let (a, b) = (scores(&with(1), &[3, 8]), scores(&other, &[3, 8]));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 5e-3));
}

#[test]
fn parts_are_read_back_and_broken_ones_refused() {
    let options = Options { components: 4, neighbours: 6, ..Options::default() };
    let model = fit(&world(60, 20, 4), &options).unwrap();
    let parts = model.to_parts();
    assert_eq!(Model::from_parts(parts.clone()), Ok(model));
    let broken = |break_it: &dyn Fn(&mut Parts)| {
        let mut parts = parts.clone();
        break_it(&mut parts);
        Model::from_parts(parts).unwrap_err()
    };
    assert!(broken(&|p| p.weights[3] = f32::NAN).contains("a weight is not finite"));
    assert!(broken(&|p| p.factors.as_mut_slice()[0] = f32::INFINITY).contains("not finite"));
    assert!(broken(&|p| p.neighbours.swap(0, 1)).contains("ascending"));
    assert!(broken(&|p| p.neighbours[5] = 20).contains("ascending"));
    assert!(broken(&|p| p.starts[1] = 1 << 40).contains("starts do not rise"));
    assert!(broken(&|p| p.weights.truncate(4)).contains("differ in length"));
    assert!(broken(&|p| p.degrees.truncate(4)).contains("differ in length"));
}

#[test]
fn moving_rows_moves_scores() {
    let options = Options { components: 4, neighbours: 6, ..Options::default() };
    let model = fit(&world(60, 20, 4), &options).unwrap();
    let rows: Vec<u32> = (0..20).map(|row| (row * 7 + 3) % 25).collect();
    let moved = model.moved(&rows, 25);
    let before = scores(&model, &[1, 5, 6]);
    let after = scores(&moved, &[rows[1], rows[5], rows[6]]);
    assert_eq!(after.len(), 25);
    for (item, row) in rows.iter().enumerate() {
        assert!((before[item] - after[*row as usize]).abs() < 1e-6);
    }
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let nothing = Interactions::from_rows(3, vec![vec![]]).unwrap();
    assert_eq!(fit(&nothing, &Options::default()), Err(Error::NoInteractions));
    let options = Options { low_pass_weight: f32::NAN, ..Options::default() };
    assert!(fit(&world(5, 5, 1), &options).unwrap_err().to_string().contains("low_pass_weight"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_small_matrix_is_fitted(
        rows in prop::collection::vec(prop::collection::btree_set(0_u32..9, 0..6), 1..14),
    ) {
        let rows = rows.into_iter().map(|row| row.into_iter().map(|item| (item, 1.0)).collect());
        let interactions = Interactions::from_rows(9, rows.collect::<Vec<_>>()).unwrap();
        prop_assume!(!interactions.is_empty());
        let model = fit(&interactions, &Options::default()).unwrap();
        prop_assert!(scores(&model, &[0, 3, 8]).iter().all(|score| score.is_finite()));
    }
}

/// EASE in dense double precision.
fn ease_reference(interactions: &Interactions, ridge: f64, history: &[u32]) -> Vec<f64> {
    let (users, items) = (interactions.users(), interactions.items());
    let had =
        Mat::from_fn(users, items, |u, i| f64::from(interactions.row(u).0.contains(&(i as u32))));
    let gram = had.transpose() * &had + Mat::<f64>::identity(items, items) * faer::Scale(ridge);
    let p = gram.full_piv_lu().inverse();
    let each = |j: usize| history.iter().map(|i| *i as usize).filter(move |i| *i != j);
    (0..items).map(|j| each(j).map(|i| -p[(i, j)] / p[(j, j)]).sum()).collect()
}

#[test]
fn ease_agrees_with_the_dense_formula() {
    let interactions = world(150, 40, 5);
    let options = Options { algorithm: Algorithm::Ease, ridge: 7.0, ..Options::default() };
    let model = fit(&interactions, &options).unwrap();
    for history in [&[][..], &[3], &[0, 7, 21, 39]] {
        let expected = ease_reference(&interactions, 7.0, history);
        for (found, expected) in scores(&model, history).iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
    assert_eq!(Model::from_parts(model.to_parts()).unwrap(), model);
}

#[test]
fn ease_keeps_the_strongest_of_either_sign() {
    let interactions = world(150, 40, 5);
    let all = Options { algorithm: Algorithm::Ease, ridge: 7.0, ..Options::default() };
    let kept = fit(&interactions, &Options { neighbours: 5, ..all.clone() }).unwrap();
    let all = fit(&interactions, &all).unwrap();
    for item in 0..40 {
        let mut sizes: Vec<_> = all.neighbours.of(item).map(|(_, weight)| weight.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        let mut found: Vec<_> = kept.neighbours.of(item).map(|(_, weight)| weight.abs()).collect();
        found.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(found, sizes[..5]);
    }
    assert!(all.neighbours.of(0).any(|(_, weight)| weight < 0.0));
}

#[test]
fn ease_refuses_what_it_is_not_for() {
    let ease = |ridge| Options { algorithm: Algorithm::Ease, ridge, ..Options::default() };
    let few = world(10, 10, 1);
    for ridge in [0.0, -1.0, f32::INFINITY] {
        assert_eq!(fit(&few, &ease(ridge)), Err(Error::Ridge(ridge)));
    }
    let items = ease::MOST_ITEMS + 1;
    let many = Interactions::from_rows(items, vec![vec![(0, 1.0)]]).unwrap();
    assert_eq!(fit(&many, &ease(1.0)), Err(Error::TooManyItems(items)));
}
