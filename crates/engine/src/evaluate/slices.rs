//! Where little is known: users with a short history, and items that few have met. The lists are those of all users; only
//! who or what is counted differs.

use serde::Serialize;

use super::measure::{METRICS, Summary};
use super::split::{Case, Split};
use super::{Ranked, fitted::Fitted};

/// A user is cold whose history has at most so many items.
pub const COLD_HISTORY: usize = 5;

/// An item is cold that fewer users than this have met in what models are fitted on.
pub const COLD_VIEWERS: u32 = 5;

/// A model's numbers where little is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slices {
    /// Users whose history has at most [`COLD_HISTORY`] items.
    pub cold_users: Slice,
    /// Targets that fewer than [`COLD_VIEWERS`] users have met in what models are fitted on: users who have such targets,
    /// and of their targets these.
    pub cold_items: Slice,
}

/// A model's numbers on a part of what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// Users in it.
    pub users: usize,
    /// Pairs looked for.
    pub targets: usize,
    /// Metrics; none without a user.
    #[serde(flatten)]
    pub summary: Summary,
}

/// The targets of a case that few have met.
pub(super) fn cold_targets(case: &Case, fitted: &Fitted) -> Vec<u32> {
    let few = |row: &u32| fitted.viewers(*row) < COLD_VIEWERS;
    case.targets.iter().copied().filter(few).collect()
}

/// The slices of the `at`-th model.
pub(super) fn slices(
    at: usize,
    split: &Split,
    ranked: &[Ranked],
    summarise: impl Fn(&[[f64; METRICS.len()]]) -> Summary,
) -> Slices {
    let slice = |targets: usize, values: Vec<[f64; METRICS.len()]>| Slice {
        users: values.len(),
        targets,
        summary: summarise(&values),
    };
    let cold = || {
        let cases = split.cases.iter().zip(ranked);
        cases.filter(|(case, _)| case.history.len() <= COLD_HISTORY)
    };
    let targets = cold().map(|(case, _)| case.targets.len()).sum();
    let cold_users = slice(targets, cold().map(|(_, ranked)| ranked.values[at]).collect());
    let targets = ranked.iter().map(|ranked| ranked.cold_targets).sum();
    let values = ranked.iter().filter_map(|ranked| ranked.cold_values.get(at).copied());
    Slices { cold_users, cold_items: slice(targets, values.collect()) }
}
