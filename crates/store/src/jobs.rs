//! Training jobs, held by leases, and their metric points.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value};
use sona_domain::job::MAX_ATTEMPTS;
use sona_domain::{JobId, JobOutcome, JobState, MetricPoint, Timestamp, TrainingJob};

use crate::error::{Error, Result};

/// A job to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its name.
    pub job_id: JobId,
    /// The model it trains.
    pub model_name: String,
    /// The options it trains with.
    pub options: Map<String, Value>,
}

/// The job queue. Every transition is a compare-and-set on the state and, once claimed, on the lease's owner.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues a job.
    async fn submit_job(&self, job: &NewJob, now: Timestamp) -> Result<TrainingJob>;

    /// Hands the oldest queued job, or one whose lease ran out, to `worker` until `lease_until`: state
    /// `initializing`, one more attempt. Two workers never get the same job. A job whose lease ran out after
    /// `MAX_ATTEMPTS` attempts is failed instead, and the next one tried. With `only`, no other job is looked at.
    async fn claim_job(
        &self,
        worker: &str,
        only: Option<&JobId>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<TrainingJob>>;

    /// Extends the lease; `false` if `worker` no longer holds the job or it was cancelled.
    async fn extend_lease(&self, job: &JobId, worker: &str, until: Timestamp) -> Result<bool>;

    /// From `initializing` to `running`; `false` if `worker` no longer holds the job.
    async fn start_job(&self, job: &JobId, worker: &str) -> Result<bool>;

    /// From `running` to `completed`; `false` if `worker` no longer holds the job.
    async fn complete_job(
        &self,
        job: &JobId,
        worker: &str,
        outcome: &JobOutcome,
        now: Timestamp,
    ) -> Result<bool>;

    /// From `initializing` or `running` to `failed`; `false` if `worker` no longer holds the job.
    async fn fail_job(
        &self,
        job: &JobId,
        worker: &str,
        error: &str,
        now: Timestamp,
    ) -> Result<bool>;

    /// From any state that is not final to `cancelled`; `false` otherwise.
    async fn cancel_job(&self, job: &JobId, now: Timestamp) -> Result<bool>;

    /// One job.
    async fn job(&self, job: &JobId) -> Result<Option<TrainingJob>>;

    /// Up to `limit` jobs, newest first, of one model and of one state if given.
    async fn jobs(
        &self,
        model_name: Option<&str>,
        state: Option<JobState>,
        limit: usize,
    ) -> Result<Vec<TrainingJob>>;

    /// Adds metric points; a point of the same (attempt, name, step) is replaced. Values must be finite.
    async fn add_metrics(&self, job: &JobId, points: &[MetricPoint]) -> Result<()>;

    /// All points of a job, by attempt, step and name.
    async fn metrics(&self, job: &JobId) -> Result<Vec<MetricPoint>>;
}

impl NewJob {
    /// The job as it waits in the queue.
    pub(crate) fn queued(&self, now: Timestamp) -> TrainingJob {
        TrainingJob {
            job_id: self.job_id.clone(),
            model_name: self.model_name.clone(),
            state: JobState::Queued,
            options: self.options.clone(),
            attempts: 0,
            worker: None,
            lease_until: None,
            error: None,
            outcome: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }
}

/// A job that could be claimed.
#[derive(sqlx::FromRow)]
pub(crate) struct ClaimableRow {
    pub(crate) job_id: String,
    attempts: i64,
}

impl ClaimableRow {
    /// Why the job is failed instead of claimed, if it is.
    pub(crate) fn exhausted(&self) -> Option<String> {
        (self.attempts >= i64::from(MAX_ATTEMPTS))
            .then(|| format!("the lease ran out {} times", self.attempts))
    }
}

/// An error message as every database takes it: NUL characters are replaced.
pub(crate) fn storable(error: &str) -> String {
    error.replace('\0', "\u{fffd}")
}

/// A row of `training_jobs`. `options` and `outcome` are JSON text.
#[derive(sqlx::FromRow)]
pub(crate) struct JobRow {
    job_id: String,
    model_name: String,
    state: String,
    options: String,
    attempts: i64,
    worker: Option<String>,
    lease_until: Option<i64>,
    error: Option<String>,
    outcome: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl JobRow {
    pub(crate) fn read(self) -> Result<TrainingJob> {
        let outcome = self.outcome.map(|text| serde_json::from_str(&text)).transpose();
        Ok(TrainingJob {
            job_id: JobId(self.job_id),
            model_name: self.model_name,
            state: JobState::parse(&self.state)
                .ok_or(self.state)
                .map_err(Error::corrupt("training_jobs.state"))?,
            options: serde_json::from_str(&self.options)
                .map_err(Error::corrupt("training_jobs.options"))?,
            attempts: u32::try_from(self.attempts)
                .map_err(Error::corrupt("training_jobs.attempts"))?,
            worker: self.worker,
            lease_until: self.lease_until.map(Timestamp::from_micros),
            error: self.error,
            outcome: outcome.map_err(Error::corrupt("training_jobs.outcome"))?,
            created_at: Timestamp::from_micros(self.created_at),
            started_at: self.started_at.map(Timestamp::from_micros),
            finished_at: self.finished_at.map(Timestamp::from_micros),
        })
    }
}

/// Of points of the same (attempt, step, name) the last, in that order; values that are not finite are refused.
pub(crate) fn last_of_each(points: &[MetricPoint]) -> Result<Vec<&MetricPoint>> {
    if let Some(point) = points.iter().find(|point| !point.value.is_finite()) {
        return Err(Error::Invalid(format!(
            "metric {:?} at step {} is {}: values must be finite",
            point.name, point.step, point.value
        )));
    }
    let last: BTreeMap<_, _> = points
        .iter()
        .map(|point| ((point.attempt, point.step, point.name.as_str()), point))
        .collect();
    Ok(last.into_values().collect())
}

/// A row of `training_metrics`.
#[derive(sqlx::FromRow)]
pub(crate) struct MetricRow {
    attempt: i64,
    step: i64,
    name: String,
    value: f64,
    timestamp: i64,
}

impl MetricRow {
    pub(crate) fn read(self) -> Result<MetricPoint> {
        Ok(MetricPoint {
            attempt: u32::try_from(self.attempt)
                .map_err(Error::corrupt("training_metrics.attempt"))?,
            step: self.step,
            name: self.name,
            value: self.value,
            timestamp: Timestamp::from_micros(self.timestamp),
        })
    }
}
