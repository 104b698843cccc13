//! Making a base layer: with the first ranker, with one whose features are others, and when somebody asks for it.
//!
//! Where the features stay the same the base layer does too, however often the ranker is trained again: users' adapters go on
//! learning on it.

use std::sync::Arc;

use serde_json::{Map, json};
use sona_domain::{Cursor, JobId, JobOutcome};

use super::{BASE_LAYER_NAME, BaseLayer, fit_base};
use crate::Engine;
use crate::error::{Error, Result};
use crate::ranker::Ranker;
use crate::ranker::replay::Choice;
use crate::registry;
use crate::train::{Progress, Run};

/// A ranker, and the choices it was found on, in the order of time.
pub(crate) type Found = (Ranker, Arc<Vec<Choice>>);

impl Engine {
    /// Queues the making of a base layer for the ranker that serves. All adapters begin anew on it.
    pub async fn submit_base_layer_training(&self) -> Result<JobId> {
        self.submit(BASE_LAYER_NAME, Map::new()).await
    }

    pub(crate) async fn train_base_layer(self: &Arc<Self>, run: &Run) -> Result<()> {
        (run.report)(Progress::Reading);
        run.owned(self.store.start_job(&run.job.job_id, &run.worker).await?)?;
        let outcome = match self.base_layer_from_past(run).await {
            Err(Error::NothingToTrain(reason)) => JobOutcome::Rejected { reason },
            outcome => outcome?,
        };
        let now = self.clock.now();
        run.owned(self.store.complete_job(&run.job.job_id, &run.worker, &outcome, now).await?)?;
        self.follow_base_layer().await?;
        self.drop_old_versions(BASE_LAYER_NAME).await
    }

    async fn base_layer_from_past(self: &Arc<Self>, run: &Run) -> Result<JobOutcome> {
        let none = || Error::NothingToTrain("no ranker serves yet; train one first".to_owned());
        let ranker = self.ranking.load_full().ok_or_else(none)?.ranker.clone();
        let options = &self.options.ranker;
        let past = self.read_past(options.events, options.share).await?;
        let through = past.through;
        let (layout, choices) = self.replay_past(run, past).await?;
        if layout != ranker.layout {
            let other =
                "the catalogue has other genres than when the ranker was trained; train that";
            return Err(Error::NothingToTrain(other.to_owned()));
        }
        (run.report)(Progress::Judging);
        let version = self.make_base_layer(run, (ranker, Arc::new(choices)), through).await?;
        let few = || Error::NothingToTrain("too few users chose anything lately".to_owned());
        Ok(JobOutcome::Registered { version: version.ok_or_else(few)? })
    }

    /// Makes a base layer for a ranker that was just trained, unless the one that serves has the same inputs.
    pub(crate) async fn make_base_layer_if_none_fits(
        self: &Arc<Self>,
        run: &Run,
        (ranker, choices): Found,
        through: Cursor,
    ) -> Result<()> {
        self.follow_base_layer().await?;
        let served = self.base_layer.load_full();
        let fits = served.as_deref().is_some_and(|base: &BaseLayer| base.is_for(&ranker.layout));
        if fits || !self.options.adapters.enabled {
            return Ok(());
        }
        self.make_base_layer(run, (ranker, choices), through).await?;
        self.follow_base_layer().await?;
        self.drop_old_versions(BASE_LAYER_NAME).await
    }

    /// Makes, registers and points to a base layer; `None` if too few users tell in what they differ.
    async fn make_base_layer(
        self: &Arc<Self>,
        run: &Run,
        (ranker, choices): Found,
        through: Cursor,
    ) -> Result<Option<i64>> {
        let (rank, options) = (self.options.adapters.rank, self.options.adapters.clone());
        let work = move || fit_base(&ranker, &choices, &options);
        let found = tokio::task::spawn_blocking(work).await.expect("fitting does not panic");
        let Some((bytes, pull)) = found else { return Ok(None) };
        self.write_metric(run, 0, "base_layer_pull", pull).await?;
        let key = registry::key(run, BASE_LAYER_NAME, "safetensors");
        let metadata = json!({"through": through.0, "rank": rank});
        let metadata = metadata.as_object().cloned().unwrap_or_default();
        let model = self.register_file(run, (BASE_LAYER_NAME, key), bytes.into(), metadata).await?;
        self.point_to(run, &model).await?;
        Ok(Some(model.version))
    }
}
