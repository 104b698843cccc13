//! The vectors nearest to a vector, by the cosine of the angle between them.
//!
//! An [`Index`] holds one vector a row and answers with the best rows of a set. Every vector of the set is looked at, by
//! a code of one byte a number first (see `exact.rs`).

mod exact;
mod kernel;
mod quantize;

#[cfg(test)]
mod tests;

use crate::matrix::dot;
use crate::rows::RowSet;
use exact::Exact;
use std::fmt;

/// The widest vector an index takes.
pub const MAX_WIDTH: usize = kernel::MAX_LINES * kernel::LANES;

/// Why a vector is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not have as many numbers as the others.
    Width {
        /// How many the index takes.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// This number of it is NaN or infinite.
    NotFinite {
        /// Which, from 0.
        place: usize,
    },
    /// All of it is 0: it points nowhere.
    Zero,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width { expected, found } => {
                write!(f, "a vector of {found} numbers where {expected} are expected")
            }
            Self::NotFinite { place } => write!(f, "number {place} of the vector is not finite"),
            Self::Zero => write!(f, "every number of the vector is 0"),
        }
    }
}

impl std::error::Error for Error {}

/// Vectors by row.
#[derive(Clone, Debug)]
pub struct Index {
    exact: Exact,
}

impl Index {
    /// An empty index for vectors of `width` numbers.
    ///
    /// # Panics
    /// If `width` is 0 or above [`MAX_WIDTH`].
    pub fn new(width: usize) -> Self {
        assert!((1..=MAX_WIDTH).contains(&width), "vectors of {width} numbers");
        Self { exact: Exact::new(width) }
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.exact.width()
    }

    /// The rows that have a vector.
    pub fn rows(&self) -> &RowSet {
        self.exact.present()
    }

    /// A row's vector, at length 1.
    pub fn vector(&self, row: u32) -> Option<&[f32]> {
        self.exact.vector(row)
    }

    /// Gives `row` a vector, in place of the one it may have. Only its direction is kept. Rows should be dense:
    /// memory is taken for all below the highest, 5 bytes a number.
    ///
    /// # Errors
    /// See [`Error`]; the index is as before.
    pub fn upsert(&mut self, row: u32, vector: &[f32]) -> Result<(), Error> {
        let unit = unit(vector, self.width())?;
        self.exact.put(row, &unit);
        Ok(())
    }

    /// Takes a row's vector away; `false` if it had none.
    pub fn remove(&mut self, row: u32) -> bool {
        self.exact.remove(row)
    }

    /// The rows of `allowed` whose vectors are nearest to `query`, with their cosine in −1..=1: nearest first,
    /// ties to the lower row. There are `k`, or as many as `allowed` has rows with a vector.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        allowed: &RowSet,
    ) -> Result<Vec<(u32, f32)>, Error> {
        let unit = unit(query, self.width())?;
        let mut rows = self.rows().clone();
        rows.intersect(allowed);
        Ok(self.exact.search(&unit, k, &rows))
    }
}

/// `vector` at length 1.
fn unit(vector: &[f32], width: usize) -> Result<Vec<f32>, Error> {
    if vector.len() != width {
        return Err(Error::Width { expected: width, found: vector.len() });
    }
    if let Some(place) = vector.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite { place });
    }
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return Err(Error::Zero);
    }
    // By the largest first: squares of the very large and the very small are not numbers of single precision.
    let scaled: Vec<f32> = vector.iter().map(|value| value / largest).collect();
    let length = dot(&scaled, &scaled).sqrt();
    Ok(scaled.into_iter().map(|value| value / length).collect())
}
