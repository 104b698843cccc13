//! The latest part of the log, event by event: what could have been shown before each, and what was chosen.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sona_domain::{Cursor, LoggedEvent, RequestContext, Source, Timestamp};
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use super::Serving;
use super::choice::{Choice, Draw, FOR_LESSON, FOR_TRAINING, Offer, weight_of};
use super::features::Layout;
use super::moment::moment;
use super::past::Past;
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

/// Events that are looked at side by side, with the counts as they were before the first of them.
const SIDE_BY_SIDE: usize = 64;

/// Cursors by which events are replayed begin here, after all that were counted before: they follow the order of time, which
/// the log need not.
const REPLAYED: i64 = 1 << 62;

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
    /// What says which candidates are the best.
    serving: Option<Arc<Serving>>,
}

/// An event as it is replayed.
struct Replayed<'l> {
    logged: &'l LoggedEvent,
    row: u32,
    /// Its place in the order of time.
    at: Cursor,
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
    cursor: Cursor,
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
        let (draw, trends, serving) = (FOR_TRAINING, true, None);
        Self { engine, view, layout, snapshot, counts, past, draw, trends, serving }
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
        let (draw, trends, serving) = (FOR_LESSON, false, None);
        Self { engine, view, layout, snapshot, counts, past, draw, trends, serving }
    }

    /// The same with the candidates in the order in which this ranker would have had them, if it knows the features: what was
    /// chosen was chosen from the head of a list, and that of the configured weights is another one.
    pub(crate) fn in_order_of(self, serving: Option<Arc<Serving>>) -> Self {
        let serving = serving.filter(|serving| serving.ranker.layout == *self.layout);
        Self { serving, ..self }
    }

    /// The choices of the latest part, oldest first; every `stride`-th of them. `go_on` is asked now and then.
    pub(crate) fn choices(mut self, stride: usize, go_on: impl Fn(usize) -> bool) -> Vec<Choice> {
        let latest = std::mem::take(&mut self.past.latest);
        let rows = self.engine.catalogue.rows_of(latest.iter().map(|l| &l.event.content_id));
        let places = (REPLAYED..).map(Cursor);
        let events: Vec<_> = (latest.iter().zip(rows).zip(places))
            .map(|((logged, row), at)| Replayed { logged, row, at })
            .collect();
        let (mut choices, mut met) = (Vec::new(), 0);
        for (at, events) in events.chunks(SIDE_BY_SIDE).enumerate() {
            if !go_on(at * SIDE_BY_SIDE) {
                break;
            }
            let mut befores = Vec::new();
            for event in events {
                if let Some(before) = self.step(event) {
                    met += 1;
                    befores.extend((met % stride == 0).then_some(before));
                }
            }
            choices.par_extend(befores.par_iter().filter_map(|before| self.choice(before)));
            for event in events {
                self.count(event);
            }
        }
        choices
    }

    /// Takes an event into its user's history; says what was before if it is a choice.
    fn step(&mut self, replayed: &Replayed<'_>) -> Option<Before> {
        let (rules, event) = (&self.engine.options.events, &replayed.logged.event);
        let engagement = rules.weight(event);
        let history = self.past.histories.entry(event.user_id.clone()).or_default();
        let before = Before::new(history, replayed, engagement);
        history.apply(replayed.row, event, replayed.at, rules);
        before.filter(|before| self.view.get(before.row).is_some())
    }

    /// Takes an event into what all users share.
    fn count(&mut self, replayed: &Replayed<'_>) {
        let (event, row) = (&replayed.logged.event, replayed.row);
        let Some(history) = self.past.histories.get(&event.user_id) else { return };
        self.counts.apply(row, replayed.at, history);
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
            let (draw, ranker) = (self.draw, self.serving.as_ref().map(|serving| &serving.ranker));
            let offer = Offer { layout, ensemble, view, allowed: &allowed, draw, ranker };
            offer.choice(before.row, (&taste, before.at), &mut rng)
        });
        let zone = &self.engine.options.context.timezone;
        let moment = moment(&taste.liked, before.at, zone);
        let Before { weight, who, cursor, .. } = *before;
        Some(Choice { weight, moment, who, cursor, ..choice })
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
    fn new(history: &History, replayed: &Replayed<'_>, weight: f32) -> Option<Self> {
        let (event, row) = (&replayed.logged.event, replayed.row);
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
            cursor: replayed.logged.cursor,
            seed: replayed.at.0 as u64,
        })
    }
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
