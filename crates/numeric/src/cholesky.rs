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

/// `A = L Lᵀ`, then `L y = b`, then `Lᵀ x = y`.
fn plain(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut l = a.to_vec();
    for i in 0..n {
        let (above, rest) = l.split_at_mut(i * n);
        let row = &mut rest[..n];
        for (j, other) in above.chunks_exact(n).enumerate() {
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let square = row[i] - dot(&row[..i], &row[..i]);
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        row[i] = square.sqrt();
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let row = &l[i * n..=i * n + i];
        x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
    }
    for i in (0..n).rev() {
        let row = &l[i * n..=i * n + i];
        x[i] /= row[i];
        let known = x[i];
        x[..i].iter_mut().zip(row).for_each(|(value, l)| *value -= l * known);
    }
    Some(x)
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
