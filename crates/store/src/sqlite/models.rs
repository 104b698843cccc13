//! The model registry in SQLite.

use async_trait::async_trait;
use sona_domain::model::NewModelVersion;
use sona_domain::{ModelVersion, Timestamp};

use super::SqliteStore;
use crate::error::Result;
use crate::models::{ModelRow, Models, numbered};
use crate::row::json_text;

/// The columns a [`ModelRow`] is read from.
macro_rules! columns {
    () => {
        "model_name, version, blob_key, size_bytes, sha256, metadata, job_id, created_at"
    };
}

#[async_trait]
impl Models for SqliteStore {
    async fn register_model(&self, new: &NewModelVersion, now: Timestamp) -> Result<ModelVersion> {
        let mut transaction = self.write().await?;
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO ml_model_names (model_name, last_version) VALUES (?1, 1)
             ON CONFLICT (model_name) DO UPDATE SET last_version = last_version + 1
             RETURNING last_version",
        )
        .bind(new.model_name.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query(concat!(
            "INSERT INTO ml_models (",
            columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        ))
        .bind(new.model_name.as_str())
        .bind(version)
        .bind(new.blob_key.as_str())
        .bind(new.size_bytes)
        .bind(new.sha256.as_str())
        .bind(json_text(&new.metadata))
        .bind(new.job_id.as_ref().map(|job| job.0.as_str()))
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(numbered(new, version, now))
    }

    async fn set_current_model(
        &self,
        model_name: &str,
        expected: Option<i64>,
        version: i64,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.write().await?;
        let current: Option<i64> =
            sqlx::query_scalar("SELECT version FROM ml_model_pointers WHERE model_name = ?1")
                .bind(model_name)
                .fetch_optional(&mut *transaction)
                .await?;
        if current != expected {
            return Ok(false);
        }
        let moved = sqlx::query(
            "INSERT INTO ml_model_pointers (model_name, version, updated_at)
             SELECT model_name, version, ?3 FROM ml_models WHERE model_name = ?1 AND version = ?2
             ON CONFLICT (model_name) DO UPDATE
             SET version = excluded.version, updated_at = excluded.updated_at",
        )
        .bind(model_name)
        .bind(version)
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(moved.rows_affected() == 1)
    }

    async fn current_model(&self, model_name: &str) -> Result<Option<ModelVersion>> {
        let row: Option<ModelRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM ml_model_pointers JOIN ml_models USING (model_name, version) WHERE model_name = ?1"
        ))
        .bind(model_name)
        .fetch_optional(&self.readers)
        .await?;
        row.map(ModelRow::read).transpose()
    }

    async fn model(&self, model_name: &str, version: i64) -> Result<Option<ModelVersion>> {
        let row: Option<ModelRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM ml_models WHERE model_name = ?1 AND version = ?2"
        ))
        .bind(model_name)
        .bind(version)
        .fetch_optional(&self.readers)
        .await?;
        row.map(ModelRow::read).transpose()
    }

    async fn models(&self, model_name: &str) -> Result<Vec<ModelVersion>> {
        let rows: Vec<ModelRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM ml_models WHERE model_name = ?1 ORDER BY version DESC"
        ))
        .bind(model_name)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(ModelRow::read).collect()
    }

    async fn delete_model(&self, model_name: &str, version: i64) -> Result<bool> {
        let mut transaction = self.write().await?;
        let deleted = sqlx::query(
            "DELETE FROM ml_models WHERE model_name = ?1 AND version = ?2 AND NOT EXISTS (
                 SELECT 1 FROM ml_model_pointers WHERE model_name = ?1 AND version = ?2)",
        )
        .bind(model_name)
        .bind(version)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() == 1)
    }
}
