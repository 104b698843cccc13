//! A global cut in time, after which events arrive one by one: an engine of its own takes them in as a serving one would,
//! and before each choice is asked what it would have shown.
//!
//! Nothing is fitted on later events. The engine's clock is the events' time; its models are trained when the first part
//! ends and again after every so many events, by the jobs that train them everywhere.

mod deciles;
mod lists;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sona_domain::{
    Clock, Content, Event, EventDraft, IdSource, JobId, RequestContext, Source, Timestamp,
};
use sona_store::{Blobs, Store};

use super::{Model, Rows};
use crate::ranker::choice::is_positive;
use crate::{Engine, Error, Options, Parts, RecommendRequest, Result};
use lists::Asked;

pub use deciles::Decile;
pub use report::{Difference, Lists, TimeModel, TimeReport, TimeSplit};

/// Events written at once before the cut.
const BATCH: usize = 5_000;

/// What is replayed, and how.
#[derive(Debug, Clone)]
pub struct TimeOptions {
    /// Test or validation rows.
    pub rows: Rows,
    /// After so many events the models are trained again; 0 = never.
    pub train_every: usize,
    /// Whether every first engagement is a target, or only those that say the title was liked.
    pub all: bool,
    /// Which models.
    pub models: Vec<Model>,
    /// Samples the intervals rest on; 0 = no intervals.
    pub resamples: usize,
    /// Decides the samples.
    pub seed: u64,
    /// Whether the lists themselves are wanted.
    pub keep_lists: bool,
    /// The engine's numbers.
    pub engine: Options,
}

/// What is taken in, and where.
pub struct World {
    /// A database that is empty.
    pub store: Arc<dyn Store>,
    /// Where model files are kept meanwhile.
    pub blobs: Arc<dyn Blobs>,
    /// The data set's name, for people.
    pub name: String,
    /// The catalogue; what only events name is added to it.
    pub content: Vec<Content>,
    /// What happened, in any order.
    pub events: Vec<Event>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Events taken in, of those after the cut.
    pub done: usize,
    /// Of so many.
    pub of: usize,
}

/// A clock that shows the time of what is replayed.
#[derive(Debug, Default)]
struct EventClock(AtomicI64);

impl EventClock {
    fn set(&self, at: Timestamp) {
        self.0.store(at.as_micros(), Ordering::Release);
    }
}

impl Clock for EventClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Acquire))
    }
}

/// Names by number: jobs are told apart, nothing else.
#[derive(Debug, Default)]
struct Numbers(AtomicI64);

impl IdSource for Numbers {
    fn fresh(&self) -> String {
        format!("replay-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where the parts of the time line end, as shares of the events: before it models are first trained; from there on
/// events arrive one by one; and from there on lists are judged, to the end.
fn parts(rows: Rows, events: usize) -> (usize, usize, usize) {
    let share = |of: f64| (events as f64 * of) as usize;
    match rows {
        Rows::Test => (share(0.5), share(0.75), events),
        Rows::Validation => (share(0.375), share(0.5625), share(0.75)),
    }
}

/// Replays the world's events and judges the lists that would have been shown before them.
pub async fn time_split(
    world: World,
    options: &TimeOptions,
    progress: &(dyn Fn(Replayed) + Sync),
) -> Result<TimeReport> {
    let World { store, blobs, name, mut content, mut events } = world;
    events.sort_by_key(|event| event.timestamp);
    let (cut, judged_from, end) = parts(options.rows, events.len());
    if cut == 0 {
        let few = format!("{} events are too few to be cut in time", events.len());
        return Err(Error::NothingToTrain(few));
    }
    add_unlisted(&mut content, &events);
    let clock = Arc::new(EventClock::default());
    clock.set(events[cut - 1].timestamp);
    store.put_content(&content, clock.now()).await?;
    for events in events[..cut].chunks(BATCH) {
        store.append(events, clock.now()).await?;
    }
    let parts = Parts {
        store,
        blobs,
        clock: clock.clone(),
        ids: Arc::new(Numbers::default()),
        vectors: None,
        options: options.engine.clone(),
    };
    let engine = Engine::open(parts).await?;
    let mut asked = Asked::new(&engine, &events[..cut], options);
    train(&engine).await?;
    for (at, event) in events[..end].iter().enumerate().skip(cut) {
        clock.set(event.timestamp);
        // A serving process does so every now and then; here it must not depend on how fast the machine is.
        engine.expire_trending();
        if options.train_every > 0 && at > cut && (at - cut).is_multiple_of(options.train_every) {
            train(&engine).await?;
        }
        if at >= judged_from {
            ask(&engine, event, options, &mut asked).await?;
        }
        asked.note(event);
        engine.track(vec![draft(event)]).await?;
        engine.follow_lessons().await?;
        if (at - cut).is_multiple_of(200) {
            progress(Replayed { done: at - cut, of: end - cut });
        }
    }
    engine.close().await;
    Ok(asked.report(name, (cut, judged_from, end)))
}

/// Asks for the lists before `event` if what it names is a target.
async fn ask(
    engine: &Arc<Engine>,
    event: &Event,
    options: &TimeOptions,
    asked: &mut Asked,
) -> Result<()> {
    let weight = engine.options.events.weight(event);
    if weight <= 0.0 || !(options.all || is_positive(event, weight)) {
        return Ok(());
    }
    let user = engine.user(&event.user_id).await?;
    let Some(row) = engine.catalogue.row(&event.content_id) else { return Ok(()) };
    let is_new = {
        let state = user.state();
        !state.history.has_engaged(row) && !state.history.is_blocked(row)
    };
    if is_new {
        let request = RecommendRequest {
            user_id: event.user_id.clone(),
            limit: crate::recommend::MAX_LIMIT,
            exclude: Vec::new(),
            context: RequestContext::default(),
        };
        engine.look(&request, &user, event.timestamp, |question, _| {
            asked.judge(engine, question, event, row);
        });
    }
    Ok(())
}

/// Trains all that is trained, and serves it.
async fn train(engine: &Arc<Engine>) -> Result<()> {
    run(engine, engine.submit_training().await?).await?;
    if engine.options.fusion.weight(Source::Content) > 0.0
        && engine.options.encoder.vectors.is_empty()
    {
        if engine.options.encoder.model.is_empty() {
            run(engine, engine.submit_encoder_training().await?).await?;
        }
        match engine.submit_embedding().await {
            // Texts from which no encoder can be learned: content has nothing to say.
            Err(Error::NoEncoder) => {}
            job => run(engine, job?).await?,
        }
    }
    run(engine, engine.submit_ranker_training().await?).await
}

async fn run(engine: &Arc<Engine>, job: JobId) -> Result<()> {
    engine.run_training("evaluation", Some(&job), Arc::new(|_| {})).await?;
    Ok(())
}

fn draft(event: &Event) -> EventDraft {
    let event = event.clone();
    EventDraft {
        event_id: Some(event.event_id),
        user_id: event.user_id,
        content_id: event.content_id,
        event_type: event.event_type,
        completion_rate: event.completion_rate,
        rating: event.rating,
        is_rewatch: event.is_rewatch,
        dismissed: event.dismissed,
        context: event.context,
        recommendation_id: event.recommendation_id,
        timestamp: Some(event.timestamp),
    }
}

/// An entry for everything that only events name.
fn add_unlisted(content: &mut Vec<Content>, events: &[Event]) {
    let mut listed: std::collections::HashSet<_> =
        content.iter().map(|entry| entry.content_id.clone()).collect();
    for event in events {
        if listed.insert(event.content_id.clone()) {
            content.push(Content::new(event.content_id.clone(), event.content_id.as_str()));
        }
    }
}
