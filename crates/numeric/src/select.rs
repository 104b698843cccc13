//! The best rows by score.

use crate::rows::RowSet;

/// The `k` best allowed rows with their scores, best first, ties to the lower row.
///
/// A score that is NaN or not above `floor` is never selected; `f32::NEG_INFINITY` as floor lets every
/// number but itself pass. Rows without a score or outside `allowed` are not considered.
pub fn top_k(scores: &[f32], allowed: &RowSet, k: usize, floor: f32) -> Vec<(u32, f32)> {
    top_k_of(allowed.iter().map_while(|row| Some((row, *scores.get(row as usize)?))), k, floor)
}

/// As [`top_k`] for distinct rows in any order.
pub fn top_k_of(scored: impl Iterator<Item = (u32, f32)>, k: usize, floor: f32) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    // Up to 2k survivors are kept; when full, the worse half goes and the bar rises to the k-th best.
    let capacity = k.saturating_mul(2);
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(capacity.min(USUAL_CAPACITY));
    let mut bar = (u32::MAX, floor);
    for (row, score) in scored.filter(|(_, score)| *score > floor) {
        // Most fail the first, cheap test.
        if score >= bar.1 && better((row, score), bar).is_lt() {
            best.push((row, score));
            if best.len() == capacity {
                best.select_nth_unstable_by(k - 1, |a, b| better(*a, *b));
                best.truncate(k);
                bar = best[k - 1];
            }
        }
    }
    best.sort_unstable_by(|a, b| better(*a, *b));
    best.truncate(k);
    best
}

/// Room made at once; a `k` beyond half of it is rare.
const USUAL_CAPACITY: usize = 512;

fn better(a: (u32, f32), b: (u32, f32)) -> std::cmp::Ordering {
    // `+ 0.0` makes −0 into 0, which `total_cmp` would tell apart.
    (b.1 + 0.0).total_cmp(&(a.1 + 0.0)).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(scores: &[f32], allowed: &RowSet, k: usize, floor: f32) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> = scores
            .iter()
            .enumerate()
            .map(|(row, &score)| (row as u32, score))
            .filter(|&(row, score)| allowed.contains(row) && score > floor)
            .collect();
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    fn score() -> impl Strategy<Value = f32> {
        prop_oneof![
            6 => (-5_i8..5).prop_map(|x| f32::from(x) / 2.0),
            1 => prop::sample::select(vec![
                f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_sorting_everything(
            scores in prop::collection::vec(score(), 0..150),
            allowed in prop::collection::btree_set(0_u32..170, 0..170),
            k in prop_oneof![0_usize..12, Just(usize::MAX)],
            floor in prop_oneof![Just(f32::NEG_INFINITY), Just(0.0_f32), Just(-1.0)],
        ) {
            let mut set = RowSet::new(170);
            for row in allowed {
                set.insert(row);
            }
            let expect = reference(&scores, &set, k, floor);
            prop_assert_eq!(&top_k(&scores, &set, k, floor), &expect);
            let mut pairs: Vec<_> =
                set.iter().filter_map(|row| Some((row, *scores.get(row as usize)?))).collect();
            pairs.sort_by_key(|(row, _)| row.wrapping_mul(37) % 101);
            prop_assert_eq!(&top_k_of(pairs.into_iter(), k, floor), &expect);
        }
    }
}
