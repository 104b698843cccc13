//! How well choices are foreseen, one after the other, by a ranker and a layer above it that learns from each.

use rayon::prelude::*;
use sona_numeric::listwise::{self, List, Scratch};
use sona_numeric::online;

use super::Ranker;
use super::choice::Choice;
use crate::train::{GoOn, Stopped};

/// The layer is worked out anew after so many lessons.
pub(crate) const SOLVED_EVERY: u64 = 10;

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

/// Foresees every choice with what the layer has learned so far, and teaches it if it learns. Judged is each of those from
/// `from` on.
pub(crate) fn learn_on(
    layer: &mut online::State,
    based: &[Based<'_>],
    from: usize,
    learns: bool,
    go_on: GoOn<'_>,
) -> Result<Vec<Judged>, Stopped> {
    let (mut scratch, mut judged) = (Scratch::default(), Vec::new());
    for (at, based) in based.iter().enumerate() {
        go_on()?;
        if at >= from {
            judged.push(foresee(based, &layer.weights(&based.choice.moment)));
        }
        if learns {
            teach(layer, based, &mut scratch);
        }
    }
    Ok(judged)
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

/// The choices with the scores of this ranker.
pub(crate) fn based<'c>(
    ranker: &Ranker,
    choices: &'c [Choice],
    go_on: GoOn<'_>,
) -> Result<Vec<Based<'c>>, Stopped> {
    let based = |choice| go_on().map(|()| Based::new(choice, ranker));
    choices.par_iter().map(based).collect()
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
