//! How far a mean over users may be from the truth: percentile intervals by resampling the users
//! (Efron, *Bootstrap methods: another look at the jackknife*, 1979).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Share of resampled means an interval holds.
pub const LEVEL: f64 = 0.95;

/// For each of the `width` columns of `values` (row-major, one row a user) the interval that holds the
/// middle [`LEVEL`] of the means of `resamples` samples, each drawn with replacement and of the size of the
/// original. All columns see the same samples. The result depends on `seed`, not on the number of threads.
///
/// Without rows, or with no resamples, every interval is `(0, 0)`.
///
/// # Panics
/// If `values` is not whole rows.
pub fn mean_intervals(
    values: &[f64],
    width: usize,
    resamples: usize,
    seed: u64,
) -> Vec<(f64, f64)> {
    let rows = values.len() / width.max(1);
    assert_eq!(rows * width, values.len(), "values are rows of {width}");
    if rows == 0 || resamples == 0 {
        return vec![(0.0, 0.0); width];
    }
    let means: Vec<Vec<f64>> = (0..resamples as u64)
        .into_par_iter()
        .map(|sample| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(sample);
            resampled_means(values, width, &mut rng)
        })
        .collect();
    (0..width).map(|column| middle(means.iter().map(|row| row[column]).collect())).collect()
}

/// As [`mean_intervals`] for ratios of sums: a user's row holds sums over what they were asked, and how many that were. Each
/// of the `width` columns is divided by the last one. Users are drawn whole, since what one user was asked is not
/// independent.
///
/// # Panics
/// If `values` is not whole rows or a row has no column.
pub fn ratio_intervals(
    values: &[f64],
    width: usize,
    resamples: usize,
    seed: u64,
) -> Vec<(f64, f64)> {
    assert!(width > 0 && values.len().is_multiple_of(width), "values are rows of {width}");
    if values.is_empty() || resamples == 0 {
        return vec![(0.0, 0.0); width];
    }
    let ratios: Vec<Vec<f64>> = (0..resamples as u64)
        .into_par_iter()
        .map(|sample| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(sample);
            let mut means = resampled_means(values, width, &mut rng);
            let asked = means[width - 1].max(f64::MIN_POSITIVE);
            for mean in &mut means {
                *mean /= asked;
            }
            means
        })
        .collect();
    (0..width).map(|column| middle(ratios.iter().map(|row| row[column]).collect())).collect()
}

fn resampled_means(values: &[f64], width: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let rows = values.len() / width;
    let mut sums = vec![0.0; width];
    for _ in 0..rows {
        // The high half of a product: uniform below `rows` but for a bias of at most rows / 2^32.
        let drawn = ((u64::from(rng.next_u32()) * rows as u64) >> 32) as usize;
        let row = &values[drawn * width..(drawn + 1) * width];
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    for sum in &mut sums {
        *sum /= rows as f64;
    }
    sums
}

fn middle(mut means: Vec<f64>) -> (f64, f64) {
    means.sort_unstable_by(f64::total_cmp);
    let cut = (1.0 - LEVEL) / 2.0;
    (quantile(&means, cut), quantile(&means, 1.0 - cut))
}

/// The `p`-quantile of ascending values, linear between neighbours.
fn quantile(ascending: &[f64], p: f64) -> f64 {
    let place = p * (ascending.len() - 1) as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(ascending.len() - 1);
    ascending[low] + share * (ascending[high] - ascending[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 users, of whom every fourth is a hit: the standard error is √(.25·.75/400) = .02165.
    fn hits() -> Vec<f64> {
        (0..400).map(|user| f64::from(user % 4 == 0)).collect()
    }

    #[test]
    fn agrees_with_the_normal_approximation() {
        let (low, high) = mean_intervals(&hits(), 1, 4_000, 7)[0];
        assert!((low - (0.25 - 1.96 * 0.021_65)).abs() < 0.004, "{low}");
        assert!((high - (0.25 + 1.96 * 0.021_65)).abs() < 0.004, "{high}");
    }

    #[test]
    fn columns_share_their_samples_and_the_seed_decides() {
        let two: Vec<f64> = hits().into_iter().flat_map(|hit| [hit, 2.0 * hit]).collect();
        let both = mean_intervals(&two, 2, 200, 1);
        assert_eq!((2.0 * both[0].0, 2.0 * both[0].1), both[1]);
        assert_eq!(both[0], mean_intervals(&hits(), 1, 200, 1)[0]);
        assert_ne!(both[0], mean_intervals(&hits(), 1, 200, 2)[0]);
    }

    #[test]
    fn a_ratio_of_users_who_are_asked_once_is_a_mean() {
        let rows: Vec<f64> = hits().into_iter().flat_map(|hit| [hit, 1.0]).collect();
        assert_eq!(ratio_intervals(&rows, 2, 300, 7)[0], mean_intervals(&hits(), 1, 300, 7)[0]);
    }

    #[test]
    fn a_user_who_is_asked_often_moves_a_ratio_more() {
        // One of forty users was asked as often as all others together.
        let row = |user| if user == 0 { [39.0, 39.0] } else { [0.0, 1.0] };
        let rows: Vec<f64> = (0..40).flat_map(row).collect();
        let (low, high) = ratio_intervals(&rows, 2, 2_000, 7)[0];
        assert!(low == 0.0 && high > 0.7, "{low} {high}");
    }

    #[test]
    fn nothing_and_constants() {
        assert_eq!(mean_intervals(&[], 2, 100, 1), [(0.0, 0.0); 2]);
        assert_eq!(mean_intervals(&[0.5; 30], 1, 100, 1), [(0.5, 0.5)]);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[3.0], 0.975), 3.0);
    }
}
