//! Queries with their candidates, and those of them that teach an order.

use super::histogram::MOST_ROWS;
use super::options::Error;
use crate::matrix::Matrix;

/// Queries, each with candidates whose gains are known.
///
/// The candidates of a query stand in the order they would have without a ranker: equal scores keep it. Put what is relevant
/// first and the measured NDCG is too good.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// One row a candidate, query after query; NaN where a feature is missing, finite otherwise.
    pub features: &'a Matrix,
    /// Candidates of each query; they add up to the rows.
    pub sizes: &'a [u32],
    /// What each candidate is worth at the first place; ≥ 0 and finite. Grades `y` are usually given as `2^y − 1`.
    pub gains: &'a [f32],
    /// What each query counts; ≥ 0 and finite. `None`: 1 each.
    pub weights: Option<&'a [f32]>,
}

impl Queries<'_> {
    /// # Errors
    /// [`Error::Shape`], [`Error::Number`], [`Error::TooManyRows`].
    pub(super) fn check(&self) -> Result<(), Error> {
        let rows = self.features.rows();
        let sizes: u64 = self.sizes.iter().map(|size| u64::from(*size)).sum();
        if self.features.width() == 0 {
            return Err(Error::Shape("there is no feature"));
        }
        if sizes != rows as u64 || self.gains.len() != rows {
            return Err(Error::Shape("features, sizes and gains differ in their number of rows"));
        }
        if self.weights.is_some_and(|weights| weights.len() != self.sizes.len()) {
            return Err(Error::Shape("there must be one weight a query"));
        }
        if rows > MOST_ROWS {
            return Err(Error::TooManyRows(rows));
        }
        let mut numbers = self.gains.iter().chain(self.weights.unwrap_or_default());
        let sound = numbers.all(|number| number.is_finite() && *number >= 0.0);
        let features = self.features.as_slice();
        if !sound || features.iter().any(|value| value.is_infinite()) {
            return Err(Error::Number);
        }
        Ok(())
    }
}

/// The queries that teach an order: they count and their gains differ.
#[derive(Debug)]
pub(super) struct Groups {
    /// Where each query begins in `rows`, and at last where the last ends.
    pub(super) starts: Vec<usize>,
    /// Rows of the features.
    pub(super) rows: Vec<u32>,
    /// One a row.
    pub(super) gains: Vec<f32>,
    /// One a query.
    pub(super) weights: Vec<f64>,
}

impl Groups {
    /// # Errors
    /// Those of [`Queries::check`], and [`Error::NothingToOrder`].
    pub(super) fn new(queries: &Queries<'_>) -> Result<Self, Error> {
        queries.check()?;
        let (mut starts, mut rows) = (vec![0], Vec::new());
        let (mut gains, mut weights) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (query, size) in queries.sizes.iter().enumerate() {
            let range = start..start + *size as usize;
            start = range.end;
            let own = &queries.gains[range.clone()];
            let weight = queries.weights.map_or(1.0, |weights| f64::from(weights[query]));
            if weight > 0.0 && own.iter().any(|gain| *gain != own[0]) {
                rows.extend(range.map(|row| row as u32));
                gains.extend_from_slice(own);
                weights.push(weight);
                starts.push(rows.len());
            }
        }
        if weights.is_empty() {
            return Err(Error::NothingToOrder);
        }
        Ok(Self { starts, rows, gains, weights })
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of query `query`.
    pub(super) fn range(&self, query: usize) -> std::ops::Range<usize> {
        self.starts[query]..self.starts[query + 1]
    }

    /// Runs of queries with about `rows` rows each, as ranges of queries.
    pub(super) fn blocks(&self, rows: usize) -> Vec<std::ops::Range<usize>> {
        let (mut blocks, mut first) = (Vec::new(), 0);
        for query in 0..self.weights.len() {
            if self.starts[query + 1] - self.starts[first] >= rows {
                blocks.push(first..query + 1);
                first = query + 1;
            }
        }
        if first < self.weights.len() {
            blocks.push(first..self.weights.len());
        }
        blocks
    }

    /// `slice`, one value a row, cut where the blocks of queries end.
    pub(super) fn cut<'s, T>(
        &self,
        blocks: &[std::ops::Range<usize>],
        mut slice: &'s mut [T],
    ) -> Vec<&'s mut [T]> {
        let mut cut = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (head, tail) =
                slice.split_at_mut(self.starts[block.end] - self.starts[block.start]);
            cut.push(head);
            slice = tail;
        }
        cut
    }
}
