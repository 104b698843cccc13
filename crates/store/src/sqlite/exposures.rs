//! Exposures in SQLite.

use async_trait::async_trait;
use sona_domain::{Exposure, RecommendationId, Timestamp, UserId};
use sqlx::SqliteConnection;

use super::SqliteStore;
use crate::error::Result;
use crate::exposures::{ExposureRow, Exposures, check, items_text};
use crate::row::sql_limit;
use crate::users::digest;

#[async_trait]
impl Exposures for SqliteStore {
    async fn put_exposures(&self, exposures: &[Exposure]) -> Result<()> {
        if exposures.is_empty() {
            return Ok(());
        }
        check(exposures)?;
        let mut transaction = self.write().await?;
        for exposure in exposures {
            sqlx::query(
                "INSERT INTO exposures
                     (recommendation_id, user_id, shown_at, model_version, ranker_version, items)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6
                 WHERE NOT EXISTS (
                     SELECT 1 FROM exposure_removals WHERE user_digest = ?7 AND removed_at >= ?3)
                 ON CONFLICT (recommendation_id) DO NOTHING",
            )
            .bind(exposure.recommendation_id.as_str())
            .bind(exposure.user_id.as_str())
            .bind(exposure.shown_at.as_micros())
            .bind(exposure.model_version)
            .bind(exposure.ranker_version)
            .bind(items_text(exposure))
            .bind(digest(&exposure.user_id).to_vec())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn exposure(&self, id: &RecommendationId) -> Result<Option<Exposure>> {
        let row: Option<ExposureRow> = sqlx::query_as(
            "SELECT recommendation_id, user_id, shown_at, model_version, ranker_version, items
             FROM exposures WHERE recommendation_id = ?1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await?;
        row.map(ExposureRow::read).transpose()
    }

    async fn delete_exposures(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let mut transaction = self.write().await?;
        let deleted = sqlx::query(
            "DELETE FROM exposures WHERE recommendation_id IN (
                 SELECT recommendation_id FROM exposures WHERE shown_at < ?1
                 ORDER BY shown_at LIMIT ?2)",
        )
        .bind(before.as_micros())
        .bind(sql_limit(limit))
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM exposure_removals WHERE removed_at < ?1")
            .bind(before.as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected())
    }
}

/// Keeps lists from being written that were shown to the user up to now. The caller holds the write lock.
pub(super) async fn hold_back(
    connection: &mut SqliteConnection,
    user: &UserId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO exposure_removals (user_digest, removed_at) VALUES (?1, ?2)
         ON CONFLICT (user_digest) DO UPDATE SET removed_at = max(removed_at, excluded.removed_at)",
    )
    .bind(digest(user).to_vec())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}
