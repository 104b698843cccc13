//! `sona train`

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sona_domain::{JobId, JobOutcome, JobState, TrainingJob};
use sona_engine::train::{Progress, Report};
use sona_engine::{BASE_LAYER_NAME, ENCODER_NAME, Engine, RANKER_NAME};

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

/// How often a job that runs elsewhere is looked at.
const WAIT: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs as a job: its state and metric points are in the database, a killed training is
picked up again, and a model worse than the serving one on held-out events is rejected (exit code 4).
Processes that serve the same database swap the new model in by themselves.

`ranker` learns the order of lists from what users chose in the latest part of the log, given what came before it; a
process that serves does so by itself after every training.
`base-layer` finds anew in what users differ from each other, as every training of the ranker does; users' adapters are
carried over.

`encoder` learns to encode texts from the catalogue, and from what users engage with if a collaborative model says so.
`embeddings` gives every title a vector by the encoder in use, the configured or the learned one.

Examples:
  sona train
  sona train --json
  sona train ranker
  sona train base-layer
  sona train encoder
  sona train embeddings
  SONA_ALS_FACTORS=128 sona train"
)]
pub(crate) struct Args {
    /// What to train.
    #[arg(value_enum, default_value_t = Model::Collaborative)]
    model: Model,
    /// Print the finished job as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

/// What can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Model {
    /// What users engage with.
    Collaborative,
    /// The same without what takes long, to have something to serve.
    #[value(skip)]
    First,
    /// What decides the order of lists.
    Ranker,
    /// In what users differ: what their adapters learn on.
    BaseLayer,
    /// Text to vectors; then the vectors of all titles.
    Encoder,
    /// The vectors of all titles, by the encoder in use.
    Embeddings,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    anyhow::ensure!(
        args.model != Model::Encoder || config.encoder.model.is_empty(),
        "the encoder {} is configured and used as it is; clear encoder.model to learn one from the catalogue",
        config.encoder.model
    );
    anyhow::ensure!(
        matches!(args.model, Model::Collaborative | Model::Ranker | Model::BaseLayer)
            || config.encoder.vectors.is_empty(),
        "the imported vectors {} are in use; clear encoder.vectors to encode the catalogue here",
        config.encoder.vectors
    );
    let engine = wiring::open(config).await?;
    let result = train_all(&engine, args.model).await;
    engine.close().await;
    let (job, embedded) = result?;
    if args.json {
        say_json(&job)?;
    }
    let exit = match &job.outcome {
        Some(JobOutcome::Rejected { .. }) => Exit::Rejected,
        Some(JobOutcome::Registered { .. } | JobOutcome::Encoded { .. }) | None => Exit::Done,
    };
    if !args.json {
        say(summary(&job))?;
        embedded.iter().try_for_each(|job| say(summary(job)))?;
    }
    Ok(exit)
}

/// Trains, and after an encoder encodes the catalogue with it.
async fn train_all(
    engine: &Arc<Engine>,
    model: Model,
) -> anyhow::Result<(TrainingJob, Option<TrainingJob>)> {
    let job = train(engine, model).await?;
    let next = match model {
        Model::Encoder => Some(Model::Embeddings),
        Model::Collaborative
        | Model::First
        | Model::Ranker
        | Model::BaseLayer
        | Model::Embeddings => None,
    };
    let next = match next {
        Some(next) => Some(train(engine, next).await?),
        None => None,
    };
    Ok((job, next))
}

/// Submits a training and runs it here, with a progress bar.
pub(crate) async fn train(engine: &Arc<Engine>, model: Model) -> anyhow::Result<TrainingJob> {
    let job = match model {
        Model::Collaborative => engine.submit_training().await?,
        Model::First => engine.submit_first_training().await?,
        Model::Ranker => engine.submit_ranker_training().await?,
        Model::BaseLayer => engine.submit_base_layer_training().await?,
        Model::Encoder => engine.submit_encoder_training().await?,
        Model::Embeddings => engine.submit_embedding().await?,
    };
    let worker = wiring::worker_name();
    let bar = Arc::new(Mutex::new(None::<ProgressBar>));
    let shown = bar.clone();
    let report: Report = Arc::new(move |progress| show(&shown, &progress));
    let finished = finish(engine, &worker, &job, report).await;
    if let Some(bar) = bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
    finished
}

/// Runs the job, or waits for it if a serving process was quicker to claim it.
async fn finish(
    engine: &Arc<Engine>,
    worker: &str,
    job: &JobId,
    report: Report,
) -> anyhow::Result<TrainingJob> {
    loop {
        if let Some(job) = engine.run_training(worker, Some(job), report.clone()).await? {
            return Ok(job);
        }
        let elsewhere = engine.training_job(job).await?.context("the job is gone")?;
        match elsewhere.state {
            JobState::Completed | JobState::Cancelled => return Ok(elsewhere),
            JobState::Failed => anyhow::bail!(elsewhere.error.unwrap_or_default()),
            JobState::Queued | JobState::Initializing | JobState::Running => {
                tokio::time::sleep(WAIT).await;
            }
        }
    }
}

/// What became of a job, in one line.
pub(crate) fn summary(job: &TrainingJob) -> String {
    let seconds = match (job.started_at, job.finished_at) {
        (Some(from), Some(to)) => to.seconds_since(from),
        _ => 0.0,
    };
    match &job.outcome {
        Some(JobOutcome::Registered { version }) => {
            let what = match job.model_name.as_str() {
                ENCODER_NAME => "encoder",
                RANKER_NAME => "ranker",
                BASE_LAYER_NAME => "base layer",
                _ => "model",
            };
            format!("Trained {what} version {version} in {seconds:.1} s; it is served now.")
        }
        Some(JobOutcome::Encoded { encoder, titles }) => {
            format!("{titles} titles have a vector of {encoder}.")
        }
        Some(JobOutcome::Rejected { reason }) => {
            let what = match job.model_name.as_str() {
                RANKER_NAME => "ranker",
                BASE_LAYER_NAME => "base layer",
                _ => "model",
            };
            format!("The new {what} is rejected, the old one stays: {reason}")
        }
        None => format!("Training job {} is {}.", job.job_id, job.state.as_str()),
    }
}

fn show(bar: &Mutex<Option<ProgressBar>>, progress: &Progress) {
    let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
    let bar = bar.get_or_insert_with(|| {
        let style = ProgressStyle::with_template("Training  {bar:40} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(0).with_style(style)
    });
    match progress {
        Progress::Reading => bar.set_message("reading"),
        Progress::Iteration { index, of, loss } => {
            bar.set_length(*of as u64);
            bar.set_position(*index as u64);
            bar.set_message(format!("loss {loss:.1}"));
        }
        Progress::Encoding { done, of } => {
            bar.set_length(*of as u64);
            bar.set_position(*done as u64);
            bar.set_message("titles encoded");
        }
        Progress::Epoch { index, of, loss } => {
            bar.set_length(*of as u64);
            bar.set_position(*index as u64);
            bar.set_message(format!("embedding, loss {loss:.3}"));
        }
        Progress::Replaying { done, of } => {
            bar.set_length(*of as u64);
            bar.set_position(*done as u64);
            bar.set_message("replaying the latest events");
        }
        Progress::Judging => bar.set_message("judging on held-out events"),
        Progress::Saving => bar.set_message("saving"),
    }
}
