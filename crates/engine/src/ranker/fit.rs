//! Finding what every feature weighs, whether trees see more than that, and how fast the layer above should forget: from
//! choices in the order in which they were made.
//!
//! Everything is first fitted on the earlier choices and judged on the later ones. What is better there is then fitted on
//! all of them.

use std::collections::HashMap;

use rayon::prelude::*;
use sona_numeric::listwise::{self, List, Lists};
use sona_numeric::matrix::Matrix;
use sona_numeric::{online, rank};

use super::Ranker;
use super::choice::Choice;
use super::features::{About, Layout};
use super::foresee::{Based, Judged, based, learn_on};
use super::moment::MOMENT;
use super::trees::{self, Best, Titles, Trees};
use crate::train::{GoOn, Stopped, flow};

/// The pull of a source's weights towards 0.
const RIDGE: f64 = 1e-3;

/// The pull of what a year or a genre weighs.
const RIDGE_OF_TITLES: f64 = 3e-3;

/// Of the choices, the first so many are fitted on when the others judge.
const FITTED_SHARE: f64 = 0.8;

/// Shares of the older lessons that may remain after a new one.
const FORGETTING: [f64; 3] = [1.0, 0.9995, 0.998];

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
    /// Each of the later choices, fitted on the earlier ones.
    pub(crate) held_out: Vec<Judged>,
    /// The later choices begin here.
    pub(crate) held_out_from: usize,
    /// On the later choices without the layer.
    pub(crate) without_layer: Judged,
    /// On the later choices the one that was not taken, with trees or without; `None` if no trees could be grown.
    pub(crate) other: Option<Judged>,
}

/// Fits on the choices; `None` if there are too few to judge by.
pub(crate) fn fit(
    layout: &Layout,
    choices: &[Choice],
    wanted: &Wanted,
    go_on: GoOn<'_>,
) -> Result<Option<Fitted>, Stopped> {
    if choices.len() < wanted.least {
        return Ok(None);
    }
    let from = (choices.len() as f64 * FITTED_SHARE) as usize;
    let all: Vec<&Choice> = choices.iter().collect();
    let (early, late) = all.split_at(from);
    let linear = Ranker::new(layout.clone(), weights(layout, early, go_on)?);
    let with_trees = grow(&linear, (early, late), wanted, go_on)?;
    let based = based(&linear, choices, go_on)?;
    let alone = learn_on(&mut layer(layout, 1.0), &based, from, false, go_on)?;
    let (forgetting, layered) = if wanted.layer {
        best_forgetting(&linear, &based, from, go_on)?
    } else {
        (1.0, alone.clone())
    };
    let linear = Foreseen { layered, alone };
    let foresee = |mixed: Mixed| -> Result<_, Stopped> {
        let (based, fresh) =
            (self::based(&mixed.ranker, choices, go_on)?, layer(layout, forgetting));
        let alone = learn_on(&mut fresh.clone(), &based, from, false, go_on)?;
        let layered = learn_on(&mut fresh.clone(), &based, from, wanted.layer, go_on)?;
        Ok((mixed.shares, Foreseen { layered, alone }))
    };
    let (taken, other, shares) = match with_trees.map(foresee).transpose()? {
        Some((shares, trees)) if is_surely_better(&trees.layered, &linear.layered, late) => {
            (trees, Some(linear), Some(shares))
        }
        Some((_, trees)) => (linear, Some(trees), None),
        None => (linear, None, None),
    };
    let mut ranker = Ranker::new(layout.clone(), weights(layout, &all, go_on)?);
    if let Some(shares) = shares {
        ranker = with_trees_again(ranker, &all, (&wanted.trees, |_: &[f64]| shares), go_on)?;
    }
    if wanted.layer {
        let based = self::based(&ranker, choices, go_on)?;
        ranker.layer = layer(layout, forgetting);
        learn_on(&mut ranker.layer, &based, from, true, go_on)?;
    }
    Ok(Some(Fitted {
        ranker,
        held_out: taken.layered,
        held_out_from: from,
        without_layer: Judged::mean(&taken.alone),
        other: other.map(|other| Judged::mean(&other.layered)),
    }))
}

/// Each of the later choices as it was foreseen, with the layer and without.
struct Foreseen {
    layered: Vec<Judged>,
    alone: Vec<Judged>,
}

/// Fits on other choices what a ranker was fitted on: with trees, in the same share, if it has any. The layer has learned
/// nothing.
pub(crate) fn again(
    ranker: &Ranker,
    choices: &[&Choice],
    options: &rank::Options,
    go_on: GoOn<'_>,
) -> Result<Ranker, Stopped> {
    let linear = Ranker::new(ranker.layout.clone(), weights(&ranker.layout, choices, go_on)?);
    let Some(Trees { weights, share, .. }) = &ranker.trees else { return Ok(linear) };
    // Their share is in the weights: that with which others come nearest to them.
    let weights_share = |found: &[f64]| {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        (product(found, weights) / product(found, found).max(f64::MIN_POSITIVE)).max(0.0)
    };
    let shares = |found: &[f64]| [weights_share(found), *share];
    with_trees_again(linear, choices, (options, shares), go_on)
}

/// `linear` with trees and weights for the best, which speak in the shares that `shares` says of these weights.
fn with_trees_again(
    linear: Ranker,
    choices: &[&Choice],
    (options, shares): (&rank::Options, impl Fn(&[f64]) -> [f64; 2]),
    go_on: GoOn<'_>,
) -> Result<Ranker, Stopped> {
    let Some(model) = trees(&linear, choices, options, go_on)? else { return Ok(linear) };
    let weights = weights_among_best(&linear, choices, go_on)?;
    Ok(linear.with_trees(mixed(model, &weights, shares(&weights))))
}

/// What every feature weighs.
fn weights(layout: &Layout, choices: &[&Choice], go_on: GoOn<'_>) -> Result<Vec<f64>, Stopped> {
    let mut lists = Lists::new(layout.width());
    for choice in choices {
        lists.push(choice.list());
    }
    let start = vec![0.0; layout.width()];
    Ok(listwise::fit(&lists, &ridge(layout), &start, &mut || flow(go_on))?.weights)
}

/// What every feature weighs among the best. Most choices are of titles that were not: what tells these from all others
/// decides the weights of all, and tells the best from each other less well.
fn weights_among_best(
    linear: &Ranker,
    choices: &[&Choice],
    go_on: GoOn<'_>,
) -> Result<Vec<f64>, Stopped> {
    let layout = &linear.layout;
    let mut lists = Lists::new(layout.width());
    for Contest { best, chosen, weight } in contests(linear, choices) {
        go_on()?;
        let rows = 0..best.rows.rows();
        let features: Vec<f32> =
            rows.flat_map(|row| &best.rows.row(row)[..layout.width()]).copied().collect();
        let offsets = vec![0.0; best.rows.rows()];
        lists.push(List { features: &features, offsets: &offsets, chosen, weight });
    }
    Ok(listwise::fit(&lists, &ridge(layout), &linear.weights, &mut || flow(go_on))?.weights)
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
fn grow(
    linear: &Ranker,
    (early, late): (&[&Choice], &[&Choice]),
    wanted: &Wanted,
    go_on: GoOn<'_>,
) -> Result<Option<Mixed>, Stopped> {
    let Some(model) = trees(linear, early, &wanted.trees, go_on)? else { return Ok(None) };
    let weights = weights_among_best(linear, early, go_on)?;
    let mut both = Lists::new(2);
    for Contest { best, chosen, weight } in contests(linear, late) {
        go_on()?;
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
    let shares = listwise::fit(&both, &[RIDGE; 2], &[1.0, 0.0], &mut || flow(go_on))?.weights;
    let shares = [shares[0].max(0.0), shares[1]];
    let mixed = || Mixed { ranker: linear.with_trees(mixed(model, &weights, shares)), shares };
    Ok((shares[1] > 0.0).then(mixed))
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

/// `None` if none are wanted or none can be grown.
fn trees(
    linear: &Ranker,
    choices: &[&Choice],
    options: &rank::Options,
    go_on: GoOn<'_>,
) -> Result<Option<rank::Model>, Stopped> {
    if options.trees == 0 {
        return Ok(None);
    }
    let width = trees::width(linear.layout.width());
    let (mut data, mut gains, mut sizes, mut counted) = (vec![], vec![], vec![], vec![]);
    for Contest { best, chosen, weight, .. } in contests(linear, choices) {
        go_on()?;
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
    match rank::fit(&queries, None, options, &mut |_| flow(go_on)) {
        Ok(fitted) => Ok(Some(fitted.model)),
        Err(rank::Error::Cancelled) => Err(Stopped),
        Err(error) => {
            tracing::warn!(%error, "no trees are grown");
            Ok(None)
        }
    }
}

/// A choice among the best.
struct Contest {
    best: Best,
    /// Which of them was chosen.
    chosen: usize,
    weight: f32,
}

/// The choices of a title that was among the best when it was drawn and is by the weights of `linear`, each among those of
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
fn best_forgetting(
    ranker: &Ranker,
    based: &[Based<'_>],
    from: usize,
    go_on: GoOn<'_>,
) -> Result<(f64, Vec<Judged>), Stopped> {
    let judge = |forgetting: &f64| {
        let mut layer = layer(&ranker.layout, *forgetting);
        Ok((*forgetting, learn_on(&mut layer, based, from, true, go_on)?))
    };
    let judged = FORGETTING.par_iter().map(judge).collect::<Result<Vec<_>, Stopped>>()?;
    let loss = |judged: &[Judged]| Judged::mean(judged).loss;
    let best = judged.into_iter().min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1)));
    Ok(best.unwrap_or((1.0, Vec::new())))
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

#[cfg(test)]
mod tests {
    use sona_domain::Cursor;

    use super::*;
    use crate::ranker::moment::UNKNOWN;
    use crate::train::{GO_ON, stopped_after};

    /// A choice of the first of titles with these numbers.
    fn choice(layout: &Layout, titles: &[[f32; 2]], at_top: bool) -> Choice {
        let mut features = vec![0.0; titles.len() * layout.width()];
        for (row, title) in features.chunks_exact_mut(layout.width()).zip(titles) {
            row[..2].copy_from_slice(title);
        }
        let offsets = vec![0.0; titles.len()];
        let (weight, moment, who, cursor) = (1.0, UNKNOWN, 0, Cursor::default());
        Choice { features, offsets, chosen: 0, at_top, weight, moment, titles: 3, who, cursor }
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
        let linear =
            Ranker::new(layout.clone(), weights(&layout, &all, GO_ON).expect("nobody stops it"));
        let among = weights_among_best(&linear, &all, GO_ON).expect("nobody stops it");
        assert!(linear.weights[0] > linear.weights[1], "{:?}", &linear.weights[..2]);
        assert!(among[1] > among[0] + 1.0, "{:?}", &among[..2]);
    }

    /// Threads that work side by side may each ask once more.
    #[test]
    fn a_fit_that_is_stopped_gives_nothing_and_does_no_more() {
        let layout = Layout::new(Vec::new());
        let (one, other) = ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]);
        let choices: Vec<_> = (0..200_usize)
            .map(|at| choice(&layout, if at.is_multiple_of(3) { &one } else { &other }, true))
            .collect();
        let trees = rank::Options { trees: 5, min_leaf_rows: 2, ..rank::Options::default() };
        let wanted = Wanted { least: 1, layer: true, trees };
        let ask = |most: usize| {
            stopped_after(most, |go_on| Ok(fit(&layout, &choices, &wanted, go_on)?.is_some()))
        };
        let (fitted, all) = ask(usize::MAX);
        assert_eq!(fitted, Ok(true));
        assert!(all > 10 * choices.len(), "{all} questions");
        let threads = rayon::current_num_threads().max(FORGETTING.len());
        for most in (0..all).step_by(all / 50) {
            let (fitted, asked) = ask(most);
            assert_eq!(fitted, Err(Stopped));
            assert!(asked <= most + threads, "{asked} questions of {most}");
        }
    }
}
