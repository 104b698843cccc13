//! Judged choices in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use sona_numeric::bootstrap;

use super::TimeOptions;
use super::deciles::{Decile, deciles};
use super::lists::Judged;
use crate::evaluate::measure::{METRICS, Summary};
use crate::evaluate::slices::Slice;
use crate::evaluate::{Protocol, Rows, UserList};

/// A user with so many targets is an active one.
const ACTIVE: usize = 10;

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeReport {
    /// The protocol.
    pub protocol: Protocol,
    /// The data set.
    pub data: String,
    /// Users asked for.
    pub users: usize,
    /// The seed.
    pub seed: u64,
    /// What was known and what was looked for.
    pub split: TimeSplit,
    /// The models in the order asked.
    pub models: Vec<TimeModel>,
    /// What users' own adapters change, by tenths of the users who have one; none without `fused` and `fused+adapter`, or with
    /// fewer than ten such users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deciles: Vec<Decile>,
    /// By model, the lists; only if wanted.
    #[serde(skip)]
    pub lists: Vec<Vec<UserList>>,
    /// (user, item id) of every target; only with lists.
    #[serde(skip)]
    pub targets: Vec<(String, String)>,
}

/// The split in numbers of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimeSplit {
    /// Test or validation.
    pub rows: Rows,
    /// Events before models were first trained; from there on they arrived one by one.
    pub trained_before: usize,
    /// From this event on lists were judged,
    pub judged_from: usize,
    /// to this one.
    pub end: usize,
    /// Models were trained again after so many events.
    pub train_every: usize,
    /// Choices looked for.
    pub targets: usize,
}

/// One model in numbers. Means are over choices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeModel {
    /// The model's name.
    pub name: String,
    /// Over all choices; intervals by resampling users.
    #[serde(flatten)]
    pub summary: Summary,
    /// What its lists of ten are like.
    pub lists: Lists,
    /// How much better the fused lists are, in NDCG@10; none for the fused ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fused_gain: Option<Difference>,
    /// By name, parts of the choices.
    pub slices: BTreeMap<String, Slice>,
}

/// Lists of ten in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lists {
    /// Share of the catalogue that was in any of them.
    pub coverage: f64,
    /// The mean of `log2(viewers of the most watched title / viewers)`, in bits.
    pub novelty: f64,
    /// The mean of 1 − cosine over their pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_list_distance: Option<f64>,
}

/// A difference over the same choices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Its mean.
    pub mean: f64,
    /// The same relative to the other model's mean; absent if that is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
    /// The 95 % interval of the mean, by resampling users.
    pub interval95: [f64; 2],
}

pub(super) fn report(
    data: String,
    split: TimeSplit,
    options: &TimeOptions,
    (judged, users): (&[Judged], usize),
    lists: Vec<Lists>,
    (kept, targets): (Vec<Vec<UserList>>, Vec<(String, String)>),
) -> TimeReport {
    let deciles = deciles(judged, users, options);
    let fused = options.models.iter().position(|model| *model == crate::evaluate::Model::Fused);
    let models =
        options.models.iter().zip(lists).enumerate().map(|(at, (model, lists))| TimeModel {
            name: model.to_string(),
            summary: summary(judged, at, users, options),
            lists,
            fused_gain: fused
                .filter(|fused| *fused != at)
                .map(|fused| difference(judged, (fused, at), users, options)),
            slices: slices(judged, at, users, options),
        });
    TimeReport {
        protocol: Protocol::TimeSplit,
        data,
        users,
        seed: options.seed,
        models: models.collect(),
        deciles,
        split,
        lists: kept,
        targets,
    }
}

/// Means over choices, and their intervals.
fn summary<'j>(
    judged: impl IntoIterator<Item = &'j Judged>,
    model: usize,
    users: usize,
    options: &TimeOptions,
) -> Summary {
    let rows = judged.into_iter().map(|one| (one.user, one.values[model]));
    let sums = by_user(rows, users);
    let asked: f64 = sums.iter().map(|row| row[METRICS.len()]).sum();
    if asked == 0.0 {
        return Summary::default();
    }
    let mean = |at: usize| sums.iter().map(|row| row[at]).sum::<f64>() / asked;
    let named = |value: &dyn Fn(usize) -> f64| {
        METRICS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), value(at))).collect()
    };
    let interval95 = if options.resamples == 0 {
        BTreeMap::new()
    } else {
        let (width, flat) = (METRICS.len() + 1, sums.as_flattened());
        let all = bootstrap::ratio_intervals(flat, width, options.resamples, options.seed);
        METRICS
            .iter()
            .zip(all)
            .map(|(name, (low, high))| ((*name).to_owned(), [low, high]))
            .collect()
    };
    Summary { metrics: named(&mean), interval95 }
}

/// Sums of every metric and the number of choices, of users who made any.
fn by_user(
    rows: impl Iterator<Item = (u32, [f64; METRICS.len()])>,
    users: usize,
) -> Vec<[f64; METRICS.len() + 1]> {
    let mut sums = vec![[0.0; METRICS.len() + 1]; users];
    for (user, values) in rows {
        let sum = &mut sums[user as usize];
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        sum[METRICS.len()] += 1.0;
    }
    sums.retain(|sum| sum[METRICS.len()] > 0.0);
    sums
}

/// How much better one model is than another one over choices, in NDCG@10.
pub(super) fn difference<'j>(
    judged: impl IntoIterator<Item = &'j Judged>,
    (one, other): (usize, usize),
    users: usize,
    options: &TimeOptions,
) -> Difference {
    let mut sums = vec![[0.0; 2]; users];
    let mut total = 0.0;
    for choice in judged {
        let sum = &mut sums[choice.user as usize];
        sum[0] += ndcg(choice, one) - ndcg(choice, other);
        sum[1] += 1.0;
        total += ndcg(choice, other);
    }
    // Whoever made none of these choices is not drawn.
    sums.retain(|sum| sum[1] > 0.0);
    let gained: f64 = sums.iter().map(|sum| sum[0]).sum();
    let asked: f64 = sums.iter().map(|sum| sum[1]).sum();
    let flat = sums.as_flattened();
    let (low, high) = bootstrap::ratio_intervals(flat, 2, options.resamples, options.seed)[0];
    Difference {
        mean: gained / asked.max(1.0),
        relative: (total > 0.0).then(|| gained / total),
        interval95: [low, high],
    }
}

/// What a model's list was worth.
pub(super) fn ndcg(choice: &Judged, model: usize) -> f64 {
    let metric = METRICS.iter().position(|name| *name == "ndcg@10").unwrap_or(0);
    choice.values[model][metric]
}

fn slices(
    judged: &[Judged],
    model: usize,
    users: usize,
    options: &TimeOptions,
) -> BTreeMap<String, Slice> {
    let mut choices = vec![0; users];
    for choice in judged {
        choices[choice.user as usize] += 1;
    }
    let mut by_name: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for choice in judged {
        let active = (choices[choice.user as usize] >= ACTIVE).then_some("active_users");
        for name in choice.slices.iter().copied().chain(active) {
            by_name.entry(name).or_default().push(choice);
        }
    }
    let slice = |(name, choices): (&str, Vec<&Judged>)| {
        let mut people: Vec<_> = choices.iter().map(|choice| choice.user).collect();
        people.sort_unstable();
        people.dedup();
        let summary = summary(choices.iter().copied(), model, users, options);
        (name.to_owned(), Slice { users: people.len(), targets: choices.len(), summary })
    };
    by_name.into_iter().map(slice).collect()
}
