//! Symmetric positive definite systems in double precision.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Up to this size plain loops are about twice as fast: there is nothing to block, and little to allocate.
const SMALL: usize = 32;

/// The solution of `A x = b`; `a` is row-major, only its lower triangle is read. `None` if `A` is not positive definite.
pub(crate) fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let x = if b.len() <= SMALL { plain(a, b)? } else { blocked(a, b)? };
    x.iter().all(|value| value.is_finite()).then_some(x)
}

fn blocked(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let matrix = Mat::from_fn(n, n, |i, j| a[i.max(j) * n + i.min(j)]);
    let factored = matrix.llt(Side::Lower).ok()?;
    let right = Mat::from_fn(n, 1, |i, _| b[i]);
    let solved = factored.solve(&right);
    Some((0..n).map(|i| solved[(i, 0)]).collect())
}

/// `A = L Lᵀ`, then `L y = b`, then `Lᵀ x = y`. `Lᵀ` is kept by rows, so that all but the last step adds multiples of rows
/// to each other, which a processor does for several numbers at a time.
fn plain(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut upper = vec![0.0; n * n];
    for (i, row) in a.chunks_exact(n.max(1)).enumerate() {
        for (j, value) in row[..=i].iter().enumerate() {
            upper[j * n + i] = *value;
        }
    }
    let mut x = b.to_vec();
    for k in 0..n {
        let (row, below) = upper[k * n..].split_at_mut(n);
        let square = row[k];
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        let inverse = square.sqrt().recip();
        row[k..].iter_mut().for_each(|value| *value *= inverse);
        // The diagonal is only divided by from here on.
        row[k] = inverse;
        for (i, other) in (k + 1..n).zip(below.chunks_exact_mut(n)) {
            subtract(&mut other[i..], row[i], &row[i..]);
        }
        x[k] *= inverse;
        let known = x[k];
        subtract(&mut x[k + 1..], known, &row[k + 1..]);
    }
    for k in (0..n).rev() {
        let row = &upper[k * n..(k + 1) * n];
        x[k] = (x[k] - dot(&row[k + 1..], &x[k + 1..])) * row[k];
    }
    Some(x)
}

fn subtract(from: &mut [f64], times: f64, row: &[f64]) {
    from.iter_mut().zip(row).for_each(|(value, other)| *value -= times * other);
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `Z Zᵀ + I` of random numbers, with rubbish above its diagonal, and a random right side.
    fn system(n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
        let z: Vec<f64> = (0..n * n).map(|_| rng.random_range(-1.0..1.0)).collect();
        let row = |i: usize| &z[i * n..(i + 1) * n];
        let value = |i: usize, j: usize| if j > i { f64::NAN } else { dot(row(i), row(j)) };
        let one = |at: usize| f64::from(u8::from(at / n == at % n));
        let a = (0..n * n).map(|at| value(at / n, at % n) + one(at)).collect();
        (a, (0..n).map(|_| rng.random_range(-1.0..1.0)).collect())
    }

    #[test]
    fn both_ways_solve_the_system() {
        for n in [1, 2, 7, 16, 32, 33, 50] {
            let (a, b) = system(n);
            let (plain, blocked) =
                (plain(&a, &b).expect("solved"), blocked(&a, &b).expect("solved"));
            for i in 0..n {
                let left: f64 = (0..n).map(|j| a[i.max(j) * n + i.min(j)] * plain[j]).sum();
                assert!((left - b[i]).abs() < 1e-9, "row {i} of {n}");
                assert!((plain[i] - blocked[i]).abs() < 1e-9, "row {i} of {n}");
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_solution() {
        for a in [[1.0, 0.0, 2.0, 1.0], [0.0; 4], [f64::NAN; 4], [f64::INFINITY; 4]] {
            assert_eq!(solve(&a, &[1.0, 1.0]), None, "{a:?}");
        }
        assert_eq!(solve(&[4.0, 0.0, 0.0, 16.0], &[1.0, 4.0]), Some(vec![0.25, 0.25]));
        assert_eq!(solve(&[], &[]), Some(vec![]));
    }
}
