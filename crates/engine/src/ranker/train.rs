//! Training a ranker: a job like any other. What it rests on is fitted anew on the log without its latest part, the latest
//! part is replayed, and what was chosen in it is fitted on.

use std::sync::Arc;

use serde_json::{Map, Value};
use sona_domain::{JobId, JobOutcome, JobState};

use super::choice::Choice;
use super::features::Layout;
use super::fit::{self, Fitted, Wanted};
use super::foresee::Judged;
use super::judge::{Comparison, metadata};
use super::past::Past;
use super::replay::Replay;
use super::{Ranker, Serving, artifact};
use crate::Engine;
use crate::adapters::Found;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::registry;
use crate::snapshot::Snapshot;
use crate::start::MODEL_NAME;
use crate::train::{self, GoOn, MIN_PAUSE, Progress, Run};

/// The name of the ranker's model.
pub const RANKER_NAME: &str = "ranker";

impl Engine {
    /// Queues a training of the ranker.
    pub async fn submit_ranker_training(&self) -> Result<JobId> {
        let options = serde_json::to_value(&self.options.als).unwrap_or_default();
        self.submit(RANKER_NAME, options.as_object().cloned().unwrap_or_default()).await
    }

    /// Due is a ranker when there is none, and after every training of what it rests on.
    pub(crate) async fn submit_ranker_if_due(&self) -> Result<()> {
        if self.options.training.interval_hours <= 0.0 {
            return Ok(());
        }
        let Some(sources) = self.store.current_model(MODEL_NAME).await? else { return Ok(()) };
        let sources = sources.created_at;
        let last = self.store.jobs(Some(RANKER_NAME), None, 1).await?.into_iter().next();
        let due = last.is_none_or(|job| {
            let interval = self.options.training.interval_hours * 3600.0;
            let pause = if job.state == JobState::Failed { interval } else { MIN_PAUSE };
            let waited =
                job.finished_at.is_some_and(|at| self.clock.now().seconds_since(at) >= pause);
            waited && job.created_at < sources
        });
        if due {
            self.submit_ranker_training().await?;
        }
        Ok(())
    }

    pub(crate) async fn train_ranker(self: &Arc<Self>, run: &Run) -> Result<()> {
        (run.report)(Progress::Reading);
        run.owned(self.store.start_job(&run.job.job_id, &run.worker).await?)?;
        let outcome = match self.learn_from_past(run).await {
            // A young log is no failure: lists are ordered by weights until there is more of it.
            Err(Error::NothingToTrain(reason)) => JobOutcome::Rejected { reason },
            outcome => outcome?,
        };
        let now = self.clock.now();
        run.owned(self.store.complete_job(&run.job.job_id, &run.worker, &outcome, now).await?)?;
        self.load_ranker().await?;
        if let JobOutcome::Registered { version } = outcome {
            // Who serves an older one meanwhile serves it without learning.
            self.store.delete_lessons_before(version).await?;
        }
        self.drop_old_versions(RANKER_NAME).await
    }

    /// Fits a ranker on what was chosen in the latest part of the log, and makes it the current one if it is good.
    async fn learn_from_past(self: &Arc<Self>, run: &Run) -> Result<JobOutcome> {
        let options = &self.options.ranker;
        let past = self.read_past(options.events, options.share).await?;
        let (through, users) = (past.through, Found::users_of(&past));
        let (layout, choices) = self.replay_past(run, past).await?;
        (run.report)(Progress::Judging);
        let (found, least) = (choices.len(), options.least_choices);
        let at_top = choices.iter().filter(|choice| choice.at_top).count();
        self.write_metric(run, 0, "choices", found as f64).await?;
        self.write_metric(run, 0, "choices_among_best", at_top as f64).await?;
        let choices = Arc::new(choices);
        let fitted = self.fit_ranker(run, layout, choices.clone()).await?;
        let (fitted, compared) = fitted.ok_or_else(|| {
            let few = format!("the latest events hold {found} choices; a ranker needs {least}");
            Error::NothingToTrain(few)
        })?;
        self.write_judged(run, &fitted).await?;
        let margin = self.options.training.rejection_margin;
        if let Some(reason) = compared.and_then(|compared| compared.rejection(margin)) {
            return Ok(JobOutcome::Rejected { reason });
        }
        let Fitted { ranker, held_out, .. } = fitted;
        let metadata = metadata(through, Judged::mean(&held_out));
        self.publish(run, Found { ranker, choices, users, through }, metadata).await
    }

    async fn write_judged(&self, run: &Run, fitted: &Fitted) -> Result<()> {
        let Fitted { ranker, held_out, without_layer, other, .. } = fitted;
        let held_out = Judged::mean(held_out);
        let other_name = if ranker.trees.is_some() { "without_trees_" } else { "with_trees_" };
        let others = other.map(|other| (other_name, other));
        let all = [("", held_out), ("without_layer_", *without_layer)];
        for (name, judged) in all.into_iter().chain(others) {
            self.write_metric(run, 0, &format!("{name}held_out_loss"), judged.loss).await?;
            let ndcg = judged.ndcg_at_10;
            self.write_metric(run, 0, &format!("{name}held_out_ndcg_at_10"), ndcg).await?;
        }
        Ok(())
    }

    /// Serves a ranker, and the base layer of adapters that is found above it. What takes long comes first: a training that is
    /// ended leaves neither.
    async fn publish(
        self: &Arc<Self>,
        run: &Run,
        found: Found,
        metadata: Map<String, Value>,
    ) -> Result<JobOutcome> {
        if !self.options.adapters.enabled {
            return self.publish_ranker(run, &found.ranker, metadata).await;
        }
        let base = self.find_base_layer(run, &found).await?;
        let outcome = self.publish_ranker(run, &found.ranker, metadata).await?;
        self.renew_base_layer(run, &found, base).await?;
        Ok(outcome)
    }

    /// Fits what the ranker rests on without the latest part of the log, and replays that.
    pub(crate) async fn replay_past(
        self: &Arc<Self>,
        run: &Run,
        mut past: Past,
    ) -> Result<(Layout, Vec<Choice>)> {
        let before = std::mem::replace(&mut past.before, Dataset::empty());
        let (before, fitted) = self.fit(run, before).await?;
        let artifact = train::artifact(&before, fitted, &self.options);
        let graph = (self.options.fusion.graph > 0.0)
            .then(|| before.graph(&self.catalogue, (&self.options.graph).into()));
        let (engine, report) = (self.clone(), run.report.clone());
        let work = move |go_on: GoOn<'_>| {
            let snapshot = Snapshot::new(0, &artifact, &engine.catalogue).with_graph(graph);
            let (view, counts) = (engine.catalogue.latest(), engine.align(&artifact));
            let layout = Layout::of(&view);
            let of = past.latest.len();
            let stride = (of / engine.options.ranker.choices.max(1)).max(1);
            let replay = Replay::new(&engine, &view, &layout, &snapshot, counts, past)
                .in_order_of(engine.ranking.load_full());
            let choices = replay.choices(stride, |done| {
                report(Progress::Replaying { done, of });
                go_on().is_ok()
            });
            go_on().map(|()| (layout, choices))
        };
        run.work(work).await
    }

    /// Fits on the choices, if they are enough; with how that compares to the ranker that serves.
    async fn fit_ranker(
        &self,
        run: &Run,
        layout: Layout,
        choices: Arc<Vec<Choice>>,
    ) -> Result<Option<(Fitted, Option<Comparison>)>> {
        let rival = self.rival().await?;
        let wanted = Wanted {
            least: self.options.ranker.least_choices,
            layer: true,
            trees: (&self.options.ranker).into(),
        };
        let work = move |go_on: GoOn<'_>| {
            let Some(fitted) = fit::fit(&layout, &choices, &wanted, go_on)? else {
                return Ok(None);
            };
            let compared =
                rival.map(|rival| rival.compare(&fitted, &choices, go_on)).transpose()?;
            Ok(Some((fitted, compared.flatten())))
        };
        run.work(work).await
    }

    async fn publish_ranker(
        &self,
        run: &Run,
        ranker: &Ranker,
        metadata: Map<String, Value>,
    ) -> Result<JobOutcome> {
        (run.report)(Progress::Saving);
        let key = registry::key(run, RANKER_NAME, "safetensors");
        let unusable = |detail| Error::Artifact { key: key.clone(), detail };
        let bytes = artifact::encode(ranker).map_err(unusable)?;
        let model = self.register_file(run, (RANKER_NAME, key), bytes, metadata).await?;
        self.point_to(run, &model).await?;
        Ok(JobOutcome::Registered { version: model.version })
    }

    /// Starts loading the ranker the pointer names, if it is another one than serves.
    pub(crate) async fn follow_ranker(self: &Arc<Self>) -> Result<()> {
        let Some(model) = self.store.current_model(RANKER_NAME).await? else { return Ok(()) };
        let served = self.ranking.load().as_ref().map(|serving| serving.version);
        {
            let mut condition = self.condition();
            let known =
                served == Some(model.version) || condition.ranker_tried == Some(model.version);
            if known {
                return Ok(());
            }
            condition.ranker_tried = Some(model.version);
        }
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.load_ranker().await {
                tracing::error!(%error, "the new ranker cannot be served; keeping what serves");
                if error.is_temporary() {
                    engine.condition().ranker_tried = None;
                }
            }
        });
        Ok(())
    }

    /// Serves the ranker the pointer names.
    pub(crate) async fn load_ranker(&self) -> Result<()> {
        let Some(model) = self.store.current_model(RANKER_NAME).await? else { return Ok(()) };
        let served = self.ranking.load().as_ref().map(|serving| serving.version);
        if served == Some(model.version) {
            return Ok(());
        }
        let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
        let bytes = self.blobs.get(&model.blob_key).await?;
        let bytes = bytes.ok_or_else(|| unusable("the file is missing".to_owned()))?;
        let ranker = artifact::decode(&bytes, &model.sha256).map_err(unusable)?;
        let serving = Serving::new(model.version, ranker);
        self.recall(&serving).await?;
        self.ranking.store(Some(Arc::new(serving)));
        tracing::info!(version = model.version, "serving ranker");
        if let Err(error) = self.follow_lessons().await {
            tracing::warn!(%error, "lessons could not be read; trying again");
        }
        Ok(())
    }
}
