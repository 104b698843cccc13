//! The same trees, gradients and attributions in plain loops.

use super::model::Parts;
use super::options::Options;

/// `g` and `h` of one query's candidates: every pair of unequal gains of which one is among the first `T`.
pub(super) fn slopes(gains: &[f32], scores: &[f64], options: &Options) -> Vec<(f64, f64)> {
    let mut slopes = vec![(0.0, 0.0); gains.len()];
    let sum = pairs(gains, scores, options, |high, low, delta| {
        let rho = 1.0 / (1.0 + (options.sigmoid * (scores[high] - scores[low])).exp());
        let g = options.sigmoid * delta * rho;
        let h = options.sigmoid.powi(2) * delta * rho * (1.0 - rho);
        slopes[high].0 -= g;
        slopes[low].0 += g;
        slopes[high].1 += h;
        slopes[low].1 += h;
        2.0 * g
    });
    let scale = if sum > 0.0 { (1.0 + sum).log2() / sum } else { 1.0 };
    slopes.into_iter().map(|(g, h)| (g * scale, h * scale)).collect()
}

/// `Σ δ' ln(1 + exp(−σ(s_i − s_j)))` at `scores`, with the `δ'` of the scores `at`, not scaled.
pub(super) fn cost(gains: &[f32], at: &[f64], scores: &[f64], options: &Options) -> f64 {
    pairs(gains, at, options, |high, low, delta| {
        delta * (-options.sigmoid * (scores[high] - scores[low])).exp().ln_1p()
    })
}

/// The sum of `of` over all pairs, given who is better, who is worse and `δ'`.
fn pairs(
    gains: &[f32],
    scores: &[f64],
    options: &Options,
    mut of: impl FnMut(usize, usize, f64) -> f64,
) -> f64 {
    let mut order: Vec<usize> = (0..gains.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let mut ideal = gains.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let first = ideal.iter().take(options.truncation).enumerate();
    let best: f64 = first.map(|(rank, gain)| f64::from(*gain) * discount(rank)).sum();
    let differ = scores.iter().any(|score| *score != scores[0]);
    let mut sum = 0.0;
    for (high_rank, &high) in order.iter().enumerate() {
        for (low_rank, &low) in order.iter().enumerate() {
            if gains[high] <= gains[low] || high_rank.min(low_rank) >= options.truncation {
                continue;
            }
            let gap = f64::from(gains[high]) - f64::from(gains[low]);
            let mut delta = gap * (discount(high_rank) - discount(low_rank)).abs() / best;
            if differ {
                delta /= 0.01 + (scores[high] - scores[low]).abs();
            }
            sum += of(high, low, delta);
        }
    }
    sum
}

/// A split of a leaf's rows: gain, feature, threshold, and who goes left.
pub(super) type Split = (f64, usize, f32, Vec<usize>);

/// The best split of `rows` over all thresholds between values of the whole `data`, and both ways for what is missing.
pub(super) fn split(
    data: &[Vec<f32>],
    rows: &[usize],
    slopes: &[(f64, f64)],
    options: &Options,
) -> Option<Split> {
    let mut best: Option<Split> = None;
    let whole = worth(rows, slopes, options);
    for feature in 0..data[0].len() {
        let mut values: Vec<f32> = data.iter().map(|row| row[feature]).collect();
        values.retain(|value| !value.is_nan());
        values.sort_by(f32::total_cmp);
        values.dedup();
        let middles = values.windows(2).map(|pair| f32::midpoint(pair[0], pair[1]));
        for threshold in middles.chain([f32::MAX]) {
            for missing_left in [false, true] {
                let goes_left = |row: &&usize| {
                    let value = data[**row][feature];
                    if value.is_nan() { missing_left } else { value <= threshold }
                };
                let left: Vec<usize> = rows.iter().filter(goes_left).copied().collect();
                let right: Vec<usize> = rows.iter().filter(|r| !goes_left(r)).copied().collect();
                if left.len().min(right.len()) < options.min_leaf_rows {
                    continue;
                }
                let sides = worth(&left, slopes, options) + worth(&right, slopes, options);
                let gain = sides - whole;
                // As equal as the order of additions allows.
                let most = best.as_ref().map_or(1e-9 * sides, |best| best.0 * (1.0 + 1e-9));
                if gain > most {
                    best = Some((gain, feature, threshold, left));
                }
            }
        }
    }
    best
}

/// `G²/(H + λ)`.
fn worth(rows: &[usize], slopes: &[(f64, f64)], options: &Options) -> f64 {
    let g: f64 = rows.iter().map(|row| slopes[*row].0).sum();
    let h: f64 = rows.iter().map(|row| slopes[*row].1).sum();
    g * g / (h + options.l2)
}

/// The mean score, by covers, of what takes the candidate's way where `known` has the feature, in one tree.
fn expectation(parts: &Parts, first: usize, node: usize, x: &[f32], known: u32) -> f64 {
    let at = first + node;
    let left = parts.children[at] as usize;
    if left == 0 {
        return parts.values[at];
    }
    let feature = parts.features[at] as usize;
    let side = |child| expectation(parts, first, child, x, known);
    if known >> feature & 1 == 1 {
        let value = x[feature];
        let goes_left = if value.is_nan() {
            parts.missing_left[at] == 1
        } else {
            value <= parts.thresholds[at]
        };
        return side(if goes_left { left } else { left + 1 });
    }
    let share = |child: usize| f64::from(parts.covers[first + child]) / f64::from(parts.covers[at]);
    share(left) * side(left) + share(left + 1) * side(left + 1)
}

/// Shapley values by their definition, over all subsets of the features.
pub(super) fn shapley(parts: &Parts, x: &[f32]) -> Vec<f64> {
    let width = parts.width;
    let trees = &parts.starts[..parts.starts.len() - 1];
    let of = |known: u32| -> f64 {
        trees.iter().map(|first| expectation(parts, *first as usize, 0, x, known)).sum()
    };
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    let value = |feature: usize| {
        let without = (0..1_u32 << width).filter(|known| known >> feature & 1 == 0);
        without
            .map(|known| {
                let size = known.count_ones() as usize;
                let weight = factorial(size) * factorial(width - 1 - size) / factorial(width);
                weight * (of(known | 1 << feature) - of(known))
            })
            .sum()
    };
    (0..width).map(value).collect()
}
