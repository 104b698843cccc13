//! The one task that moves the live state: it commits what callers append, tails what other processes
//! appended, and installs new models. Everything is applied strictly in log order.
//!
//! Callers' events wait in a queue; each turn takes all that wait (up to a limit) into one durable commit,
//! so commits are shared without a timer. A caller is answered after its events are durable *and* applied,
//! which is what makes the user's next list reflect them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sona_domain::{Cursor, Erasure, Event, LoggedEvent, UserId};
use sona_numeric::online::Lesson;
use sona_store::AppendOutcome;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::Engine;
use crate::adapters::Taught;
use crate::error::{Error, Result};
use crate::live::counts::key_of_digest;
use crate::ranker::Serving;
use crate::snapshot::Snapshot;
use crate::start::{MODEL_NAME, Prepared};

/// Events read from the log at once.
pub(crate) const PAGE: usize = 5_000;

/// Profiles of users who acted are written behind this often.
const PROFILE_INTERVAL: Duration = Duration::from_secs(2);

/// Most profiles written in one go.
const PROFILE_BATCH: usize = 1_000;

/// Batches committed in a row before other things are looked at.
const MOST_BATCHES: usize = 16;

/// Most events of a commit that are learned from.
const MOST_LESSONS: usize = 8;

/// Who waits for an append.
type Reply = oneshot::Sender<Result<Vec<AppendOutcome>>>;

/// What the task is asked to do.
pub(crate) enum Request {
    /// Append these events.
    Append { events: Vec<Event>, reply: Reply },
    /// Remove this user's rows and what is in memory of them.
    Erase { user: UserId, reply: oneshot::Sender<Result<Erasure>> },
    /// Do something that must not meet a commit half way.
    Between { work: BoxFuture<'static, ()> },
    /// Serve this model if it is still the current one; answers whether it was.
    Install { prepared: Box<Prepared>, reply: oneshot::Sender<Result<bool>> },
    /// Look at once for what other processes wrote.
    Follow { reply: oneshot::Sender<Result<()>> },
    /// Take no more requests, finish those that wait, then answer and stop.
    Stop { reply: oneshot::Sender<()> },
}

/// Appends to be committed together.
struct Batch {
    events: Vec<Event>,
    /// How many of the events, in order, are whose.
    waiting: Vec<(usize, Reply)>,
    left_over: Option<Request>,
}

/// Appends that are durable, or failed to become so, and not applied yet.
struct Committed {
    waiting: Vec<(usize, Reply)>,
    outcomes: Result<Vec<AppendOutcome>>,
    logged: Vec<LoggedEvent>,
    /// What those of them teach that were looked at, and whom.
    lessons: Option<(Arc<Serving>, Vec<Lesson>)>,
    /// What they teach their users' adapters.
    taught: Vec<Taught>,
}

impl Committed {
    /// What was learned from events that did become durable.
    fn learned(
        &self,
        taught: &[Event],
        lessons: Vec<(Option<Lesson>, Option<Taught>)>,
    ) -> (Vec<Lesson>, Vec<Taught>) {
        let durable: HashSet<_> = self.logged.iter().map(|logged| &logged.event.event_id).collect();
        let of = taught.iter().zip(lessons).filter(|(event, _)| durable.contains(&event.event_id));
        let (lessons, personal): (Vec<_>, Vec<_>) = of.map(|(_, lesson)| lesson).unzip();
        (lessons.into_iter().flatten().collect(), personal.into_iter().flatten().collect())
    }
}

/// The events of a commit that are learned from: all of a small one, a few spread over a large one, so that learning never
/// holds up a flood.
fn teachers(events: &[Event]) -> Vec<Event> {
    let stride = events.len().div_ceil(MOST_LESSONS).max(1);
    events.iter().step_by(stride).cloned().collect()
}

/// The task's own state.
pub(crate) struct LogTask {
    engine: Arc<Engine>,
    requests: mpsc::Receiver<Request>,
    active: HashSet<UserId>,
    profiles_due: Instant,
    stopped: Option<oneshot::Sender<()>>,
}

impl LogTask {
    /// A task that serves `requests`.
    pub(crate) fn new(engine: Arc<Engine>, requests: mpsc::Receiver<Request>) -> Self {
        let profiles_due = Instant::now() + PROFILE_INTERVAL;
        Self { engine, requests, active: HashSet::new(), profiles_due, stopped: None }
    }

    /// Runs until stopped or until every engine handle is gone.
    pub(crate) async fn run(mut self) {
        let period = Duration::from_millis(self.engine.options.live.follow_interval_ms.max(10));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => return self.finish().await,
                },
                _ = ticks.tick(), if self.stopped.is_none() => {
                    let followed = self.follow().await;
                    self.engine.note_follow(&followed);
                    if Instant::now() >= self.profiles_due {
                        self.write_profiles(PROFILE_BATCH).await;
                        self.write_key_uses().await;
                        self.profiles_due = Instant::now() + PROFILE_INTERVAL;
                    }
                }
            }
        }
    }

    /// Serves a request. While appends wait behind it, the next batch is written as the last one is applied: the
    /// database works on one while this task works on the other.
    async fn serve(&mut self, first: Request) {
        let mut next = Some(first);
        let mut committed = None;
        let mut batches = 0;
        while let Some(Request::Append { events, reply }) = next {
            let batch = self.collect(events, reply);
            next = batch.left_over;
            let engine = self.engine.clone();
            let serving = self.engine.ranking.load_full();
            let taught = serving.as_ref().map_or_else(Vec::new, |_| teachers(&batch.events));
            let commit = commit(&engine, batch.events, batch.waiting);
            let (mut fresh, lessons) = tokio::join!(commit, async {
                self.finish_batch(committed.take()).await;
                // Nothing of this batch is applied yet: lists are as they were before it.
                match &serving {
                    Some(serving) => engine.lessons_of(serving, &taught).await,
                    None => Vec::new(),
                }
            });
            let (lessons, personal) = fresh.learned(&taught, lessons);
            fresh.lessons = serving.map(|serving| (serving, lessons));
            fresh.taught = personal;
            committed = Some(fresh);
            batches += 1;
            // What else there is to do gets its turn, however many appends there are.
            if next.is_none() && batches < MOST_BATCHES {
                next = self.requests.try_recv().ok();
            }
        }
        self.finish_batch(committed).await;
        match next {
            None | Some(Request::Append { .. }) => {}
            Some(Request::Erase { user, reply }) => {
                let _ = reply.send(self.erase(&user).await);
            }
            Some(Request::Between { work }) => {
                // What is done rests on who is there.
                if let Err(error) = self.follow_removals().await {
                    tracing::warn!(%error, "removals could not be read");
                }
                work.await;
            }
            Some(Request::Install { prepared, reply }) => {
                let _ = reply.send(self.install(*prepared).await);
            }
            Some(Request::Follow { reply }) => {
                let _ = reply.send(self.follow().await);
            }
            Some(Request::Stop { reply }) => {
                self.requests.close();
                self.stopped = Some(reply);
            }
        }
    }

    /// The queue is closed and empty.
    async fn finish(mut self) {
        let mut waiting = usize::MAX;
        // As long as it helps: a database that has gone away is not waited for.
        while !self.active.is_empty() && self.active.len() < waiting {
            waiting = self.active.len();
            self.write_profiles(PROFILE_BATCH).await;
        }
        self.write_key_uses().await;
        if let Err(error) = self.engine.follow_lessons().await {
            tracing::warn!(%error, "the last lessons could not be written");
        }
        if let Some(reply) = self.stopped.take() {
            let _ = reply.send(());
        }
    }

    /// All appends that wait, up to the size of a commit, and the request that ended the collection if it was not an
    /// append.
    fn collect(&mut self, events: Vec<Event>, reply: Reply) -> Batch {
        let limit = self.engine.options.live.commit_batch;
        let mut batch = Batch { waiting: vec![(events.len(), reply)], events, left_over: None };
        while batch.events.len() < limit {
            match self.requests.try_recv() {
                Ok(Request::Append { events, reply }) => {
                    batch.waiting.push((events.len(), reply));
                    batch.events.extend(events);
                }
                Ok(other) => {
                    batch.left_over = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        batch
    }

    /// Applies what was committed, then answers those who wait for it.
    async fn finish_batch(&mut self, committed: Option<Committed>) {
        let Some(Committed { waiting, outcomes, logged, lessons, taught }) = committed else {
            return;
        };
        let applied = self.apply_committed(&logged).await;
        if let Some((serving, lessons)) = lessons {
            serving.keep(&lessons);
        }
        self.engine.teach_adapters(taught);
        answer(waiting, outcomes.and_then(|outcomes| applied.map(|()| outcomes)));
    }

    async fn apply_committed(&mut self, logged: &[LoggedEvent]) -> Result<()> {
        let next = Cursor(self.engine.applied().0 + 1);
        match logged.first() {
            None => Ok(()),
            Some(first) if first.cursor == next => self.apply(logged).await,
            // Another process wrote in between: read its events and ours from the log.
            Some(_) => self.tail().await,
        }
    }

    /// Applies everything in the log that is not applied yet.
    async fn tail(&mut self) -> Result<()> {
        loop {
            let events = self.engine.store.after(self.engine.applied(), PAGE).await?;
            if events.is_empty() {
                return Ok(());
            }
            // What is known of who did this was known before they did.
            self.engine.follow_user_writes().await?;
            self.apply(&events).await?;
            self.engine.adapters_go_stale(&events).await;
        }
    }

    /// Applies events that directly follow what is applied.
    async fn apply(&mut self, events: &[LoggedEvent]) -> Result<()> {
        let engine = self.engine.clone();
        engine.apply(events).await?;
        for LoggedEvent { event, .. } in events {
            if !self.active.contains(&event.user_id) {
                self.active.insert(event.user_id.clone());
            }
        }
        Ok(())
    }

    /// Removes a user; a profile that waits to be stored goes with them.
    async fn erase(&mut self, user: &UserId) -> Result<Erasure> {
        let mut erasure = self.engine.erase_rows(user).await?;
        erasure.removed.waiting_profiles = u64::from(self.active.remove(user));
        Ok(erasure)
    }

    /// Looks for what other processes wrote: API keys, content, removals, users, events, a new model. Removals come before
    /// events, so that what a user does next does not meet what they did before.
    async fn follow(&mut self) -> Result<()> {
        let engine = self.engine.clone();
        // Whatever is wrong with the rest, a revoked key is seen; whatever is wrong with the keys, events are.
        let keys = engine.follow_keys().await;
        engine.follow_catalogue().await?;
        self.follow_removals().await?;
        engine.follow_user_writes().await?;
        self.tail().await?;
        engine.follow_model().await?;
        engine.follow_encoder().await?;
        engine.follow_ranker().await?;
        engine.follow_base_layer().await?;
        engine.follow_adapter_changes().await?;
        engine.follow_lessons().await?;
        engine.expire_trending();
        keys
    }

    async fn follow_removals(&mut self) -> Result<()> {
        let engine = self.engine.clone();
        let seen = engine.removals_seen.load(Ordering::Acquire);
        let removals = engine.store.removals_after(seen, PAGE).await?;
        let Some(last) = removals.last() else { return Ok(()) };
        let keys: HashSet<_> = removals.iter().map(|r| key_of_digest(&r.user_digest)).collect();
        self.active.retain(|user| !keys.contains(&crate::live::counts::viewer_key(user)));
        {
            // No adapter of theirs is being written, and none is after.
            let _turn = engine.unsaved_adapters.turn().await;
            engine.unsaved_adapters.forget_where(|user| keys.contains(&user));
            engine.adapter_changes.forget(|user| keys.contains(&user));
        }
        engine.forget_viewers(&keys).await;
        engine.removals_seen.store(last.sequence, Ordering::Release);
        Ok(())
    }

    /// Brings a prepared model up to the present and serves it, unless another one became the current model while it
    /// was prepared: that one may be served already. Requests under way finish on the old one.
    async fn install(&mut self, prepared: Prepared) -> Result<bool> {
        let engine = self.engine.clone();
        let Prepared { snapshot, mut counts, through, removals_seen } = prepared;
        let current = engine.store.current_model(MODEL_NAME).await?;
        if current.map(|model| model.version) != snapshot.version() {
            return Ok(false);
        }
        engine.replay(&mut counts, through, engine.applied()).await?;
        self.forget_removed(&snapshot, removals_seen).await?;
        engine.list_all(&mut counts);
        {
            let mut serving = engine.counts_mut();
            std::mem::swap(&mut serving.trending, &mut counts.trending);
            std::mem::swap(&mut *serving, &mut counts);
            engine.snapshot.store(Arc::new(snapshot));
        }
        // What changed since it was prepared.
        engine.follow_entries().await;
        Ok(true)
    }

    /// Takes out of a prepared graph who was erased after the log was read for it.
    async fn forget_removed(&self, snapshot: &Snapshot, mut seen: i64) -> Result<()> {
        let Some(graph) = snapshot.graph() else { return Ok(()) };
        loop {
            let removals = self.engine.store.removals_after(seen, PAGE).await?;
            let Some(last) = removals.last() else { return Ok(()) };
            seen = last.sequence;
            graph.forget(&removals.iter().map(|r| key_of_digest(&r.user_digest)).collect());
        }
    }

    async fn write_key_uses(&self) {
        if let Err(error) = self.engine.write_key_uses().await {
            tracing::warn!(%error, "the last uses of API keys could not be written; trying again");
        }
    }

    async fn write_profiles(&mut self, limit: usize) {
        let users: Vec<_> = self.active.iter().take(limit).cloned().collect();
        if users.is_empty() {
            return;
        }
        match self.engine.write_profiles(&users).await {
            Ok(()) => users.iter().for_each(|user| {
                self.active.remove(user);
            }),
            Err(error) => tracing::warn!(%error, "profiles could not be written; trying again"),
        }
    }
}

/// Appends durably.
async fn commit(engine: &Engine, events: Vec<Event>, waiting: Vec<(usize, Reply)>) -> Committed {
    match engine.store.append(&events, engine.clock.now()).await {
        Ok(outcomes) => {
            let logged = events
                .into_iter()
                .zip(&outcomes)
                .filter_map(|(event, outcome)| match outcome {
                    AppendOutcome::Appended(cursor) => Some(LoggedEvent { cursor: *cursor, event }),
                    AppendOutcome::Duplicate => None,
                })
                .collect();
            Committed { waiting, outcomes: Ok(outcomes), logged, lessons: None, taught: Vec::new() }
        }
        Err(error) => {
            let logged = Vec::new();
            let outcomes = Err(error.into());
            Committed { waiting, outcomes, logged, lessons: None, taught: Vec::new() }
        }
    }
}

/// Hands each caller its part of the outcomes, or the shared failure.
fn answer(waiting: Vec<(usize, Reply)>, committed: Result<Vec<AppendOutcome>>) {
    match committed {
        Ok(outcomes) => {
            let mut rest = outcomes.as_slice();
            for (count, reply) in waiting {
                let (own, others) = rest.split_at(count);
                rest = others;
                let _ = reply.send(Ok(own.to_vec()));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for (_, reply) in waiting {
                let _ = reply.send(Err(Error::Shared(error.clone())));
            }
        }
    }
}
