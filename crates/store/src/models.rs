//! Model versions and the pointer to the current one.

use async_trait::async_trait;
use sona_domain::model::NewModelVersion;
use sona_domain::{JobId, ModelVersion, Timestamp};

use crate::error::{Error, Result};

/// The model registry.
#[async_trait]
pub trait Models: Send + Sync {
    /// Registers a version; the number is allocated in the same transaction: one more than the highest ever
    /// given out under this name, also if versions were deleted or two callers register at once.
    async fn register_model(&self, new: &NewModelVersion, now: Timestamp) -> Result<ModelVersion>;

    /// Makes `version` the current one if the current one is still `expected`; `false` if it is not, or if
    /// there is no such version.
    async fn set_current_model(
        &self,
        model_name: &str,
        expected: Option<i64>,
        version: i64,
        now: Timestamp,
    ) -> Result<bool>;

    /// The version the pointer names.
    async fn current_model(&self, model_name: &str) -> Result<Option<ModelVersion>>;

    /// One version.
    async fn model(&self, model_name: &str, version: i64) -> Result<Option<ModelVersion>>;

    /// All versions of a name, newest number first.
    async fn models(&self, model_name: &str) -> Result<Vec<ModelVersion>>;

    /// Deletes a version; `false` if there is none or it is the current one.
    async fn delete_model(&self, model_name: &str, version: i64) -> Result<bool>;
}

/// A row of `ml_models`.
#[derive(sqlx::FromRow)]
pub(crate) struct ModelRow {
    model_name: String,
    version: i64,
    blob_key: String,
    size_bytes: i64,
    sha256: String,
    metadata: String,
    job_id: Option<String>,
    created_at: i64,
}

impl ModelRow {
    pub(crate) fn read(self) -> Result<ModelVersion> {
        Ok(ModelVersion {
            model_name: self.model_name,
            version: self.version,
            blob_key: self.blob_key,
            size_bytes: self.size_bytes,
            sha256: self.sha256,
            metadata: serde_json::from_str(&self.metadata)
                .map_err(Error::corrupt("ml_models.metadata"))?,
            job_id: self.job_id.map(JobId),
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// `new` under the number it was given.
pub(crate) fn numbered(new: &NewModelVersion, version: i64, now: Timestamp) -> ModelVersion {
    ModelVersion {
        model_name: new.model_name.clone(),
        version,
        blob_key: new.blob_key.clone(),
        size_bytes: new.size_bytes,
        sha256: new.sha256.clone(),
        metadata: new.metadata.clone(),
        job_id: new.job_id.clone(),
        created_at: now,
    }
}
