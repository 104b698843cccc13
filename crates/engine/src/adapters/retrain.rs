//! Training a user's adapter anew, on all their stored events.
//!
//! The user's history is gone through from its beginning, as the ranker's training goes through the latest part of the log
//! ([`crate::ranker::replay`]): before each event the sources are asked what could have been shown, and what was chosen is learned
//! from, by the same lesson an event teaches when it comes. What cannot be had back of those days is taken as it is now: the
//! model, the ranker and its layer, the catalogue, and what others did. The user's own share is taken out of the counts and comes
//! back event by event; what the model's factors owe to the user stays in them. What the user chooses while this goes on is
//! learned at its end.

use std::sync::Arc;
use std::time::Instant;

use sona_domain::{AdapterName, AdapterOrigin, AdapterTraining, LoggedEvent, NewAdapter, UserId};
use sona_numeric::listwise::Scratch;
use sona_numeric::lora;
use sona_store::Parent;

use super::learn::OwnChoice;
use super::resident::CONTEXTS;
use super::{AdapterCommand, AdapterError, BaseLayer, saved};
use crate::Engine;
use crate::error::{Error, Result};
use crate::live::counts::{Share, viewer_key};
use crate::ranker::Serving;
use crate::ranker::foresee::Based;
use crate::ranker::replay::Replay;

/// Most choices that are learned from; of a longer history they are spread over all of it.
const MOST_CHOICES: usize = 2_000;

/// What a training stands on.
struct Ground {
    serving: Arc<Serving>,
    base: Arc<BaseLayer>,
    events: Vec<LoggedEvent>,
    ticket: u64,
}

/// An adapter that was trained.
struct Trained {
    adapter: lora::Adapter,
    choices: u64,
    /// Mean losses: without it, with it as it was before each choice, with it now.
    losses: [f64; 3],
}

impl Engine {
    /// Trains a user's adapter anew on all their stored events, saves and serves it. With fewer events than
    /// `adapters.least_events` it does so only if it is `forced`. Goes on to its end if the caller does not wait for it.
    ///
    /// # Errors
    /// [`AdapterError`]: too few events, nothing to learn from, no base layer yet, opted out, being trained already, or overtaken
    /// by something else that was done to the user's adapters.
    pub async fn train_adapter(
        self: &Arc<Self>,
        user: &UserId,
        forced: Forced,
    ) -> Result<AdapterTraining> {
        let (engine, user) = (self.clone(), user.clone());
        let work = async move { engine.train_to_the_end(&user, forced).await };
        tokio::spawn(work).await.map_err(|_| Error::Closed)?
    }

    async fn train_to_the_end(
        self: &Arc<Self>,
        user: &UserId,
        forced: Forced,
    ) -> Result<AdapterTraining> {
        let began = Instant::now();
        let ground = self.begin(user).await?;
        let ticket = ground.ticket;
        let outcome = self.train_on(user, ground, (forced, began)).await;
        if outcome.is_err() {
            // Whatever went wrong, another training may begin.
            self.adapter_changes.end_training(user, ticket);
        }
        outcome
    }

    async fn train_on(
        self: &Arc<Self>,
        user: &UserId,
        ground: Ground,
        (forced, began): (Forced, Instant),
    ) -> Result<AdapterTraining> {
        let (found, least) = (ground.events.len() as u64, self.options.adapters.least_events);
        if found == 0 || found < least && forced == Forced::No {
            return Err(AdapterError::TooFewEvents { user: user.clone(), found, least }.into());
        }
        let (engine, ticket) = (self.clone(), ground.ticket);
        let base_version = ground.base.version;
        let work = move || engine.replay_one(ground);
        let trained = tokio::task::spawn_blocking(work).await.expect("replaying does not panic");
        let nothing = || AdapterError::NothingToLearn { user: user.clone(), found };
        let trained = trained.ok_or_else(nothing)?;
        let (choices, [loss_before, loss_foreseen, loss_after]) = (trained.choices, trained.losses);
        let (engine, id) = (self.clone(), user.clone());
        let finish =
            async move { engine.finish(&id, trained.adapter, (base_version, ticket)).await };
        let (version, training_iterations) = self.between(finish).await??;
        Ok(AdapterTraining {
            status: "training_completed".to_owned(),
            user_id: user.clone(),
            version,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            training_iterations,
            events_used: choices,
            loss_before,
            loss_foreseen,
            loss_after,
        })
    }

    /// Notes that the user's adapter is being trained and reads their events, between two commits: what is learned from then on
    /// is kept for it, and is not among the events.
    async fn begin(self: &Arc<Self>, user: &UserId) -> Result<Ground> {
        let not_ready = AdapterError::NotReady;
        if !self.options.adapters.enabled {
            return Err(not_ready("adapters are switched off (adapters.enabled)").into());
        }
        let serving = self.ranking.load_full();
        let serving = serving.ok_or(not_ready(
            "there is no ranker yet, on which adapters rest; it is trained once there is a model, or by `sona train ranker`",
        ))?;
        let base = self.base_layer().ok_or(not_ready(
            "there is no base layer yet that fits the ranker; too few users chose anything lately, or `sona train base-layer`",
        ))?;
        if self.store.opted_out_at(user).await?.is_some() {
            return Err(AdapterError::OptedOut(user.clone()).into());
        }
        let (engine, id) = (self.clone(), user.clone());
        let begin = async move { engine.begin_in_turn(&id).await };
        let (ticket, events) = self.between(begin).await??;
        Ok(Ground { serving, base, events, ticket })
    }

    async fn begin_in_turn(&self, user: &UserId) -> Result<(u64, Vec<LoggedEvent>)> {
        let ticket = self.adapter_changes.begin_training(user);
        let ticket = ticket.ok_or_else(|| AdapterError::Training(user.clone()))?;
        match self.store.histories(std::slice::from_ref(user)).await {
            Ok(events) => Ok((ticket, events.concat())),
            Err(error) => {
                self.adapter_changes.end_training(user, ticket);
                Err(error.into())
            }
        }
    }

    /// Learns from the events; `None` if none of them is a choice.
    fn replay_one(&self, ground: Ground) -> Option<Trained> {
        let Ground { serving, base, events, .. } = ground;
        let (view, snapshot) = (self.catalogue.latest(), self.snapshot.load_full());
        let rows = self.catalogue.rows_of(events.iter().map(|logged| &logged.event.content_id));
        let mut counts = self.counts().clone();
        let viewer = viewer_key(&events.first()?.event.user_id);
        let own: Vec<_> = rows.into_iter().zip(events.iter().cloned()).collect();
        let share = Share::of(&own, counts.trained_through, &self.options);
        counts.forget(&share, viewer);
        let stride = (events.len() / MOST_CHOICES).max(1);
        let layout = &serving.ranker.layout;
        let replay = Replay::of_one(self, &view, layout, (&snapshot, counts), events)
            .in_order_of(Some(serving.clone()));
        let choices = replay.choices(stride, |_| true);
        let choices: Vec<_> = choices
            .iter()
            .filter_map(|choice| {
                let based = Based::new(choice, &serving.ranker);
                let known = based.offsets_with(&serving.layer_weights(&choice.moment));
                let head = choice.head(&known)?.of_best()?;
                Some(OwnChoice::new(&base.base, choice, head))
            })
            .collect();
        let fresh = lora::Adapter::new(base.base.rank(), CONTEXTS, (&self.options.adapters).into());
        learn_all(fresh, &choices)
    }

    /// The log task's part: learns what was chosen meanwhile, saves and serves it. Answers the version and the choices it
    /// learned from.
    async fn finish(
        &self,
        user: &UserId,
        mut adapter: lora::Adapter,
        (base_version, ticket): (i64, u64),
    ) -> Result<(i64, u64)> {
        self.follow_adapter_changes().await?;
        let missed = self.adapter_changes.end_training(user, ticket);
        let missed = missed.ok_or_else(|| AdapterError::Overtaken(user.clone()))?;
        let mut scratch = Scratch::default();
        // What was projected by a base layer that came meanwhile means something else.
        let same = missed.iter().filter(|(version, _)| *version == base_version);
        for (_, choice) in same {
            if let Err(refusal) = adapter.learn(choice.choice(), &mut scratch) {
                tracing::warn!(%refusal, "an adapter learned nothing from an event");
            }
        }
        let unwritable = |detail| Error::Artifact { key: format!("adapter of {user}"), detail };
        let weights = saved::to_bytes(base_version, &adapter).map_err(unwritable)?;
        let new = NewAdapter {
            user_id: user.clone(),
            adapter_name: AdapterName::default(),
            base_version,
            origin: AdapterOrigin::Trained,
            training_iterations: adapter.events(),
            weights,
        };
        let keep = self.options.adapters.keep_versions;
        let save = AdapterCommand::Save { new, parent: Parent::Any, keep };
        let handled = self.handle_in_turn(user, save).await?;
        Ok((handled.served_version.unwrap_or_default(), adapter.events()))
    }
}

/// Whether an adapter is trained on few events too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forced {
    /// It is.
    Yes,
    /// It is not.
    No,
}

fn learn_all(mut adapter: lora::Adapter, choices: &[OwnChoice]) -> Option<Trained> {
    let (mut scratch, mut foreseen, mut learned) = (Scratch::default(), 0.0, Vec::new());
    for choice in choices {
        let (_, with) = adapter.losses(&choice.choice());
        match adapter.learn(choice.choice(), &mut scratch) {
            Ok(()) => {
                foreseen += with;
                learned.push(choice);
            }
            Err(refusal) => tracing::warn!(%refusal, "an adapter learned nothing from an event"),
        }
    }
    let (mut before, mut after) = (0.0, 0.0);
    for choice in &learned {
        let (without, with) = adapter.losses(&choice.choice());
        before += without;
        after += with;
    }
    let count = learned.len() as f64;
    let losses = [before, foreseen, after].map(|sum| sum / count);
    let adapter = adapter.unproven();
    (!learned.is_empty()).then_some(Trained { adapter, choices: learned.len() as u64, losses })
}
