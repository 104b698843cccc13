//! The counts against a plain reading of their definition.

use super::*;
use crate::scores::Scores;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// `C` straight from the definition, in double precision.
fn reference(sequences: &[Vec<u32>], options: &Options) -> BTreeMap<(u32, u32), f64> {
    let mut counts = BTreeMap::new();
    for sequence in sequences {
        for (at, &later) in sequence.iter().enumerate() {
            for d in 1..=options.window.min(at) {
                let earlier = sequence[at - d];
                if earlier != later {
                    let exponent = f64::from(options.distance_exponent);
                    *counts.entry((earlier, later)).or_insert(0.0) += (d as f64).powf(-exponent);
                    if options.backward > 0.0 {
                        *counts.entry((later, earlier)).or_insert(0.0) +=
                            f64::from(options.backward) / d as f64;
                    }
                }
            }
        }
    }
    counts
}

fn one_by_one(items: usize, sequences: &[Vec<u32>], options: &Options) -> Transitions {
    let mut transitions = Transitions::new(items);
    for sequence in sequences {
        for at in 0..sequence.len() {
            transitions.observe(&sequence[..at], sequence[at], options);
        }
    }
    transitions
}

fn sequences() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(0_u32..15, 0..30), 0..12)
}

fn any_options() -> impl Strategy<Value = Options> {
    (1_usize..25, 0.0_f32..2.0, prop_oneof![Just(0.0_f32), 0.01_f32..1.0], 1_usize..12).prop_map(
        |(window, distance_exponent, backward, history)| Options {
            window,
            distance_exponent,
            backward,
            history,
            ..Options::default()
        },
    )
}

proptest! {
    #[test]
    fn both_ways_of_counting_follow_the_definition(sequences in sequences(), options in any_options()) {
        let expect = reference(&sequences, &options);
        for transitions in [
            Transitions::from_sequences(15, &sequences, &options),
            one_by_one(15, &sequences, &options),
            one_by_one(0, &sequences, &options),
        ] {
            prop_assert_eq!(transitions.len(), expect.len());
            prop_assert_eq!(transitions.is_empty(), expect.is_empty());
            for (&(from, to), &count) in &expect {
                let got = f64::from(transitions.count(from, to));
                prop_assert!((got - count).abs() < 1e-5 * count, "{from} to {to}: {got}, {count}");
            }
            for from in 0..15 {
                let neighbours: Vec<u32> = transitions.neighbours(from).map(|(to, _)| to).collect();
                prop_assert!(neighbours.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn a_row_never_holds_twice_the_neighbours_and_loses_the_weakest(
        sequences in sequences(),
        neighbours in 1_usize..8,
    ) {
        let options = Options { neighbours, ..Options::default() };
        let whole = Transitions::from_sequences(15, &sequences, &Options::default());
        let cut = Transitions::from_sequences(15, &sequences, &options);
        let live = one_by_one(15, &sequences, &options);
        for from in 0..15 {
            let mut expect: Vec<_> = whole.neighbours(from).collect();
            if expect.len() >= 2 * neighbours {
                expect.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                expect.truncate(neighbours);
                expect.sort_by_key(|&(to, _)| to);
            }
            prop_assert_eq!(cut.neighbours(from).collect::<Vec<_>>(), expect.clone());
            let kept: Vec<_> = live.neighbours(from).collect();
            prop_assert!(kept.len() < 2 * neighbours && kept.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(kept.iter().all(|&(to, count)| count < whole.count(from, to) * 1.0001));
            if whole.neighbours(from).count() < 2 * neighbours {
                prop_assert_eq!(kept.len(), expect.len(), "nothing is lost below the limit");
            }
        }
    }

    #[test]
    fn what_is_forgotten_was_never_counted(
        stay in sequences(),
        leave in sequences(),
        options in any_options(),
    ) {
        let expect = one_by_one(15, &stay, &options);
        let mut transitions = one_by_one(15, &[stay, leave.clone()].concat(), &options);
        for sequence in &leave {
            for at in 0..sequence.len() {
                transitions.forget(&sequence[..at], sequence[at], &options);
            }
        }
        prop_assert_eq!(transitions.len(), expect.len());
        for from in 0..15 {
            for (to, count) in expect.neighbours(from) {
                let got = transitions.count(from, to);
                prop_assert!((got - count).abs() < 1e-4 * (1.0 + count), "{got} against {count}");
            }
        }
    }

    #[test]
    fn score_follows_the_formula_and_is_the_sum_of_its_evidence(
        sequences in sequences(),
        options in any_options(),
        recent in prop::collection::vec(0_u32..17, 0..20),
        popularity in prop::collection::vec(0_u32..50, 10..20),
    ) {
        let transitions = Transitions::from_sequences(15, &sequences, &options);
        let pop = |row: u32| f64::from(popularity.get(row as usize).copied().unwrap_or(1).max(1));
        let popularity = Popularity::new(popularity.clone(), &options);
        let sources = options.source_weights(&recent, &popularity);
        // Scores of somebody else must not shine through.
        let mut scores = Scores::default();
        let other = options.source_weights(&[3, 4], &popularity);
        transitions.score(&other, &popularity, &mut scores);
        transitions.score(&sources, &popularity, &mut scores);
        for target in 0..15_u32 {
            let mut expect = 0.0;
            for (k, &from) in recent.iter().take(options.history).enumerate() {
                let shifted = pop(from) + f64::from(options.source_popularity_shift);
                expect += f64::from(options.history_decay).powi(k as i32)
                    * f64::from(transitions.count(from, target))
                    / shifted.powf(f64::from(options.source_popularity_exponent))
                    / pop(target).powf(f64::from(options.target_popularity_exponent));
            }
            let got = f64::from(scores.of(target));
            prop_assert!((got - expect).abs() < 1e-5 * (1.0 + expect), "{got} against {expect}");
            let evidence = transitions.evidence(&sources, target, &popularity);
            let sum: f64 = evidence.iter().map(|&(_, part)| f64::from(part)).sum();
            prop_assert!((sum - expect).abs() < 1e-5 * (1.0 + expect), "{sum} against {expect}");
            prop_assert!(evidence.is_sorted_by(|a, b| a.1 >= b.1));
            prop_assert!(evidence.iter().all(|(row, _)| recent.contains(row)));
        }
        let listed: BTreeMap<_, _> = scores.iter().collect();
        let named = (0..15).filter(|row| scores.of(*row) != 0.0);
        prop_assert_eq!(listed, named.map(|row| (row, scores.of(row))).collect());
    }

    #[test]
    fn csr_comes_back(sequences in sequences()) {
        let transitions = Transitions::from_sequences(15, &sequences, &Options::default());
        let (indptr, indices, values) = transitions.to_csr();
        prop_assert_eq!(Transitions::from_csr(&indptr, &indices, &values), Ok(transitions));
    }
}

#[test]
fn counting_in_parallel_is_the_same_with_any_number_of_threads() {
    let sequences: Vec<Vec<u32>> =
        (0..200_u32).map(|s| (0..60).map(|at| (s * 31 + at * at * 7) % 400).collect()).collect();
    let count = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Transitions::from_sequences(400, &sequences, &Options::default()))
    };
    assert!(count(1) == count(2));
    assert!(count(1) == count(3));
}

#[test]
fn a_full_row_keeps_what_is_often_near_and_lets_newcomers_in() {
    let options = Options { neighbours: 2, backward: 0.0, ..Options::default() };
    let mut transitions = Transitions::new(10);
    let mut follow = |items: &[u32]| {
        for &item in items {
            transitions.observe(&[0], item, &options);
        }
        transitions.neighbours(0).collect::<Vec<_>>()
    };
    assert_eq!(follow(&[5, 5, 5, 9, 9, 1]), [(1, 1.0), (5, 3.0), (9, 2.0)]);
    assert_eq!(follow(&[2]), [(5, 3.0), (9, 2.0)], "the fourth neighbour is one too many");
    assert_eq!(follow(&[2, 2, 2, 1]), [(2, 3.0), (5, 3.0)], "a newcomer that grew has replaced 9");
    assert_eq!(follow(&[9]), [(2, 3.0), (5, 3.0), (9, 1.0)], "what comes back starts anew");
}

#[test]
fn rows_not_known_yet_are_made_room_for() {
    let mut transitions = Transitions::new(2);
    transitions.observe(&[7], 3, &Options::default());
    assert_eq!((transitions.items(), transitions.count(7, 3)), (8, 1.0));
    transitions.grow(5);
    assert_eq!(transitions.items(), 8);
    transitions.grow(20);
    assert_eq!(
        (transitions.items(), transitions.count(19, 3), transitions.count(99, 3)),
        (20, 0.0, 0.0)
    );
    let counted = Transitions::from_sequences(1, &[vec![4, 9]], &Options::default());
    assert_eq!((counted.items(), counted.count(4, 9), counted.count(9, 4)), (10, 1.0, 0.25));
}

#[test]
fn arrays_that_are_no_counts_are_refused() {
    let check = |indptr: &[u64], indices: &[u32], values: &[f32], expect: CsrError| {
        assert_eq!(Transitions::from_csr(indptr, indices, values), Err(expect));
    };
    check(&[], &[], &[], CsrError::Pointers);
    check(&[1, 1], &[0], &[1.0], CsrError::Pointers);
    check(&[0, 2, 1], &[1], &[1.0], CsrError::Pointers);
    check(&[0, 1, 3], &[1, 0], &[1.0, 1.0], CsrError::Pointers);
    check(&[0, 1, 1], &[1], &[], CsrError::Lengths);
    check(&[0, 1, 1], &[2], &[1.0], CsrError::Indices { row: 0 });
    check(&[0, 0, 1], &[1], &[1.0], CsrError::Indices { row: 1 });
    check(&[0, 2, 2, 2], &[2, 1], &[1.0, 1.0], CsrError::Indices { row: 0 });
    check(&[0, 2, 2, 2], &[1, 1], &[1.0, 1.0], CsrError::Indices { row: 0 });
    check(&[0, 0, 1], &[0], &[f32::NAN], CsrError::Values { row: 1 });
    check(&[0, 0, 1], &[0], &[-1.0], CsrError::Values { row: 1 });
}
