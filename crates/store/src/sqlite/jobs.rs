//! Training jobs in SQLite.

use async_trait::async_trait;
use sona_domain::{JobId, JobOutcome, JobState, MetricPoint, Timestamp, TrainingJob};

use super::SqliteStore;
use crate::error::Result;
use crate::jobs::{ClaimableRow, JobRow, Jobs, MetricRow, NewJob, last_of_each, storable};
use crate::row::{json_text, sql_limit};

/// The columns a [`JobRow`] is read from.
macro_rules! columns {
    () => {
        "job_id, model_name, state, options, attempts, worker, lease_until, error, outcome, created_at,
         started_at, finished_at"
    };
}

#[async_trait]
impl Jobs for SqliteStore {
    async fn submit_job(&self, job: &NewJob, now: Timestamp) -> Result<TrainingJob> {
        sqlx::query(
            "INSERT INTO training_jobs (job_id, model_name, state, options, attempts, created_at)
             VALUES (?1, ?2, 'queued', ?3, 0, ?4)",
        )
        .bind(job.job_id.0.as_str())
        .bind(job.model_name.as_str())
        .bind(json_text(&job.options))
        .bind(now.as_micros())
        .execute(&self.writer)
        .await?;
        Ok(job.queued(now))
    }

    async fn claim_job(
        &self,
        worker: &str,
        only: Option<&JobId>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<TrainingJob>> {
        let mut transaction = self.write().await?;
        let claimed = loop {
            let found: Option<ClaimableRow> = sqlx::query_as(
                "SELECT job_id, attempts FROM training_jobs
                 WHERE (state = 'queued' OR (state IN ('initializing', 'running') AND lease_until <= ?1))
                     AND (?2 IS NULL OR job_id = ?2)
                 ORDER BY created_at, submission LIMIT 1",
            )
            .bind(now.as_micros())
            .bind(only.map(|job| job.0.as_str()))
            .fetch_optional(&mut *transaction)
            .await?;
            let Some(found) = found else { break None };
            if let Some(error) = found.exhausted() {
                sqlx::query(
                    "UPDATE training_jobs SET state = 'failed', error = ?2, finished_at = ?3,
                         worker = NULL, lease_until = NULL
                     WHERE job_id = ?1",
                )
                .bind(&found.job_id)
                .bind(error)
                .bind(now.as_micros())
                .execute(&mut *transaction)
                .await?;
                continue;
            }
            let job: JobRow = sqlx::query_as(concat!(
                "UPDATE training_jobs SET state = 'initializing', attempts = attempts + 1, worker = ?2,
                     lease_until = ?3, started_at = ?4
                 WHERE job_id = ?1 RETURNING ",
                columns!()
            ))
            .bind(&found.job_id)
            .bind(worker)
            .bind(lease_until.as_micros())
            .bind(now.as_micros())
            .fetch_one(&mut *transaction)
            .await?;
            break Some(job);
        };
        transaction.commit().await?;
        claimed.map(JobRow::read).transpose()
    }

    async fn extend_lease(&self, job: &JobId, worker: &str, until: Timestamp) -> Result<bool> {
        let extended = sqlx::query(
            "UPDATE training_jobs SET lease_until = ?3
             WHERE job_id = ?1 AND worker = ?2 AND state IN ('initializing', 'running')",
        )
        .bind(job.0.as_str())
        .bind(worker)
        .bind(until.as_micros())
        .execute(&self.writer)
        .await?;
        Ok(extended.rows_affected() == 1)
    }

    async fn start_job(&self, job: &JobId, worker: &str) -> Result<bool> {
        let started = sqlx::query(
            "UPDATE training_jobs SET state = 'running'
             WHERE job_id = ?1 AND worker = ?2 AND state = 'initializing'",
        )
        .bind(job.0.as_str())
        .bind(worker)
        .execute(&self.writer)
        .await?;
        Ok(started.rows_affected() == 1)
    }

    async fn complete_job(
        &self,
        job: &JobId,
        worker: &str,
        outcome: &JobOutcome,
        now: Timestamp,
    ) -> Result<bool> {
        let completed = sqlx::query(
            "UPDATE training_jobs SET state = 'completed', outcome = ?3, finished_at = ?4,
                 worker = NULL, lease_until = NULL
             WHERE job_id = ?1 AND worker = ?2 AND state = 'running'",
        )
        .bind(job.0.as_str())
        .bind(worker)
        .bind(json_text(outcome))
        .bind(now.as_micros())
        .execute(&self.writer)
        .await?;
        Ok(completed.rows_affected() == 1)
    }

    async fn fail_job(
        &self,
        job: &JobId,
        worker: &str,
        error: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let failed = sqlx::query(
            "UPDATE training_jobs SET state = 'failed', error = ?3, finished_at = ?4,
                 worker = NULL, lease_until = NULL
             WHERE job_id = ?1 AND worker = ?2 AND state IN ('initializing', 'running')",
        )
        .bind(job.0.as_str())
        .bind(worker)
        .bind(storable(error))
        .bind(now.as_micros())
        .execute(&self.writer)
        .await?;
        Ok(failed.rows_affected() == 1)
    }

    async fn cancel_job(&self, job: &JobId, now: Timestamp) -> Result<bool> {
        let cancelled = sqlx::query(
            "UPDATE training_jobs SET state = 'cancelled', finished_at = ?2,
                 worker = NULL, lease_until = NULL
             WHERE job_id = ?1 AND state IN ('queued', 'initializing', 'running')",
        )
        .bind(job.0.as_str())
        .bind(now.as_micros())
        .execute(&self.writer)
        .await?;
        Ok(cancelled.rows_affected() == 1)
    }

    async fn job(&self, job: &JobId) -> Result<Option<TrainingJob>> {
        let row: Option<JobRow> =
            sqlx::query_as(concat!("SELECT ", columns!(), " FROM training_jobs WHERE job_id = ?1"))
                .bind(job.0.as_str())
                .fetch_optional(&self.readers)
                .await?;
        row.map(JobRow::read).transpose()
    }

    async fn jobs(
        &self,
        model_name: Option<&str>,
        state: Option<JobState>,
        limit: usize,
    ) -> Result<Vec<TrainingJob>> {
        let rows: Vec<JobRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM training_jobs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR model_name = ?2)
             ORDER BY created_at DESC, submission DESC LIMIT ?3"
        ))
        .bind(state.map(JobState::as_str))
        .bind(model_name)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(JobRow::read).collect()
    }

    async fn add_metrics(&self, job: &JobId, points: &[MetricPoint]) -> Result<()> {
        if points.is_empty() {
            return Ok(());
        }
        let points = last_of_each(points)?;
        let mut transaction = self.write().await?;
        for point in points {
            sqlx::query(
                "INSERT INTO training_metrics (job_id, attempt, step, name, value, timestamp)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (job_id, attempt, step, name) DO UPDATE
                 SET value = excluded.value, timestamp = excluded.timestamp",
            )
            .bind(job.0.as_str())
            .bind(point.attempt)
            .bind(point.step)
            .bind(point.name.as_str())
            .bind(point.value)
            .bind(point.timestamp.as_micros())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn metrics(&self, job: &JobId) -> Result<Vec<MetricPoint>> {
        let rows: Vec<MetricRow> = sqlx::query_as(
            "SELECT attempt, step, name, value, timestamp FROM training_metrics
             WHERE job_id = ?1 ORDER BY attempt, step, name",
        )
        .bind(job.0.as_str())
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(MetricRow::read).collect()
    }
}
