//! What items are: which attributes each has, and which items are alike by them.
//!
//! An attribute is anything a catalogue says of more than one item: a genre, a person in a role, a theme. With `N`
//! items that have attributes, `df_a` of them attribute `a`, its rarity is `ln(N/df_a)`, the inverse document
//! frequency of Spärck Jones, *A statistical interpretation of term specificity* (1972): what all items have says nothing.
//! [`Near`] holds which items are alike by it.

mod near;
#[cfg(test)]
mod tests;

pub use near::{Near, Options};

/// Which attributes each item has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    rows: Vec<Box<[u32]>>,
    count: usize,
}

impl Attributes {
    /// The items `0..items`, none with an attribute yet.
    pub fn new(items: usize) -> Self {
        Self { rows: vec![Box::default(); items], count: 0 }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.rows.len()
    }

    /// Number of attributes: one more than the highest row ever named.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The attributes of `item`, ascending; none for an item beyond the end.
    pub fn of(&self, item: u32) -> &[u32] {
        self.rows.get(item as usize).map_or(&[], |row| row)
    }

    /// Replaces the attributes of `item`, in any order; what is named twice counts once. Rows not known yet are made
    /// room for.
    pub fn set(&mut self, item: u32, mut attributes: Vec<u32>) {
        attributes.sort_unstable();
        attributes.dedup();
        if self.rows.len() <= item as usize {
            self.rows.resize(item as usize + 1, Box::default());
        }
        self.count = self.count.max(attributes.last().map_or(0, |last| *last as usize + 1));
        self.rows[item as usize] = attributes.into();
    }

    /// `ln(N/df_a)` of every attribute, ≥ 0; `ln N`, as if one item had it, for one that none has.
    pub fn rarity(&self) -> Vec<f32> {
        let mut frequencies = vec![0_u32; self.count];
        for attribute in self.rows.iter().flatten() {
            frequencies[*attribute as usize] += 1;
        }
        let n = f64::from(self.described());
        frequencies.into_iter().map(|df| (n / f64::from(df.max(1))).ln().max(0.0) as f32).collect()
    }

    /// `N`: items that have an attribute.
    fn described(&self) -> u32 {
        self.rows.iter().filter(|row| !row.is_empty()).count() as u32
    }
}

impl FromIterator<Vec<u32>> for Attributes {
    /// One list of attributes an item, in any order.
    fn from_iter<I: IntoIterator<Item = Vec<u32>>>(rows: I) -> Self {
        let mut this = Self::default();
        for (item, attributes) in rows.into_iter().enumerate() {
            this.set(item as u32, attributes);
        }
        this
    }
}
