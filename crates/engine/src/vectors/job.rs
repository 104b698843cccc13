//! Encoding the whole catalogue: a job, so that it is done once, by one process, and goes on after a crash.

use std::sync::Arc;

use serde_json::json;
use sona_domain::embedding::IMPORTED;
use sona_domain::{JobId, JobOutcome, JobState};

use super::follow::{BATCH, Input, is_of};
use crate::Engine;
use crate::encoder::Ready;
use crate::error::{Error, Result};
use crate::train::{MIN_PAUSE, Progress, Run};

/// The name under which catalogues are encoded.
pub const EMBEDDINGS_NAME: &str = "embeddings";

/// Sets of vectors that are kept: of the encoder in use, and of the one before, which other processes may still use.
const KEPT: usize = 2;

impl Engine {
    /// Queues the encoding of the whole catalogue by the encoder in use. Vectors that are there are kept.
    ///
    /// # Errors
    /// [`Error::NoEncoder`] where none is configured and none is learned yet; [`Error::Imported`] where vectors are imported.
    pub async fn submit_embedding(&self) -> Result<JobId> {
        if self.encoders.imported().is_some() {
            return Err(Error::Imported);
        }
        let name = self.encoder_name().await?.ok_or(Error::NoEncoder)?;
        let options = json!({ "encoder": name });
        self.submit(EMBEDDINGS_NAME, options.as_object().cloned().unwrap_or_default()).await
    }

    /// Due is the encoding of the catalogue when the encoder in use has never done it, and nobody is at it.
    pub(crate) async fn submit_embedding_if_due(&self) -> Result<()> {
        let Some(name) = self.encoder_name().await? else { return Ok(()) };
        let is_done = self.vectors().encoder() == name || self.encoders.imported().is_some();
        if is_done || self.catalogue.latest().entries() == 0 {
            return Ok(());
        }
        let models = self.store.embedding_models().await?;
        if models.iter().any(|model| model.name == name && model.completed_at.is_some()) {
            return Ok(());
        }
        let last = self.store.jobs(Some(EMBEDDINGS_NAME), None, 1).await?.into_iter().next();
        let due = last.is_none_or(|job| {
            let age = job.finished_at.map(|at| self.clock.now().seconds_since(at));
            age.is_some_and(|age| job.state != JobState::Failed || age >= MIN_PAUSE)
        });
        if due {
            self.submit_embedding().await?;
        }
        Ok(())
    }

    /// Encodes what has no vector yet, and says so when everything has one.
    pub(crate) async fn embed_catalogue(self: &Arc<Self>, run: &Run) -> Result<()> {
        (run.report)(Progress::Reading);
        let ready = self.ready_encoder().await?;
        run.owned(self.store.start_job(&run.job.job_id, &run.worker).await?)?;
        let view = self.catalogue.latest();
        let of = view.entries();
        let mut entries = view.iter().map(|(_, content)| content);
        let (mut done, mut without) = (0, 0);
        loop {
            let batch: Vec<_> = entries.by_ref().take(BATCH).map(|c| Input::of(c)).collect();
            if batch.is_empty() {
                break;
            }
            done += batch.len();
            without += self.embed_missing(&ready, batch).await?;
            run.goes_on()?;
            (run.report)(Progress::Encoding { done, of });
            let share = done as f64 / of.max(1) as f64;
            self.write_metric(run, (100.0 * share) as i64, "encoded", share).await?;
        }
        (run.report)(Progress::Saving);
        let now = self.clock.now();
        self.store.complete_embeddings(ready.name(), ready.width(), now).await?;
        let encoder = ready.name().to_owned();
        let outcome = JobOutcome::Encoded { encoder, titles: (done - without) as u64 };
        run.owned(self.store.complete_job(&run.job.job_id, &run.worker, &outcome, now).await?)?;
        self.load_vectors().await?;
        self.drop_old_vectors(ready.name()).await
    }

    /// Encodes those texts that are not stored with this encoder's vectors; answers how many got none.
    async fn embed_missing(&self, ready: &Arc<Ready>, mut texts: Vec<Input>) -> Result<usize> {
        let stored = self.stored_vectors(ready.name(), texts.iter()).await?;
        texts.retain(|text| !stored.iter().any(|embedding| is_of(embedding, text)));
        let made = self.embed(ready, texts).await?;
        Ok(made.iter().filter(|vector| vector.is_none()).count())
    }

    async fn drop_old_vectors(&self, in_use: &str) -> Result<()> {
        let mut models = self.store.embedding_models().await?;
        // What was imported cannot be made again.
        models.retain(|model| model.name != in_use && !model.name.starts_with(IMPORTED));
        for old in models.iter().rev().skip(KEPT - 1) {
            self.store.delete_embeddings(&old.name).await?;
        }
        Ok(())
    }
}
