//! Trees that order the best among themselves, and what they see of them.
//!
//! What a title's features say of its place among the best differs from what they say of being there at all, and few of the
//! choices a training meets are of titles that were: trees are grown on those alone, and asked about those alone. They
//! redistribute: the best as a whole keep the share of the softmax that the weights gave them, so that a title further down is
//! as likely as before.

use sona_numeric::matrix::Matrix;
use sona_numeric::{listwise, rank};

use super::features::{ORDERED, by_order};
use super::moment::MOMENT;

/// So many titles are the best.
pub(crate) const BEST: f64 = 100.0;

/// What trees see besides features and order: how much is known of the user, and two numbers of the moment.
const USER: usize = 3;

/// What trees see of a user at a moment.
pub(crate) type User = [f32; USER];

/// What trees see of a user with so many titles at a moment.
pub(crate) fn user(titles: usize, moment: &[f32; MOMENT]) -> User {
    [super::features::depth(titles), moment[1], moment[2]]
}

/// How many numbers trees see of a title with so many features.
pub(crate) const fn width(features: usize) -> usize {
    features + ORDERED.len() + USER
}

/// Trees, and how they and weights speak together of the best: each in its share.
#[derive(Debug, Clone)]
pub(crate) struct Trees {
    pub(crate) model: rank::Model,
    /// What every feature weighs among the best, in its share: it tells them from each other, and says little of what is not
    /// among them.
    pub(crate) weights: Vec<f64>,
    /// What the trees' score is multiplied with.
    pub(crate) share: f64,
}

/// Titles as they are put before trees.
pub(crate) struct Titles<'t> {
    /// Row by row.
    pub(crate) features: &'t [f32],
    /// The best are those of the highest scores.
    pub(crate) scores: &'t [f64],
    /// The logarithm of how many titles each stands for.
    pub(crate) stands_for: &'t [f32],
    pub(crate) user: User,
}

/// The best of some titles, as trees see them.
#[derive(Debug)]
pub(crate) struct Best {
    /// Their places among all, best first.
    pub(crate) places: Vec<usize>,
    /// So many of them compete; the others are only compared with them.
    competing: usize,
    /// What trees see of each.
    pub(crate) rows: Matrix,
}

impl Best {
    /// The best of the first `competing` titles, and those of the others that would be among them.
    pub(crate) fn of(titles: &Titles<'_>, competing: usize) -> Self {
        let Titles { features, scores, stands_for, .. } = *titles;
        let width = features.len() / scores.len().max(1);
        let mut places: Vec<usize> = (0..competing).collect();
        places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut before = 0.0;
        let many = places.iter().take_while(|place| {
            let is_one = before < BEST;
            before += f64::from(stands_for[**place]).exp();
            is_one
        });
        places.truncate(many.count());
        let worst = places.last().map_or(f64::INFINITY, |place| scores[*place]);
        let inside = places.len();
        places.extend((competing..scores.len()).filter(|place| scores[*place] >= worst));
        let orders = ORDERED.map(|feature| {
            let of = |place: &usize| features[place * width + feature];
            orders(&places, inside, of, stands_for)
        });
        let mut rows = Vec::with_capacity(places.len() * self::width(width));
        for (at, place) in places.iter().enumerate() {
            rows.extend_from_slice(&features[place * width..(place + 1) * width]);
            rows.extend(orders.iter().map(|orders| orders[at]));
            rows.extend_from_slice(&titles.user);
        }
        let rows = Matrix::from_vec(rows, self::width(width));
        Self { places, competing: inside, rows }
    }

    /// What trees make of the best: changes their `logits`, which hold of all titles what everything but trees says. What the
    /// `weights` of all titles say of these gives way to what the weights beside the trees do. Answered is what each of the
    /// best is lowered by, so that together they stay as likely as they were.
    pub(crate) fn reorder(
        &self,
        (weights, trees): (&[f64], &Trees),
        stands_for: &[f32],
        logits: &mut [f64],
    ) -> f64 {
        let mut scores = Vec::new();
        trees.model.score_rows(&self.rows, &mut scores);
        let changes = scores.iter().enumerate().map(|(at, score)| {
            let features = &self.rows.row(at)[..weights.len()];
            let weighted = |weights: &[f64]| listwise::dot(features, weights);
            weighted(&trees.weights) - weighted(weights) + trees.share * score
        });
        let changes: Vec<f64> = changes.collect();
        let had = |place: &usize| logits[*place] + f64::from(stands_for[*place]);
        let competing = &self.places[..self.competing];
        let before = log_sum(competing.iter().map(had));
        let after = log_sum(competing.iter().zip(&changes).map(|(place, more)| had(place) + more));
        let lowered = after - before;
        for (place, more) in self.places.iter().zip(changes) {
            logits[*place] += more - lowered;
        }
        lowered
    }
}

/// What trees see of the order of these titles by one feature; the first `inside` of them count.
fn orders(
    places: &[usize],
    inside: usize,
    of: impl Fn(&usize) -> f32,
    stands_for: &[f32],
) -> Vec<f32> {
    let mut sorted: Vec<(f32, f32)> =
        places[..inside].iter().map(|place| (of(place), stands_for[*place].exp())).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut before = 0.0;
    let sums = sorted.iter().map(|(_, many)| {
        before += many;
        before
    });
    let sums: Vec<f32> = [0.0].into_iter().chain(sums).collect();
    places
        .iter()
        .map(|place| {
            let value = of(place);
            by_order(sums[sorted.partition_point(|(other, _)| *other > value)])
        })
        .collect()
}

/// The logarithm of the sum of the exponentials; of none, 0.
fn log_sum(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let highest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    if highest == f64::NEG_INFINITY {
        return 0.0;
    }
    highest + logits.map(|logit| (logit - highest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::*;

    /// As many features as there must be for those whose order is seen.
    const FEATURES: usize = 10;

    fn trees() -> Trees {
        let width = width(FEATURES);
        let rows: Vec<f32> = (0..40 * width).map(|at| ((at * 7919) % 101) as f32).collect();
        let gains: Vec<f32> = (0..40).map(|row| if row % 10 == 3 { 1.0 } else { 0.0 }).collect();
        let (features, sizes) = (Matrix::from_vec(rows, width), [10; 4]);
        let queries =
            rank::Queries { features: &features, sizes: &sizes, gains: &gains, weights: None };
        let options = rank::Options { trees: 5, min_leaf_rows: 2, ..rank::Options::default() };
        let go_on = &mut |_| ControlFlow::Continue(());
        let model = rank::fit(&queries, None, &options, go_on).expect("fits").model;
        Trees { model, weights: vec![0.2; FEATURES], share: 1.5 }
    }

    fn log_mass(logits: &[f64], stands_for: &[f32], places: &[usize]) -> f64 {
        log_sum(places.iter().map(|place| logits[*place] + f64::from(stands_for[*place])))
    }

    proptest! {
        #[test]
        fn the_best_are_reordered_and_stay_as_likely_together(
            titles in prop::collection::vec((-3.0..3.0_f64, 0.0..3.0_f32), 1..200),
            given in 0..3_usize,
        ) {
            let (scores, stands_for): (Vec<f64>, Vec<f32>) = titles.into_iter().unzip();
            let features: Vec<f32> =
                (0..scores.len() * FEATURES).map(|at| ((at * 31) % 17) as f32).collect();
            let competing = scores.len().saturating_sub(given).max(1);
            let user = [0.5, 0.1, 0.2];
            let titles = Titles { features: &features, scores: &scores, stands_for: &stands_for, user };
            let best = Best::of(&titles, competing);
            let mut logits = scores.clone();
            best.reorder((&[0.5; FEATURES], &trees()), &stands_for, &mut logits);

            let inside: Vec<usize> = best.places[..best.competing].to_vec();
            let (before, after) =
                (log_mass(&scores, &stands_for, &inside), log_mass(&logits, &stands_for, &inside));
            prop_assert!((before - after).abs() < 1e-9, "{before} {after}");
            for place in (0..scores.len()).filter(|place| !best.places.contains(place)) {
                prop_assert_eq!(logits[place], scores[place], "not one of the best");
            }
            let many = |places: &[usize]| -> f64 {
                places.iter().map(|place| f64::from(stands_for[*place]).exp()).sum()
            };
            prop_assert!(best.competing == competing || many(&inside) >= BEST);
            prop_assert!(many(&inside[..inside.len() - 1]) < BEST);
        }

        /// Whether a title is only looked up beside them changes nothing for the others.
        #[test]
        fn who_does_not_compete_changes_nothing(
            scores in prop::collection::vec(-3.0..3.0_f64, 2..150),
        ) {
            let features: Vec<f32> =
                (0..scores.len() * FEATURES).map(|at| ((at * 31) % 17) as f32).collect();
            let (stands_for, user) = (vec![0.0; scores.len()], [0.5, 0.1, 0.2]);
            let logits = |rows: usize, competing: usize| {
                let (features, scores) = (&features[..rows * FEATURES], &scores[..rows]);
                let titles = Titles { features, scores, stands_for: &stands_for[..rows], user };
                let mut logits = scores.to_vec();
                let best = Best::of(&titles, competing);
                best.reorder((&[0.5; FEATURES], &trees()), titles.stands_for, &mut logits);
                logits
            };
            let competing = scores.len() - 1;
            let (alone, beside) = (logits(competing, competing), logits(scores.len(), competing));
            prop_assert_eq!(&alone[..], &beside[..competing]);
        }
    }

    #[test]
    fn an_order_counts_what_is_strictly_before() {
        let values = [3.0, 5.0, 3.0, 1.0, 4.0];
        let stands_for = [0.0, 2.0_f32.ln(), 0.0, 0.0, 0.0];
        let orders = orders(&[0, 1, 2, 3, 4], 4, |place| values[*place], &stands_for);
        let expected = [2.0, 0.0, 2.0, 4.0, 2.0].map(by_order);
        assert!(orders.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{orders:?}");
    }
}
