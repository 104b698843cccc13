//! Reading the counts: what a user's latest items say for the others.

use super::{Options, Transitions};
use crate::scores::Scores;

/// The number of distinct viewers of each item, and what the formula makes of it: a power costs more than all
/// the additions to a score, and changes only with the number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Popularity {
    viewers: Vec<u32>,
    /// `1 / pop_j^b` by row.
    target_weights: Vec<f32>,
    target_exponent: f32,
}

impl Popularity {
    /// `viewers[j]` is the number of distinct viewers of `j`; 0 and rows beyond the end weigh like 1.
    pub fn new(viewers: Vec<u32>, options: &Options) -> Self {
        let target_exponent = options.target_popularity_exponent;
        let target_weights = viewers.iter().map(|n| target_weight(*n, target_exponent)).collect();
        Self { viewers, target_weights, target_exponent }
    }

    /// The number of distinct viewers by row.
    pub fn viewers(&self) -> &[u32] {
        &self.viewers
    }

    /// The number of distinct viewers of `row`; 0 beyond the end.
    pub fn of(&self, row: u32) -> u32 {
        self.viewers.get(row as usize).copied().unwrap_or(0)
    }

    /// Changes the number of `row`.
    ///
    /// # Panics
    /// If `row` is beyond the end; see [`Popularity::grow`].
    pub fn set(&mut self, row: u32, viewers: u32) {
        self.viewers[row as usize] = viewers;
        self.target_weights[row as usize] = target_weight(viewers, self.target_exponent);
    }

    /// Makes room for the items `0..items`, with no viewers yet. A smaller number changes nothing.
    pub fn grow(&mut self, items: usize) {
        if self.viewers.len() < items {
            self.viewers.resize(items, 0);
            self.target_weights.resize(items, 1.0);
        }
    }

    fn target_weight(&self, row: u32) -> f32 {
        self.target_weights.get(row as usize).copied().unwrap_or(1.0)
    }
}

fn target_weight(viewers: u32, exponent: f32) -> f32 {
    (viewers.max(1) as f32).powf(-exponent)
}

impl Options {
    /// The `recent` items (newest first) that speak for a user, each with its `decay^k / (pop_i + shift)^a`: at most
    /// [`Options::history`].
    pub fn source_weights(&self, recent: &[u32], popularity: &Popularity) -> Vec<(u32, f32)> {
        let recent = recent.iter().take(self.history).enumerate();
        let weighted = recent.map(|(k, &row)| {
            let shifted = popularity.of(row).max(1) as f32 + self.source_popularity_shift;
            let held_back = shifted.powf(self.source_popularity_exponent);
            (row, self.history_decay.powi(k as i32) / held_back)
        });
        weighted.collect()
    }
}

impl Transitions {
    /// What `sources` ([`Options::source_weights`]) say for every item near one of them, into `scores`; see the
    /// [module](super) for the formula.
    pub fn score(&self, sources: &[(u32, f32)], popularity: &Popularity, scores: &mut Scores) {
        scores.restart(self.items());
        for &(from, weight) in sources {
            for &(to, count) in self.row(from) {
                scores.add(to, weight * count);
            }
        }
        // The target's share of the formula is the same for every source.
        scores.weigh(|row| popularity.target_weight(row));
    }

    /// Which of the `sources` speak for `target`, and how much each adds to its [`Transitions::score`]:
    /// `(row, contribution)`, strongest first, ties to the more recent.
    pub fn evidence(
        &self,
        sources: &[(u32, f32)],
        target: u32,
        popularity: &Popularity,
    ) -> Vec<(u32, f32)> {
        let mut found: Vec<(u32, f32)> = Vec::new();
        for &(from, weight) in sources {
            let contribution = self.count(from, target) * weight * popularity.target_weight(target);
            if contribution > 0.0 {
                match found.iter_mut().find(|(row, _)| *row == from) {
                    Some((_, sum)) => *sum += contribution,
                    None => found.push((from, contribution)),
                }
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }
}
