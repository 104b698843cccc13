//! Training: submitted as a job, claimed with a lease, measured while it runs, judged on held-out events,
//! registered and swapped in, or rejected.
//!
//! Killed at any step it can be run again: the lease runs out, another claim starts from the beginning, and
//! nothing that was left behind (a blob without a version, a version without the pointer) is ever served.

mod fit;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sona_domain::{JobId, JobOutcome, JobState, MetricPoint, ModelVersion, TrainingJob};
use sona_store::NewJob;
use tokio::task::JoinSet;

use crate::Engine;
use crate::adapters::BASE_LAYER_NAME;
use crate::artifact::Artifact;
use crate::dataset::{Dataset, HeldOut};
use crate::encoder::ENCODER_NAME;
use crate::error::{Error, Result};
use crate::judge::{ndcg, rejection};
use crate::options::Options;
use crate::ranker::RANKER_NAME;
use crate::registry;
use crate::start::MODEL_NAME;
use crate::vectors::EMBEDDINGS_NAME;
pub(crate) use fit::Fitted;
#[cfg(test)]
pub(crate) use stop::{GO_ON, stopped_after};
pub(crate) use stop::{GoOn, Stop, Stopped, flow};

/// A log of fewer events is not trained on again only because it has doubled.
const MIN_GROWN: i64 = 100;

/// Seconds between two trainings of a log, or a catalogue, that keeps doubling.
pub(crate) const MIN_PAUSE: f64 = 60.0;

/// The option of a job that leaves out what takes longest.
const SOON: &str = "soon";

/// How often an idle worker looks for a job.
const IDLE: Duration = Duration::from_secs(2);

/// What a training run reports while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The log is being read.
    Reading,
    /// One sweep is done.
    Iteration {
        /// Which, 1-based.
        index: usize,
        /// Of how many.
        of: usize,
        /// The objective after it.
        loss: f64,
    },
    /// Titles are encoded.
    Encoding {
        /// How many are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// One pass of the embedding over the log is done.
    Epoch {
        /// Which, 1-based.
        index: usize,
        /// Of how many.
        of: usize,
        /// The mean loss of its targets.
        loss: f64,
    },
    /// The latest part of the log is gone through for the ranker.
    Replaying {
        /// How many events are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Lists for held-out users are made.
    Judging,
    /// The file is written.
    Saving,
}

/// Takes progress reports; called from any thread.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// One claimed job. Work for it that is still going on when it is dropped stops.
pub(crate) struct Run {
    pub(crate) job: TrainingJob,
    pub(crate) worker: String,
    pub(crate) stop: Stop,
    pub(crate) report: Report,
}

impl Engine {
    /// Queues a training with the present options.
    pub async fn submit_training(&self) -> Result<JobId> {
        let options = serde_json::to_value(&self.options.als).unwrap_or_default();
        self.submit(MODEL_NAME, options.as_object().cloned().unwrap_or_default()).await
    }

    /// Queues a first training, which leaves out what takes longest, so that there is a model soon. A serving process
    /// trains again at once.
    pub async fn submit_first_training(&self) -> Result<JobId> {
        let options = serde_json::to_value(&self.options.als).unwrap_or_default();
        let mut options = options.as_object().cloned().unwrap_or_default();
        options.insert(SOON.to_owned(), Value::Bool(true));
        self.submit(MODEL_NAME, options).await
    }

    pub(crate) async fn submit(
        &self,
        model_name: &str,
        options: Map<String, Value>,
    ) -> Result<JobId> {
        let job_id = JobId(self.ids.fresh());
        let job = NewJob { job_id: job_id.clone(), model_name: model_name.to_owned(), options };
        self.store.submit_job(&job, self.clock.now()).await?;
        Ok(job_id)
    }

    /// Claims a job (only `only`, if given) and runs it to its end; `None` if there is nothing to claim.
    /// A failure is recorded with the job and returned.
    pub async fn run_training(
        self: &Arc<Self>,
        worker: &str,
        only: Option<&JobId>,
        report: Report,
    ) -> Result<Option<TrainingJob>> {
        let now = self.clock.now();
        let until = now.plus_seconds(self.options.training.lease_seconds);
        let Some(job) = self.store.claim_job(worker, only, now, until).await? else {
            return Ok(None);
        };
        let run = Run { job, worker: worker.to_owned(), stop: Stop::default(), report };
        // Ends with this call, also where that is given up.
        let mut heartbeat = JoinSet::new();
        heartbeat.spawn(self.clone().keep_lease(
            run.job.job_id.clone(),
            run.worker.clone(),
            run.stop.clone(),
        ));
        let result = match run.job.model_name.as_str() {
            ENCODER_NAME => self.train_encoder(&run).await,
            EMBEDDINGS_NAME => self.embed_catalogue(&run).await,
            RANKER_NAME => self.train_ranker(&run).await,
            BASE_LAYER_NAME => self.train_base_layer(&run).await,
            _ => self.train(&run).await,
        };
        heartbeat.abort_all();
        if let Err(error) = result {
            let (id, now) = (&run.job.job_id, self.clock.now());
            self.store.fail_job(id, &run.worker, &error.to_string(), now).await?;
            return Err(error);
        }
        Ok(self.store.job(&run.job.job_id).await?)
    }

    /// A job as it stands.
    pub async fn training_job(&self, job: &JobId) -> Result<Option<TrainingJob>> {
        Ok(self.store.job(job).await?)
    }

    /// Runs jobs as they come, and submits one when the last training is older than the configured interval.
    pub async fn work(self: Arc<Self>, worker: String) {
        loop {
            for submitted in [
                self.submit_if_due().await,
                self.submit_encoder_if_due().await,
                self.submit_embedding_if_due().await,
                self.submit_ranker_if_due().await,
            ] {
                if let Err(error) = submitted {
                    tracing::warn!(%error, "training could not be scheduled");
                }
            }
            match self.run_training(&worker, None, Arc::new(|_| {})).await {
                Ok(Some(job)) => tracing::info!(job = %job.job_id, "training finished"),
                Ok(None) => tokio::time::sleep(IDLE).await,
                Err(error) => {
                    tracing::warn!(%error, "training failed");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }

    /// Due is a training when there was none yet, when the last one is older than the interval, or when the log
    /// has grown to twice of what it was: a young catalogue does not wait for hours.
    async fn submit_if_due(&self) -> Result<()> {
        let (interval, applied) = (self.options.training.interval_hours, self.applied().0);
        if interval <= 0.0 || applied == 0 {
            return Ok(());
        }
        let doubled = applied >= MIN_GROWN.max(2 * self.condition().trained_through.0);
        let last = self.store.jobs(Some(MODEL_NAME), None, 1).await?.into_iter().next();
        let Some(last) = last else {
            return self.submit_first_training().await.map(drop);
        };
        let age = last.finished_at.map(|at| self.clock.now().seconds_since(at));
        // There is something to add only where something was left out.
        let left_out = is_soon(&last.options) && self.options.fusion.embedding > 0.0;
        let unfinished = left_out && last.state == JobState::Completed;
        let due = age.is_some_and(|age| {
            unfinished || age >= interval * 3600.0 || (doubled && age >= MIN_PAUSE)
        });
        if due {
            self.submit_training().await?;
        }
        Ok(())
    }

    /// Extends the lease until aborted; tells the run when the job is no longer ours.
    async fn keep_lease(self: Arc<Self>, job: JobId, worker: String, stop: Stop) {
        let seconds = self.options.training.lease_seconds;
        let mut ticks = tokio::time::interval(Duration::from_secs((seconds as u64 / 3).max(1)));
        loop {
            ticks.tick().await;
            let until = self.clock.now().plus_seconds(seconds);
            match self.store.extend_lease(&job, &worker, until).await {
                Ok(true) => {}
                Ok(false) => {
                    stop.set();
                    return;
                }
                Err(error) => tracing::warn!(%error, job = %job, "the lease could not be extended"),
            }
        }
    }

    async fn train(self: &Arc<Self>, run: &Run) -> Result<()> {
        (run.report)(Progress::Reading);
        let mut data = Dataset::read(&*self.store, &self.options.events).await?;
        self.condition().trained_through = data.through;
        let held_out = data.hold_out(self.options.training.held_out_users);
        run.owned(self.store.start_job(&run.job.job_id, &run.worker).await?)?;
        let (data, fitted) = self.fit(run, data).await?;
        let held_out = Arc::new(held_out);
        let ours = ndcg(&fitted.model.items, &fitted.options, &held_out);
        self.write_metric(run, 0, "held_out_ndcg_at_10", ours).await?;
        let outcome = self.judge_and_publish(run, &data, fitted, &held_out, ours).await?;
        let now = self.clock.now();
        let ours = self.store.complete_job(&run.job.job_id, &run.worker, &outcome, now).await?;
        run.owned(ours)?;
        self.install_current().await?;
        self.drop_old_versions(MODEL_NAME).await
    }

    /// Serves the new model unless it is worse than the serving one. If another training moved the pointer
    /// meanwhile, the new model is judged again, against that one's.
    async fn judge_and_publish(
        &self,
        run: &Run,
        data: &Dataset,
        fitted: Fitted,
        held_out: &[HeldOut],
        ours: f64,
    ) -> Result<JobOutcome> {
        let mut fitted = Some(fitted);
        let mut registered: Option<ModelVersion> = None;
        loop {
            (run.report)(Progress::Judging);
            let serving = self.store.current_model(MODEL_NAME).await?;
            let theirs = self.judge_serving(serving.as_ref(), data, held_out).await?;
            let worse = rejection(ours, theirs, held_out.len(), &self.options.training);
            if let Some(reason) = worse {
                if let Some(model) = registered {
                    self.drop_version(&model).await?;
                }
                return Ok(JobOutcome::Rejected { reason });
            }
            if let Some(fitted) = fitted.take() {
                (run.report)(Progress::Saving);
                registered = Some(self.register(run, data, fitted, ours).await?);
            }
            let version = registered.as_ref().map_or(0, |model| model.version);
            let (expected, now) = (serving.map(|model| model.version), self.clock.now());
            if self.store.set_current_model(MODEL_NAME, expected, version, now).await? {
                return Ok(JobOutcome::Registered { version });
            }
            self.still_kept(run, MODEL_NAME, version).await?;
        }
    }

    pub(crate) async fn write_metric(
        &self,
        run: &Run,
        step: i64,
        name: &str,
        value: f64,
    ) -> Result<()> {
        let point = MetricPoint {
            attempt: run.job.attempts,
            step,
            name: name.to_owned(),
            value,
            timestamp: self.clock.now(),
        };
        Ok(self.store.add_metrics(&run.job.job_id, &[point]).await?)
    }

    /// The serving model's NDCG on the same held-out titles; `None` if there is none that can be read.
    async fn judge_serving(
        &self,
        serving: Option<&ModelVersion>,
        data: &Dataset,
        held_out: &[HeldOut],
    ) -> Result<Option<f64>> {
        let Some(model) = serving else { return Ok(None) };
        match self.read_artifact(model).await {
            Ok(artifact) => {
                let items = artifact.factors_for(&data.items);
                Ok(Some(ndcg(&items, &artifact.options, held_out)))
            }
            Err(Error::Artifact { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the file and registers the version.
    async fn register(
        &self,
        run: &Run,
        data: &Dataset,
        fitted: Fitted,
        ndcg: f64,
    ) -> Result<ModelVersion> {
        let artifact = artifact(data, fitted, &self.options);
        let key = registry::key(run, MODEL_NAME, "safetensors");
        let unusable = |detail| Error::Artifact { key: key.clone(), detail };
        let bytes = artifact.encode().map_err(unusable)?;
        self.register_file(run, (MODEL_NAME, key), bytes, metadata(run, &artifact, ndcg)).await
    }
}

/// Whether a job is to leave out what takes longest.
pub(crate) fn is_soon(options: &Map<String, Value>) -> bool {
    options.get(SOON) == Some(&Value::Bool(true))
}

/// What was fitted on `data`, with its counts.
pub(crate) fn artifact(data: &Dataset, fitted: Fitted, options: &Options) -> Artifact {
    let counted = data.count(&(&options.sequence).into());
    Artifact {
        items: data.items.clone(),
        factors: fitted.model.items,
        viewers: counted.viewers,
        transitions: counted.transitions,
        item_item: fitted.item_item,
        embedding: fitted.embedding,
        options: fitted.options,
        through: data.through,
    }
}

impl Run {
    /// An error unless the job is still ours.
    pub(crate) fn owned(&self, ours: bool) -> Result<()> {
        if ours { Ok(()) } else { Err(Error::LostJob(self.job.job_id.clone())) }
    }

    /// An error if it is known that the job is no longer ours.
    pub(crate) fn goes_on(&self) -> Result<()> {
        self.owned(!self.stop.is_set())
    }

    /// Does long work on a blocking thread; an error if the job is no longer ours, whether or not the work was done by then.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(GoOn<'_>) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T> {
        let stop = self.stop.clone();
        let work = move || work(&|| stop.ask());
        let done = tokio::task::spawn_blocking(work).await.expect("a training does not panic");
        self.goes_on()?;
        done.map_err(|Stopped| Error::LostJob(self.job.job_id.clone()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.set();
    }
}

fn metadata(run: &Run, artifact: &Artifact, ndcg: f64) -> Map<String, Value> {
    let value = json!({
        "options": run.job.options,
        "through": artifact.through.0,
        "items": artifact.items.len(),
        "held_out_ndcg_at_10": ndcg,
    });
    value.as_object().cloned().unwrap_or_default()
}
