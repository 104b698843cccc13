//! One half of an iteration: every row of one side moves, the other side is fixed.

use super::descent::{Room, Whitened};
use super::project::{Observed, Projection, Scratch};
use super::{Options, loss};
use crate::interactions::Interactions;
use crate::matrix::Matrix;
use rayon::prelude::*;

/// Rows moved by one task; small, because long rows come in clusters.
const ROWS_PER_TASK: usize = 32;

/// What is the same for all rows that move.
pub(super) struct Half<'a> {
    pairs: &'a Interactions,
    fixed: &'a Matrix,
    options: &'a Options,
    projection: Projection,
    /// `None` if all rows are to be solved exactly.
    whitened: Option<Whitened>,
}

/// Memory of one task after the other.
struct Desk {
    exact: Scratch,
    room: Room,
    entered: Vec<f32>,
}

impl<'a> Half<'a> {
    /// Prepares for rows with these `pairs` against `fixed`, whose Gramian is `gramian`.
    pub(super) fn new(
        pairs: &'a Interactions,
        fixed: &'a Matrix,
        gramian: &[f64],
        options: &'a Options,
    ) -> Self {
        let projection = Projection::with_gramian(gramian, fixed.rows(), options);
        let whitened = Whitened::new(fixed, &projection, options);
        Self { pairs, fixed, options, projection, whitened }
    }

    /// The same with rows going `relaxation` times as far as to the least loss the steps find, 1 ≤ relaxation < 2;
    /// rows solved exactly stop there.
    pub(super) fn relaxed(self, relaxation: f32) -> Self {
        Self { whitened: self.whitened.map(|whitened| whitened.relaxed(relaxation)), ..self }
    }

    /// The same with every row solved exactly.
    #[cfg(test)]
    pub(super) fn exact(self) -> Self {
        Self { whitened: None, ..self }
    }

    /// Moves every row so that the loss does not rise; what the observed pairs cost then beyond what they
    /// would cost unobserved.
    pub(super) fn improve(&self, moving: &mut Matrix) -> f64 {
        let losses: Vec<f64> = moving
            .as_mut_slice()
            .par_chunks_mut(self.options.factors * ROWS_PER_TASK)
            .enumerate()
            .map_init(
                || self.desk(),
                |desk, (task, rows)| self.improve_rows(task * ROWS_PER_TASK, rows, desk),
            )
            .collect();
        losses.iter().sum()
    }

    fn desk(&self) -> Desk {
        let values = self.whitened.as_ref().map_or(0, Whitened::width) * ROWS_PER_TASK;
        Desk {
            exact: Scratch::new(self.options.factors),
            room: Room::new(self.options.factors),
            entered: vec![0.0; values],
        }
    }

    /// Moves the rows from `first` on.
    fn improve_rows(&self, first: usize, rows: &mut [f32], desk: &mut Desk) -> f64 {
        let factors = self.options.factors;
        let Some(whitened) = &self.whitened else {
            let rows = rows.chunks_exact_mut(factors).enumerate();
            return rows.map(|(at, x)| self.solve(first + at, x, &mut desk.exact)).sum();
        };
        let width = whitened.width();
        let values = rows.len() / factors * width;
        let entered = &mut desk.entered[..values];
        whitened.enter(rows, entered);
        let losses: Vec<Option<f64>> = entered
            .chunks_exact_mut(width)
            .enumerate()
            .map(|(at, x)| {
                let observed = self.observed(first + at);
                if observed.rows.is_empty() {
                    x.fill(0.0);
                    return Some(0.0);
                }
                whitened.descend(observed, &mut desk.room, x)
            })
            .collect();
        whitened.leave(entered, rows);
        let mut sum = 0.0;
        for (at, (x, loss)) in rows.chunks_exact_mut(factors).zip(losses).enumerate() {
            let finite = x.iter().all(|value| value.is_finite());
            sum += match loss.filter(|_| finite) {
                Some(loss) => loss,
                None => self.solve(first + at, x, &mut desk.exact),
            };
        }
        sum
    }

    /// Solves one row exactly.
    fn solve(&self, row: usize, x: &mut [f32], scratch: &mut Scratch) -> f64 {
        let observed = self.observed(row);
        self.projection.solve(self.fixed, observed, scratch, x);
        loss::observed(observed, self.fixed, x, self.options)
    }

    fn observed(&self, row: usize) -> Observed<'_> {
        let (rows, weights) = self.pairs.row(row);
        Observed { rows, weights }
    }
}
