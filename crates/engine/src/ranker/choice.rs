//! A choice: what was chosen, and what it was chosen from.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sona_domain::{Cursor, Event, Timestamp};
use sona_numeric::listwise::List;
use sona_numeric::rows::RowSet;

use super::Ranker;
use super::features::Layout;
use super::moment::{MOMENT, UNKNOWN};
use super::trees::{self, User};
use super::viewer::Viewer;
use crate::catalogue::View;
use crate::fuse::Ensemble;
use crate::live::users::Taste;

/// What a choice is told from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    /// The best candidates, one and all, where one of them was chosen.
    pub(crate) top: usize,
    /// The best candidates where none of those was.
    pub(crate) others_top: usize,
    /// Further candidates of the sources.
    pub(crate) hard: usize,
    /// Other titles.
    pub(crate) easy: usize,
}

/// For a training: there are many choices.
pub(crate) const FOR_TRAINING: Draw = Draw { top: 100, others_top: 40, hard: 20, easy: 10 };

/// For a lesson: there is one.
pub(crate) const FOR_LESSON: Draw = Draw { top: 80, others_top: 80, hard: 40, easy: 30 };

/// So many titles compete for the first places of a list: an adapter learns from choices between them.
pub(crate) const HEAD: usize = 50;

/// What a choice is worth that does not say the title was liked.
const UNCERTAIN: f32 = 0.5;

/// One choice: the titles it was made from, by their features.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) features: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
    pub(crate) chosen: usize,
    /// Whether that was among the best ([`Offer::ranker`]).
    pub(crate) at_top: bool,
    pub(crate) weight: f32,
    pub(crate) moment: [f32; MOMENT],
    /// How many titles the user had.
    pub(crate) titles: usize,
    /// The user, as a number of their own; 0 where nobody asks.
    pub(crate) who: u64,
    /// Where in the log it stands; 0 where nobody asks.
    pub(crate) cursor: Cursor,
}

impl Choice {
    /// What trees see of the user.
    pub(crate) fn user(&self) -> User {
        trees::user(self.titles, &self.moment)
    }

    pub(crate) fn list(&self) -> List<'_> {
        self.list_with(&self.offsets)
    }

    /// The titles that compete for the first places: those that stand for themselves alone. `offsets` is what is known of every
    /// title of the choice. `None` if the chosen one was not among the best that could have been shown: what was found further
    /// down, or by no source, says little of the order at the top.
    pub(crate) fn head(&self, offsets: &[f32]) -> Option<Head> {
        if !self.at_top {
            return None;
        }
        let width = self.features.len() / self.offsets.len().max(1);
        let alone = |at: &usize| *at == self.chosen || self.offsets[*at] <= 0.0;
        let rows: Vec<usize> = (0..self.offsets.len()).filter(alone).collect();
        let features = rows.iter().flat_map(|at| &self.features[at * width..(at + 1) * width]);
        Some(Head {
            features: features.copied().collect(),
            offsets: rows.iter().map(|at| offsets[*at]).collect(),
            chosen: rows.iter().position(|at| *at == self.chosen)?,
        })
    }

    /// The same with other offsets.
    pub(crate) fn list_with<'c>(&'c self, offsets: &'c [f32]) -> List<'c> {
        List { features: &self.features, offsets, chosen: self.chosen, weight: self.weight }
    }
}

/// The titles of a choice that compete for the first places, by their features and what is known of them.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) features: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
    pub(crate) chosen: usize,
}

impl Head {
    /// The [`HEAD`] of them of which the most is known, `None` if the chosen one is not among these.
    pub(crate) fn of_best(self) -> Option<Self> {
        let width = self.features.len() / self.offsets.len().max(1);
        let mut rows: Vec<usize> = (0..self.offsets.len()).collect();
        rows.sort_by(|a, b| self.offsets[*b].total_cmp(&self.offsets[*a]));
        rows.truncate(HEAD);
        let chosen = rows.iter().position(|row| *row == self.chosen)?;
        let features = rows.iter().flat_map(|at| &self.features[at * width..(at + 1) * width]);
        let offsets = rows.iter().map(|at| self.offsets[*at]).collect();
        Some(Self { features: features.copied().collect(), offsets, chosen })
    }

    /// The choice between them.
    pub(crate) fn list(&self, weight: f32) -> List<'_> {
        let Self { features, offsets, chosen } = self;
        List { features, offsets, chosen: *chosen, weight }
    }
}

/// What a choice is weighed: whole if the user liked what they chose.
pub(crate) fn weight_of(event: &Event, engagement: f32) -> f32 {
    if is_positive(event, engagement) { 1.0 } else { UNCERTAIN }
}

/// Whether the user liked it: four stars or more, or without a rating at least half of what an event can weigh.
pub(crate) fn is_positive(event: &Event, engagement: f32) -> bool {
    event.rating.map_or(engagement >= 0.5, |stars| stars >= 4.0)
}

/// What could have been shown.
pub(crate) struct Offer<'o> {
    pub(crate) layout: &'o Layout,
    pub(crate) ensemble: &'o Ensemble<'o>,
    pub(crate) view: &'o View,
    pub(crate) allowed: &'o RowSet,
    pub(crate) draw: Draw,
    /// What says which candidates are the best; without it the configured weights do.
    pub(crate) ranker: Option<&'o Ranker>,
}

impl Offer<'_> {
    /// The choice of `chosen` by a user at a time, as one of whose moment no more is known.
    pub(crate) fn choice(
        &self,
        chosen: u32,
        (taste, now): (&Taste, Timestamp),
        rng: &mut ChaCha8Rng,
    ) -> Choice {
        let viewer = taste.viewer(self.layout, self.view, now);
        let best = self.candidates(&viewer);
        let at_top = best.iter().take(self.draw.top).any(|row| *row == chosen);
        let top = if at_top { self.draw.top } else { self.draw.others_top };
        let (rows, offsets) = sample(&best, self.allowed, (chosen, top, self.draw), rng);
        let features = features(self.layout, self.ensemble, self.view, &viewer, &rows);
        let titles = viewer.titles();
        let (chosen, weight, moment, who, cursor) = (0, 1.0, UNKNOWN, 0, Cursor::default());
        Choice { features, offsets, chosen, at_top, weight, moment, titles, who, cursor }
    }

    /// All that the sources bring, the best first.
    fn candidates(&self, viewer: &Viewer) -> Vec<u32> {
        let rows: Vec<u32> =
            self.ensemble.list(usize::MAX).into_iter().map(|(row, _)| row).collect();
        let Some(ranker) = self.ranker else { return rows };
        let features = features(self.layout, self.ensemble, self.view, viewer, &rows);
        let mut scored: Vec<(f64, u32)> =
            ranker.weighted(&features).into_iter().zip(rows).collect();
        // Of equal ones the configured weights decide.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().map(|(_, row)| row).collect()
    }
}

/// The chosen title first, then the `top` of the candidates, some other candidates and some other titles, drawn without
/// replacement, with the logarithm of how many titles each stands for.
fn sample(
    best: &[u32],
    allowed: &RowSet,
    (chosen, top, wanted): (u32, usize, Draw),
    rng: &mut ChaCha8Rng,
) -> (Vec<u32>, Vec<f32>) {
    let mut left: Vec<u32> = best.iter().copied().filter(|r| *r != chosen).collect();
    let mut brought = RowSet::new(allowed.len());
    for row in left.iter().chain([&chosen]) {
        brought.insert(*row);
    }
    let mut hard = left.split_off(left.len().min(top));
    let (mut rows, mut offsets) = (vec![chosen], vec![0.0]);
    rows.append(&mut left);
    offsets.resize(rows.len(), 0.0);
    let all_hard = hard.len();
    let (drawn, _) = hard.partial_shuffle(rng, wanted.hard);
    rows.extend_from_slice(drawn);
    offsets.resize(rows.len(), stands_for(all_hard, drawn.len()));
    let others = allowed.count().saturating_sub(brought.count());
    let easy = draw(allowed, &brought, wanted.easy.min(others), rng);
    offsets.resize(rows.len() + easy.len(), stands_for(others, easy.len()));
    rows.extend(easy);
    (rows, offsets)
}

/// Up to `wanted` of the allowed titles that are not among `brought`.
fn draw(allowed: &RowSet, brought: &RowSet, wanted: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut drawn = Vec::new();
    // Where nearly everything was brought, few others are met.
    for _ in 0..8 * wanted {
        if drawn.len() == wanted {
            break;
        }
        let row = rng.random_range(0..allowed.len() as u32);
        if allowed.contains(row) && !brought.contains(row) && !drawn.contains(&row) {
            drawn.push(row);
        }
    }
    drawn
}

fn stands_for(all: usize, drawn: usize) -> f32 {
    (all.max(1) as f32 / drawn.max(1) as f32).max(1.0).ln()
}

/// The features of `rows`, row by row.
pub(crate) fn features(
    layout: &Layout,
    ensemble: &Ensemble<'_>,
    view: &View,
    viewer: &Viewer,
    rows: &[u32],
) -> Vec<f32> {
    let width = layout.width();
    let mut features = vec![0.0; rows.len() * width];
    for (row, features) in rows.iter().zip(features.chunks_exact_mut(width)) {
        layout.fill(features, &ensemble.raw(*row), viewer, view.get(*row).map(AsRef::as_ref));
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_choice_is_what_stands_for_itself() {
        let mut choice = Choice {
            features: vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0],
            offsets: vec![0.0, 4.0, 0.0],
            chosen: 0,
            at_top: true,
            weight: 1.0,
            moment: UNKNOWN,
            titles: 3,
            who: 0,
            cursor: Cursor::default(),
        };
        let head = choice.head(&[0.1, 0.2, 0.3]).expect("it was among the best");
        assert_eq!((head.features, head.offsets), (vec![1.0, 10.0, 3.0, 30.0], vec![0.1, 0.3]));
        assert_eq!(head.chosen, 0);
        choice.at_top = false;
        assert!(choice.head(&[9.0, 0.2, 0.3]).is_none());
    }

    #[test]
    fn of_the_best_the_chosen_one_is_one_or_there_is_no_choice() {
        let many = HEAD + 10;
        let head = |chosen: usize| Head {
            features: (0..2 * many).map(|at| at as f32).collect(),
            offsets: (0..many).map(|at| at as f32).collect(),
            chosen,
        };
        assert!(head(9).of_best().is_none());
        let best = head(11).of_best().expect("one of the best");
        assert_eq!((best.offsets.len(), best.features.len()), (HEAD, 2 * HEAD));
        assert_eq!(best.offsets[best.chosen], 11.0);
        assert_eq!(best.features[2 * best.chosen..2 * best.chosen + 2], [22.0, 23.0]);
    }
}
