//! Finding what every feature weighs, whether trees see more than that, and how fast the layer above should forget: from
//! choices in the order in which they were made.
//!
//! Everything is first fitted on the earlier choices and judged on the later ones. What is better there is then fitted on
//! all of them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rayon::prelude::*;
use sona_numeric::listwise::{self, List, Lists, Scratch};
use sona_numeric::matrix::Matrix;
use sona_numeric::{online, rank};

use super::Ranker;
use super::choice::Choice;
use super::features::{About, Layout};
use super::moment::MOMENT;
use super::trees::{self, Best, Titles, Trees};

/// The pull of a source's weights towards 0.
const RIDGE: f64 = 1e-3;

/// The pull of what a year or a genre weighs.
const RIDGE_OF_TITLES: f64 = 3e-3;

/// Of the choices, the first so many are fitted on when the others judge.
const FITTED_SHARE: f64 = 0.8;

/// Shares of the older lessons that may remain after a new one.
const FORGETTING: [f64; 3] = [1.0, 0.9995, 0.998];

/// The layer is worked out anew after so many lessons.
pub(crate) const SOLVED_EVERY: u64 = 10;

/// What is wanted of a fit.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// With fewer choices there is no ranker.
    pub(crate) least: usize,
    /// Whether the choices follow each other in time, so that a layer can learn from one for the next.
    pub(crate) layer: bool,
    /// How trees are grown.
    pub(crate) trees: rank::Options,
}

/// What was found, and how good it is.
pub(crate) struct Fitted {
    pub(crate) ranker: Ranker,
    /// On the later choices, fitted on the earlier ones.
    pub(crate) held_out: Judged,
    /// The same without the layer.
    pub(crate) without_layer: Judged,
    /// The same of the one that was not taken, with trees or without; `None` if no trees could be grown.
    pub(crate) other: Option<Judged>,
    /// The later choices begin here.
    pub(crate) held_out_from: usize,
}

/// How well choices were foreseen, or one was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Judged {
    /// The mean negative log-likelihood of what was chosen, in nats.
    pub(crate) loss: f64,
    /// Over the sampled lists, as if what stands for others were so many.
    pub(crate) ndcg_at_10: f64,
}

impl Judged {
    /// How well on average.
    pub(crate) fn mean(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let of = |value: fn(&Self) -> f64| all.iter().map(value).sum::<f64>() / count;
        Self { loss: of(|one| one.loss), ndcg_at_10: of(|one| one.ndcg_at_10) }
    }
}

/// Fits on the choices; `None` if there are too few to judge by.
pub(crate) fn fit(layout: &Layout, choices: &[Choice], wanted: &Wanted) -> Option<Fitted> {
    if choices.len() < wanted.least {
        return None;
    }
    let from = (choices.len() as f64 * FITTED_SHARE) as usize;
    let all: Vec<&Choice> = choices.iter().collect();
    let (early, late) = all.split_at(from);
    let linear = Ranker::new(layout.clone(), weights(layout, early));
    let with_trees = grow(&linear, early, late, wanted);
    let based = based(&linear, choices);
    let alone = learn_on(&mut layer(layout, 1.0), &based, from, false);
    let (forgetting, foreseen) =
        if wanted.layer { best_forgetting(&linear, &based, from) } else { (1.0, alone.clone()) };
    let (held_out, without_layer) = (Judged::mean(&foreseen), Judged::mean(&alone));
    let judged_trees = with_trees.as_ref().map(|mixed| {
        let based = self::based(&mixed.ranker, choices);
        let alone = learn_on(&mut layer(layout, forgetting), &based, from, false);
        let layered = learn_on(&mut layer(layout, forgetting), &based, from, wanted.layer);
        let surely = is_surely_better(&layered, &foreseen, late);
        (Judged::mean(&layered), Judged::mean(&alone), surely)
    });
    let better = judged_trees.and_then(|(trees, alone, surely)| surely.then_some((trees, alone)));
    let mut ranker = Ranker::new(layout.clone(), weights(layout, &all));
    if let Some(mixed) = with_trees.filter(|_| better.is_some()) {
        ranker = with_trees_again(ranker, &all, &wanted.trees, |_| mixed.shares);
    }
    if wanted.layer {
        let based = self::based(&ranker, choices);
        let mut learned = layer(layout, forgetting);
        learn_on(&mut learned, &based, from, true);
        ranker.layer = learned;
    }
    let other = judged_trees.map(|(trees, ..)| if better.is_some() { held_out } else { trees });
    let (held_out, without_layer) = better.unwrap_or((held_out, without_layer));
    Some(Fitted { ranker, held_out, without_layer, other, held_out_from: from })
}

/// Fits on other choices what a ranker was fitted on: with trees, in the same share, if it has any. The layer has learned
/// nothing.
pub(crate) fn again(ranker: &Ranker, choices: &[&Choice], options: &rank::Options) -> Ranker {
    let linear = Ranker::new(ranker.layout.clone(), weights(&ranker.layout, choices));
    let Some(Trees { weights, share, .. }) = &ranker.trees else { return linear };
    // Their share is in the weights: that with which others come nearest to them.
    let weights_share = |found: &[f64]| {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        (product(found, weights) / product(found, found).max(f64::MIN_POSITIVE)).max(0.0)
    };
    with_trees_again(linear, choices, options, |found| [weights_share(found), *share])
}

/// `linear` with trees and weights for the best, which speak in the shares that `shares` says of these weights.
fn with_trees_again(
    linear: Ranker,
    choices: &[&Choice],
    options: &rank::Options,
    shares: impl Fn(&[f64]) -> [f64; 2],
) -> Ranker {
    let Some(model) = trees(&linear, choices, options) else { return linear };
    let weights = weights_among_best(&linear, choices);
    linear.with_trees(mixed(model, &weights, shares(&weights)))
}

/// What every feature weighs.
fn weights(layout: &Layout, choices: &[&Choice]) -> Vec<f64> {
    let mut lists = Lists::new(layout.width());
    for choice in choices {
        lists.push(choice.list());
    }
    listwise::fit(&lists, &ridge(layout), &vec![0.0; layout.width()]).weights
}

/// What every feature weighs among the best. Most choices are of titles that were not: what tells these from all others
/// decides the weights of all, and tells the best from each other less well.
fn weights_among_best(linear: &Ranker, choices: &[&Choice]) -> Vec<f64> {
    let layout = &linear.layout;
    let mut lists = Lists::new(layout.width());
    for Contest { best, chosen, weight } in contests(linear, choices) {
        let rows = 0..best.rows.rows();
        let features: Vec<f32> =
            rows.flat_map(|row| &best.rows.row(row)[..layout.width()]).copied().collect();
        let offsets = vec![0.0; best.rows.rows()];
        lists.push(List { features: &features, offsets: &offsets, chosen, weight });
    }
    listwise::fit(&lists, &ridge(layout), &linear.weights).weights
}

/// The pull of every weight towards 0.
fn ridge(layout: &Layout) -> Vec<f64> {
    layout
        .about()
        .map(|about| match about {
            About::Source(_) => RIDGE,
            About::Year | About::Genre => RIDGE_OF_TITLES,
        })
        .collect()
}

/// Grows trees on the early choices and finds on the late ones how much they and the weights should say together; `None` if
/// the trees had better say nothing.
fn grow(linear: &Ranker, early: &[&Choice], late: &[&Choice], wanted: &Wanted) -> Option<Mixed> {
    let model = trees(linear, early, &wanted.trees)?;
    let weights = weights_among_best(linear, early);
    let mut both = Lists::new(2);
    for Contest { best, chosen, weight } in contests(linear, late) {
        let mut scores = Vec::new();
        model.score_rows(&best.rows, &mut scores);
        let features: Vec<f32> = scores
            .iter()
            .enumerate()
            .flat_map(|(at, score)| {
                let weighted = listwise::dot(&best.rows.row(at)[..weights.len()], &weights);
                [weighted as f32, *score as f32]
            })
            .collect();
        let offsets = vec![0.0; scores.len()];
        both.push(List { features: &features, offsets: &offsets, chosen, weight });
    }
    let shares = listwise::fit(&both, &[RIDGE; 2], &[1.0, 0.0]).weights;
    let shares = [shares[0].max(0.0), shares[1]];
    (shares[1] > 0.0)
        .then(|| Mixed { ranker: linear.with_trees(mixed(model, &weights, shares)), shares })
}

/// Weights and trees, and in which shares they speak.
struct Mixed {
    ranker: Ranker,
    shares: [f64; 2],
}

fn mixed(model: rank::Model, weights: &[f64], [weights_share, share]: [f64; 2]) -> Trees {
    let weights = weights.iter().map(|weight| weights_share * weight).collect();
    Trees { model, weights, share }
}

fn trees(linear: &Ranker, choices: &[&Choice], options: &rank::Options) -> Option<rank::Model> {
    if options.trees == 0 {
        return None;
    }
    let width = trees::width(linear.layout.width());
    let (mut data, mut gains, mut sizes, mut counted) = (vec![], vec![], vec![], vec![]);
    for Contest { best, chosen, weight, .. } in contests(linear, choices) {
        // What was chosen comes last: equal scores are to count against it.
        let others = best.rows.rows();
        let order = (0..others).filter(|row| *row != chosen).chain([chosen]);
        for row in order {
            data.extend_from_slice(best.rows.row(row));
            gains.push(if row == chosen { 1.0 } else { 0.0 });
        }
        sizes.push(others as u32);
        counted.push(weight);
    }
    let features = Matrix::from_vec(data, width);
    let queries = rank::Queries {
        features: &features,
        sizes: &sizes,
        gains: &gains,
        weights: Some(&counted),
    };
    let fitted = rank::fit(&queries, None, options, &mut |_| ControlFlow::Continue(()));
    fitted.inspect_err(|error| tracing::warn!(%error, "no trees are grown")).ok().map(|f| f.model)
}

/// A choice among the best.
struct Contest {
    best: Best,
    /// Which of them was chosen.
    chosen: usize,
    weight: f32,
}

/// The choices of a title that was among the best by the configured weights and is by those of `linear`, each among those of
/// which both is true. A choice of another title would be told from what surrounds it by there being so little of that.
fn contests<'c>(linear: &'c Ranker, choices: &'c [&Choice]) -> impl Iterator<Item = Contest> + 'c {
    choices.iter().filter_map(|choice| {
        let head = choice.head(&choice.offsets)?;
        let weighted = linear.weighted(&head.features);
        let titles = Titles {
            features: &head.features,
            scores: &weighted,
            stands_for: &head.offsets,
            user: choice.user(),
        };
        let best = Best::of(&titles, weighted.len());
        let chosen = best.places.iter().position(|place| *place == head.chosen)?;
        Some(Contest { best, chosen, weight: choice.weight })
    })
}

fn layer(layout: &Layout, forgetting: f64) -> online::State {
    let options = online::Options { forgetting, ..online::Options::default() };
    online::State::new(layout.width(), MOMENT, options)
}

/// How fast a layer above `ranker` forgets best, and how well the choices are foreseen then.
fn best_forgetting(ranker: &Ranker, based: &[Based<'_>], from: usize) -> (f64, Vec<Judged>) {
    let judge = |forgetting: &f64| {
        (*forgetting, learn_on(&mut layer(&ranker.layout, *forgetting), based, from, true))
    };
    let judged: Vec<_> = FORGETTING.par_iter().map(judge).collect();
    let loss = |judged: &[Judged]| Judged::mean(judged).loss;
    let best = judged.into_iter().min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1)));
    best.unwrap_or((1.0, Vec::new()))
}

/// Whether one puts the choices higher than the other by more than chance would: the mean gain is above its standard error,
/// for which choices of one user count as one.
fn is_surely_better(one: &[Judged], other: &[Judged], choices: &[&Choice]) -> bool {
    let gains = one.iter().zip(other).map(|(one, other)| one.ndcg_at_10 - other.ndcg_at_10);
    let mean = gains.clone().sum::<f64>() / choices.len().max(1) as f64;
    let mut apart: HashMap<u64, f64> = HashMap::new();
    for (at, (gain, choice)) in gains.zip(choices).enumerate() {
        // Where nobody asks, every choice is somebody else's.
        let who = if choice.who == 0 { at as u64 } else { choice.who };
        *apart.entry(who).or_default() += gain - mean;
    }
    let square: f64 = apart.values().map(|apart| apart * apart).sum();
    mean > 0.0 && mean > square.sqrt() / choices.len().max(1) as f64
}

/// Foresees every choice with what the layer has learned so far, and teaches it if it learns. Judged is each of those from
/// `from` on.
pub(crate) fn learn_on(
    layer: &mut online::State,
    based: &[Based<'_>],
    from: usize,
    learns: bool,
) -> Vec<Judged> {
    let (mut scratch, mut judged) = (Scratch::default(), Vec::new());
    for (at, based) in based.iter().enumerate() {
        if at >= from {
            judged.push(foresee(based, &layer.weights(&based.choice.moment)));
        }
        if learns {
            teach(layer, based, &mut scratch);
        }
    }
    judged
}

/// Teaches the layer one choice.
pub(crate) fn teach(layer: &mut online::State, based: &Based<'_>, scratch: &mut Scratch) {
    let lesson = layer.lesson(based.list(), &based.choice.moment, scratch);
    let learned = lesson.is_some_and(|lesson| layer.learn(&lesson).is_ok());
    if learned && layer.lessons().is_multiple_of(SOLVED_EVERY) {
        layer.solve();
    }
}

/// A choice with the base's scores in its offsets.
pub(crate) struct Based<'c> {
    pub(crate) choice: &'c Choice,
    offsets: Vec<f32>,
}

impl<'c> Based<'c> {
    pub(crate) fn new(choice: &'c Choice, ranker: &Ranker) -> Self {
        let base = ranker.base(&choice.features, &choice.offsets, choice.user());
        let offsets = choice.offsets.iter().zip(base);
        Self { choice, offsets: offsets.map(|(offset, base)| offset + base as f32).collect() }
    }

    pub(crate) fn list(&self) -> List<'_> {
        self.choice.list_with(&self.offsets)
    }

    /// The offsets with what a layer of these weights adds.
    pub(crate) fn offsets_with(&self, layer: &[f64]) -> Vec<f32> {
        let rows = self.choice.features.chunks_exact(layer.len().max(1)).zip(&self.offsets);
        rows.map(|(row, offset)| offset + listwise::dot(row, layer) as f32).collect()
    }
}

pub(crate) fn based<'c>(ranker: &Ranker, choices: &'c [Choice]) -> Vec<Based<'c>> {
    choices.par_iter().map(|choice| Based::new(choice, ranker)).collect()
}

fn foresee(based: &Based<'_>, weights: &[f64]) -> Judged {
    let (scores, chosen) = (based.offsets_with(weights), based.choice.chosen);
    let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
    let stands_for = based.choice.offsets.iter().map(|many| f64::from(*many));
    let alone = |at: usize| scores[at] - f64::from(based.choice.offsets[at]);
    // A title counts as often as it stands for others, and where it scores the same it comes before.
    let before =
        stands_for.enumerate().filter(|(at, _)| *at != chosen && alone(*at) >= alone(chosen));
    let before: f64 = before.map(|(_, many)| many.exp()).sum();
    Judged {
        loss: highest + sum.ln() - scores[chosen],
        ndcg_at_10: if before < 10.0 { 1.0 / (before + 2.0).log2() } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::moment::UNKNOWN;

    /// A choice of the first of titles with these numbers.
    fn choice(layout: &Layout, titles: &[[f32; 2]], at_top: bool) -> Choice {
        let mut features = vec![0.0; titles.len() * layout.width()];
        for (row, title) in features.chunks_exact_mut(layout.width()).zip(titles) {
            row[..2].copy_from_slice(title);
        }
        let offsets = vec![0.0; titles.len()];
        let (weight, moment, who) = (1.0, UNKNOWN, 0);
        Choice { features, offsets, chosen: 0, at_top, weight, moment, titles: 3, who }
    }

    /// Most choices are of titles far down, where another feature tells them: it says nothing among the best.
    #[test]
    fn the_best_are_told_by_what_tells_them() {
        let layout = Layout::new(Vec::new());
        let (best, other) = ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]);
        let far = other;
        let mut choices = vec![choice(&layout, &far, false); 800];
        choices.extend(vec![choice(&layout, &best, true); 100]);
        choices.extend(vec![choice(&layout, &other, true); 20]);
        let all: Vec<&Choice> = choices.iter().collect();
        let linear = Ranker::new(layout.clone(), weights(&layout, &all));
        let among = weights_among_best(&linear, &all);
        assert!(linear.weights[0] > linear.weights[1], "{:?}", &linear.weights[..2]);
        assert!(among[1] > among[0] + 1.0, "{:?}", &among[..2]);
    }
}
