//! Versions of models and their files.

use bytes::Bytes;
use serde_json::{Map, Value};
use sona_domain::ModelVersion;
use sona_domain::model::NewModelVersion;

use crate::Engine;
use crate::artifact::checksum;
use crate::error::Result;
use crate::train::Run;

/// Where a run keeps its file: another attempt has another one.
pub(crate) fn key(run: &Run, model_name: &str, extension: &str) -> String {
    format!("models/{model_name}/{}-{}.{extension}", run.job.job_id, run.job.attempts)
}

impl Engine {
    /// Writes a file and registers it as a version of the model.
    pub(crate) async fn register_file(
        &self,
        run: &Run,
        (model_name, key): (&str, String),
        bytes: Bytes,
        metadata: Map<String, Value>,
    ) -> Result<ModelVersion> {
        let new = NewModelVersion {
            model_name: model_name.to_owned(),
            blob_key: key.clone(),
            size_bytes: bytes.len() as i64,
            sha256: checksum(&bytes),
            metadata,
            job_id: Some(run.job.job_id.clone()),
        };
        self.blobs.put(&key, bytes).await?;
        Ok(self.store.register_model(&new, self.clock.now()).await?)
    }

    /// Makes a version the current one of its model, also if another one became so meanwhile: the later job has seen more.
    pub(crate) async fn point_to(&self, run: &Run, model: &ModelVersion) -> Result<()> {
        let name = model.model_name.as_str();
        loop {
            let current = self.store.current_model(name).await?;
            let (expected, now) = (current.map(|model| model.version), self.clock.now());
            if self.store.set_current_model(name, expected, model.version, now).await? {
                return Ok(());
            }
            self.still_kept(run, name, model.version).await?;
        }
    }

    /// An error if the run has lost its job, or if so many others ended meanwhile that its version was cleaned away.
    pub(crate) async fn still_kept(&self, run: &Run, model_name: &str, version: i64) -> Result<()> {
        let kept = self.store.model(model_name, version).await?.is_some();
        run.owned(kept && !run.stop.is_set())
    }

    /// Keeps the newest versions and the current one; files go with their versions.
    pub(crate) async fn drop_old_versions(&self, model_name: &str) -> Result<()> {
        self.drop_versions_beyond(model_name, self.options.training.keep_versions + 1).await
    }

    /// Keeps the `newest` versions and the current one.
    pub(crate) async fn drop_versions_beyond(&self, model_name: &str, newest: usize) -> Result<()> {
        let models = self.store.models(model_name).await?;
        for old in models.iter().skip(newest) {
            self.drop_version(old).await?;
        }
        Ok(())
    }

    /// Deletes a version and its file, unless it is the current one.
    pub(crate) async fn drop_version(&self, model: &ModelVersion) -> Result<()> {
        if self.store.delete_model(&model.model_name, model.version).await? {
            self.blobs.delete(&model.blob_key).await?;
        }
        Ok(())
    }
}
