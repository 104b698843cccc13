//! The latest part of the log, event by event: what could have been shown before each, and what was chosen.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sona_domain::{Event, LoggedEvent, RequestContext, Source, Timestamp};
use sona_numeric::listwise::List;
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use super::features::Layout;
use super::moment::{MOMENT, UNKNOWN, moment};
use super::past::Past;
use super::trees::{self, User};
use super::viewer::Viewer;
use crate::Engine;
use crate::candidates::Question;
use crate::catalogue::View;
use crate::fuse::Ensemble;
use crate::history::{History, Liked};
use crate::live::counts::{Counts, viewer_key};
use crate::live::trending::Trending;
use crate::live::users::Taste;
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Embedding;
use crate::snapshot::graph::Graph;
use crate::vectors::Found;

/// What a choice is told from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    /// The best candidates, one and all, where one of them was chosen.
    pub(crate) top: usize,
    /// The best candidates where none of those was.
    pub(crate) others_top: usize,
    /// Further candidates of the sources.
    pub(crate) hard: usize,
    /// Other titles.
    pub(crate) easy: usize,
}

/// For a training: there are many choices.
pub(crate) const FOR_TRAINING: Draw = Draw { top: 100, others_top: 40, hard: 20, easy: 10 };

/// For a lesson: there is one.
pub(crate) const FOR_LESSON: Draw = Draw { top: 80, others_top: 80, hard: 40, easy: 30 };

/// So many titles compete for the first places of a list: an adapter learns from choices between them.
pub(crate) const HEAD: usize = 50;

/// Events that are looked at side by side, with the counts as they were before the first of them.
const SIDE_BY_SIDE: usize = 64;

/// What a choice is worth that does not say the title was liked.
const UNCERTAIN: f32 = 0.5;

/// One choice: the titles it was made from, by their features.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) features: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
    pub(crate) chosen: usize,
    /// Whether that was among the best by the configured weights.
    pub(crate) at_top: bool,
    pub(crate) weight: f32,
    pub(crate) moment: [f32; MOMENT],
    /// How many titles the user had.
    pub(crate) titles: usize,
    /// The user, as a number of their own; 0 where nobody asks.
    pub(crate) who: u64,
}

impl Choice {
    /// What trees see of the user.
    pub(crate) fn user(&self) -> User {
        trees::user(self.titles, &self.moment)
    }

    pub(crate) fn list(&self) -> List<'_> {
        self.list_with(&self.offsets)
    }

    /// The titles that compete for the first places: those that stand for themselves alone. `offsets` is what is known of every
    /// title of the choice. `None` if the chosen one was not among the best that could have been shown: what was found further
    /// down, or by no source, says little of the order at the top.
    pub(crate) fn head(&self, offsets: &[f32]) -> Option<Head> {
        if !self.at_top {
            return None;
        }
        let width = self.features.len() / self.offsets.len().max(1);
        let alone = |at: &usize| *at == self.chosen || self.offsets[*at] <= 0.0;
        let rows: Vec<usize> = (0..self.offsets.len()).filter(alone).collect();
        let features = rows.iter().flat_map(|at| &self.features[at * width..(at + 1) * width]);
        Some(Head {
            features: features.copied().collect(),
            offsets: rows.iter().map(|at| offsets[*at]).collect(),
            chosen: rows.iter().position(|at| *at == self.chosen)?,
        })
    }

    /// The same with other offsets.
    pub(crate) fn list_with<'c>(&'c self, offsets: &'c [f32]) -> List<'c> {
        List { features: &self.features, offsets, chosen: self.chosen, weight: self.weight }
    }
}

/// The titles of a choice that compete for the first places, by their features and what is known of them.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) features: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
    pub(crate) chosen: usize,
}

impl Head {
    /// The [`HEAD`] of them of which the most is known, `None` if the chosen one is not among these.
    pub(crate) fn of_best(self) -> Option<Self> {
        let width = self.features.len() / self.offsets.len().max(1);
        let mut rows: Vec<usize> = (0..self.offsets.len()).collect();
        rows.sort_by(|a, b| self.offsets[*b].total_cmp(&self.offsets[*a]));
        rows.truncate(HEAD);
        let chosen = rows.iter().position(|row| *row == self.chosen)?;
        let features = rows.iter().flat_map(|at| &self.features[at * width..(at + 1) * width]);
        let offsets = rows.iter().map(|at| self.offsets[*at]).collect();
        Some(Self { features: features.copied().collect(), offsets, chosen })
    }

    /// The choice between them.
    pub(crate) fn list(&self, weight: f32) -> List<'_> {
        let Self { features, offsets, chosen } = self;
        List { features, offsets, chosen: *chosen, weight }
    }
}

/// What a choice is weighed: whole if the user liked what they chose.
pub(crate) fn weight_of(event: &Event, engagement: f32) -> f32 {
    if is_positive(event, engagement) { 1.0 } else { UNCERTAIN }
}

/// Whether the user liked it: four stars or more, or without a rating at least half of what an event can weigh.
pub(crate) fn is_positive(event: &Event, engagement: f32) -> bool {
    event.rating.map_or(engagement >= 0.5, |stars| stars >= 4.0)
}

/// The state of the world in the order of time.
pub(crate) struct Replay<'e> {
    engine: &'e Engine,
    view: &'e View,
    layout: &'e Layout,
    snapshot: &'e Snapshot,
    counts: Counts,
    past: Past,
    draw: Draw,
    /// Whether what is replayed is recent enough to be trending.
    trends: bool,
}

/// A user just before an event on a title that is new to them.
struct Before {
    row: u32,
    engaged: Vec<(u32, f32)>,
    liked: Vec<Liked>,
    blocked: Vec<u32>,
    at: Timestamp,
    weight: f32,
    who: u64,
    seed: u64,
}

impl<'e> Replay<'e> {
    /// A replay of `past`, whose first part `snapshot` and `counts` rest on.
    pub(crate) fn new(
        engine: &'e Engine,
        view: &'e View,
        layout: &'e Layout,
        snapshot: &'e Snapshot,
        mut counts: Counts,
        past: Past,
    ) -> Self {
        let rows = engine.catalogue.rows_of(past.window.iter().map(|l| &l.event.content_id));
        for (logged, row) in past.window.iter().zip(rows) {
            if engine.options.events.weight(&logged.event) > 0.0 {
                counts.trend(row, (&logged.event, None), logged.event.timestamp);
            }
        }
        engine.list_all(&mut counts);
        let (draw, trends) = (FOR_TRAINING, true);
        Self { engine, view, layout, snapshot, counts, past, draw, trends }
    }

    /// A replay of one user's `events`, in the order of time, in the world as it is now: `counts` hold nothing of the user. What
    /// is trending now was not then, and what was is not known: nothing is.
    pub(crate) fn of_one(
        engine: &'e Engine,
        view: &'e View,
        layout: &'e Layout,
        (snapshot, mut counts): (&'e Snapshot, Counts),
        events: Vec<LoggedEvent>,
    ) -> Self {
        counts.trending = Trending::new(&engine.options.trending, Timestamp::from_micros(0));
        let past = Past::of_one(events);
        Self { engine, view, layout, snapshot, counts, past, draw: FOR_LESSON, trends: false }
    }

    /// The choices of the latest part, oldest first; every `stride`-th of them. `go_on` is asked now and then.
    pub(crate) fn choices(mut self, stride: usize, go_on: impl Fn(usize) -> bool) -> Vec<Choice> {
        let latest = std::mem::take(&mut self.past.latest);
        let rows = self.engine.catalogue.rows_of(latest.iter().map(|l| &l.event.content_id));
        let events: Vec<_> = latest.iter().zip(rows).collect();
        let (mut choices, mut met) = (Vec::new(), 0);
        for (at, events) in events.chunks(SIDE_BY_SIDE).enumerate() {
            if !go_on(at * SIDE_BY_SIDE) {
                break;
            }
            let mut befores = Vec::new();
            for (logged, row) in events {
                if let Some(before) = self.step(logged, *row) {
                    met += 1;
                    befores.extend((met % stride == 0).then_some(before));
                }
            }
            choices.par_extend(befores.par_iter().filter_map(|before| self.choice(before)));
            for (logged, row) in events {
                self.count(logged, *row);
            }
        }
        choices
    }

    /// Takes an event into its user's history; says what was before if it is a choice.
    fn step(&mut self, logged: &LoggedEvent, row: u32) -> Option<Before> {
        let rules = &self.engine.options.events;
        let (event, engagement) = (&logged.event, rules.weight(&logged.event));
        let history = self.past.histories.entry(event.user_id.clone()).or_default();
        let before = Before::new(history, row, event, engagement, logged.cursor.0 as u64);
        history.apply(row, event, logged.cursor, rules);
        before.filter(|before| self.view.get(before.row).is_some())
    }

    /// Takes an event into what all users share.
    fn count(&mut self, logged: &LoggedEvent, row: u32) {
        let event = &logged.event;
        let Some(history) = self.past.histories.get(&event.user_id) else { return };
        self.counts.apply(row, logged.cursor, history);
        if self.trends && self.engine.options.events.weight(event) > 0.0 {
            self.counts.trend(row, (event, None), event.timestamp);
            self.counts.trending.expire(event.timestamp);
        }
    }

    fn choice(&self, before: &Before) -> Option<Choice> {
        let mut allowed = self.view.available().clone();
        for row in &before.blocked {
            allowed.remove(*row);
        }
        if !allowed.contains(before.row) {
            return None;
        }
        let taste = Taste::of(self.snapshot, &before.engaged, before.liked.clone());
        let mut rng = ChaCha8Rng::seed_from_u64(before.seed);
        let choice = self.ask(&taste, &allowed, before.at, |ensemble| {
            let (layout, view) = (self.layout, self.view);
            let draw = self.draw;
            let offer = Offer { layout, ensemble, view, allowed: &allowed, draw };
            offer.choice(before.row, (&taste, before.at), &mut rng)
        });
        let zone = &self.engine.options.context.timezone;
        let moment = moment(&taste.liked, before.at, zone);
        Some(Choice { weight: before.weight, moment, who: before.who, ..choice })
    }

    fn ask<R>(
        &self,
        taste: &Taste,
        allowed: &RowSet,
        now: Timestamp,
        answer: impl FnOnce(&Ensemble<'_>) -> R,
    ) -> R {
        let (engine, options) = (self.engine, &self.engine.options);
        let sequence: sequence::Options = (&options.sequence).into();
        let latest = sequence.source_weights(&taste.recent, &self.counts.viewers);
        let (vectors, alike) = (engine.vectors(), engine.attributes.alike());
        let placed = self.snapshot.embedding().map(Embedding::placed);
        let graph = self.snapshot.graph().map(Graph::now);
        let walk = graph.as_ref().map(|graph| graph.walk(&taste.recent));
        let question = Question {
            snapshot: self.snapshot,
            counts: &self.counts,
            near: &alike.near,
            embedding: placed.as_deref(),
            walk: walk.as_ref(),
            trending: &self.counts.trending,
            taste,
            latest: &latest,
            view: self.view,
            context: &RequestContext::default(),
            timezone: &options.context.timezone,
            vectors: &vectors,
            found: &Found::default(),
            content: &options.content,
            now,
            serving: None,
            allowed,
            narrowed: true,
            limit: options.fusion.candidates_per_source,
            personal: None,
            own_vector: None,
            trace: None,
        };
        answer(&Ensemble::for_ranker(&question, &options.fusion, 1))
    }
}

impl Before {
    /// `None` if the event is no choice: it says nothing good, or the title is not new to the user.
    fn new(history: &History, row: u32, event: &Event, weight: f32, seed: u64) -> Option<Self> {
        if weight <= 0.0 || history.is_blocked(row) || history.has_engaged(row) {
            return None;
        }
        Some(Self {
            row,
            engaged: history.engaged(),
            liked: history.recent(crate::live::users::RECENT),
            blocked: history.blocked().collect(),
            at: event.timestamp,
            weight: weight_of(event, weight),
            who: viewer_key(&event.user_id),
            seed,
        })
    }
}

/// What could have been shown.
pub(crate) struct Offer<'o> {
    pub(crate) layout: &'o Layout,
    pub(crate) ensemble: &'o Ensemble<'o>,
    pub(crate) view: &'o View,
    pub(crate) allowed: &'o RowSet,
    pub(crate) draw: Draw,
}

impl Offer<'_> {
    /// The choice of `chosen` by a user at a time, as one of whose moment no more is known.
    pub(crate) fn choice(
        &self,
        chosen: u32,
        (taste, now): (&Taste, Timestamp),
        rng: &mut ChaCha8Rng,
    ) -> Choice {
        let best = self.ensemble.list(usize::MAX);
        let at_top = best.iter().take(self.draw.top).any(|(row, _)| *row == chosen);
        let top = if at_top { self.draw.top } else { self.draw.others_top };
        let (rows, offsets) = sample(&best, self.allowed, (chosen, top, self.draw), rng);
        let viewer = taste.viewer(self.layout, self.view, now);
        let features = features(self.layout, self.ensemble, self.view, &viewer, &rows);
        let titles = viewer.titles();
        let (chosen, weight, moment, who) = (0, 1.0, UNKNOWN, 0);
        Choice { features, offsets, chosen, at_top, weight, moment, titles, who }
    }
}

/// The chosen title first, then the `top` of the sources' candidates by the configured weights, some other candidates and some
/// other titles, drawn without replacement, with the logarithm of how many titles each stands for.
fn sample(
    best: &[(u32, f32)],
    allowed: &RowSet,
    (chosen, top, wanted): (u32, usize, Draw),
    rng: &mut ChaCha8Rng,
) -> (Vec<u32>, Vec<f32>) {
    let mut left: Vec<u32> = best.iter().map(|(row, _)| *row).filter(|r| *r != chosen).collect();
    let mut brought = RowSet::new(allowed.len());
    for row in left.iter().chain([&chosen]) {
        brought.insert(*row);
    }
    let mut hard = left.split_off(left.len().min(top));
    let (mut rows, mut offsets) = (vec![chosen], vec![0.0]);
    rows.append(&mut left);
    offsets.resize(rows.len(), 0.0);
    let all_hard = hard.len();
    let (drawn, _) = hard.partial_shuffle(rng, wanted.hard);
    rows.extend_from_slice(drawn);
    offsets.resize(rows.len(), stands_for(all_hard, drawn.len()));
    let others = allowed.count().saturating_sub(brought.count());
    let easy = draw(allowed, &brought, wanted.easy.min(others), rng);
    offsets.resize(rows.len() + easy.len(), stands_for(others, easy.len()));
    rows.extend(easy);
    (rows, offsets)
}

/// Up to `wanted` of the allowed titles that are not among `brought`.
fn draw(allowed: &RowSet, brought: &RowSet, wanted: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut drawn = Vec::new();
    // Where nearly everything was brought, few others are met.
    for _ in 0..8 * wanted {
        if drawn.len() == wanted {
            break;
        }
        let row = rng.random_range(0..allowed.len() as u32);
        if allowed.contains(row) && !brought.contains(row) && !drawn.contains(&row) {
            drawn.push(row);
        }
    }
    drawn
}

fn stands_for(all: usize, drawn: usize) -> f32 {
    (all.max(1) as f32 / drawn.max(1) as f32).max(1.0).ln()
}

/// The features of `rows`, row by row.
pub(crate) fn features(
    layout: &Layout,
    ensemble: &Ensemble<'_>,
    view: &View,
    viewer: &Viewer,
    rows: &[u32],
) -> Vec<f32> {
    let width = layout.width();
    let mut features = vec![0.0; rows.len() * width];
    for (row, features) in rows.iter().zip(features.chunks_exact_mut(width)) {
        layout.fill(features, &ensemble.raw(*row), viewer, view.get(*row).map(AsRef::as_ref));
    }
    features
}

/// Sources a ranker asks besides those that have a weight: they cost little and need no training of their own.
pub(crate) const CHEAP: [Source; 7] = [
    Source::Collaborative,
    Source::Recent,
    Source::Sequence,
    Source::Attributes,
    Source::Trending,
    Source::Popular,
    Source::Context,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_choice_is_what_stands_for_itself() {
        let mut choice = Choice {
            features: vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0],
            offsets: vec![0.0, 4.0, 0.0],
            chosen: 0,
            at_top: true,
            weight: 1.0,
            moment: UNKNOWN,
            titles: 3,
            who: 0,
        };
        let head = choice.head(&[0.1, 0.2, 0.3]).expect("it was among the best");
        assert_eq!((head.features, head.offsets), (vec![1.0, 10.0, 3.0, 30.0], vec![0.1, 0.3]));
        assert_eq!(head.chosen, 0);
        choice.at_top = false;
        assert!(choice.head(&[9.0, 0.2, 0.3]).is_none());
    }

    #[test]
    fn of_the_best_the_chosen_one_is_one_or_there_is_no_choice() {
        let many = HEAD + 10;
        let head = |chosen: usize| Head {
            features: (0..2 * many).map(|at| at as f32).collect(),
            offsets: (0..many).map(|at| at as f32).collect(),
            chosen,
        };
        assert!(head(9).of_best().is_none());
        let best = head(11).of_best().expect("one of the best");
        assert_eq!((best.offsets.len(), best.features.len()), (HEAD, 2 * HEAD));
        assert_eq!(best.offsets[best.chosen], 11.0);
        assert_eq!(best.features[2 * best.chosen..2 * best.chosen + 2], [22.0, 23.0]);
    }
}
