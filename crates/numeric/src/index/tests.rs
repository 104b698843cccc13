//! The index against scoring every vector, and what must hold for any set of rows.

use super::*;
use crate::matrix::Matrix;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// Vectors around a few centres, so that many are near each other.
fn clustered(rows: usize, width: usize, seed: u64) -> Matrix {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut numbers = |count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(-1.0_f32..1.0)).collect()
    };
    let centres = Matrix::from_vec(numbers(8 * width), width);
    let mut all = Matrix::from_vec(numbers(rows * width), width);
    for row in 0..rows {
        let centre = centres.row(row * 7 % 8);
        for (value, centre) in all.row_mut(row).iter_mut().zip(centre) {
            *value = 0.3 * *value + centre;
        }
    }
    all
}

fn index_of(vectors: &Matrix) -> Index {
    let mut index = Index::new(vectors.width());
    for row in 0..vectors.rows() {
        index.upsert(row as u32, vectors.row(row)).unwrap();
    }
    index
}

/// Every allowed vector by its cosine.
fn reference(index: &Index, query: &[f32], k: usize, allowed: &RowSet) -> Vec<(u32, f32)> {
    let query = unit(query, query.len()).unwrap();
    let rows = allowed.iter().filter_map(|row| Some((row, index.vector(row)?)));
    let mut all: Vec<_> =
        rows.map(|(row, vector)| (row, dot(&query, vector).clamp(-1.0, 1.0))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// About so many of a thousand rows.
fn some(len: usize, per_mille: u32, seed: u64) -> RowSet {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut set = RowSet::new(len);
    for row in 0..len as u32 {
        if random.random_range(0..1000) < per_mille {
            set.insert(row);
        }
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finds_what_scoring_everything_finds(
        (rows, width) in (0_usize..1500, 1_usize..150),
        (k, per_mille, seed) in (0_usize..300, 0_u32..=1000, 0_u64..1000),
    ) {
        let vectors = clustered(rows, width, seed);
        let index = index_of(&vectors);
        // The set may be smaller or larger than the index.
        let allowed = some((rows + 200).saturating_sub(seed as usize), per_mille, seed);
        let query = clustered(1, width, seed + 1);
        let found = index.search(query.row(0), k, &allowed).unwrap();
        prop_assert_eq!(&found, &reference(&index, query.row(0), k, &allowed));
        let matching = allowed.iter().filter(|row| (*row as usize) < rows).count();
        prop_assert_eq!(found.len(), k.min(matching));
    }

    #[test]
    fn equal_vectors_come_by_row(width in 1_usize..70, copies in 1_usize..600, k in 1_usize..400) {
        let vector = vec![0.5; width];
        let mut index = Index::new(width);
        for row in 0..copies {
            index.upsert(row as u32, &vector).unwrap();
        }
        let found = index.search(&vector, k, &RowSet::full(copies)).unwrap();
        let rows: Vec<u32> = found.iter().map(|(row, _)| *row).collect();
        prop_assert_eq!(rows, (0..copies.min(k) as u32).collect::<Vec<_>>());
    }

    /// Rows come and go; what is found is what a fresh index of the same vectors finds.
    #[test]
    fn changes_leave_what_a_fresh_index_has(
        steps in prop::collection::vec((0_u32..40, prop::option::of(0_u64..1000)), 0..120),
    ) {
        let mut index = Index::new(9);
        let mut expect = BTreeMap::new();
        for (row, seed) in steps {
            if let Some(seed) = seed {
                let vector = clustered(1, 9, seed);
                index.upsert(row, vector.row(0)).unwrap();
                expect.insert(row, vector);
            } else {
                prop_assert_eq!(index.remove(row), expect.remove(&row).is_some());
            }
        }
        let rows: BTreeSet<u32> = index.rows().iter().collect();
        prop_assert_eq!(rows, expect.keys().copied().collect());
        let mut fresh = Index::new(9);
        for (row, vector) in &expect {
            fresh.upsert(*row, vector.row(0)).unwrap();
        }
        let query = clustered(1, 9, 5);
        let all = RowSet::full(40);
        prop_assert_eq!(
            index.search(query.row(0), 25, &all).unwrap(),
            fresh.search(query.row(0), 25, &all).unwrap()
        );
    }
}

#[test]
fn only_the_direction_counts() {
    let mut index = Index::new(2);
    for (row, vector) in [[1e30, 0.0], [3e-39, 3e-39], [0.0, -2.0]].iter().enumerate() {
        index.upsert(row as u32, vector).unwrap();
    }
    let found = index.search(&[1e-30, 0.0], 9, &RowSet::full(3)).unwrap();
    let rows: Vec<u32> = found.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [0, 1, 2]);
    for ((_, score), expect) in found.iter().zip([1.0, 0.5_f32.sqrt(), 0.0]) {
        assert!((score - expect).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn what_is_no_direction_is_refused() {
    let mut index = Index::new(3);
    index.upsert(1, &[1.0, 0.0, 0.0]).unwrap();
    let check = |index: &mut Index, vector: &[f32], expect: Error| {
        assert_eq!(index.upsert(0, vector), Err(expect));
        assert_eq!(index.search(vector, 5, &RowSet::full(2)), Err(expect));
    };
    check(&mut index, &[1.0, 2.0], Error::Width { expected: 3, found: 2 });
    check(&mut index, &[1.0, f32::NAN, 0.0], Error::NotFinite { place: 1 });
    check(&mut index, &[1.0, 0.0, f32::NEG_INFINITY], Error::NotFinite { place: 2 });
    check(&mut index, &[0.0, -0.0, 0.0], Error::Zero);
    assert_eq!(index.rows().iter().collect::<Vec<_>>(), [1]);
}
