//! What a choice is told from.

use proptest::prelude::*;

use crate::lora::sample::{Member, Options, Pool, draw};

#[test]
fn the_sizes_of_the_study() {
    let pool = Pool { listed: 400, others: 7_000, chosen: Member::Other(17) };
    let sample = draw(pool, Options::default(), 1);
    assert_eq!((sample.listed.len(), sample.others.len()), (100, 50));
    assert!((sample.listed_offset - 4.0_f32.ln()).abs() < 1e-6);
    assert!((sample.others_offset - (6_999.0_f32 / 50.0).ln()).abs() < 1e-6);
    assert_eq!(sample, draw(pool, Options::default(), 1));
    assert_ne!(sample, draw(pool, Options::default(), 2));
}

#[test]
fn everything_is_drawn_where_there_is_little() {
    let pool = Pool { listed: 4, others: 0, chosen: Member::Listed(2) };
    let sample = draw(pool, Options::default(), 1);
    assert_eq!((sample.listed, sample.others), (vec![0, 1, 3], vec![]));
    assert_eq!((sample.listed_offset, sample.others_offset), (0.0, 0.0));
}

#[test]
fn all_are_drawn_equally_often() {
    let mut counts = [0_u32; 20];
    for seed in 0..4_000 {
        let pool = Pool { listed: 20, others: 0, chosen: Member::Listed(7) };
        let options = Options { listed: 5, others: 5 };
        draw(pool, options, seed).listed.iter().for_each(|at| counts[*at] += 1);
    }
    assert_eq!(counts[7], 0);
    let expect = 4_000.0 * 5.0 / 19.0;
    let others = counts.iter().enumerate().filter(|(at, _)| *at != 7);
    others.for_each(|(at, count)| {
        assert!((f64::from(*count) - expect).abs() < 5.0 * f64::sqrt(expect), "{at}: {count}");
    });
}

proptest! {
    #[test]
    fn none_twice_and_never_the_chosen(
        listed in 1..300_usize, others in 0..300_usize, at in 0..600_usize, seed: u64,
    ) {
        let at = at % (listed + others);
        let chosen = if at < listed { Member::Listed(at) } else { Member::Other(at - listed) };
        let sample = draw(Pool { listed, others, chosen }, Options { listed: 40, others: 20 }, seed);
        for (drawn, count, wanted, offset) in [
            (&sample.listed, listed, 40, sample.listed_offset),
            (&sample.others, others, 20, sample.others_offset),
        ] {
            prop_assert!(drawn.is_sorted_by(|a, b| a < b));
            prop_assert!(drawn.iter().all(|at| *at < count));
            prop_assert!(drawn.len() <= wanted);
            // Together they stand for all of their kind but the chosen one.
            let stands_for = drawn.len() as f32 * offset.exp();
            prop_assert!(drawn.is_empty() || (count as f32 - stands_for).abs() < 1.01);
        }
        let has = |member| match member {
            Member::Listed(at) => sample.listed.contains(&at),
            Member::Other(at) => sample.others.contains(&at),
        };
        prop_assert!(!has(chosen));
    }
}
