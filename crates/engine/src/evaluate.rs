//! How good are the lists? The product's own sources and its fusion, fitted on one part of a data set and
//! judged on another, the way the literature does it.
//!
//! Everything is in memory and in this process: no database, no server. Who reads the data is the caller's
//! concern ([`Builder`] takes rows); users are asked in parallel; the same seed gives the same numbers.

mod data;
mod fitted;
mod measure;
mod model;
mod ranked;
mod slices;
mod split;
mod texts;
mod time_split;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use sona_domain::{Clock, RequestContext};

pub use data::{Builder, Data, Part, Row};
pub use measure::{LIST, METRICS, Summary};
pub use model::Model;
pub(crate) use ranked::LearnedFrom;
pub use slices::{COLD_HISTORY, COLD_VIEWERS, Slice, Slices};
pub use split::{Protocol, Rows, SplitOptions};
pub use time_split::{
    Decile, Difference, Lists, Replayed, TimeModel, TimeOptions, TimeReport, TimeSplit, World,
    time_split,
};

use crate::options;
use crate::ranker::Ranker;
pub(crate) use fitted::Fitted;
pub(crate) use split::{Case, Split};

/// Why nothing could be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data set has not what the protocol or a model needs.
    #[error("{0}")]
    Unsuitable(String),
    /// The factorisation failed.
    #[error("the collaborative source cannot be fitted: {0}")]
    Fit(#[from] sona_numeric::als::Error),
    /// The item-item model failed.
    #[error("the item-item source cannot be fitted: {0}")]
    ItemItem(#[from] sona_numeric::item_item::Error),
    /// The embedding failed.
    #[error("the embedding source cannot be fitted: {0}")]
    Embedding(#[from] sona_numeric::embedding::Error),
    /// No encoder could be learned from the texts.
    #[error("no text encoder can be learned from the catalogue: {0}")]
    Learning(#[from] sona_encoder::learn::Error),
    /// The text encoder cannot be opened or used.
    #[error(transparent)]
    Encoder(#[from] sona_encoder::Error),
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Cases that share one walk along the time line.
const CHUNK: usize = 256;

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to split.
    pub split: SplitOptions,
    /// Which models; see [`Model::of`] for those a data set allows.
    pub models: Vec<Model>,
    /// Samples the intervals rest on; 0 = no intervals.
    pub resamples: usize,
    /// Whether the lists themselves are wanted.
    pub keep_lists: bool,
    /// The engine's numbers.
    pub engine: options::Options,
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Sources are fitted.
    Fitting,
    /// Lists are made.
    Ranking {
        /// For so many users already.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Intervals are worked out.
    Resampling,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The protocol.
    pub protocol: Protocol,
    /// The data set.
    pub data: String,
    /// Users asked for.
    pub users: usize,
    /// The seed.
    pub seed: u64,
    /// What was known and what was looked for.
    pub split: SplitReport,
    /// What orders the fused lists; none if no model has such lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerReport>,
    /// The models in the order asked.
    pub models: Vec<ModelReport>,
}

/// The ranker of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RankerReport {
    /// Choices there were to learn from.
    pub choices: usize,
    /// With fewer there is no ranker, and fused lists go by the configured weights.
    pub least_choices: usize,
    /// Whether there is one.
    pub is_fitted: bool,
    /// Whether trees order its best titles.
    pub with_trees: bool,
}

/// The split in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// Test or validation.
    pub rows: Rows,
    /// How it was made.
    pub rule: String,
    /// Users in the data set.
    pub users: usize,
    /// Items in the data set.
    pub items: usize,
    /// Pairs models were fitted on.
    pub fitted_pairs: usize,
    /// Pairs looked for.
    pub targets: usize,
    /// Rows that named a pair again and did not count.
    pub repeated: usize,
}

/// One model in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The model's name.
    pub name: String,
    /// Wall time of fitting its sources and what they are fitted on, in seconds.
    pub fit_seconds: f64,
    /// Over all users.
    #[serde(flatten)]
    pub summary: Summary,
    /// Where little is known.
    pub slices: Slices,
}

/// A report and, if asked for, what it rests on.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The numbers.
    pub report: Report,
    /// Per model its lists, in the order of the users asked for.
    pub lists: Vec<Vec<UserList>>,
    /// (user id, item id) of every target, by user; only with lists.
    pub targets: Vec<(String, String)>,
}

/// One user's list.
#[derive(Debug, Clone, PartialEq)]
pub struct UserList {
    /// Whose.
    pub user: String,
    /// Item ids with scores, best first, at most [`LIST`].
    pub items: Vec<(String, f32)>,
}

/// Evaluates.
///
/// # Errors
/// When the data set has not what the protocol or a model needs, or nothing can be fitted.
pub fn evaluate(
    data: &Data,
    options: &Options,
    clock: &dyn Clock,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Evaluation> {
    let split = Split::new(data, &options.split).map_err(Error::Unsuitable)?;
    if let Some(lack) = options.models.iter().find_map(|model| model.lack(data)) {
        return Err(Error::Unsuitable(lack));
    }
    if let Some(model) = options.models.iter().find(|model| model.is_in_time_only()) {
        return Err(Error::Unsuitable(format!("{model} is judged under time-split only")));
    }
    progress(Progress::Fitting);
    let fusion = &options.engine.fusion;
    let mut sources: Vec<_> =
        options.models.iter().flat_map(|model| model.sources(fusion)).collect();
    let is_ranked = options.models.iter().any(|model| model.is_ranked());
    if is_ranked {
        sources.extend(fusion.asked());
    }
    sources.sort_unstable();
    sources.dedup();
    let begun = clock.now();
    let learned_from = is_ranked.then(|| LearnedFrom::new(data, &split, options, clock));
    let learned_from = learned_from.transpose()?;
    let ranker = learned_from.as_ref().and_then(|from| from.fit(&options.engine.ranker));
    let ranker_seconds = clock.now().seconds_since(begun);
    let fitted = Fitted::new(data, &split, &sources, &options.engine, clock)?;
    let ranked = rank(&split.cases, (&fitted, ranker.as_ref()), options, progress);
    progress(Progress::Resampling);
    let summarise = |values: &[[f64; METRICS.len()]]| {
        measure::summarise(values, options.resamples, options.split.seed)
    };
    let models = options.models.iter().enumerate().map(|(at, model)| {
        let values: Vec<_> = ranked.iter().map(|lists| lists.values[at]).collect();
        ModelReport {
            name: model.to_string(),
            fit_seconds: fitted.seconds_of(&model.sources(fusion))
                + if model.is_ranked() { ranker_seconds } else { 0.0 },
            summary: summarise(&values),
            slices: slices::slices(at, &split, &ranked, summarise),
        }
    });
    let report = Report {
        protocol: options.split.protocol,
        data: data.name.clone(),
        users: split.cases.len(),
        seed: options.split.seed,
        ranker: learned_from.map(|from| RankerReport {
            choices: from.choices(),
            least_choices: options.engine.ranker.least_choices,
            is_fitted: ranker.is_some(),
            with_trees: ranker.as_ref().is_some_and(|ranker| ranker.trees.is_some()),
        }),
        models: models.collect(),
        split: describe(data, &split, options),
    };
    let lists = (0..options.models.len()).map(|at| named(data, &split, &ranked, at)).collect();
    let targets = if options.keep_lists { targets(data, &split) } else { Vec::new() };
    Ok(Evaluation { report, lists, targets })
}

fn describe(data: &Data, split: &Split, options: &Options) -> SplitReport {
    SplitReport {
        rows: options.split.rows,
        rule: split.rule.clone(),
        users: data.users(),
        items: data.items(),
        fitted_pairs: split.fit.iter().map(Vec::len).sum(),
        targets: split.cases.iter().map(|case| case.targets.len()).sum(),
        repeated: data.repeated,
    }
}

/// One case's outcome: per model the metrics and, if kept, the list.
pub(crate) struct Ranked {
    pub(crate) values: Vec<[f64; METRICS.len()]>,
    /// Targets that few have met.
    cold_targets: usize,
    /// The metrics if only those targets were looked for; none without such a target.
    cold_values: Vec<[f64; METRICS.len()]>,
    lists: Vec<Vec<(u32, f32)>>,
}

/// Makes every case's list with every model. Cases are in the order of time; a few of them share one walk
/// along it.
pub(crate) fn rank(
    cases: &[Case],
    (fitted, ranker): (&Fitted, Option<&Ranker>),
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Vec<Ranked> {
    let (done, of) = (AtomicUsize::new(0), cases.len());
    let chunks = cases.par_chunks(CHUNK).map(|chunk| {
        let mut timeline = fitted.timeline();
        let ranked: Vec<_> = chunk
            .iter()
            .map(|case| {
                let cold = slices::cold_targets(case, fitted);
                let (fusion, unsaid) = (&options.engine.fusion, RequestContext::default());
                let fusion = fusion.for_user(case.history.len(), &unsaid, false);
                let content = &options.engine.content;
                fitted.ask(case, &mut timeline, content, |sources, allowed, taste| {
                    let list = |model: &Model| match ranker.filter(|_| model.is_ranked()) {
                        None => model.list(sources, allowed, &fusion),
                        Some(ranker) => {
                            let of = (case, taste, fitted);
                            ranked::list(ranker, of, sources, allowed, (options, *model))
                        }
                    };
                    let lists = options.models.iter().map(list).collect();
                    judge(lists, case, &cold, options.keep_lists)
                })
            })
            .collect();
        let done = done.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
        progress(Progress::Ranking { done, of });
        ranked
    });
    chunks.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn judge(mut lists: Vec<Vec<(u32, f32)>>, case: &Case, cold: &[u32], keep: bool) -> Ranked {
    let mut against = |targets: &[u32]| {
        let values = lists.iter_mut().map(|list| {
            measure::order_against_us(list, targets);
            let rows: Vec<u32> = list.iter().map(|(row, _)| *row).collect();
            measure::measure(&rows, targets)
        });
        values.collect()
    };
    let cold_values = if cold.is_empty() { Vec::new() } else { against(cold) };
    // All targets come last: the lists are kept in this order.
    let values = against(&case.targets);
    let lists = if keep { lists } else { Vec::new() };
    Ranked { values, cold_targets: cold.len(), cold_values, lists }
}

fn named(data: &Data, split: &Split, ranked: &[Ranked], model: usize) -> Vec<UserList> {
    let lists = split.cases.iter().zip(ranked).filter_map(|(case, ranked)| {
        let list = ranked.lists.get(model)?;
        let items = list.iter().map(|(row, score)| (data.items[*row as usize].clone(), *score));
        Some(UserList { user: data.users[case.user as usize].clone(), items: items.collect() })
    });
    lists.collect()
}

fn targets(data: &Data, split: &Split) -> Vec<(String, String)> {
    let pairs = split.cases.iter().flat_map(|case| {
        let user = &data.users[case.user as usize];
        case.targets.iter().map(|row| (user.clone(), data.items[*row as usize].clone()))
    });
    pairs.collect()
}
