//! Scores, attributions and arrays of models of any shape.

use super::super::{Model, Parts, PartsError, reference};
use crate::matrix::Matrix;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A model of any shape: splits drawn at random, thresholds between whole numbers, some at the largest.
fn drawn(width: usize, trees: usize, leaves: usize, seed: u64) -> Model {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut parts = Parts { width, starts: vec![0], ..Parts::default() };
    for _ in 0..trees {
        let first = parts.children.len();
        let mut ends = vec![0];
        push_leaf(&mut parts, 10_000, &mut random);
        while ends.len() < leaves {
            let node = first + ends.swap_remove(random.random_range(0..ends.len()));
            let cover = parts.covers[node];
            if cover < 2 {
                ends.push(node - first);
                break;
            }
            let left = parts.children.len() - first;
            parts.features[node] = random.random_range(0..width as u32);
            let threshold = random.random_range(-3..4) as f32 + 0.5;
            parts.thresholds[node] = if threshold > 3.0 { f32::MAX } else { threshold };
            parts.children[node] = left as u32;
            parts.missing_left[node] = random.random_range(0..2);
            parts.values[node] = 0.0;
            let left_cover = random.random_range(1..cover);
            push_leaf(&mut parts, left_cover, &mut random);
            push_leaf(&mut parts, cover - left_cover, &mut random);
            ends.extend([left, left + 1]);
        }
        parts.starts.push(parts.children.len() as u32);
    }
    Model::from_parts(&parts).unwrap()
}

fn push_leaf(parts: &mut Parts, cover: u32, random: &mut ChaCha8Rng) {
    parts.features.push(0);
    parts.thresholds.push(0.0);
    parts.children.push(0);
    parts.missing_left.push(0);
    parts.values.push(random.random_range(-1.0..1.0));
    parts.covers.push(cover);
}

fn candidates(width: usize, rows: usize, seed: u64) -> Matrix {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let value = |random: &mut ChaCha8Rng| match random.random_range(0..12) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        3 => random.random_range(-3..4) as f32 + 0.5,
        _ => random.random_range(-4.0..4.0),
    };
    Matrix::from_vec((0..rows * width).map(|_| value(&mut random)).collect(), width)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn rows_have_the_score_they_have_alone(
        width in 1_usize..12, trees in 0_usize..8, leaves in 1_usize..=32, rows in 0_usize..40, seed: u64,
    ) {
        let (model, candidates) = (drawn(width, trees, leaves, seed), candidates(width, rows, seed));
        let mut scores = vec![9.0];
        model.score_rows(&candidates, &mut scores);
        let alone: Vec<f64> = (0..rows).map(|row| model.score(candidates.row(row))).collect();
        prop_assert_eq!(scores, alone);
    }

    #[test]
    fn contributions_and_bias_are_the_score(
        width in 1_usize..40, trees in 0_usize..8, leaves in 1_usize..=32, rows in 0_usize..20, seed: u64,
    ) {
        let (model, candidates) = (drawn(width, trees, leaves, seed), candidates(width, rows, seed));
        let mut contributions = vec![9.0];
        model.attribute_rows(&candidates, &mut contributions);
        prop_assert_eq!(contributions.len(), rows * width);
        for (row, own) in contributions.chunks_exact(width).enumerate() {
            let sum = model.bias() + own.iter().sum::<f64>();
            prop_assert!((sum - model.score(candidates.row(row))).abs() < 1e-9);
        }
    }

    #[test]
    fn contributions_are_the_means_over_all_orders(
        width in 1_usize..7, leaves in 1_usize..=32, seed: u64,
    ) {
        let (model, candidates) = (drawn(width, 3, leaves, seed), candidates(width, 9, seed));
        let mut contributions = Vec::new();
        model.attribute_rows(&candidates, &mut contributions);
        for (row, own) in contributions.chunks_exact(width).enumerate() {
            let expect = reference::shapley(&model.to_parts(), candidates.row(row));
            for (found, expect) in own.iter().zip(expect) {
                prop_assert!((found - expect).abs() < 1e-10, "{} {}", found, expect);
            }
        }
    }

    #[test]
    fn parts_are_read_back(width in 1_usize..9, trees in 0_usize..6, leaves in 1_usize..=32, seed: u64) {
        let model = drawn(width, trees, leaves, seed);
        prop_assert!(Model::from_parts(&model.to_parts()) == Ok(model.clone()));
        prop_assert_eq!((model.width(), model.trees()), (width, trees));
    }

    #[test]
    fn broken_children_are_refused_or_a_model(at in 0_usize..60, child in 0_u32..70, seed in 0_u64..50) {
        let mut parts = drawn(4, 3, 10, seed).to_parts();
        let at = at % parts.children.len();
        let before = std::mem::replace(&mut parts.children[at], child);
        // Whatever is accepted can be scored; only the same arrays are accepted.
        prop_assert_eq!(Model::from_parts(&parts).is_ok(), before == child);
    }
}

#[test]
fn a_way_of_many_features_is_attributed() {
    // A chain: each node asks for a feature of its own, so that the longest way has 31.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut parts = Parts { width: 31, starts: vec![0], ..Parts::default() };
    push_leaf(&mut parts, 1 << 20, &mut random);
    for feature in 0..31 {
        let node = parts.children.len() - 1;
        let half = parts.covers[node] / 2;
        parts.features[node] = feature;
        parts.children[node] = node as u32 + 1;
        parts.values[node] = 0.0;
        let small = (half / 3).max(1);
        push_leaf(&mut parts, small, &mut random);
        parts.covers[node] = parts.covers[node].max(2);
        let rest = parts.covers[node] - small;
        push_leaf(&mut parts, rest, &mut random);
    }
    parts.starts.push(parts.children.len() as u32);
    let model = Model::from_parts(&parts).unwrap();
    let rows = candidates(31, 16, 3);
    let mut contributions = Vec::new();
    model.attribute_rows(&rows, &mut contributions);
    for (row, own) in contributions.chunks_exact(31).enumerate() {
        let sum = model.bias() + own.iter().sum::<f64>();
        assert!((sum - model.score(rows.row(row))).abs() < 1e-12);
    }
}

#[test]
fn broken_parts_are_refused() {
    let parts = drawn(4, 3, 6, 1).to_parts();
    let broken = |break_it: &dyn Fn(&mut Parts)| {
        let mut parts = parts.clone();
        break_it(&mut parts);
        Model::from_parts(&parts).unwrap_err()
    };
    let leaf = parts.children.iter().position(|child| *child == 0).unwrap();
    let last = parts.children.len() - 1;
    let pair = last as u32 - 1 - parts.starts[2];
    let parent = parts.children.iter().rposition(|child| *child == pair).unwrap();
    assert_eq!(broken(&|p| p.values.truncate(3)), PartsError::Length);
    assert_eq!(broken(&|p| p.width = 0), PartsError::Length);
    assert_eq!(broken(&|p| p.starts.clear()), PartsError::Starts);
    assert_eq!(broken(&|p| p.starts[0] = 1), PartsError::Starts);
    assert_eq!(broken(&|p| p.starts[3] += 1), PartsError::Starts);
    assert_eq!(broken(&|p| p.starts[1] = p.starts[2]), PartsError::Starts);
    assert_eq!(broken(&|p| p.starts[1] += 1), PartsError::Leaves(0));
    assert_eq!(broken(&|p| p.starts = vec![0, 33]), PartsError::Child(11));
    assert_eq!(broken(&|p| p.children[0] = 0), PartsError::Child(0));
    assert_eq!(broken(&|p| p.children[0] = u32::MAX), PartsError::Child(0));
    assert_eq!(broken(&|p| p.features[0] = 4), PartsError::Feature(0));
    assert_eq!(broken(&|p| p.features[leaf] = 1), PartsError::Child(leaf));
    assert_eq!(broken(&|p| p.thresholds[0] = f32::NAN), PartsError::Number(0));
    assert_eq!(broken(&|p| p.values[leaf] = f64::INFINITY), PartsError::Number(leaf));
    assert_eq!(broken(&|p| p.values[0] = 1.0), PartsError::Child(0));
    assert_eq!(broken(&|p| p.missing_left[0] = 2), PartsError::Missing(0));
    assert_eq!(broken(&|p| p.covers[last] = 0), PartsError::Cover(parent));
    assert!(matches!(broken(&|p| p.covers[0] += 1), PartsError::Cover(0)));
    assert_eq!(broken(&|p| p.covers[last] += 1).to_string().split(' ').next(), Some("the"));
}
