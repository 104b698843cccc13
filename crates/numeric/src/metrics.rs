//! Ranking metrics of one user: a list, best first, against the rows that were relevant.
//!
//! `ranked` holds each row at most once; `relevant` holds each row once, in any order. Without a
//! relevant row every metric is 0; leave such users out of a mean. All values are in 0..1.

/// 1 if a relevant row is among the first `k`, else 0.
pub fn hit_rate(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    if first(ranked, k).iter().any(|row| relevant.contains(row)) { 1.0 } else { 0.0 }
}

/// Share of the relevant rows that are among the first `k`: `hits / |relevant|`.
pub fn recall(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    if relevant.is_empty() {
        return 0.0;
    }
    let hits = first(ranked, k).iter().filter(|row| relevant.contains(row)).count();
    hits as f64 / relevant.len() as f64
}

/// Normalised discounted cumulative gain at `k` with binary gains:
/// `Σ_{hits at rank r ≤ k} 1/log2(r+1)` over the same sum of an ideal list, which has its hits at
/// the ranks `1..=min(k, |relevant|)`.
pub fn ndcg(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    let ideal: f64 = (0..k.min(relevant.len())).map(discount).sum();
    if ideal == 0.0 {
        return 0.0;
    }
    let gained: f64 = first(ranked, k)
        .iter()
        .enumerate()
        .filter(|(_, row)| relevant.contains(row))
        .map(|(at, _)| discount(at))
        .sum();
    gained / ideal
}

/// `1/r` of the first relevant row, at rank `r` counted from 1; 0 if there is none.
pub fn reciprocal_rank(ranked: &[u32], relevant: &[u32]) -> f64 {
    ranked.iter().position(|row| relevant.contains(row)).map_or(0.0, |at| 1.0 / (at as f64 + 1.0))
}

fn first(ranked: &[u32], k: usize) -> &[u32] {
    &ranked[..k.min(ranked.len())]
}

/// Discount of a zero-based place.
fn discount(at: usize) -> f64 {
    1.0 / (at as f64 + 2.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_example() {
        let (ranked, relevant) = ([5, 2, 9, 1], [1, 2, 7]);
        assert_eq!(hit_rate(&ranked, &relevant, 1), 0.0);
        assert_eq!(hit_rate(&ranked, &relevant, 2), 1.0);
        assert!((recall(&ranked, &relevant, 4) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(reciprocal_rank(&ranked, &relevant), 0.5);
        let expect = (1.0 / 3_f64.log2() + 1.0 / 5_f64.log2()) / (1.0 + 1.0 / 3_f64.log2() + 0.5);
        assert!((ndcg(&ranked, &relevant, 10) - expect).abs() < 1e-12);
        // At k = 1 the ideal list has one place only.
        assert_eq!(ndcg(&[7], &relevant, 1), 1.0);
    }

    #[test]
    fn nothing_relevant_or_nothing_ranked_is_zero() {
        for (ranked, relevant) in [(&[1, 2][..], &[][..]), (&[], &[1]), (&[1], &[2])] {
            assert_eq!(hit_rate(ranked, relevant, 5), 0.0);
            assert_eq!(recall(ranked, relevant, 5), 0.0);
            assert_eq!(ndcg(ranked, relevant, 5), 0.0);
            assert_eq!(reciprocal_rank(ranked, relevant), 0.0);
        }
    }

    proptest! {
        #[test]
        fn stay_in_range_and_reach_one_for_a_perfect_list(
            ranked in Just((0_u32..20).collect::<Vec<_>>()).prop_shuffle(),
            relevant in prop::collection::btree_set(0_u32..20, 1..6),
            k in 1_usize..25,
        ) {
            let relevant: Vec<u32> = relevant.into_iter().collect();
            let mut perfect = relevant.clone();
            perfect.extend(ranked.iter().filter(|row| !relevant.contains(row)));
            prop_assert!((ndcg(&perfect, &relevant, k) - 1.0).abs() < 1e-12);
            prop_assert_eq!(reciprocal_rank(&perfect, &relevant), 1.0);
            for value in [
                ndcg(&ranked, &relevant, k), recall(&ranked, &relevant, k), reciprocal_rank(&ranked, &relevant),
            ] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value));
            }
            prop_assert_eq!(hit_rate(&ranked, &relevant, k) > 0.0, recall(&ranked, &relevant, k) > 0.0);
        }
    }
}
