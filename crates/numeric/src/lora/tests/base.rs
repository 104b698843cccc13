//! The shared base layer.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::listwise::{List, Scratch};
use crate::lora::base::{Base, BaseFit, Error, Evidence};
use crate::lora::reference::eliminate;
use crate::matrix::Matrix;

const INPUTS: usize = 6;
const RIDGE: [f64; INPUTS] = [3.0, 3.0, 10.0, 10.0, 30.0, 30.0];

/// Users who differ by how much they want of features 1 and 3, who all want feature 0, and of whom feature 5 says nothing.
fn users(count: usize) -> Vec<Evidence> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..count)
        .map(|_| {
            let (one, three) = (rng.random_range(-4.0..4.0), rng.random_range(-2.0..2.0));
            let mut evidence = Evidence::new(INPUTS);
            for _ in 0..60 {
                let (features, chosen) = choice(&mut rng, &[3.0, one, 0.0, three, 0.0, 0.0]);
                let list = List { features: &features, offsets: &[0.0; 10], chosen, weight: 1.0 };
                evidence.add(list, &mut Scratch::default()).expect("sound");
            }
            evidence
        })
        .collect()
}

fn choice(rng: &mut ChaCha8Rng, want: &[f32; INPUTS]) -> (Vec<f32>, usize) {
    let features: Vec<f32> = (0..10 * INPUTS)
        .map(|at| if at % INPUTS == 5 { 0.0 } else { rng.random_range(-1.0..1.0) })
        .collect();
    let score = |i: usize| -> f32 {
        features[i * INPUTS..(i + 1) * INPUTS].iter().zip(want).map(|(e, want)| e * want).sum()
    };
    let chosen = (0..10).max_by(|a, b| score(*a).total_cmp(&score(*b))).expect("ten");
    (features, chosen)
}

fn fit<'e>(users: impl IntoIterator<Item = &'e Evidence>) -> BaseFit {
    let mut fit = BaseFit::new(&RIDGE).expect("above 0");
    users.into_iter().for_each(|user| fit.add(user).expect("sound"));
    fit
}

#[test]
fn it_spans_what_users_differ_in() {
    let base = fit(&users(80)).finish(3).expect("users differ");
    assert_eq!((base.rank(), base.inputs()), (3, INPUTS));
    let strongest = |row: usize| {
        let row = base.as_matrix().row(row);
        let whitened = row.iter().zip(RIDGE).map(|(a, ridge)| (f64::from(*a) * ridge.sqrt()).abs());
        whitened.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("columns")
    };
    let (first, share) = strongest(0);
    assert!(first == 1 && share > 0.9, "feature {first}, {share}");
    let (second, share) = strongest(1);
    assert!(second == 3 && share > 0.8, "feature {second}, {share}");
    assert!((0..3).all(|row| base.as_matrix().row(row)[5] == 0.0), "says nothing, weighs nothing");
}

/// The statistics of a user are gradient and curvature of their lists' loss, and the rows of `A` eigenvectors of the
/// whitened solutions' scatter.
#[test]
fn it_is_what_plain_loops_find() {
    let users = users(30);
    let solutions: Vec<Vec<f64>> = users
        .iter()
        .map(|user| {
            let mut matrix: Vec<Vec<f64>> =
                user.curvature.chunks(INPUTS).map(<[f64]>::to_vec).collect();
            (0..INPUTS).for_each(|k| matrix[k][k] += RIDGE[k]);
            let solved = eliminate(matrix, user.pull.clone());
            solved.iter().zip(RIDGE).map(|(x, ridge)| x * ridge.sqrt()).collect()
        })
        .collect();
    let mean: Vec<f64> =
        (0..INPUTS).map(|k| solutions.iter().map(|w| w[k]).sum::<f64>() / 30.0).collect();
    let scatter_times = |v: &[f64]| -> Vec<f64> {
        let mut out = vec![0.0; INPUTS];
        for w in &solutions {
            let along: f64 = (0..INPUTS).map(|k| (w[k] - mean[k]) * v[k]).sum();
            (0..INPUTS).for_each(|k| out[k] += along * (w[k] - mean[k]));
        }
        out
    };
    let base = fit(&users).finish(4).expect("users differ");
    let mut values = Vec::new();
    for row in 0..4 {
        let a = base.as_matrix().row(row);
        let v: Vec<f64> = a.iter().zip(RIDGE).map(|(a, r)| f64::from(*a) * r.sqrt()).collect();
        assert!((v.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-5, "of length 1");
        let image = scatter_times(&v);
        let value: f64 = image.iter().zip(&v).map(|(s, v)| s * v).sum();
        for (s, v) in image.iter().zip(&v) {
            assert!((s - value * v).abs() < 1e-3 * value.max(1.0), "row {row} is an eigenvector");
        }
        values.push(value);
    }
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
}

#[test]
fn the_order_of_users_does_not_matter() {
    let users = users(40);
    let forward = fit(&users).finish(2).expect("users differ");
    let backward = fit(users.iter().rev()).finish(2).expect("users differ");
    for (a, b) in forward.as_matrix().as_slice().iter().zip(backward.as_matrix().as_slice()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn directions_there_are_not_stay_empty() {
    let users = users(2);
    let base = fit(&users).finish(4).expect("two users differ");
    assert!(base.as_matrix().row(0).iter().any(|a| *a != 0.0));
    assert!((1..4).all(|row| base.as_matrix().row(row).iter().all(|a| *a == 0.0)));
    assert_eq!(fit(&users[..1]).finish(4), Err(Error::Nothing));
    assert_eq!(fit([]).finish(4), Err(Error::Nothing));
}

#[test]
fn a_list_is_brought_down_around_its_mean() {
    let rows = Matrix::from_vec(vec![1.0, 0.0, 0.0, 2.0], 2);
    let base = Base::from_matrix(rows).expect("finite");
    let mut z = vec![9.0];
    base.project(&[1.0, 1.0, 3.0, 2.0, 5.0, 6.0], &mut z);
    assert_eq!(z, [-2.0, -4.0, 0.0, -2.0, 2.0, 6.0]);
    base.project(&[], &mut z);
    assert_eq!(z, []);
}

#[test]
fn any_rank_is_brought_down_to() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for rank in [1, 7, 8, 9, 16, 19] {
        let mut numbers =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let base = Base::from_matrix(Matrix::from_vec(numbers(rank * 5), 5)).expect("finite");
        let (features, mut found) = (numbers(30 * 5), Vec::new());
        base.project(&features, &mut found);
        let plain = |i: usize, r: usize| -> f32 {
            (0..5).map(|k| base.as_matrix().row(r)[k] * features[i * 5 + k]).sum()
        };
        assert_eq!(found.len(), 30 * rank);
        for r in 0..rank {
            let mean = (0..30).map(|i| plain(i, r)).sum::<f32>() / 30.0;
            assert!((0..30).all(|i| (found[i * rank + r] - plain(i, r) + mean).abs() < 1e-5));
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(matches!(BaseFit::new(&[1.0, 0.0]), Err(Error::Number)));
    assert!(matches!(BaseFit::new(&[f64::NAN]), Err(Error::Number)));
    let mut fit = BaseFit::new(&RIDGE).expect("above 0");
    assert_eq!(fit.add(&Evidence::new(2)), Err(Error::Shape));
    let mut wild = Evidence::new(INPUTS);
    wild.pull[0] = f64::INFINITY;
    assert_eq!(fit.add(&wild), Err(Error::Number));
    let mut evidence = Evidence::new(2);
    let add = |evidence: &mut Evidence, features: &[f32], weight| {
        let list = List { features, offsets: &[0.0; 2], chosen: 0, weight };
        evidence.add(list, &mut Scratch::default())
    };
    assert_eq!(add(&mut evidence, &[1.0; 3], 1.0), Err(Error::Shape));
    assert_eq!(add(&mut evidence, &[f32::NAN; 4], 1.0), Err(Error::Number));
    assert_eq!(add(&mut evidence, &[1.0; 4], -1.0), Err(Error::Number));
    assert_eq!(evidence, Evidence::new(2), "nothing has changed");
    assert_eq!(Base::from_matrix(Matrix::zeros(0, 2)), Err(Error::Shape));
    assert_eq!(Base::from_matrix(Matrix::from_vec(vec![f32::NAN], 1)), Err(Error::Number));
}
