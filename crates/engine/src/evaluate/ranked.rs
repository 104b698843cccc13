//! The ranker of an evaluation, fitted like the one of a server on choices that nothing it rests on knows.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sona_domain::Clock;
use sona_numeric::rows::RowSet;

use super::data::Data;
use super::measure::LIST;
use super::split::{Case, Split};
use super::{Fitted, Model, Options, Result};
use crate::candidates::Candidates;
use crate::fuse::Ensemble;
use crate::live::users::Taste;
use crate::options::Ranker as RankerOptions;
use crate::ranker::Ranker;
use crate::ranker::choice::{Choice, FOR_TRAINING, Offer};
use crate::ranker::features::Layout;
use crate::ranker::fit::{self, Wanted};
use crate::ranker::moment::UNKNOWN;
use crate::ranker::rank::{Known, Ranking};

/// The choices a ranker is fitted on.
pub(crate) struct LearnedFrom {
    layout: Layout,
    choices: Vec<Choice>,
}

impl LearnedFrom {
    /// What is asked of `split`, asked one step earlier.
    pub(crate) fn new(
        data: &Data,
        split: &Split,
        options: &Options,
        clock: &dyn Clock,
    ) -> Result<Self> {
        let inner = split.within(data, &options.split, options.engine.ranker.choices);
        let sources = options.engine.fusion.asked();
        let fitted = Fitted::new(data, &inner, &sources, &options.engine, clock)?;
        let layout = Layout::of(&data.view);
        let mut choices = choices(&inner.cases, &fitted, &layout, options);
        // The later ones judge: they should be anybody's.
        shuffle(&mut choices, options.split.seed);
        Ok(Self { layout, choices })
    }

    /// How many there are.
    pub(crate) fn choices(&self) -> usize {
        self.choices.len()
    }

    /// The ranker they teach; `None` if they are too few.
    pub(crate) fn fit(&self, options: &RankerOptions) -> Option<Ranker> {
        let least = options.least_choices;
        let wanted = Wanted { least, layer: false, trees: options.into() };
        // Who evaluates ends the process to end it.
        let fitted = fit::fit(&self.layout, &self.choices, &wanted, &|| Ok(())).ok()?;
        fitted.map(|fitted| fitted.ranker)
    }
}

fn choices(cases: &[Case], fitted: &Fitted, layout: &Layout, options: &Options) -> Vec<Choice> {
    let chunks = cases.par_chunks(super::CHUNK).map(|cases| {
        let mut timeline = fitted.timeline();
        let mut found = Vec::new();
        for (case, at) in cases.iter().zip(0..) {
            let seed = options.split.seed ^ u64::from(case.user) << 20 ^ at;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let content = &options.engine.content;
            fitted.ask(case, &mut timeline, content, |sources, allowed, taste| {
                let ensemble = ensemble(sources.iter(), allowed, options);
                let target = one_of(&case.targets, &mut rng);
                let Some(target) = target.filter(|row| allowed.contains(*row)) else {
                    return;
                };
                let (view, draw) = (fitted.view(), FOR_TRAINING);
                let (ensemble, ranker) = (&ensemble, None);
                let offer = Offer { layout, ensemble, view, allowed, draw, ranker };
                found.push(offer.choice(target, (taste, case.at), &mut rng));
            });
        }
        found
    });
    chunks.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Any one of what is looked for. Not the first: where rows have no times their order may be that of the items, and the first
/// items of a file are often those that many have met.
fn one_of(targets: &[u32], rng: &mut ChaCha8Rng) -> Option<u32> {
    targets.choose(rng).copied()
}

fn shuffle(choices: &mut [Choice], seed: u64) {
    use rand::seq::SliceRandom;
    choices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
}

fn ensemble<'s>(
    sources: impl Iterator<Item = &'s Box<dyn Candidates + 's>>,
    allowed: &RowSet,
    options: &Options,
) -> Ensemble<'s> {
    let asked = options.engine.fusion.asked();
    let sources = sources.filter(|source| asked.contains(&source.source()));
    let sources = sources.map(|source| Box::new(source.as_ref()) as Box<dyn Candidates + 's>);
    Ensemble::new(sources, allowed, &options.engine.fusion, LIST)
}

/// The list of a case by the ranker, of the sources that take part in the model.
pub(super) fn list(
    ranker: &Ranker,
    (case, taste, fitted): (&Case, &Taste, &Fitted),
    sources: &[Box<dyn Candidates + '_>],
    allowed: &RowSet,
    (options, model): (&Options, Model),
) -> Vec<(u32, f32)> {
    let taking_part = sources.iter().filter(|source| model.takes(source.source()));
    let ensemble = ensemble(taking_part, allowed, options);
    let viewer = taste.viewer(&ranker.layout, fitted.view(), case.at);
    let known = Known {
        viewer: &viewer,
        personal: None,
        moment: UNKNOWN,
        weights: &ranker.weights,
        asked: 0.0,
    };
    Ranking::new(ranker, &ensemble, fitted.view(), &known, &[]).list(LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_targets_each_is_chosen_as_often() {
        let mut times = [0; 3];
        for user in 0..3_000 {
            let target = one_of(&[0, 1, 2], &mut ChaCha8Rng::seed_from_u64(user));
            times[target.expect("there are some") as usize] += 1;
        }
        assert!(times.iter().all(|times| (850..1_150).contains(times)), "{times:?}");
        assert_eq!(one_of(&[], &mut ChaCha8Rng::seed_from_u64(0)), None);
    }
}
