//! Making a base layer: with every ranker, and when somebody asks for it.
//!
//! The users whose choices it is found in and who have no adapter yet begin with what these teach (`begin`); the adapters of all
//! others are carried over to it when they are needed (`migrate`).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, json};
use sona_domain::{Cursor, JobId, JobOutcome, UserId};

use super::base::{FittedBase, fit_base, read_file};
use super::migrate::KEPT;
use super::{BASE_LAYER_NAME, BaseLayer};
use crate::Engine;
use crate::error::{Error, Result};
use crate::live::counts::viewer_key;
use crate::ranker::Ranker;
use crate::ranker::choice::Choice;
use crate::ranker::features::Layout;
use crate::ranker::past::Past;
use crate::registry;
use crate::train::{Progress, Run};

/// A base layer from less than this share of the users of the one that serves takes its place only if that does not fit.
const LEAST_SHARE: f64 = 0.5;

/// A ranker, and what it was found in.
pub(crate) struct Found {
    pub(crate) ranker: Ranker,
    /// In the order of time.
    pub(crate) choices: Arc<Vec<Choice>>,
    /// Whose choices they are, by [`Choice::who`].
    pub(crate) users: HashMap<u64, UserId>,
    /// The last event of the log.
    pub(crate) through: Cursor,
}

impl Found {
    /// The users of the latest part of a log.
    pub(crate) fn users_of(past: &Past) -> HashMap<u64, UserId> {
        let ids = past.latest.iter().map(|logged| &logged.event.user_id);
        ids.map(|id| (viewer_key(id), id.clone())).collect()
    }
}

impl Engine {
    /// Queues the making of a base layer for the ranker that serves.
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
        self.drop_versions_beyond(BASE_LAYER_NAME, KEPT).await
    }

    async fn base_layer_from_past(self: &Arc<Self>, run: &Run) -> Result<JobOutcome> {
        let none = || Error::NothingToTrain("no ranker serves yet; train one first".to_owned());
        let ranker = self.ranking.load_full().ok_or_else(none)?.ranker.clone();
        let options = &self.options.ranker;
        let past = self.read_past(options.events, options.share).await?;
        let (through, users) = (past.through, Found::users_of(&past));
        let (layout, choices) = self.replay_past(run, past).await?;
        if layout != ranker.layout {
            let other =
                "the catalogue has other genres than when the ranker was trained; train that";
            return Err(Error::NothingToTrain(other.to_owned()));
        }
        (run.report)(Progress::Judging);
        let choices = Arc::new(choices);
        let found = Found { ranker, choices, users, through };
        let fitted = self.find_base_layer(run, &found).await?;
        let version = self.register_base_layer(run, &found, fitted).await?;
        let few = || {
            let few = "too few users chose anything lately to tell them apart better than now";
            Error::NothingToTrain(few.to_owned())
        };
        Ok(JobOutcome::Registered { version: version.ok_or_else(few)? })
    }

    /// Puts in use what was found above a ranker that was just trained.
    pub(crate) async fn renew_base_layer(
        self: &Arc<Self>,
        run: &Run,
        found: &Found,
        fitted: Option<FittedBase>,
    ) -> Result<()> {
        self.register_base_layer(run, found, fitted).await?;
        self.follow_base_layer().await?;
        self.drop_versions_beyond(BASE_LAYER_NAME, KEPT).await
    }

    /// Finds a base layer; `None` if too few users tell in what they differ.
    pub(crate) async fn find_base_layer(
        &self,
        run: &Run,
        found: &Found,
    ) -> Result<Option<FittedBase>> {
        let (ranker, choices) = (found.ranker.clone(), found.choices.clone());
        let (options, trees) = (self.options.adapters.clone(), (&self.options.ranker).into());
        run.work(move |go_on| fit_base(&ranker, &choices, (&options, &trees), go_on)).await
    }

    /// Registers a base layer, if one was found, and points to it; `None` if the one in use had better stay.
    async fn register_base_layer(
        &self,
        run: &Run,
        found: &Found,
        fitted: Option<FittedBase>,
    ) -> Result<Option<i64>> {
        let Found { ranker, users, through, .. } = found;
        let Some(FittedBase { file, pull, adapters }) = fitted else { return Ok(None) };
        if self.knows_more_users(&ranker.layout, file.users).await? {
            return Ok(None);
        }
        self.write_metric(run, 0, "base_layer_pull", pull).await?;
        self.write_metric(run, 0, "base_layer_users", file.users as f64).await?;
        let key = registry::key(run, BASE_LAYER_NAME, "safetensors");
        let unusable = |detail| Error::Artifact { key: key.clone(), detail };
        let bytes = file.encode().map_err(unusable)?;
        let metadata = json!({"through": through.0, "rank": file.rank, "users": file.users});
        let metadata = metadata.as_object().cloned().unwrap_or_default();
        let model = self.register_file(run, (BASE_LAYER_NAME, key), bytes.into(), metadata).await?;
        // Before anybody looks for adapters on it.
        self.begin_adapters(run, model.version, (users, adapters)).await?;
        self.point_to(run, &model).await?;
        Ok(Some(model.version))
    }

    /// Whether the base layer in use fits `layout` and was found from so many more users that one from `users` of them had better
    /// not take its place. One that cannot be read is no loss.
    async fn knows_more_users(&self, layout: &Layout, users: u64) -> Result<bool> {
        let Some(model) = self.store.current_model(BASE_LAYER_NAME).await? else {
            return Ok(false);
        };
        let Ok(file) = read_file(&*self.blobs, &model).await else { return Ok(false) };
        let many = (users as f64) < LEAST_SHARE * file.users as f64;
        let base = BaseLayer::of_file(model.version, file);
        Ok(many && base.is_ok_and(|base| base.is_for(layout)))
    }
}
