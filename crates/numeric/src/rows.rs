//! Sets of dense rows as bits: who was seen, what is allowed.

/// A set of rows below [`RowSet::len`], one bit each.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RowSet {
    words: Vec<u64>,
    len: usize,
}

const BITS: usize = u64::BITS as usize;

impl RowSet {
    /// An empty set for the rows `0..len`.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(BITS)], len }
    }

    /// The set of all rows `0..len`.
    pub fn full(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(BITS)];
        if !len.is_multiple_of(BITS) {
            words[len / BITS] = (1 << (len % BITS)) - 1;
        }
        Self { words, len }
    }

    /// Size of the universe: rows are `0..len`. See [`RowSet::count`] for how many are in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Widens the universe to `0..len`; new rows are absent. A smaller `len` changes nothing.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            self.words.resize(len.div_ceil(BITS), 0);
            self.len = len;
        }
    }

    /// Adds `row`; says whether it was new.
    ///
    /// # Panics
    /// If `row` is not below [`RowSet::len`].
    pub fn insert(&mut self, row: u32) -> bool {
        let row = row as usize;
        assert!(row < self.len, "row {row} in a set of {}", self.len);
        let (word, bit) = (&mut self.words[row / BITS], 1 << (row % BITS));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes `row` out; says whether it was there. A row outside the universe never is.
    pub fn remove(&mut self, row: u32) -> bool {
        let was_there = self.contains(row);
        if was_there {
            self.words[row as usize / BITS] &= !(1 << (row as usize % BITS));
        }
        was_there
    }

    /// Whether `row` is in the set. A row outside the universe never is.
    pub fn contains(&self, row: u32) -> bool {
        let row = row as usize;
        row < self.len && self.words[row / BITS] >> (row % BITS) & 1 == 1
    }

    /// How many rows are in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    (index * BITS) as u32 + bit
                })
            })
        })
    }

    /// Becomes equal to `other`, keeping the memory it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
        self.len = other.len;
    }

    /// Takes out every row that is not in `other`; their universes may differ.
    pub fn intersect(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, kept) in self.words.iter_mut().zip(others) {
            *word &= kept;
        }
    }

    /// Takes out every row of `other`; their universes may differ.
    pub fn subtract(&mut self, other: &Self) {
        for (word, gone) in self.words.iter_mut().zip(&other.words) {
            *word &= !gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set_of(len: usize, rows: &BTreeSet<u32>) -> RowSet {
        let mut set = RowSet::new(len);
        for &row in rows {
            assert!(set.insert(row));
        }
        set
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(
            mut a in prop::collection::btree_set(0_u32..200, 0..60),
            b in prop::collection::btree_set(0_u32..300, 0..60),
            row in 0_u32..400,
        ) {
            let mut set = set_of(200, &a);
            let other = set_of(300, &b);
            prop_assert_eq!(set.count(), a.len());
            prop_assert_eq!(set.is_empty(), a.is_empty());
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(set.contains(row), a.contains(&row));
            prop_assert_eq!(set.remove(row), a.remove(&row));
            let mut both = set.clone();
            both.intersect(&other);
            prop_assert_eq!(both.iter().collect::<BTreeSet<_>>(), a.intersection(&b).copied().collect());
            set.subtract(&other);
            a.retain(|row| !b.contains(row));
            prop_assert_eq!(&set, &set_of(200, &a));
            set.grow(300);
            prop_assert_eq!(&set, &set_of(300, &a));
            let mut copy = RowSet::full(7);
            copy.copy_from(&set);
            prop_assert_eq!(copy, set);
        }

        #[test]
        fn full_holds_every_row(len in 0_usize..200) {
            let mut set = RowSet::full(len);
            prop_assert_eq!(set.count(), len);
            prop_assert_eq!(&set, &set_of(len, &(0..len as u32).collect()));
            set.grow(len + 70);
            prop_assert_eq!(set.count(), len);
        }
    }

    #[test]
    #[should_panic(expected = "row 8 in a set of 8")]
    fn insert_outside_the_universe_panics() {
        RowSet::new(8).insert(8);
    }
}
