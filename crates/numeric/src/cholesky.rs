//! Symmetric positive definite systems in double precision.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// The solution of `A x = b`; `a` is row-major, only its lower triangle is read. `None` if `A` is not positive definite.
pub(crate) fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let matrix = Mat::from_fn(n, n, |i, j| a[i.max(j) * n + i.min(j)]);
    let factored = matrix.llt(Side::Lower).ok()?;
    let right = Mat::from_fn(n, 1, |i, _| b[i]);
    let solved = factored.solve(&right);
    let x: Vec<f64> = (0..n).map(|i| solved[(i, 0)]).collect();
    x.iter().all(|value| value.is_finite()).then_some(x)
}
