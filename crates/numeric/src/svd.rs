//! The leading part of a sparse matrix's singular value decomposition, by a randomised range finder (Halko, Martinsson &
//! Tropp, *Finding structure with randomness*, 2011).

use crate::interactions::Interactions;
use crate::kernel;
use crate::matrix::Matrix;
use crate::spectrum::{self, Symmetric};
use rayon::prelude::*;
use std::fmt;

/// A singular value below this share of the largest is taken for rounding.
const SMALLEST: f32 = 1e-3;

/// `R ≈ U · diag(values) · rightᵀ`.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd {
    /// Singular values, descending, > 0.
    pub values: Vec<f32>,
    /// Right singular vectors as columns, items×k.
    pub right: Matrix,
}

/// Why there is no decomposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The matrix is zero.
    Zero,
    /// A dense step failed.
    Decomposition,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => write!(f, "the matrix has no entry"),
            Self::Decomposition => write!(f, "a dense decomposition failed"),
        }
    }
}

impl std::error::Error for Error {}

/// Up to `components` leading singular vectors of `R`; fewer if its rank is lower. The strong ones are accurate, the weak
/// ones only span together nearly what as many exact ones would. The same input gives the same bytes, whatever the number
/// of threads.
///
/// # Errors
/// See [`Error`].
pub fn sketch(rows: &Interactions, components: usize, seed: u64) -> Result<Svd, Error> {
    if rows.is_empty() || components == 0 {
        return Err(Error::Zero);
    }
    let columns = rows.transpose();
    // The eigenvectors are found on the shorter side and carried over to the other.
    let by_row = rows.users() < rows.items();
    let gram = if by_row {
        Gram { forward: &columns, back: rows }
    } else {
        Gram { forward: rows, back: &columns }
    };
    let found = spectrum::sketched(&gram, components, seed).map_err(|_| Error::Decomposition)?;
    let values: Vec<f32> = found.values.iter().map(|value| value.max(0.0).sqrt()).collect();
    let kept = values.iter().take_while(|value| **value > SMALLEST * values[0]).count();
    let mut right = if by_row { times(&columns, &found.vectors) } else { found.vectors };
    if by_row {
        for row in 0..right.rows() {
            for (value, sigma) in right.row_mut(row).iter_mut().zip(&values) {
                *value /= sigma.max(f32::MIN_POSITIVE);
            }
        }
    }
    let leading = (0..right.rows()).flat_map(|row| &right.row(row)[..kept]).copied().collect();
    Ok(Svd { right: Matrix::from_vec(leading, kept), values: values[..kept].to_vec() })
}

/// `forwardᵀ · forward`, where `back` is the transpose of `forward`.
struct Gram<'m> {
    forward: &'m Interactions,
    back: &'m Interactions,
}

impl Symmetric for Gram<'_> {
    fn size(&self) -> usize {
        self.forward.items()
    }

    fn rank(&self) -> usize {
        self.forward.users().min(self.forward.items())
    }

    fn times(&self, x: &Matrix) -> Matrix {
        times(self.back, &times(self.forward, x))
    }
}

/// `rows · x`, where `x` has a row per column of `rows`.
///
/// # Panics
/// If it has not.
pub fn times(rows: &Interactions, x: &Matrix) -> Matrix {
    assert!(x.rows() == rows.items(), "{} rows for {} columns", x.rows(), rows.items());
    let width = x.width();
    let mut out = Matrix::zeros(rows.users(), width);
    out.as_mut_slice().par_chunks_mut(width.max(1)).enumerate().for_each(|(row, sum)| {
        let (columns, weights) = rows.row(row);
        for (column, weight) in columns.iter().zip(weights) {
            kernel::add(sum, *weight, x.row(*column as usize));
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A matrix of the given rank: sums of a few sparse patterns.
    fn matrix(users: usize, items: usize, rank: usize) -> Interactions {
        let rows = (0..users).map(|user| {
            let weight = |item: usize| {
                let patterns = (0..rank)
                    .filter(|k| (user + k).is_multiple_of(k + 2) && item.is_multiple_of(k + 3));
                patterns.map(|k| 1.0 / (k + 1) as f32).sum::<f32>()
            };
            (0..items).map(|item| (item as u32, weight(item))).filter(|(_, w)| *w > 0.0).collect()
        });
        Interactions::from_rows(items, rows.collect::<Vec<_>>()).expect("positive weights")
    }

    fn dense(rows: &Interactions) -> faer::Mat<f64> {
        let mut full = faer::Mat::zeros(rows.users(), rows.items());
        for user in 0..rows.users() {
            let (items, weights) = rows.row(user);
            for (item, weight) in items.iter().zip(weights) {
                full[(user, *item as usize)] = f64::from(*weight);
            }
        }
        full
    }

    #[test]
    fn agrees_with_a_dense_decomposition() {
        for (users, items) in [(40, 90), (90, 40)] {
            let rows = matrix(users, items, 6);
            let expect = dense(&rows).svd().expect("finite");
            let found = sketch(&rows, 6, 1).expect("not zero");
            for (k, value) in found.values.iter().enumerate() {
                let exact = expect.S()[k];
                assert!((f64::from(*value) - exact).abs() < 1e-3 * exact, "{k}: {value} {exact}");
                let along: f64 =
                    (0..items).map(|i| f64::from(found.right.row(i)[k]) * expect.V()[(i, k)]).sum();
                assert!((along.abs() - 1.0).abs() < 1e-3, "{users}x{items}, {k}: {along}");
            }
        }
    }

    #[test]
    fn a_low_rank_gives_fewer_vectors() {
        let found = sketch(&matrix(50, 30, 2), 20, 1).expect("not zero");
        assert_eq!((found.values.len(), found.right.width(), found.right.rows()), (2, 2, 30));
    }

    #[test]
    fn nothing_is_an_error() {
        let empty = Interactions::from_rows(3, vec![vec![], vec![]]).expect("no pair is wrong");
        assert_eq!(sketch(&empty, 2, 1), Err(Error::Zero));
    }

    proptest! {
        #[test]
        fn right_vectors_are_orthonormal(users in 2_usize..40, items in 2_usize..40, seed in 0_u64..99) {
            let found = sketch(&matrix(users, items, 3), 8, seed).expect("not zero");
            let k = found.values.len();
            for (a, b) in (0..k).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let along: f32 =
                    (0..items).map(|i| found.right.row(i)[a] * found.right.row(i)[b]).sum();
                prop_assert!((along - f32::from(u8::from(a == b))).abs() < 1e-3, "{} {} {}", a, b, along);
            }
            prop_assert!(found.values.is_sorted_by(|a, b| a >= b));
        }
    }
}
