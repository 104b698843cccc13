//! Keeping up with the base layer, and with what other processes learned.

use std::sync::Arc;

use sona_domain::{LoggedEvent, ModelVersion};

use super::base::read_file;
use super::{BASE_LAYER_NAME, BaseLayer};
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Serves adapters on the base layer the pointer names, if it is another one than serves. Those that were learned on the
    /// one before are carried over when they are needed.
    pub(crate) async fn follow_base_layer(&self) -> Result<()> {
        if !self.options.adapters.enabled {
            return Ok(());
        }
        let Some(model) = self.store.current_model(BASE_LAYER_NAME).await? else { return Ok(()) };
        let served = self.base_layers.current().map(|base| base.version);
        if served == Some(model.version) || self.condition().base_layer_tried == Some(model.version)
        {
            return Ok(());
        }
        match self.read_base_layer(&model).await {
            Ok(base) => {
                self.base_layers.serve(Arc::new(base));
                tracing::info!(version = model.version, "serving base layer");
            }
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "the base layer cannot be served; keeping what serves");
                self.condition().base_layer_tried = Some(model.version);
            }
        }
        Ok(())
    }

    pub(super) async fn read_base_layer(&self, model: &ModelVersion) -> Result<BaseLayer> {
        let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
        let file = read_file(&*self.blobs, model).await?;
        BaseLayer::of_file(model.version, file).map_err(unusable)
    }

    /// Other processes have seen these events, and may have learned from them.
    pub(crate) async fn adapters_go_stale(&self, events: &[LoggedEvent]) {
        if self.base_layers.current().is_none() {
            return;
        }
        for logged in events {
            if let Some(user) = self.users.peek(&logged.event.user_id).await
                && self.unsaved_adapters.get(&logged.event.user_id).is_none()
            {
                user.adapter.go_stale();
            }
        }
    }
}
