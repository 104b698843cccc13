//! The lists of every model before every choice, judged at once.

use std::collections::{HashMap, HashSet};

use sona_domain::{Event, Source, Timestamp, UserId};

use super::TimeOptions;
use super::report::{self, Lists, TimeReport, TimeSplit};
use crate::Engine;
use crate::adapters::Personal;
use crate::candidates::{Candidates, Question};
use crate::diversify::{self, diversify};
use crate::evaluate::measure::{LIST, METRICS, measure, order_against_us};
use crate::evaluate::{COLD_HISTORY, COLD_VIEWERS, Model, UserList};
use crate::fuse::Ensemble;
use crate::ranker::Serving;
use crate::ranker::moment::moment;
use crate::ranker::rank::{Known, Ranking};

/// Length of the lists whose titles are looked at.
const SHOWN: usize = 10;

/// A user who comes back after so many seconds is a returning one.
const RETURNING: f64 = 7.0 * 86_400.0;

/// The slice of choices before which the user's adapter was served.
pub(super) const ADAPTED: &str = "users_with_an_adapter";

/// One choice and how every model did.
pub(super) struct Judged {
    pub(super) user: u32,
    pub(super) slices: Vec<&'static str>,
    /// By model.
    pub(super) values: Vec<[f64; METRICS.len()]>,
}

/// What was asked so far.
pub(super) struct Asked {
    options: TimeOptions,
    sources: Vec<Source>,
    users: HashMap<UserId, u32>,
    /// Events of a user after lists began to be judged.
    since: HashMap<UserId, usize>,
    last: HashMap<UserId, Timestamp>,
    pub(super) judged: Vec<Judged>,
    shown: Vec<Shown>,
    lists: Vec<Vec<UserList>>,
    targets: Vec<(String, String)>,
    titles: usize,
    /// Whose adapter was served last, and the one of somebody else before.
    adapters: [Option<(UserId, Personal)>; 2],
}

/// What one model showed.
#[derive(Default)]
struct Shown {
    titles: HashSet<u32>,
    novelty: f64,
    distance: f64,
    distances: usize,
    lists: usize,
}

impl Asked {
    pub(super) fn new(engine: &Engine, before: &[Event], options: &TimeOptions) -> Self {
        let fusion = &engine.options.fusion;
        let mut sources = fusion.asked();
        sources.extend(options.models.iter().filter_map(|model| model.alone()));
        sources.sort_unstable();
        sources.dedup();
        let mut asked = Self {
            options: options.clone(),
            sources,
            users: HashMap::new(),
            since: HashMap::new(),
            last: HashMap::new(),
            judged: Vec::new(),
            shown: options.models.iter().map(|_| Shown::default()).collect(),
            lists: options.models.iter().map(|_| Vec::new()).collect(),
            targets: Vec::new(),
            titles: engine.catalogue.latest().entries(),
            adapters: [None, None],
        };
        for event in before {
            asked.last.insert(event.user_id.clone(), event.timestamp);
        }
        asked
    }

    /// Takes in that `event` happened.
    pub(super) fn note(&mut self, event: &Event) {
        self.last.insert(event.user_id.clone(), event.timestamp);
    }

    /// Makes every model's list and compares it with what was chosen.
    pub(super) fn judge(
        &mut self,
        engine: &Engine,
        question: &Question<'_>,
        event: &Event,
        target: u32,
    ) {
        let asked: Vec<_> = self.sources.iter().map(|source| question.ask(*source)).collect();
        let others = self.somebody_elses(&event.user_id, question.personal);
        let mut values = Vec::with_capacity(self.options.models.len());
        for at in 0..self.options.models.len() {
            let model = self.options.models[at];
            let mut list = list(model, engine, question, (&asked, others.as_ref()));
            list.truncate(LIST);
            order_against_us(&mut list, &[target]);
            let rows: Vec<u32> = list.iter().map(|(row, _)| *row).collect();
            values.push(measure(&rows, &[target]));
            self.shown[at].add(question, &rows[..rows.len().min(SHOWN)]);
            if self.options.keep_lists {
                let name = |row: u32| question.view.get(row).map(|c| c.content_id.to_string());
                let items = list.iter().filter_map(|(row, score)| Some((name(*row)?, *score)));
                let user = format!("{}#{}", event.user_id, self.judged.len());
                self.lists[at].push(UserList { user, items: items.collect() });
            }
        }
        if self.options.keep_lists {
            let user = format!("{}#{}", event.user_id, self.judged.len());
            self.targets.push((user, event.content_id.to_string()));
        }
        let slices = self.slices(question, event, target);
        let next = self.users.len() as u32;
        let user = *self.users.entry(event.user_id.clone()).or_insert(next);
        *self.since.entry(event.user_id.clone()).or_default() += 1;
        self.judged.push(Judged { user, slices, values });
    }

    /// The adapter that was served last to somebody else than `user`, whose own is noted.
    fn somebody_elses(&mut self, user: &UserId, own: Option<&Personal>) -> Option<Personal> {
        let [last, before] = &mut self.adapters;
        if last.as_ref().is_some_and(|(id, _)| id != user) {
            *before = last.take();
        }
        if let Some(own) = own.filter(|own| own.is_served()) {
            *last = Some((user.clone(), own.clone()));
        }
        before.as_ref().map(|(_, others)| others.clone())
    }

    fn slices(&self, question: &Question<'_>, event: &Event, target: u32) -> Vec<&'static str> {
        let mut slices = Vec::new();
        let titles = question.taste.engaged.len();
        slices.push(if titles <= COLD_HISTORY { "cold_users" } else { "warm_users" });
        if question.counts.viewers.of(target) < COLD_VIEWERS {
            slices.push("cold_items");
        }
        let last = self.last.get(&event.user_id);
        if last.is_some_and(|last| event.timestamp.seconds_since(*last) >= RETURNING) {
            slices.push("returning_users");
        }
        if question.personal.is_some_and(Personal::is_served) {
            slices.push(ADAPTED);
        }
        slices.push(match self.since.get(&event.user_id).copied().unwrap_or(0) {
            0 => "first_after_cut",
            1..5 => "second_to_fifth_after_cut",
            _ => "sixth_on_after_cut",
        });
        slices
    }

    pub(super) fn report(
        self,
        name: String,
        (cut, judged_from, end): (usize, usize, usize),
    ) -> TimeReport {
        let split = TimeSplit {
            rows: self.options.rows,
            trained_before: cut,
            judged_from,
            end,
            train_every: self.options.train_every,
            targets: self.judged.len(),
        };
        let titles = self.titles;
        let lists = self.shown.iter().map(|shown| shown.numbers(titles)).collect();
        report::report(
            name,
            split,
            &self.options,
            (&self.judged, self.users.len()),
            lists,
            (self.lists, self.targets),
        )
    }
}

impl Shown {
    fn add(&mut self, question: &Question<'_>, rows: &[u32]) {
        let viewers = &question.counts.viewers;
        let all: f64 = f64::from(viewers.viewers().iter().copied().max().unwrap_or(0)) + 1.0;
        self.titles.extend(rows);
        self.lists += 1;
        let bits = |row: &u32| (all / (1.0 + f64::from(viewers.of(*row)))).log2();
        self.novelty += rows.iter().map(bits).sum::<f64>() / rows.len().max(1) as f64;
        let scored: Vec<_> = rows.iter().map(|row| (*row, 0.0)).collect();
        if let Some(distance) = diversify::distance(question, &scored) {
            self.distance += f64::from(distance);
            self.distances += 1;
        }
    }

    fn numbers(&self, titles: usize) -> Lists {
        Lists {
            coverage: self.titles.len() as f64 / titles.max(1) as f64,
            novelty: self.novelty / self.lists.max(1) as f64,
            intra_list_distance: (self.distances > 0)
                .then(|| self.distance / self.distances as f64),
        }
    }
}

/// One model's list.
fn list(
    model: Model,
    engine: &Engine,
    question: &Question<'_>,
    (asked, others): (&[Box<dyn Candidates + '_>], Option<&Personal>),
) -> Vec<(u32, f32)> {
    let fusion = &engine.options.fusion;
    let part = |wanted: &dyn Fn(Source) -> bool| -> Vec<_> {
        let sources = asked.iter().filter(|source| wanted(source.source()));
        sources.map(|source| Box::new(source.as_ref()) as Box<dyn Candidates + '_>).collect()
    };
    if let Some(source) = model.alone() {
        let source = asked.iter().find(|asked| asked.source() == source);
        let best = source.map(|source| source.best(question.allowed, LIST));
        return best.unwrap_or_default().into_iter().filter(|(_, score)| *score > 0.0).collect();
    }
    let Some(serving) = question.serving.filter(|_| model.is_ranked()) else {
        let titles = question.taste.engaged.len();
        let fusion = fusion.for_user(titles, question.context, question.own_vector.is_some());
        let part = part(&|source| fusion.weight(source) > 0.0);
        return Ensemble::new(part, question.allowed, &fusion, LIST).list(LIST);
    };
    let own = question.personal.filter(|own| own.is_served());
    let personal = match model {
        Model::Adapted => own,
        // Where the user's own would not be served, nobody's is.
        Model::OthersAdapter => own.and(others),
        Model::Alone(_)
        | Model::Weighted
        | Model::Fused
        | Model::FusedWithout(_)
        | Model::WithoutLayer
        | Model::Diversified => None,
    };
    let takes_part = fusion.asked();
    let part = part(&|source| takes_part.contains(&source) && model.takes(source));
    let ensemble = Ensemble::new(part, question.allowed, fusion, LIST);
    let with_layer = model != Model::WithoutLayer;
    let list = ranked(serving, (with_layer, personal), question, &ensemble);
    if model != Model::Diversified {
        return list;
    }
    let chosen = diversify(question, &list, &engine.options.diversity, SHOWN);
    chosen.iter().map(|one| (one.row, one.relevance - one.penalty)).collect()
}

fn ranked(
    serving: &Serving,
    (with_layer, personal): (bool, Option<&Personal>),
    question: &Question<'_>,
    ensemble: &Ensemble<'_>,
) -> Vec<(u32, f32)> {
    let moment = moment(&question.taste.liked, question.now, question.timezone);
    let weights =
        if with_layer { serving.weights(&moment) } else { serving.ranker.weights.clone() };
    let viewer = question.taste.viewer(&serving.ranker.layout, question.view, question.now);
    let known = Known { viewer: &viewer, personal, moment, weights: &weights, asked: 0.0 };
    Ranking::new(&serving.ranker, ensemble, question.view, &known, &[]).list(LIST)
}
