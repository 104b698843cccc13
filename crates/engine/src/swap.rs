//! Serving another model version without dropping a request: prepared beside the one that serves, brought up to
//! the present by the log task, then swapped in.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Engine;
use crate::error::{Error, Result};
use crate::log::Request;
use crate::start::MODEL_NAME;

impl Engine {
    /// Serves the current model now instead of at the next look at the pointer. A model that stops being the current
    /// one while it is prepared gives way to the one that took its place.
    pub async fn install_current(self: &Arc<Self>) -> Result<()> {
        loop {
            let Some(model) = self.store.current_model(MODEL_NAME).await? else { return Ok(()) };
            if self.snapshot.load().version() == Some(model.version) {
                return Ok(());
            }
            let prepared = Box::new(self.prepare(&model).await?);
            let (reply, installed) = oneshot::channel();
            let request = Request::Install { prepared, reply };
            self.requests.send(request).await.map_err(|_| Error::Closed)?;
            if installed.await.map_err(|_| Error::Closed)?? {
                tracing::info!(version = model.version, "serving model");
            }
        }
    }

    /// Starts preparing the model the pointer names, if it is another one than is served.
    pub(crate) async fn follow_model(self: &Arc<Self>) -> Result<()> {
        let Some(model) = self.store.current_model(MODEL_NAME).await? else { return Ok(()) };
        let version = model.version;
        {
            let mut condition = self.condition();
            if self.snapshot.load().version() == Some(version) {
                condition.model_error = None;
                return Ok(());
            }
            if condition.preparing.is_some() || condition.refused_models.contains(&version) {
                return Ok(());
            }
            condition.preparing = Some(version);
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let installed = engine.install_current().await;
            if let Err(error @ Error::Artifact { .. }) = &installed {
                tracing::error!(version, %error, "the new model cannot be served; keeping the old one");
                engine.refuse_model(version, error);
            }
            engine.condition().preparing = None;
        });
        Ok(())
    }
}
