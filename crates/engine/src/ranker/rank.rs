//! The candidates of one request in order, and what put each of them where it is.

use sona_domain::{Adjustment, Factor, RequestContext, Source, SourceScore};
use sona_numeric::matrix::Matrix;
use sona_numeric::select;

use super::Ranker;
use super::choice::{HEAD, Head, features};
use super::features::About;
use super::moment::MOMENT;
use super::trees::{self, Best, Titles};
use super::viewer::Viewer;
use crate::adapters::Personal;
use crate::catalogue::View;
use crate::fuse::{Ensemble, Fused};

/// What a title that fits perfectly gains, as a logit, if the user asked for a mood or a company.
const ASKED: f64 = 3.0;

/// What a title of a genre gains that a user who has done nothing yet said they like.
const LIKED: f64 = 6.0;

/// What a title gains that people of a newcomer's age or country watch twice as often as others.
const AKIN: f64 = 2.0;

/// Of so many titles what a user said they like counts half.
const NEW: f64 = 5.0;

/// So many of the best an adapter orders among themselves.
const PERSONAL: usize = 100;

/// A part that is smaller is none.
const NOTHING: f64 = 1e-9;

/// Parts a score is made of: what each source says, the year and the genres.
const PARTS: usize = Source::ALL.len() + 2;

const YEAR: usize = Source::ALL.len();
const GENRE: usize = YEAR + 1;

/// Candidates with their scores, and other titles on the same scale.
pub(crate) struct Ranking<'r> {
    ranker: &'r Ranker,
    rows: Vec<u32>,
    /// So many of the rows are candidates; the others are only scored.
    candidates: usize,
    /// By row, in the order of `rows`, each part of its logit without what trees add.
    parts: Vec<[f64; PARTS]>,
    /// By row, what the user's adapter adds; empty if it has no part.
    personal: Vec<f32>,
    logits: Vec<f64>,
    /// The mean of every part over all candidates.
    mean: [f64; PARTS],
    lowest: f64,
    span: f64,
    features: Vec<f32>,
    /// The best as trees see them, and what each of them is lowered by; `None` without trees.
    best: Option<(Best, f64)>,
}

/// What is known of the user and the moment of a request.
pub(crate) struct Known<'k> {
    pub(crate) viewer: &'k Viewer,
    /// Their adapter.
    pub(crate) personal: Option<&'k Personal>,
    pub(crate) moment: [f32; MOMENT],
    /// What every feature weighs at this moment.
    pub(crate) weights: &'k [f64],
    /// What a title gains that fits the request perfectly ([`asked_for`]).
    pub(crate) asked: f64,
}

impl<'r> Ranking<'r> {
    /// Ranks what the sources of `ensemble` bring, and scores `given` rows among them.
    pub(crate) fn new(
        ranker: &'r Ranker,
        ensemble: &Ensemble<'_>,
        view: &View,
        known: &Known<'_>,
        given: &[u32],
    ) -> Self {
        let mut rows = ensemble.rows();
        let candidates = rows.len();
        for row in given {
            if !rows.contains(row) {
                rows.push(*row);
            }
        }
        let features = features(&ranker.layout, ensemble, view, known.viewer, &rows);
        let parts = weighed(ranker, ensemble, known, (&rows, &features));
        // The scale is the candidates'; where there are none, titles are compared with each other.
        let scale = if candidates > 0 { candidates } else { rows.len() };
        let mut logits: Vec<f64> = parts.iter().map(|parts| parts.iter().sum()).collect();
        let best = reordered(ranker, known, &features, scale, &mut logits);
        let personal = known.personal.and_then(|own| own.logits(&features, &known.moment));
        let mut personal = personal.unwrap_or_default();
        among_the_best(&mut personal, &logits, candidates);
        for (logit, own) in logits.iter_mut().zip(&personal) {
            *logit += f64::from(*own);
        }
        let lowest = logits[..scale].iter().copied().fold(f64::INFINITY, f64::min);
        let highest = logits[..scale].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Candidates that are all equal are all as good as can be.
        let span = if highest > lowest { highest - lowest } else { 1.0 };
        let mean = mean(&parts[..scale]);
        Self {
            ranker,
            rows,
            candidates,
            parts,
            personal,
            logits,
            mean,
            lowest,
            span,
            features,
            best,
        }
    }

    /// The best candidates with their scores, 0..=1 from the worst to the best; equal ones in the order of the sources.
    pub(crate) fn list(&self, limit: usize) -> Vec<(u32, f32)> {
        self.first(limit).map(|place| (self.rows[place], self.score_at(place))).collect()
    }

    /// The places of the best candidates, best first.
    fn first(&self, limit: usize) -> impl Iterator<Item = usize> {
        let scores = (0..self.candidates).map(|place| (place as u32, self.score_at(place)));
        let best = select::top_k_of(scores, limit, f32::NEG_INFINITY);
        best.into_iter().map(|(place, _)| place as usize)
    }

    fn score_at(&self, place: usize) -> f32 {
        ((self.logits[place] - self.lowest) / self.span) as f32
    }

    /// The candidates that compete for the first places, with what is known of each; `None` if `chosen` is not among them.
    pub(crate) fn head(&self, chosen: u32) -> Option<Head> {
        let width = self.ranker.layout.width();
        let places: Vec<usize> = self.first(HEAD).collect();
        let chosen = places.iter().position(|place| self.rows[*place] == chosen)?;
        let features =
            places.iter().flat_map(|place| &self.features[place * width..(place + 1) * width]);
        Some(Head {
            features: features.copied().collect(),
            offsets: places.iter().map(|place| self.logits[*place] as f32).collect(),
            chosen,
        })
    }

    /// What a candidate or a given row scores: of rows no source brought maybe less than 0, or more than 1.
    pub(crate) fn score(&self, row: u32) -> Option<f32> {
        Some(self.score_at(self.place_of(row)?))
    }

    fn place_of(&self, row: u32) -> Option<usize> {
        self.rows.iter().position(|known| *known == row)
    }

    /// Items of the list, or given rows, with all that puts them there. Trees are asked about all of them at once: one by one
    /// takes many times as long.
    pub(crate) fn explain(&self, items: &[(u32, f32)], ensemble: &Ensemble<'_>) -> Vec<Fused> {
        let places = items.iter().filter_map(|(row, _)| self.place_of(*row));
        let places: Vec<_> = places.collect();
        let parts = self.parts_of(&places);
        let own = self.personal.get(..self.scale()).unwrap_or_default();
        let mean_own = own.iter().map(|own| f64::from(*own)).sum::<f64>() / own.len().max(1) as f64;
        let parts = places.iter().zip(parts);
        parts.map(|(place, parts)| self.explain_one(*place, parts, mean_own, ensemble)).collect()
    }

    fn explain_one(
        &self,
        place: usize,
        (parts, base): ([f64; PARTS], f64),
        mean_own: f64,
        ensemble: &Ensemble<'_>,
    ) -> Fused {
        let (row, score) = (self.rows[place], self.score_at(place));
        let scaled = |part: f64| (part / self.span) as f32;
        let mut sources: Vec<_> = ensemble
            .present()
            .map(|source| SourceScore {
                source,
                score: ensemble.score(source, row),
                contribution: scaled(parts[source as usize]),
            })
            .collect();
        sources.sort_by(|a, b| {
            b.contribution.total_cmp(&a.contribution).then(a.source.cmp(&b.source))
        });
        // What an absent source has, all candidates have.
        let absent = Source::ALL.iter().filter(|s| sources.iter().all(|part| part.source != **s));
        let absent: f64 = absent.map(|source| parts[*source as usize]).sum();
        let base = scaled(base + absent + mean_own - self.lowest);
        let mut adjustments = vec![Adjustment { factor: Factor::Base, contribution: base }];
        for (factor, at) in [(Factor::Year, YEAR), (Factor::Genre, GENRE)] {
            if parts[at].abs() > NOTHING {
                adjustments.push(Adjustment { factor, contribution: scaled(parts[at]) });
            }
        }
        adjustments.extend(self.personal.get(place).map(|own| {
            let contribution = scaled(f64::from(*own) - mean_own);
            Adjustment { factor: Factor::Adapter, contribution }
        }));
        Fused { row, score, sources, adjustments }
    }

    /// What lifts each of these above the average candidate, part by part, and the logit of the average one: of what the weights
    /// say over the candidates, of what the trees say over those of the fit.
    fn parts_of(&self, places: &[usize]) -> Vec<([f64; PARTS], f64)> {
        let mean_logit: f64 = self.mean.iter().sum();
        let apart = |place: &usize| {
            let parts = &self.parts[*place];
            (std::array::from_fn(|part| parts[part] - self.mean[part]), mean_logit)
        };
        let mut all: Vec<([f64; PARTS], f64)> = places.iter().map(apart).collect();
        let Some((trees, (best, lowered))) = self.ranker.trees.as_ref().zip(self.best.as_ref())
        else {
            return all;
        };
        let found = places.iter().map(|place| best.places.iter().position(|best| best == place));
        let found: Vec<_> = (0..).zip(found).filter_map(|(at, found)| Some((at, found?))).collect();
        let seen: Vec<f32> =
            found.iter().flat_map(|(_, place)| best.rows.row(*place)).copied().collect();
        let mut contributions = Vec::new();
        trees.model.attribute_rows(&Matrix::from_vec(seen, best.rows.width()), &mut contributions);
        let about: Vec<usize> = self.ranker.layout.about_trees().map(place).collect();
        let contributions = contributions.chunks_exact(best.rows.width());
        for ((at, _), contributions) in found.iter().zip(contributions) {
            let (parts, base) = &mut all[*at];
            self.weigh_anew(places[*at], &trees.weights, parts);
            let (of_title, of_user) = contributions.split_at(about.len());
            for (contribution, about) in of_title.iter().zip(&about) {
                parts[*about] += trees.share * contribution;
            }
            let of_user: f64 = of_user.iter().sum();
            *base += trees.share * (trees.model.bias() + of_user) - lowered;
        }
        all
    }

    /// Changes one of the best's parts from what the weights of all titles say to what those `among` the best do.
    fn weigh_anew(&self, at: usize, among: &[f64], parts: &mut [f64; PARTS]) {
        let weights = &self.ranker.weights;
        let features = &self.features[at * weights.len()..(at + 1) * weights.len()];
        let changes = among.iter().zip(weights).map(|(among, weight)| among - weight);
        for ((feature, change), about) in
            features.iter().zip(changes).zip(self.ranker.layout.about())
        {
            parts[place(about)] += f64::from(*feature) * change;
        }
    }

    /// So many rows set the scale: the candidates, or where there are none all.
    fn scale(&self) -> usize {
        if self.candidates > 0 { self.candidates } else { self.rows.len() }
    }

    /// How much of the order of its first `limit` items each source decides: its share in how far they lie from the average
    /// candidate. What trees say of it is left out.
    pub(crate) fn shares(&self, limit: usize) -> [f32; Source::ALL.len()] {
        let mut far = [0.0; PARTS];
        for place in self.first(limit) {
            let apart = self.parts[place].iter().zip(&self.mean).map(|(part, mean)| part - mean);
            far.iter_mut().zip(apart).for_each(|(sum, apart)| *sum += apart.abs());
        }
        let all = far.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        std::array::from_fn(|source| (far[source] / all) as f32)
    }
}

/// Each part of every row's logit without what trees change.
fn weighed(
    ranker: &Ranker,
    ensemble: &Ensemble<'_>,
    known: &Known<'_>,
    (rows, features): (&[u32], &[f32]),
) -> Vec<[f64; PARTS]> {
    let places: Vec<usize> = ranker.layout.about().map(place).collect();
    let mut all = vec![[0.0; PARTS]; rows.len()];
    let features = features.chunks_exact(known.weights.len().max(1));
    for ((row, features), parts) in rows.iter().zip(features).zip(&mut all) {
        for ((feature, weight), place) in features.iter().zip(known.weights).zip(&places) {
            parts[*place] += f64::from(*feature) * weight;
        }
        if known.asked > 0.0 {
            let fit = ensemble.score(Source::Context, *row);
            parts[Source::Context as usize] += known.asked * f64::from(fit);
        }
    }
    all
}

/// Lets trees, if there are any, order the best of the first `competing` rows among themselves.
fn reordered(
    ranker: &Ranker,
    known: &Known<'_>,
    features: &[f32],
    competing: usize,
    logits: &mut [f64],
) -> Option<(Best, f64)> {
    let trees = ranker.trees.as_ref()?;
    let (scores, stands_for) = (logits.to_vec(), vec![0.0; logits.len()]);
    let user = trees::user(known.viewer.titles(), &known.moment);
    let titles = Titles { features, scores: &scores, stands_for: &stands_for, user };
    let best = Best::of(&titles, competing);
    let lowered = best.reorder((&ranker.weights, trees), &stands_for, logits);
    Some((best, lowered))
}

/// An adapter learned to order the best among themselves: what lies further down, before it is asked, it lifts no higher than
/// what it lifts least of the best.
fn among_the_best(personal: &mut [f32], logits: &[f64], candidates: usize) {
    if candidates <= PERSONAL || personal.is_empty() {
        return;
    }
    let mut sorted = logits[..candidates].to_vec();
    let (_, worst, _) = sorted.select_nth_unstable_by(PERSONAL - 1, |a, b| b.total_cmp(a));
    let worst = *worst;
    let best = personal.iter().zip(logits).take(candidates).filter(|(_, logit)| **logit >= worst);
    let least = best.map(|(own, _)| *own).fold(f32::INFINITY, f32::min);
    for (own, logit) in personal.iter_mut().zip(logits) {
        if *logit < worst {
            *own = own.min(least);
        }
    }
}

fn mean(parts: &[[f64; PARTS]]) -> [f64; PARTS] {
    let mut mean = [0.0; PARTS];
    for parts in parts {
        mean.iter_mut().zip(parts).for_each(|(mean, part)| *mean += part);
    }
    mean.map(|sum| sum / parts.len().max(1) as f64)
}

/// What a title that fits the request perfectly gains: a mood or a company that is asked for is heard, and so are genres a
/// newcomer said they like, the less the more is known.
pub(crate) fn asked_for(context: &RequestContext, titles: usize) -> f64 {
    let mut gain = 0.0;
    if context.mood.is_some() || context.company.is_some() {
        gain += ASKED;
    }
    if !context.genres.is_empty() {
        gain += LIKED * NEW / (NEW + titles as f64);
    } else if context.age_range.is_some() || context.region.is_some() {
        gain += AKIN * NEW / (NEW + titles as f64);
    }
    gain
}

fn place(about: About) -> usize {
    match about {
        About::Source(source) => source as usize,
        About::Year => YEAR,
        About::Genre => GENRE,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever an adapter says, the best stay the best: their order is its affair, who they are is not.
        #[test]
        fn an_adapter_lifts_nothing_above_the_best(
            candidates in prop::collection::vec((-9.0..9.0_f64, -4.0..4.0_f32), 0..300),
            given in prop::collection::vec((-9.0..9.0_f64, -4.0..4.0_f32), 0..5),
        ) {
            let rows: Vec<_> = candidates.iter().chain(&given).copied().collect();
            let (logits, said): (Vec<f64>, Vec<f32>) = rows.into_iter().unzip();
            let mut personal = said.clone();
            among_the_best(&mut personal, &logits, candidates.len());
            let with = |at: usize| logits[at] + f64::from(personal[at]);
            let logits = &logits[..];
            let better = |at: usize| {
                (0..candidates.len()).filter(move |b| logits[*b] > logits[at])
            };
            for at in 0..candidates.len() {
                let best = better(at).count() < PERSONAL;
                prop_assert!(!best || personal[at] == said[at]);
                prop_assert!(best || better(at).filter(|b| with(*b) >= with(at)).count() >= PERSONAL);
            }
        }
    }
}
