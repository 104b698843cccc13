//! The factorisation against its plain-loop twin, and what must always hold.

use super::*;
use proptest::prelude::*;

/// A matrix of `users × items` with pairs and weights scattered by a seed.
fn scattered(users: u32, items: u32, share: f64, seed: u64) -> Interactions {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows = (0..users).map(|_| {
        let kept: Vec<u32> = (0..items).filter(|_| random.random_bool(share)).collect();
        kept.into_iter().map(|item| (item, random.random_range(0.1_f32..2.0))).collect()
    });
    Interactions::from_rows(items as usize, rows.collect::<Vec<_>>()).unwrap()
}

fn options(factors: usize, iterations: usize) -> Options {
    Options { factors, iterations, ..Options::default() }
}

fn half<'a>(pairs: &'a Interactions, fixed: &'a Matrix, options: &'a Options) -> Half<'a> {
    Half::new(pairs, fixed, &gramian::gramian(fixed), options)
}

fn fit_quietly(interactions: &Interactions, options: &Options) -> Model {
    fit(interactions, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Largest difference relative to the largest value of `expect`.
fn relative_error(got: &[f32], expect: &[f64]) -> f64 {
    let scale = expect.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let pairs = got.iter().zip(expect);
    pairs.map(|(&got, expect)| (f64::from(got) - expect).abs()).fold(0.0, f64::max) / scale
}

fn history(interactions: &Interactions, user: usize) -> Vec<(u32, f32)> {
    let (items, weights) = interactions.row(user);
    items.iter().copied().zip(weights.iter().copied()).collect()
}

#[test]
fn project_equals_the_dense_normal_equations() {
    let interactions = scattered(70, 90, 0.15, 3);
    for (factors, exponent, alpha0) in
        [(1, 1.0, 0.1), (7, 0.0, 1.0), (24, 0.5, 0.02), (64, 1.0, 0.0)]
    {
        let options = Options {
            unobserved_weight: alpha0,
            regularization: 0.003,
            regularization_exponent: exponent,
            ..options(factors, 3)
        };
        let model = fit_quietly(&interactions, &options);
        let projection = Projection::new(&model.items, &options);
        for user in 0..interactions.users() {
            let got = projection.project(&model.items, &history(&interactions, user));
            let expect = reference::solve(&interactions, user, &model.items, &options);
            let error = relative_error(&got, &expect);
            assert!(error < 1e-5, "{factors} factors, user {user}: {error}");
        }
    }
}

#[test]
fn exact_sweeps_and_fold_in_agree_and_the_steps_of_training_come_close() {
    let interactions = scattered(60, 200, 0.4, 5);
    let by_item = interactions.transpose();
    let options = options(16, 4);
    let mut items = initial(&by_item, &options);
    let mut users = Matrix::zeros(60, 16);
    for _ in 0..3 {
        half(&interactions, &items, &options).improve(&mut users);
        half(&by_item, &users, &options).improve(&mut items);
    }
    let mut exact = users.clone();
    half(&interactions, &items, &options).exact().improve(&mut exact);
    half(&interactions, &items, &options).improve(&mut users);
    let projection = Projection::new(&items, &options);
    for user in 0..60 {
        let live = projection.project(&items, &history(&interactions, user));
        let live: Vec<f64> = live.into_iter().map(f64::from).collect();
        assert!(relative_error(exact.row(user), &live) < 1e-4);
    }
    let least = reference::loss(&interactions, &exact, &items, &options);
    let got = reference::loss(&interactions, &users, &items, &options);
    assert!(got <= least * (1.0 + 1e-4), "{got} against {least}");
}

#[test]
fn exact_sweeps_follow_the_reference_steps_stay_close_and_fit_ends_no_higher() {
    let interactions = scattered(25, 30, 0.2, 11);
    let options = options(5, 6);
    let by_item = interactions.transpose();
    let mut items = initial(&by_item, &options);
    let mut users = Matrix::zeros(25, 5);
    let (mut exact_users, mut exact_items) = (users.clone(), items.clone());
    let (mut near_users, mut near_items) = (users.clone(), items.clone());
    let mut least = 0.0;
    for _ in 0..options.iterations {
        for user in 0..25 {
            let x = reference::solve(&interactions, user, &items, &options);
            users.row_mut(user).iter_mut().zip(x).for_each(|(out, x)| *out = x as f32);
        }
        for item in 0..30 {
            let y = reference::solve(&by_item, item, &users, &options);
            items.row_mut(item).iter_mut().zip(y).for_each(|(out, y)| *out = y as f32);
        }
        least = reference::loss(&interactions, &users, &items, &options);
        half(&interactions, &near_items, &options).improve(&mut near_users);
        half(&by_item, &near_users, &options).improve(&mut near_items);
        let near = reference::loss(&interactions, &near_users, &near_items, &options);
        assert!((near / least - 1.0).abs() < 1e-2, "{near} against {least}");
        half(&interactions, &exact_items, &options).exact().improve(&mut exact_users);
        half(&by_item, &exact_users, &options).exact().improve(&mut exact_items);
    }
    for item in 0..30 {
        let expect: Vec<f64> = items.row(item).iter().map(|&value| f64::from(value)).collect();
        assert!(relative_error(exact_items.row(item), &expect) < 1e-2);
    }
    let mut seen = Vec::new();
    let model = fit(&interactions, &options, &mut |iteration| {
        assert_eq!(iteration.index, seen.len() + 1);
        seen.push(iteration.loss);
        ControlFlow::Continue(())
    });
    let model = model.unwrap();
    assert!(seen.is_sorted_by(|earlier, later| earlier > later), "{seen:?}");
    let got = reference::loss(&interactions, &model.users, &model.items, &options);
    assert!((seen[5] / got - 1.0).abs() < 1e-5 && got < least, "{seen:?}, {got} against {least}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_half_step_raises_the_loss_and_the_loss_is_the_reference_loss(
        seed in 0_u64..1000,
        factors in 1_usize..20,
        alpha0 in prop_oneof![Just(0.0_f32), 0.01_f32..1.0],
        exponent in 0.0_f32..1.0,
        relaxation in prop_oneof![Just(1.0_f32), 1.0_f32..1.9],
    ) {
        let interactions = scattered(20, 25, 0.2, seed);
        let options = Options {
            unobserved_weight: alpha0,
            regularization_exponent: exponent,
            regularization: 0.02,
            ..options(factors, 1)
        };
        let by_item = interactions.transpose();
        let mut items = initial(&by_item, &options);
        let mut users = Matrix::zeros(20, factors);
        let mut before = reference::loss(&interactions, &users, &items, &options);
        for step in 0..8 {
            let observed = if step % 2 == 0 {
                half(&interactions, &items, &options).relaxed(relaxation).improve(&mut users)
            } else {
                half(&by_item, &users, &options).relaxed(relaxation).improve(&mut items)
            };
            let (x, y) = (gramian::gramian(&users), gramian::gramian(&items));
            let got = observed
                + loss::everywhere(&x, &y, &options)
                + loss::ridges(&interactions, &users, &options)
                + loss::ridges(&by_item, &items, &options);
            let after = reference::loss(&interactions, &users, &items, &options);
            prop_assert!(after <= before * (1.0 + 1e-6), "half step {step}: {before} to {after}");
            prop_assert!((got - after).abs() <= 1e-5 * after, "{got} against {after}");
            before = after;
        }
    }
}

#[test]
fn going_further_each_pass_reaches_a_loss_in_fewer() {
    let interactions = scattered(300, 200, 0.1, 23);
    let by_item = interactions.transpose();
    let options = options(16, 1);
    let losses = |relaxation: f32| {
        let (mut users, mut items) = (Matrix::zeros(300, 16), initial(&by_item, &options));
        let mut pass = |relaxation: f32| {
            half(&interactions, &items, &options).relaxed(relaxation).improve(&mut users);
            half(&by_item, &users, &options).relaxed(relaxation).improve(&mut items);
            reference::loss(&interactions, &users, &items, &options)
        };
        pass(1.0);
        (0..8).map(|_| pass(relaxation)).collect::<Vec<_>>()
    };
    let (plain, relaxed) = (losses(1.0), losses(OVER_RELAXATION));
    assert!(relaxed[4] < plain[7], "{relaxed:?} against {plain:?}");
}

#[test]
fn a_row_too_long_to_copy_is_read_where_it_is() {
    // The one item everybody has is a row of 1500 users at 192 factors, more than the panel holds.
    let rows = (0..1500_u32).map(|user| vec![(0, 1.0), (1 + user % 20, 0.5)]);
    let interactions = Interactions::from_rows(21, rows.collect::<Vec<_>>()).unwrap();
    let options = options(192, 1);
    let by_item = interactions.transpose();
    let mut items = initial(&by_item, &options);
    let mut users = Matrix::zeros(1500, 192);
    half(&interactions, &items, &options).improve(&mut users);
    let before = reference::loss(&interactions, &users, &items, &options);
    let mut exact = items.clone();
    half(&by_item, &users, &options).improve(&mut items);
    half(&by_item, &users, &options).exact().improve(&mut exact);
    let got = reference::loss(&interactions, &users, &items, &options);
    let least = reference::loss(&interactions, &users, &exact, &options);
    assert!(got <= before && got <= least * 1.01, "{before} to {got}, at best {least}");
}

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let interactions = scattered(300, 700, 0.05, 17);
    let options = options(24, 3);
    let run = |threads: usize, options: &Options| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut losses = Vec::new();
        let model = pool.install(|| {
            fit(&interactions, options, &mut |iteration| {
                losses.push(iteration.loss.to_bits());
                ControlFlow::Continue(())
            })
        });
        (model.unwrap(), losses)
    };
    let one = run(1, &options);
    assert!(one == run(2, &options));
    assert!(one == run(3, &options));
    assert!(one != run(1, &Options { seed: 2, ..options }));
}

#[test]
fn a_checkerboard_gives_the_withheld_items_back() {
    // Everybody likes every second item, even users the even ones, but misses one of their own.
    let size = 50_u32;
    let rows = (0..size).map(|user| {
        let own_colour = (0..size).filter(|item| item % 2 == user % 2 && *item != user);
        own_colour.map(|item| (item, 1.0)).collect()
    });
    let interactions = Interactions::from_rows(50, rows.collect::<Vec<_>>()).unwrap();
    let options = options(3, 15);
    let model = fit_quietly(&interactions, &options);
    let projection = Projection::new(&model.items, &options);
    let mut scores = Vec::new();
    for user in 0..50 {
        let known = history(&interactions, user);
        let mut unseen = crate::RowSet::full(50);
        for &(item, _) in &known {
            unseen.remove(item);
        }
        model.items.times(&projection.project(&model.items, &known), &mut scores);
        let best = crate::top_k(&scores, &unseen, 1, f32::NEG_INFINITY);
        assert_eq!(best[0].0, user as u32);
    }
}

#[test]
fn cancels_when_the_callback_breaks() {
    let interactions = scattered(10, 10, 0.3, 1);
    let mut calls = 0;
    let result = fit(&interactions, &options(4, 9), &mut |iteration| {
        calls += 1;
        if iteration.index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((result, calls), (Err(Error::Cancelled), 2));
}

#[test]
fn rows_without_pairs_get_zeros_and_nothing_at_all_is_no_error() {
    let rows = [vec![(1, 1.0), (3, 2.0)], vec![], vec![(1, 0.5)]];
    let interactions = Interactions::from_rows(5, rows).unwrap();
    let options = options(4, 5);
    let model = fit_quietly(&interactions, &options);
    assert_eq!((model.users.rows(), model.items.rows()), (3, 5));
    assert_eq!(model.users.row(1), [0.0; 4]);
    assert_eq!(model.items.row(0), [0.0; 4]);
    assert!(model.users.row(2) != [0.0; 4] && model.items.row(3) != [0.0; 4]);
    let projection = Projection::new(&model.items, &options);
    assert_eq!(projection.project(&model.items, &[]), [0.0; 4]);
    let unusable = [(9, 1.0), (1, f32::NAN), (3, 0.0)];
    assert_eq!(projection.project(&model.items, &unusable), [0.0; 4]);
    for (item_count, rows) in [(0, vec![]), (0, vec![vec![]; 3]), (4, vec![])] {
        let nothing = Interactions::from_rows(item_count, rows).unwrap();
        let model = fit_quietly(&nothing, &options);
        assert!(model.items.as_slice().iter().all(|&value| value == 0.0));
    }
}

#[test]
fn extreme_weights_never_make_a_nan() {
    let weights = [f32::MIN_POSITIVE, 1e-30, 1.0, 1e30, f32::MAX];
    let rows: Vec<Vec<(u32, f32)>> = (0..40)
        .map(|user| {
            (0..12).map(|item| (item * 3 % 30, weights[(user + item as usize) % 5])).collect()
        })
        .map(|mut row: Vec<(u32, f32)>| {
            row.sort_by_key(|pair| pair.0);
            row.dedup_by_key(|pair| pair.0);
            row
        })
        .collect();
    let interactions = Interactions::from_rows(30, rows).unwrap();
    for (lambda, alpha0, alpha) in [(0.0, 0.0, 1.0), (1e-9, 1.0, 1e6), (1e6, 1e6, 1e-6)] {
        let options = Options {
            regularization: lambda,
            unobserved_weight: alpha0,
            confidence_alpha: alpha,
            ..options(40, 4)
        };
        let model = fit_quietly(&interactions, &options);
        let values = model.users.as_slice().iter().chain(model.items.as_slice());
        assert!(values.clone().all(|value| value.is_finite()), "{options:?}");
        let projection = Projection::new(&model.items, &options);
        let x = projection.project(&model.items, &[(0, f32::MAX), (3, f32::MIN_POSITIVE)]);
        assert!(x.iter().all(|value| value.is_finite()), "{options:?}");
    }
}

#[test]
fn options_outside_their_range_are_refused() {
    let check = |change: fn(&mut Options), expect: &str| {
        let mut options = Options::default();
        change(&mut options);
        let interactions = scattered(3, 3, 0.5, 1);
        let error = fit(&interactions, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, Error::Options(_)) && error.to_string().starts_with(expect));
    };
    assert_eq!(Options::default().check(), Ok(()));
    check(|options| options.factors = 0, "factors");
    check(|options| options.factors = 5000, "factors");
    check(|options| options.unobserved_weight = -0.1, "unobserved_weight");
    check(|options| options.regularization = f32::NAN, "regularization must");
    check(|options| options.regularization_exponent = 3.0, "regularization_exponent");
    check(|options| options.confidence_alpha = 0.0, "confidence_alpha");
    check(|options| options.confidence_alpha = f32::INFINITY, "confidence_alpha");
    check(|options| options.iterations = 0, "iterations");
}

#[test]
fn the_ratio_counts_rows_that_have_something() {
    // Two users and three items have pairs: six pairs, of which four are observed with weight 3 in all.
    let rows = vec![vec![(0, 1.0), (1, 0.5)], vec![], vec![(1, 1.0), (3, 0.5)]];
    let interactions = Interactions::from_rows(5, rows).unwrap();
    assert_eq!(Options::unobserved_weight_for(4.0, 2.0, &interactions), 4.0 * 2.0 * 3.0 / 6.0);
    let nothing = Interactions::from_rows(5, vec![vec![]]).unwrap();
    assert_eq!(Options::unobserved_weight_for(4.0, 2.0, &nothing), 0.0);
}
