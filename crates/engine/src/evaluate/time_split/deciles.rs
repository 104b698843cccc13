//! What users' adapters change for whom: a gain on the whole may be a loss for some.
//!
//! Users are put in the order of how well both lists serve them, the one with their adapter and the one without, and told in
//! tenths. By their own change the last tenth would be those who had bad luck, whoever they are; by the list without the adapter
//! alone, luck in that list would look like a loss with the other one. The mean of both has neither fault (Oldham, *A note on the
//! analysis of repeated measurements of the same subjects*, 1962).

use std::collections::BTreeMap;

use serde::Serialize;

use super::TimeOptions;
use super::lists::{ADAPTED, Judged};
use super::report::{Difference, difference, ndcg};
use crate::evaluate::Model;

/// Parts users are told in.
const PARTS: usize = 10;

/// A tenth of the users whose adapter is served, on the choices before which it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decile {
    /// 1: those whom both lists serve worst, to 10.
    pub decile: usize,
    /// Users in it.
    pub users: usize,
    /// Their choices.
    pub targets: usize,
    /// NDCG@10 of the fused lists, the mean over choices.
    pub fused: f64,
    /// How much better the lists with the user's own adapter are.
    pub change: Difference,
}

/// The deciles; none if one of the two models was not asked for, or if there are fewer than ten users.
pub(super) fn deciles(judged: &[Judged], users: usize, options: &TimeOptions) -> Vec<Decile> {
    let place = |wanted| options.models.iter().position(|model| *model == wanted);
    let (Some(fused), Some(adapted)) = (place(Model::Fused), place(Model::Adapted)) else {
        return Vec::new();
    };
    let mut by_user: BTreeMap<u32, Vec<&Judged>> = BTreeMap::new();
    for choice in judged.iter().filter(|choice| choice.slices.contains(&ADAPTED)) {
        by_user.entry(choice.user).or_default().push(choice);
    }
    let both = |choices: &[&Judged]| {
        let sum = choices.iter().map(|choice| ndcg(choice, fused) + ndcg(choice, adapted));
        sum.sum::<f64>() / choices.len() as f64
    };
    let mut people: Vec<_> = by_user.into_values().map(|own| (both(&own), own)).collect();
    // Stable: users of one value stay in the order in which they were first asked for.
    people.sort_by(|one, other| one.0.total_cmp(&other.0));
    if people.len() < PARTS {
        return Vec::new();
    }
    let part = |at: usize| {
        let (from, to) = (at * people.len() / PARTS, (at + 1) * people.len() / PARTS);
        let choices: Vec<&Judged> =
            people[from..to].iter().flat_map(|(_, own)| own).copied().collect();
        // From 0: nothing found is -0, and its sum would be shown as such.
        let without = choices.iter().fold(0.0, |sum, choice| sum + ndcg(choice, fused));
        Decile {
            decile: at + 1,
            users: to - from,
            targets: choices.len(),
            fused: without / choices.len() as f64,
            change: difference(choices.iter().copied(), (adapted, fused), users, options),
        }
    };
    (0..PARTS).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Rows;
    use crate::evaluate::measure::METRICS;

    fn options(models: Vec<Model>) -> TimeOptions {
        TimeOptions {
            rows: Rows::Test,
            train_every: 0,
            all: false,
            models,
            resamples: 200,
            seed: 1,
            keep_lists: false,
            engine: crate::Options::default(),
        }
    }

    /// A choice that two models foresaw so well.
    fn choice(user: u32, slices: &[&'static str], values: [f64; 2]) -> Judged {
        let all = |value: f64| [value; METRICS.len()];
        Judged { user, slices: slices.to_vec(), values: values.map(all).to_vec() }
    }

    #[test]
    fn users_are_told_in_tenths_from_the_worst_served_on() {
        // Twenty users with two choices each, of which the second one comes without an adapter and is not counted.
        let judged: Vec<Judged> = (0..20_u32)
            .flat_map(|user| {
                let level = 0.04 * f64::from(20 - user);
                let change = if user < 2 { -0.01 } else { 0.05 };
                [
                    choice(user, &[ADAPTED], [level, level * (1.0 + change)]),
                    choice(user, &["warm_users"], [1.0, 0.0]),
                ]
            })
            .collect();
        let models = vec![Model::Fused, Model::Adapted];
        let found = deciles(&judged, 20, &options(models.clone()));
        assert_eq!(found.len(), 10);
        for (at, one) in found.iter().enumerate() {
            assert_eq!((one.decile, one.users, one.targets), (at + 1, 2, 2));
            let fused = 0.04 * (2.0 * at as f64 + 1.5);
            assert!((one.fused - fused).abs() < 1e-12, "{one:?}");
            let expect = if at == 9 { -0.01 } else { 0.05 };
            let relative = one.change.relative.expect("some were found");
            assert!((relative - expect).abs() < 1e-12, "{one:?}");
            assert!((one.change.mean - expect * fused).abs() < 1e-12, "{one:?}");
            let [low, high] = one.change.interval95;
            assert!(low <= one.change.mean && one.change.mean <= high, "{one:?}");
            // Nobody else's choices have a part in the interval.
            let own = [1.0, 2.0].map(|nth| expect * 0.04 * (2.0 * at as f64 + nth));
            assert!(low >= own[0].min(own[1]) - 1e-9, "{one:?}");
            assert!(high <= own[0].max(own[1]) + 1e-9, "{one:?}");
        }
        assert_eq!(deciles(&judged, 20, &options(vec![Model::Fused])), []);
        assert_eq!(deciles(&judged[..18], 20, &options(models)), [], "nine are too few");
    }

    #[test]
    fn where_nothing_is_found_there_is_no_relative_change() {
        let judged: Vec<Judged> =
            (0..10).map(|user| choice(user, &[ADAPTED], [0.0, 0.5])).collect();
        let found = deciles(&judged, 10, &options(vec![Model::Adapted, Model::Fused]));
        assert_eq!((found[0].change.mean, found[0].change.relative), (-0.5, Some(-1.0)));
        let found = deciles(&judged, 10, &options(vec![Model::Fused, Model::Adapted]));
        assert_eq!((found[0].change.mean, found[0].change.relative), (0.5, None));
    }
}
