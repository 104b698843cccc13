//! Whatever is done to a user's adapters, in whatever order: the store answers and holds what a model in plain maps does.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use sona_domain::{Adapter, UserId};
use sona_store::{Parent, Saved};

use super::{named, new, with_users};
use crate::{Db, at, user};

on_both!(the_store_does_what_the_model_does);

/// Histories gone through, each by a user of its own.
const HISTORIES: usize = 30;

const NAMES: [&str; 2] = ["default", "experimental"];

/// What is done. A version is one ever given out, or one that is not there yet; what a doer expects to be served is either what
/// is, or some version.
#[derive(Debug, Clone)]
enum Step {
    Save(Expected),
    Serve(Expected, Index),
    RollBack(Expected),
    Pin(Index, bool),
    Delete(Index),
    Retain(usize),
    DeleteName,
    DeleteAll,
    OptOut,
    OptIn,
}

#[derive(Debug, Clone)]
enum Expected {
    Anything,
    Right,
    Version(Index),
}

/// Steps, each on one of the names. Saves are the most frequent.
fn history() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let expected = prop_oneof![
        2 => Just(Expected::Anything),
        3 => Just(Expected::Right),
        1 => any::<Index>().prop_map(Expected::Version),
    ];
    let step = prop_oneof![
        10 => expected.clone().prop_map(Step::Save),
        3 => (expected.clone(), any::<Index>()).prop_map(|(e, v)| Step::Serve(e, v)),
        3 => expected.prop_map(Step::RollBack),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(v, pinned)| Step::Pin(v, pinned)),
        3 => any::<Index>().prop_map(Step::Delete),
        3 => (0..5_usize).prop_map(Step::Retain),
        1 => Just(Step::DeleteName),
        1 => Just(Step::DeleteAll),
        1 => Just(Step::OptOut),
        2 => Just(Step::OptIn),
    ];
    vec((0..NAMES.len(), step), 1..50)
}

/// One name's versions as they should be.
#[derive(Debug, Default)]
struct Name {
    last: i64,
    /// Parent and whether it is pinned, by number.
    versions: BTreeMap<i64, (Option<i64>, bool)>,
    served: Option<i64>,
}

impl Name {
    /// A number ever given out, or the next one.
    fn version(&self, index: Index) -> i64 {
        index.index(self.last as usize + 1) as i64 + 1
    }

    fn expected(&self, expected: &Expected) -> Option<i64> {
        match expected {
            Expected::Anything | Expected::Right => self.served,
            Expected::Version(index) => Some(self.version(*index)),
        }
    }

    fn save(&mut self, expected: &Expected) -> Saved {
        if self.expected(expected) != self.served {
            return Saved::Conflict(self.served);
        }
        self.last += 1;
        self.versions.insert(self.last, (self.served, false));
        self.served = Some(self.last);
        Saved::Version(self.last)
    }

    fn serve(&mut self, expected: Option<i64>, version: i64) -> bool {
        let moves = expected == self.served && self.versions.contains_key(&version);
        if moves {
            self.served = Some(version);
        }
        moves
    }

    fn roll_back(&mut self, from: i64) -> Option<i64> {
        if self.served != Some(from) {
            return None;
        }
        let before = self.versions.range(..from).next_back().map(|(version, _)| *version)?;
        self.served = Some(before);
        Some(before)
    }

    fn pin(&mut self, version: i64, pinned: bool) -> bool {
        self.versions.get_mut(&version).map(|about| about.1 = pinned).is_some()
    }

    fn stays(&self, version: i64) -> bool {
        self.served == Some(version) || self.versions.get(&version).is_some_and(|about| about.1)
    }

    fn delete(&mut self, version: i64) -> bool {
        !self.stays(version) && self.versions.remove(&version).is_some()
    }

    fn retain(&mut self, keep: usize) -> u64 {
        let old: Vec<i64> = self.versions.keys().rev().skip(keep).copied().collect();
        old.into_iter().filter(|version| self.delete(*version)).count() as u64
    }

    fn delete_all(&mut self) -> u64 {
        self.served = None;
        std::mem::take(&mut self.versions).len() as u64
    }
}

/// A user, in the store and as the model has them.
struct Twins<'d> {
    db: &'d Db,
    who: UserId,
    names: [Name; 2],
    opted_out: bool,
}

async fn the_store_does_what_the_model_does(db: Db) {
    let mut runner = TestRunner::new(Config::default());
    for round in 0..HISTORIES {
        let steps = history().new_tree(&mut runner).expect("a history").current();
        let id = format!("u{round}");
        with_users(&db, &[&id]).await;
        let mut twins =
            Twins { db: &db, who: user(&id), names: Default::default(), opted_out: false };
        for (done, (name, step)) in steps.iter().enumerate() {
            let so_far = &steps[..=done];
            twins.take(*name, step, so_far).await;
            twins.compare(so_far).await;
        }
    }
}

impl Twins<'_> {
    /// Does a step to both, which answer the same.
    async fn take(&mut self, at_name: usize, step: &Step, so_far: &[(usize, Step)]) {
        let (store, who, id) = (&self.db.store, &self.who, named(NAMES[at_name]));
        let name = &mut self.names[at_name];
        let (found, expect) = match step {
            Step::Save(expected) => {
                let parent = match expected {
                    Expected::Anything => Parent::Any,
                    Expected::Right | Expected::Version(_) => {
                        Parent::Served(name.expected(expected))
                    }
                };
                let work = new(who.as_str(), NAMES[at_name], b"w");
                let found = store.save_adapter(&work, parent, at(2)).await.expect("answered");
                let expect = if self.opted_out { Saved::OptedOut } else { name.save(expected) };
                (format!("{found:?}"), format!("{expect:?}"))
            }
            Step::Serve(expected, version) => {
                let (expected, version) = (name.expected(expected), name.version(*version));
                let found = store.serve_adapter(who, &id, expected, version, at(2)).await;
                told(found, name.serve(expected, version))
            }
            Step::RollBack(expected) => {
                let from = name.expected(expected).unwrap_or(1);
                told(store.roll_back_adapter(who, &id, from, at(2)).await, name.roll_back(from))
            }
            Step::Pin(version, pinned) => {
                let version = name.version(*version);
                let found = store.pin_adapter(who, &id, version, *pinned, at(2)).await;
                told(found, name.pin(version, *pinned))
            }
            Step::Delete(version) => {
                let version = name.version(*version);
                told(store.delete_adapter(who, &id, version).await, name.delete(version))
            }
            Step::Retain(keep) => {
                told(store.retain_adapters(who, &id, *keep).await, name.retain(*keep))
            }
            Step::DeleteName => {
                told(store.delete_adapters_named(who, &id, at(2)).await, name.delete_all())
            }
            Step::DeleteAll => told(store.delete_adapters(who, at(2)).await, self.delete_all()),
            Step::OptOut => {
                let deleted = self.delete_all();
                self.opted_out = true;
                told(self.db.store.opt_out_of_adapters(&self.who, at(2)).await, deleted)
            }
            Step::OptIn => {
                let was = std::mem::take(&mut self.opted_out);
                told(self.db.store.opt_in_to_adapters(&self.who, at(2)).await, was)
            }
        };
        assert_eq!(found, expect, "{so_far:#?}");
    }

    fn delete_all(&mut self) -> u64 {
        self.names.iter_mut().map(Name::delete_all).sum()
    }

    /// Both hold the same.
    async fn compare(&self, so_far: &[(usize, Step)]) {
        for (name, model) in NAMES.into_iter().zip(&self.names) {
            let id = named(name);
            let listed = self.db.store.adapters(&self.who, Some(&id), None, 100).await;
            let found: Vec<_> = listed
                .expect("read")
                .iter()
                .map(|Adapter { about, .. }| {
                    (about.version, about.parent_version, about.is_pinned, about.is_served)
                })
                .collect();
            let expect: Vec<_> = model
                .versions
                .iter()
                .rev()
                .map(|(version, (parent, pinned))| {
                    (*version, *parent, *pinned, model.served == Some(*version))
                })
                .collect();
            assert_eq!(found, expect, "{name} after {so_far:#?}");
            let served = self.db.store.served_adapter(&self.who, &id).await.expect("read");
            let served = served.map(|adapter| (adapter.about.version, adapter.weights));
            assert_eq!(served, model.served.map(|version| (version, b"w".to_vec())));
        }
    }
}

/// What the store and what the model answered, in words.
fn told<T: std::fmt::Debug>(
    found: sona_store::Result<T>,
    expect: impl std::fmt::Debug,
) -> (String, String) {
    (format!("{:?}", found.expect("answered")), format!("{expect:?}"))
}
