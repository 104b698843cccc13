//! Exposures in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Exposure, RecommendationId, Timestamp, UserId};
use sqlx::PgConnection;

use super::{PostgresStore, users};
use crate::error::Result;
use crate::exposures::{ExposureRow, Exposures, check, items_text};
use crate::row::sql_limit;
use crate::users::digest;

#[async_trait]
impl Exposures for PostgresStore {
    async fn put_exposures(&self, exposures: &[Exposure]) -> Result<()> {
        if exposures.is_empty() {
            return Ok(());
        }
        check(exposures)?;
        let mut transaction = self.begin().await?;
        // Whoever removes a user waits for this transaction and finds what it wrote, or is waited for and found below.
        sqlx::query("SELECT head FROM log_heads WHERE log_name = $1 FOR SHARE")
            .bind(users::LOG)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(INSERT)
            .bind(column(exposures, |e| e.recommendation_id.as_str()))
            .bind(column(exposures, |e| e.user_id.as_str()))
            .bind(column(exposures, |e| e.shown_at.as_micros()))
            .bind(column(exposures, |e| e.model_version))
            .bind(column(exposures, |e| e.ranker_version))
            .bind(column(exposures, items_text))
            .bind(column(exposures, |e| digest(&e.user_id).to_vec()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn exposure(&self, id: &RecommendationId) -> Result<Option<Exposure>> {
        let row: Option<ExposureRow> = sqlx::query_as(
            "SELECT recommendation_id, user_id, shown_at, model_version, ranker_version, items
             FROM exposures WHERE recommendation_id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(ExposureRow::read).transpose()
    }

    async fn delete_exposures(&self, before: Timestamp, limit: usize) -> Result<u64> {
        // Several processes delete: none waits for rows another one deletes.
        let deleted = sqlx::query(
            "DELETE FROM exposures WHERE recommendation_id IN (
                 SELECT recommendation_id FROM exposures WHERE shown_at < $1
                 ORDER BY shown_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(before.as_micros())
        .bind(sql_limit(limit))
        .execute(&self.pool)
        .await?;
        sqlx::query("DELETE FROM exposure_removals WHERE removed_at < $1")
            .bind(before.as_micros())
            .execute(&self.pool)
            .await?;
        Ok(deleted.rows_affected())
    }
}

/// Keeps lists from being written that were shown to the user up to now. The caller holds the lock of the log of removals.
pub(super) async fn hold_back(
    connection: &mut PgConnection,
    user: &UserId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO exposure_removals (user_digest, removed_at) VALUES ($1, $2)
         ON CONFLICT (user_digest) DO UPDATE
         SET removed_at = greatest(exposure_removals.removed_at, excluded.removed_at)",
    )
    .bind(digest(user).to_vec())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

fn column<'e, T>(exposures: &'e [Exposure], value: impl Fn(&'e Exposure) -> T) -> Vec<T> {
    exposures.iter().map(value).collect()
}

const INSERT: &str = "INSERT INTO exposures
     (recommendation_id, user_id, shown_at, model_version, ranker_version, items)
 SELECT recommendation_id, user_id, shown_at, model_version, ranker_version, items
 FROM unnest($1, $2, $3, $4, $5, $6, $7) AS given (
     recommendation_id, user_id, shown_at, model_version, ranker_version, items, digest)
 WHERE NOT EXISTS (
     SELECT FROM exposure_removals WHERE user_digest = digest AND removed_at >= shown_at)
 ON CONFLICT (recommendation_id) DO NOTHING";
