//! Row-major `f32` matrices and the dot product.
//!
//! Only what ranking needs: rows, `matrix · vector`, dot and cosine. Factorisations and products of
//! matrices belong to `faer`, at the place of use.

use crate::kernel;

/// A dense row-major matrix of `rows × width`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    data: Vec<f32>,
    rows: usize,
    width: usize,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { data: vec![0.0; rows * width], rows, width }
    }

    /// Takes row-major `data` whose rows are `width` long.
    ///
    /// # Panics
    /// If the length of `data` is not a multiple of `width` (with `width` 0: if `data` is not empty).
    pub fn from_vec(data: Vec<f32>, width: usize) -> Self {
        let rows = data.len().checked_div(width).unwrap_or(0);
        assert!(rows * width == data.len(), "{} values do not make rows of {width}", data.len());
        Self { data, rows, width }
    }

    /// Makes room for the rows `0..rows`, new ones zero. A smaller number changes nothing.
    pub fn grow(&mut self, rows: usize) {
        if rows > self.rows {
            self.data.resize(rows * self.width, 0.0);
            self.rows = rows;
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `r`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, r: usize) -> &[f32] {
        &self.data[r * self.width..(r + 1) * self.width]
    }

    /// Row `r`, to be changed.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, r: usize) -> &mut [f32] {
        &mut self.data[r * self.width..(r + 1) * self.width]
    }

    /// All values, row after row.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// All values, row after row, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// `out[r] = row r · v`; `out` is overwritten and gets one value per row.
    ///
    /// # Panics
    /// If `v` is not as long as a row.
    pub fn times(&self, v: &[f32], out: &mut Vec<f32>) {
        assert!(v.len() == self.width, "vector of {} for rows of {}", v.len(), self.width);
        out.clear();
        out.reserve(self.rows);
        if self.width == 0 {
            out.resize(self.rows, 0.0);
            return;
        }
        kernel::times(&self.data, v, out);
    }
}

/// `Σ a[i]·b[i]` over the shorter length, in a fixed order of additions.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    kernel::dot(a, b)
}

/// Cosine of the angle between `a` and `b`, in −1..1; 0 if either is zero or not finite.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let norms = dot(a, a).sqrt() * dot(b, b).sqrt();
    if norms > 0.0 && norms.is_finite() { (dot(a, b) / norms).clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference_dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    }

    proptest! {
        #[test]
        fn dot_agrees_with_a_plain_loop(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..200),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let error = f64::from(dot(&a, &b)) - reference_dot(&a, &b);
            prop_assert!(error.abs() <= 1e-6 * (1.0 + a.len() as f64));
        }

        #[test]
        fn times_is_dot_of_every_row(width in 1_usize..40, rows in 0_usize..20, seed in 0_u32..1000) {
            let data: Vec<f32> =
                (0..rows * width).map(|i| ((i as u32 * 37 + seed) % 101) as f32 / 50.0 - 1.0).collect();
            let matrix = Matrix::from_vec(data, width);
            let v: Vec<f32> = (0..width).map(|i| (i as f32 * 0.7 + seed as f32).sin()).collect();
            let mut out = vec![9.0; 3];
            matrix.times(&v, &mut out);
            prop_assert_eq!(out.len(), rows);
            for (r, value) in out.iter().enumerate() {
                prop_assert_eq!(*value, dot(matrix.row(r), &v));
            }
        }
    }

    #[test]
    fn cosine_of_zero_is_zero() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0]), 0.0);
        assert_eq!(cosine(&[3.0, 4.0], &[6.0, 8.0]), 1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[-2.0, 0.0]), -1.0);
    }

    #[test]
    #[should_panic(expected = "do not make rows")]
    fn a_ragged_matrix_is_refused() {
        let _ = Matrix::from_vec(vec![1.0; 5], 2);
    }
}
