//! The best rows by score.

use crate::rows::RowSet;

/// The `k` best allowed rows with their scores, best first, ties to the lower row.
///
/// A score that is NaN or not above `floor` is never selected; `f32::NEG_INFINITY` as floor lets every
/// number but itself pass. Rows without a score or outside `allowed` are not considered.
pub fn top_k(scores: &[f32], allowed: &RowSet, k: usize, floor: f32) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    // Up to 2k survivors are kept; when full, the worse half goes and the bar rises to the k-th
    // best. Rows come in ascending order, so a later row that only ties with the bar cannot enter.
    let capacity = k.saturating_mul(2).min(scores.len() + 1);
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(capacity);
    let mut bar = floor;
    for row in allowed.iter() {
        let Some(&score) = scores.get(row as usize) else { break };
        if score > bar {
            best.push((row, score));
            if best.len() == capacity && k < capacity {
                best.select_nth_unstable_by(k - 1, |a, b| better(*a, *b));
                best.truncate(k);
                bar = best[k - 1].1;
            }
        }
    }
    best.sort_unstable_by(|a, b| better(*a, *b));
    best.truncate(k);
    best
}

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
            prop_assert_eq!(top_k(&scores, &set, k, floor), reference(&scores, &set, k, floor));
        }
    }
}
