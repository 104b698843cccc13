//! Who engaged with what, and how strongly: a sparse users×items matrix in compressed rows.

use std::fmt;

/// Observed pairs of users and items with their engagement weight `w` (finite, > 0), each pair once.
#[derive(Clone, Debug, PartialEq)]
pub struct Interactions {
    starts: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f32>,
    item_count: usize,
}

/// Why rows could not become [`Interactions`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InteractionsError {
    /// A weight is not finite or not above zero.
    Weight {
        /// Row of the user.
        user: usize,
        /// Row of the item.
        item: u32,
        /// The weight given.
        weight: f32,
    },
    /// An item row is not below the number of items.
    ItemOutOfRange {
        /// Row of the user.
        user: usize,
        /// Row of the item.
        item: u32,
    },
    /// A user holds the same item twice; merge its weights first.
    Duplicate {
        /// Row of the user.
        user: usize,
        /// Row of the item.
        item: u32,
    },
}

impl fmt::Display for InteractionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { user, item, weight } => {
                write!(
                    f,
                    "user row {user}, item row {item}: weight {weight} is not finite and above 0"
                )
            }
            Self::ItemOutOfRange { user, item } => {
                write!(f, "user row {user}: there is no item row {item}")
            }
            Self::Duplicate { user, item } => {
                write!(f, "user row {user}: item row {item} is given twice")
            }
        }
    }
}

impl std::error::Error for InteractionsError {}

impl Interactions {
    /// Builds from one list of `(item, weight)` per user, in any order.
    ///
    /// # Errors
    /// The first pair that is out of range, given twice, or whose weight is not finite and above 0.
    pub fn from_rows(
        item_count: usize,
        rows: impl IntoIterator<Item = Vec<(u32, f32)>>,
    ) -> Result<Self, InteractionsError> {
        let mut this = Self { starts: vec![0], items: vec![], weights: vec![], item_count };
        for (user, mut row) in rows.into_iter().enumerate() {
            row.sort_unstable_by_key(|&(item, _)| item);
            let mut previous = None;
            for (item, weight) in row {
                if item as usize >= item_count {
                    return Err(InteractionsError::ItemOutOfRange { user, item });
                }
                if previous == Some(item) {
                    return Err(InteractionsError::Duplicate { user, item });
                }
                if !(weight.is_finite() && weight > 0.0) {
                    return Err(InteractionsError::Weight { user, item, weight });
                }
                previous = Some(item);
                this.items.push(item);
                this.weights.push(weight);
            }
            this.starts.push(this.items.len());
        }
        Ok(this)
    }

    /// Number of users (rows).
    pub fn users(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of items (columns).
    pub fn items(&self) -> usize {
        self.item_count
    }

    /// Number of observed pairs.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no pair was observed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items of one user, ascending, and their weights.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn row(&self, user: usize) -> (&[u32], &[f32]) {
        let range = self.starts[user]..self.starts[user + 1];
        (&self.items[range.clone()], &self.weights[range])
    }

    /// The same pairs seen from the items: items×users.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut starts = vec![0_usize; self.item_count + 1];
        for &item in &self.items {
            starts[item as usize + 1] += 1;
        }
        for item in 0..self.item_count {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut users = vec![0_u32; self.len()];
        let mut weights = vec![0.0_f32; self.len()];
        for user in 0..self.users() {
            let (row_items, row_weights) = self.row(user);
            for (&item, &weight) in row_items.iter().zip(row_weights) {
                let at = &mut next[item as usize];
                users[*at] = user as u32;
                weights[*at] = weight;
                *at += 1;
            }
        }
        Self { starts, items: users, weights, item_count: self.users() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Vec<(u32, f32)>>> {
        let row = prop::collection::btree_map(0_u32..12, 0.1_f32..9.0, 0..8);
        prop::collection::vec(row.prop_map(|r| r.into_iter().collect()), 0..9)
    }

    proptest! {
        #[test]
        fn rows_come_back_and_the_transpose_holds_the_same_pairs(rows in rows()) {
            let matrix = Interactions::from_rows(12, rows.clone()).unwrap();
            prop_assert_eq!((matrix.users(), matrix.items()), (rows.len(), 12));
            let transposed = matrix.transpose();
            prop_assert_eq!((transposed.users(), transposed.items()), (12, rows.len()));
            prop_assert_eq!(transposed.len(), matrix.len());
            for (user, row) in rows.iter().enumerate() {
                let (items, weights) = matrix.row(user);
                let back: Vec<_> = items.iter().copied().zip(weights.iter().copied()).collect();
                prop_assert_eq!(&back, row);
                for &(item, weight) in row {
                    let (users, column) = transposed.row(item as usize);
                    let at = users.binary_search(&(user as u32)).unwrap();
                    prop_assert_eq!(column[at], weight);
                }
            }
            prop_assert_eq!(transposed.transpose(), matrix);
        }
    }

    #[test]
    fn bad_pairs_are_named() {
        let check = |row: Vec<(u32, f32)>, expect: &str| {
            let error = Interactions::from_rows(3, [vec![(0, 1.0)], row]).unwrap_err();
            assert_eq!(error.to_string(), expect);
        };
        check(vec![(3, 1.0)], "user row 1: there is no item row 3");
        check(vec![(2, 1.0), (2, 2.0)], "user row 1: item row 2 is given twice");
        check(vec![(2, 0.0)], "user row 1, item row 2: weight 0 is not finite and above 0");
        check(vec![(2, f32::NAN)], "user row 1, item row 2: weight NaN is not finite and above 0");
    }
}
