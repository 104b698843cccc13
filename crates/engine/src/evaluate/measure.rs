//! One list against its targets, and many lists in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use sona_numeric::{bootstrap, metrics};

/// Length of the lists that are made and may be written out.
pub const LIST: usize = 100;

/// What is measured of every list, by name.
pub const METRICS: [&str; 10] = [
    "hr@5",
    "hr@10",
    "hr@20",
    "ndcg@5",
    "ndcg@10",
    "ndcg@20",
    "recall@10",
    "recall@20",
    "recall@50",
    "mrr",
];

/// Many lists in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Means over users, by name of the metric.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % bootstrap intervals of those means; empty without resamples.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub interval95: BTreeMap<String, [f64; 2]>,
}

/// Means over users, and their intervals from so many resamples; nothing at all without a user.
pub(super) fn summarise(values: &[[f64; METRICS.len()]], resamples: usize, seed: u64) -> Summary {
    if values.is_empty() {
        return Summary::default();
    }
    let interval95 =
        if resamples == 0 { BTreeMap::new() } else { intervals(values, resamples, seed) };
    Summary { metrics: means(values), interval95 }
}

/// The values of [`METRICS`] for one list, best first, of distinct rows.
pub(crate) fn measure(list: &[u32], targets: &[u32]) -> [f64; METRICS.len()] {
    [
        metrics::hit_rate(list, targets, 5),
        metrics::hit_rate(list, targets, 10),
        metrics::hit_rate(list, targets, 20),
        metrics::ndcg(list, targets, 5),
        metrics::ndcg(list, targets, 10),
        metrics::ndcg(list, targets, 20),
        metrics::recall(list, targets, 10),
        metrics::recall(list, targets, 20),
        metrics::recall(list, targets, 50),
        metrics::reciprocal_rank(list, targets),
    ]
}

/// Best first; where scores are equal the targets come last: a tie counts against us.
pub(crate) fn order_against_us(list: &mut [(u32, f32)], targets: &[u32]) {
    let key = |row: u32| (targets.contains(&row), row);
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| key(a.0).cmp(&key(b.0))));
}

/// Means over users.
fn means(values: &[[f64; METRICS.len()]]) -> BTreeMap<String, f64> {
    let mean = |at: usize| {
        // Starting from 0: an empty sum of floats is -0.
        let sum = values.iter().fold(0.0, |sum, row| sum + row[at]);
        sum / values.len().max(1) as f64
    };
    METRICS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), mean(at))).collect()
}

/// 95 % intervals of the means by resampling users.
fn intervals(
    values: &[[f64; METRICS.len()]],
    resamples: usize,
    seed: u64,
) -> BTreeMap<String, [f64; 2]> {
    let flat = values.as_flattened();
    let intervals = bootstrap::mean_intervals(flat, METRICS.len(), resamples, seed);
    let pairs = intervals.into_iter().map(|(low, high)| [low, high]);
    METRICS.iter().map(|name| (*name).to_owned()).zip(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_against_the_targets() {
        let mut list = vec![(1, 0.5), (2, 0.9), (3, 0.5), (4, 0.5)];
        order_against_us(&mut list, &[1, 2]);
        assert_eq!(list.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3, 4, 1]);
    }

    #[test]
    fn names_and_values_go_together() {
        let list: Vec<u32> = (0..60).collect();
        let of = |targets: &[u32]| means(&[measure(&list, targets)]);
        let seventh = of(&[6]);
        assert_eq!((seventh["hr@5"], seventh["hr@10"], seventh["hr@20"]), (0.0, 1.0, 1.0));
        assert_eq!((seventh["ndcg@5"], seventh["ndcg@10"]), (0.0, 1.0 / 8_f64.log2()));
        assert_eq!(seventh["mrr"], 1.0 / 7.0);
        let two = of(&[15, 45]);
        assert_eq!((two["recall@10"], two["recall@20"], two["recall@50"]), (0.0, 0.5, 1.0));
        assert_eq!(two["ndcg@20"], 1.0 / 17_f64.log2() / (1.0 + 1.0 / 3_f64.log2()));
    }
}
