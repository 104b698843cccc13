//! The product's own sources, fitted on one side of a split and asked like live ones.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sona_domain::{Clock, Content, ContentId, Cursor, RequestContext, Source, Timestamp};
use sona_numeric::attribute::{self, Near};
use sona_numeric::interactions::Interactions;
use sona_numeric::rows::RowSet;
use sona_numeric::sequence::{self, Transitions};
use sona_numeric::{als, embedding, item_item};

use super::data::{Data, Engagement};
use super::measure::LIST;
use super::split::{Case, Split};
use super::{Error, Result, texts};
use crate::candidates::{Candidates, Question};
use crate::catalogue::View;
use crate::history::Liked;
use crate::live::counts::Counts;
use crate::live::moments::Circumstances;
use crate::live::trending::{Trending, ViewerKey};
use crate::live::users::Taste;
use crate::options::{ContentBased, Options};
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Embedding;
use crate::snapshot::graph::Graph;
use crate::vectors::{Found, Vectors};

/// Fitted sources.
pub(crate) struct Fitted {
    snapshot: Snapshot,
    counts: Counts,
    near: Near,
    vectors: Vectors,
    /// In listing order.
    sources: Vec<Source>,
    sequence: sequence::Options,
    /// What each source took, in seconds.
    seconds: BTreeMap<Source, f64>,
    view: View,
    log: Vec<Entry>,
    timed: bool,
    options: Options,
}

/// One engagement in the order of time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Timestamp,
    item: u32,
    viewer: ViewerKey,
}

impl Fitted {
    /// Fits what `sources` need.
    pub(crate) fn new(
        data: &Data,
        split: &Split,
        sources: &[Source],
        options: &Options,
        clock: &dyn Clock,
    ) -> Result<Self> {
        let asked = |source: Source| sources.contains(&source);
        let mut watch = Stopwatch { clock, seconds: BTreeMap::new() };
        let snapshot = models(data, split, sources, options, &mut watch)?;
        let sequence: sequence::Options = (&options.sequence).into();
        let mut transitions = Transitions::new(data.items.len());
        if asked(Source::Sequence) {
            transitions = watch.time(Source::Sequence, || {
                let rows: Vec<Vec<u32>> = split.fit.iter().map(|user| items(user)).collect();
                Transitions::from_sequences(data.items.len(), &rows, &sequence)
            });
        }
        let mut near = Near::new(attribute::Attributes::default(), (&options.attributes).into());
        if asked(Source::Attributes) {
            near = watch.time(Source::Attributes, || {
                Near::new(data.attributes.clone(), (&options.attributes).into())
            });
        }
        let counts = watch.time(Source::Popular, || count(data, split, transitions, options))?;
        let mut vectors = Vectors::default();
        if asked(Source::Content) && data.is_described() {
            let viewers = counts.viewers.viewers();
            vectors = watch.time(Source::Content, || {
                texts::vectors(data, &snapshot, viewers, &options.encoder)
            })?;
        }
        let log = watch.time(Source::Trending, || if data.timed { log(split) } else { Vec::new() });
        let sources = Source::ALL.into_iter().filter(|source| asked(*source)).collect();
        Ok(Self {
            snapshot,
            counts,
            near,
            vectors,
            sources,
            sequence,
            seconds: watch.seconds,
            view: data.view.clone(),
            log,
            timed: data.timed,
            options: options.clone(),
        })
    }

    /// How long these sources took, in seconds, with what they are fitted on.
    pub(crate) fn seconds_of(&self, sources: &[Source]) -> f64 {
        let mut all = sources.to_vec();
        if sources.contains(&Source::Content) && texts::is_learned(&self.options.encoder) {
            all.push(Source::Collaborative);
        }
        all.sort_unstable();
        all.dedup();
        all.iter().filter_map(|source| self.seconds.get(source)).sum()
    }

    /// What is known of the items themselves.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// How many users have met an item in what the sources are fitted on.
    pub(crate) fn viewers(&self, row: u32) -> u32 {
        self.counts.viewers.of(row)
    }

    /// A view of the time line that goes forward only.
    pub(crate) fn timeline(&self) -> Timeline<'_> {
        let origin = Timestamp::from_micros(0);
        Timeline {
            log: &self.log,
            next: None,
            trending: Trending::new(&self.options.trending, origin),
        }
    }

    /// All sources of this case, and the rows they may bring; content reads its options anew. `timeline` must not have
    /// passed the case's moment.
    pub(crate) fn ask<R>(
        &self,
        case: &Case,
        timeline: &mut Timeline<'_>,
        content: &ContentBased,
        answer: impl FnOnce(&[Box<dyn Candidates + '_>], &RowSet, &Taste) -> R,
    ) -> R {
        let allowed = self.allowed(case);
        let mut engaged: Vec<_> = case.history.iter().map(|e| (e.item, e.weight)).collect();
        engaged.sort_unstable_by_key(|(row, _)| *row);
        let liked = |e: &Engagement| Liked { row: e.item, weight: e.weight, at: e.at };
        let taste =
            Taste::of(&self.snapshot, &engaged, case.history.iter().rev().map(liked).collect());
        let latest = self.sequence.source_weights(&taste.recent, &self.counts.viewers);
        if self.timed {
            timeline.advance(case.at);
        }
        let placed = self.snapshot.embedding().map(Embedding::placed);
        let graph = self.snapshot.graph().map(Graph::now);
        let walk = graph.as_ref().map(|graph| graph.walk(&taste.recent));
        let found = Found::default();
        let question = Question {
            snapshot: &self.snapshot,
            counts: &self.counts,
            near: &self.near,
            embedding: placed.as_deref(),
            walk: walk.as_ref(),
            trending: &timeline.trending,
            taste: &taste,
            latest: &latest,
            view: &self.view,
            context: &RequestContext::default(),
            timezone: &self.options.context.timezone,
            vectors: &self.vectors,
            found: &found,
            content,
            now: case.at,
            serving: None,
            allowed: &allowed,
            narrowed: true,
            limit: LIST,
            personal: None,
            own_vector: None,
            trace: None,
        };
        let sources: Vec<_> = self.sources.iter().map(|source| question.ask(*source)).collect();
        answer(&sources, &allowed, &taste)
    }

    fn allowed(&self, case: &Case) -> RowSet {
        let rows = self.counts.viewers.viewers().len();
        let mut allowed = match &case.only {
            None => RowSet::full(rows),
            Some(only) => {
                let mut allowed = RowSet::new(rows);
                for row in only {
                    allowed.insert(*row);
                }
                allowed
            }
        };
        for had in &case.history {
            allowed.remove(had.item);
        }
        allowed
    }
}

/// What trends, as the clock goes on.
pub(crate) struct Timeline<'l> {
    log: &'l [Entry],
    /// The first entry that was not taken in; `None` before the first moment.
    next: Option<usize>,
    trending: Trending,
}

impl Timeline<'_> {
    /// Takes in what happened before `now` and forgets what left the window.
    fn advance(&mut self, now: Timestamp) {
        let until = self.log.partition_point(|entry| entry.at < now);
        let from = self.next.unwrap_or(0).min(until);
        for entry in &self.log[from..until] {
            // Entries older than the window are refused by what they are added to.
            let untold = (entry.at, Circumstances::default());
            self.trending.add(entry.item, entry.viewer, untold, now);
        }
        self.next = Some(until);
        self.trending.expire(now);
    }
}

/// Says how long things take.
struct Stopwatch<'c> {
    clock: &'c dyn Clock,
    seconds: BTreeMap<Source, f64>,
}

impl Stopwatch<'_> {
    /// Does the work and notes its time as the source's.
    fn time<R>(&mut self, source: Source, work: impl FnOnce() -> R) -> R {
        let begun = self.clock.now();
        let result = work();
        self.seconds.insert(source, self.clock.now().seconds_since(begun));
        result
    }
}

/// What of a model `sources` need.
fn models(
    data: &Data,
    split: &Split,
    sources: &[Source],
    options: &Options,
    watch: &mut Stopwatch<'_>,
) -> Result<Snapshot> {
    let asked = |source: Source| sources.contains(&source);
    let mut snapshot = Snapshot::without_factors(data.items.len());
    // An encoder that is learned hears what users engage with.
    let taught = asked(Source::Content) && texts::is_learned(&options.encoder);
    if asked(Source::Collaborative) || taught {
        snapshot =
            watch.time(Source::Collaborative, || factorise(&matrix(data, split)?, options))?;
    }
    if asked(Source::ItemItem) {
        let near = watch.time(Source::ItemItem, || near_items(data, split, options))?;
        snapshot = snapshot.with_item_item(Some(near));
    }
    if asked(Source::Embedding) {
        let embedding = watch.time(Source::Embedding, || embed(data, split, options))?;
        snapshot = snapshot.with_embedding(embedding);
    }
    if asked(Source::Graph) {
        let graph = watch.time(Source::Graph, || graph(data, split, options));
        snapshot = snapshot.with_graph(Some(graph));
    }
    Ok(snapshot)
}

fn items(user: &[Engagement]) -> Vec<u32> {
    user.iter().map(|engagement| engagement.item).collect()
}

fn matrix(data: &Data, split: &Split) -> Result<Interactions> {
    let rows = split.fit.iter().map(|user| user.iter().map(|e| (e.item, e.weight)).collect());
    Interactions::from_rows(data.items.len(), rows)
        .map_err(|error| Error::Unsuitable(error.to_string()))
}

fn factorise(interactions: &Interactions, options: &Options) -> Result<Snapshot> {
    let options = options.als.for_matrix(interactions);
    let model = als::fit(interactions, &options, &mut |_| ControlFlow::Continue(()))?;
    Ok(Snapshot::of_factors(1, model.items, &options))
}

fn graph(data: &Data, split: &Split, options: &Options) -> Graph {
    let watched = split.fit.iter().enumerate().map(|(user, titles)| {
        (user as ViewerKey, titles.iter().map(|e| (e.item, e.weight)).collect())
    });
    let (attributes, names) = (&data.attributes, &data.attribute_names);
    Graph::new(data.items.len(), attributes, names, watched, (&options.graph).into())
}

fn near_items(data: &Data, split: &Split, options: &Options) -> Result<item_item::Model> {
    Ok(item_item::fit(&matrix(data, split)?, &(&options.item_item).into())?)
}

/// `None` if nobody engaged with two items: there is nothing it could learn from.
fn embed(data: &Data, split: &Split, options: &Options) -> Result<Option<Embedding>> {
    let sequences: Vec<_> = split.fit.iter().map(|user| items(user)).collect();
    let options = (&options.embedding).into();
    let go_on = &mut |_| ControlFlow::Continue(());
    match embedding::fit(&sequences, &data.attributes, &options, go_on) {
        Ok(model) => Ok(Some(Embedding::of_rows(model, &data.attributes))),
        Err(embedding::Error::NoTargets) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Viewers of the fitted side, every item listed.
fn count(
    data: &Data,
    split: &Split,
    transitions: Transitions,
    options: &Options,
) -> Result<Counts> {
    let mut viewers = vec![0; data.items.len()];
    for engagement in split.fit.iter().flatten() {
        viewers[engagement.item as usize] += 1;
    }
    let mut counts =
        Counts::new(transitions, viewers, Cursor::default(), options, Timestamp::from_micros(0));
    for (row, id) in data.items.iter().enumerate() {
        let id = ContentId::new(id).map_err(|e| Error::Unsuitable(format!("{id:?}: {e}")))?;
        counts.list(row as u32, Some(&Content::new(id, "")));
    }
    Ok(counts)
}

/// Everything but the targets, by time.
fn log(split: &Split) -> Vec<Entry> {
    let mut known: Vec<&[Engagement]> = split.fit.iter().map(Vec::as_slice).collect();
    for case in &split.cases {
        known[case.user as usize] = &case.history;
    }
    let mut log: Vec<_> = known
        .into_iter()
        .enumerate()
        .flat_map(|(user, rows)| {
            rows.iter().map(move |e| Entry { at: e.at, item: e.item, viewer: user as ViewerKey })
        })
        .collect();
    log.sort_unstable_by_key(|entry| entry.at);
    log
}
