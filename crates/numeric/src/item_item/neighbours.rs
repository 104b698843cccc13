//! What items say of other items, as each item's strongest neighbours: of GF-CF `R̃ᵀR̃` without its diagonal, of EASE `B`.

use super::Graph;
use rayon::prelude::*;

/// Compressed rows, neighbours ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Neighbours {
    starts: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f32>,
}

impl Neighbours {
    /// Counts every row; keeps its `most` strongest entries, all if 0. Ties go to the lower row.
    pub(super) fn new(graph: &Graph<'_>, most: usize) -> Self {
        let items = graph.by_item.users();
        let rows: Vec<Vec<(u32, f32)>> = (0..items)
            .into_par_iter()
            .with_min_len(16)
            .map_init(
                || (vec![0.0_f32; items], Vec::new()),
                |(sums, touched), item| row(graph, item, most, sums, touched),
            )
            .collect();
        Self::from_rows(rows)
    }

    pub(super) fn from_rows(rows: Vec<Vec<(u32, f32)>>) -> Self {
        let mut this = Self { starts: vec![0], ..Self::default() };
        for row in rows {
            this.items.extend(row.iter().map(|(item, _)| item));
            this.weights.extend(row.iter().map(|(_, weight)| weight));
            this.starts.push(this.items.len());
        }
        this
    }

    /// Row `i` as row `rows[i]`, neighbours likewise.
    pub(super) fn moved(&self, rows: &[u32], items: usize) -> Self {
        let mut moved = vec![Vec::new(); items];
        for (from, to) in rows.iter().enumerate() {
            let mut row: Vec<_> = self
                .of(from as u32)
                .map(|(neighbour, weight)| (rows[neighbour as usize], weight))
                .collect();
            row.sort_unstable_by_key(|(neighbour, _)| *neighbour);
            assert!(moved[*to as usize].is_empty(), "row {to} is named twice");
            moved[*to as usize] = row;
        }
        Self::from_rows(moved)
    }

    pub(super) fn to_arrays(&self) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
        let starts = self.starts.iter().map(|start| *start as u64).collect();
        (starts, self.items.clone(), self.weights.clone())
    }

    pub(super) fn from_arrays(
        starts: &[u64],
        items: Vec<u32>,
        weights: Vec<f32>,
    ) -> Result<Self, &'static str> {
        if items.len() != weights.len() {
            return Err("neighbours and weights differ in length");
        }
        let whole = starts.first() == Some(&0) && starts.last() == Some(&(items.len() as u64));
        if !whole || !starts.is_sorted() {
            return Err("starts do not rise from 0 to the number of neighbours");
        }
        if !weights.iter().all(|weight| weight.is_finite() && *weight != 0.0) {
            return Err("a weight is not finite, or 0");
        }
        let rows = starts.len() - 1;
        for (row, bounds) in starts.windows(2).enumerate() {
            let row_items = &items[bounds[0] as usize..bounds[1] as usize];
            let ascending = row_items.is_sorted_by(|a, b| a < b);
            let in_range = row_items.last().is_none_or(|last| (*last as usize) < rows);
            if !ascending || !in_range || row_items.binary_search(&(row as u32)).is_ok() {
                return Err("neighbours are not ascending rows other than the row itself");
            }
        }
        let starts = starts.iter().map(|start| *start as usize).collect();
        Ok(Self { starts, items, weights })
    }

    /// Stored entries.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// An item's neighbours and their weights.
    pub(super) fn of(&self, item: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = self.range(item);
        self.items[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    /// The weight between two items; 0 if it is not stored.
    pub(super) fn weight(&self, from: u32, to: u32) -> f32 {
        let range = self.range(from);
        let found = self.items[range.clone()].binary_search(&to);
        found.map_or(0.0, |at| self.weights[range.start + at])
    }

    fn range(&self, item: u32) -> std::ops::Range<usize> {
        self.starts[item as usize]..self.starts[item as usize + 1]
    }
}

/// One row: `Di_i^−½ Di_j^−½ Σ_{u has both} 1/Du_u`.
fn row(
    graph: &Graph<'_>,
    item: usize,
    most: usize,
    sums: &mut [f32],
    touched: &mut Vec<u32>,
) -> Vec<(u32, f32)> {
    for user in graph.by_item.row(item).0 {
        let weight = graph.user_scale[*user as usize].powi(2);
        for other in graph.by_user.row(*user as usize).0 {
            let sum = &mut sums[*other as usize];
            if *sum == 0.0 {
                touched.push(*other);
            }
            *sum += weight;
        }
    }
    let scale = graph.item_scale[item];
    let row = touched.drain(..).map(|other| {
        let sum = std::mem::take(&mut sums[other as usize]);
        (other, scale * graph.item_scale[other as usize] * sum)
    });
    strongest(row.filter(|(other, _)| *other as usize != item).collect(), most)
}

/// The `most` entries of a row with the largest weights by size, all if 0, in the order of items. Ties go to the lower
/// item.
pub(super) fn strongest(mut row: Vec<(u32, f32)>, most: usize) -> Vec<(u32, f32)> {
    if most > 0 && row.len() > most {
        row.select_nth_unstable_by(most, |a, b| {
            b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0))
        });
        row.truncate(most);
    }
    row.sort_unstable_by_key(|(other, _)| *other);
    row
}
