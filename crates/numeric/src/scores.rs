//! Scores of few items out of many.

/// The scores of the items that have one. Made once and used for many users: clearing costs what scoring cost, not
/// what the catalogue holds.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    by_row: Vec<f32>,
    scored: Vec<u32>,
}

impl Scores {
    /// The score of `row`; 0 if it has none.
    pub fn of(&self, row: u32) -> f32 {
        self.by_row.get(row as usize).copied().unwrap_or(0.0)
    }

    /// All scores, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.scored.iter().map(|&row| (row, self.by_row[row as usize]))
    }

    /// Forgets all scores and makes room for the items `0..items`.
    pub(crate) fn restart(&mut self, items: usize) {
        for row in self.scored.drain(..) {
            self.by_row[row as usize] = 0.0;
        }
        self.by_row.resize(items, 0.0);
    }

    /// Adds to the score of `row`.
    pub(crate) fn add(&mut self, row: u32, part: f32) {
        let score = &mut self.by_row[row as usize];
        if *score == 0.0 {
            self.scored.push(row);
        }
        *score += part;
    }

    /// Multiplies every score with the weight of its row.
    pub(crate) fn weigh(&mut self, weight: impl Fn(u32) -> f32) {
        for &row in &self.scored {
            self.by_row[row as usize] *= weight(row);
        }
    }
}
