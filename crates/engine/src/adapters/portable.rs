//! Adapters as files for other programs ([`sona_formats::adapters::peft`]): handing them out, and taking them in.

use std::sync::Arc;

use sona_domain::{AdapterHandled, AdapterName, AdapterOrigin, ModelVersion, NewAdapter, UserId};
use sona_formats::adapters::peft::{Ground, Portable};
use sona_formats::adapters::{BaseLayer as File, Learned};
use sona_numeric::lora;
use sona_store::{Blobs, Parent, Store};

use super::base::read_file;
use super::look::find;
use super::resident::CONTEXTS;
use super::{AdapterCommand, AdapterError, BASE_LAYER_NAME, saved};
use crate::Engine;
use crate::error::{Error, Result};
use crate::options;

/// A version of a user's adapter with its base layer; without a number the one that is served.
///
/// # Errors
/// [`AdapterError::Unknown`] if there is none; [`AdapterError::Unfit`] if its base layer is gone.
pub async fn export_adapter(
    (store, blobs): (&dyn Store, &dyn Blobs),
    user: &UserId,
    name: &AdapterName,
    version: Option<i64>,
) -> Result<Portable> {
    let (_, state) = find(store, user, name, version).await?;
    let models = store.models(BASE_LAYER_NAME).await?;
    let model = models.iter().find(|model| model.version == state.base_version);
    let gone = || {
        let version = state.base_version;
        AdapterError::Unfit(format!("it was learned on base layer {version}, which is gone"))
    };
    let model = model.ok_or_else(gone)?;
    let base = read_file(blobs, model).await?;
    let ground = Ground::new(
        (model.version, model.sha256.clone()),
        features(model, &base)?,
        (state.rank, state.outputs),
        state.iterations,
    );
    let (base, weights) = (base.rows, state.weights());
    // Of the other trainer there is nothing to go on from but the matrix.
    let state = matches!(state.learned, Learned::Lists { .. }).then_some(state);
    Ok(Portable { ground, base, weights, state })
}

/// The version a file becomes for a user, once it is known to fit the base layer it was learned on, which may be a former one:
/// it is carried over like all others when the user comes. Without a state its weights are taken for
/// what is believed of the user before anything is learned, with the pull of one ridge
/// ([`lora::Adapter::from_weights`]).
///
/// # Errors
/// [`AdapterError::Unfit`] if it does not fit, and why; [`AdapterError::NotReady`] if there is no base layer.
pub async fn import_adapter(
    (store, blobs): (&dyn Store, &dyn Blobs),
    (user, name): (&UserId, &AdapterName),
    file: &Portable,
    options: &options::Adapters,
) -> Result<NewAdapter> {
    let current = store.current_model(BASE_LAYER_NAME).await?;
    let current = current.ok_or(AdapterError::NotReady("there is no base layer yet"))?;
    let model = store.model(BASE_LAYER_NAME, file.ground.base_version).await?;
    // Of one that is gone, what is in use says best in what it differs.
    let model = model.unwrap_or(current);
    let base = read_file(blobs, &model).await?;
    let names = features(&model, &base)?;
    let fits = fits(&file.ground, (&model, &names), &base).and_then(|()| {
        if file.base == base.rows { Ok(()) } else { Err("lora_A is not the base layer".to_owned()) }
    });
    fits.map_err(AdapterError::Unfit)?;
    let adapter = adapter(file, options).map_err(AdapterError::Unfit)?;
    Ok(NewAdapter {
        user_id: user.clone(),
        adapter_name: name.clone(),
        base_version: model.version,
        origin: AdapterOrigin::Imported,
        training_iterations: adapter.events(),
        weights: saved::to_bytes(model.version, &adapter).map_err(AdapterError::Unfit)?,
    })
}

fn fits(
    ground: &Ground,
    (model, names): (&ModelVersion, &[String]),
    base: &File,
) -> Result<(), String> {
    if ground.base_version != model.version || ground.base_sha256 != model.sha256 {
        return Err(format!(
            "it was learned on base layer {} ({}), here there is {} ({})",
            ground.base_version, ground.base_sha256, model.version, model.sha256
        ));
    }
    if ground.rank != base.rank {
        return Err(format!(
            "its rank is {}, that of the base layer is {}",
            ground.rank, base.rank
        ));
    }
    if ground.contexts != CONTEXTS {
        return Err(format!("it has {} contexts, expected were {CONTEXTS}", ground.contexts));
    }
    if ground.features.len() != names.len() {
        let (found, expect) = (ground.features.len(), names.len());
        return Err(format!("it has {found} features, the base layer has {expect}"));
    }
    let other = ground.features.iter().zip(names).find(|(found, expect)| found != expect);
    other.map_or(Ok(()), |(found, expect)| {
        Err(format!("it has a feature {found:?} where the base layer has {expect:?}"))
    })
}

fn adapter(file: &Portable, options: &options::Adapters) -> Result<lora::Adapter, String> {
    let shape = (file.ground.rank, CONTEXTS);
    if let Some(state) = &file.state {
        return saved::of_weights(state.clone(), shape, options);
    }
    let weights = file.weights.iter().map(|b| f64::from(*b)).collect();
    lora::Adapter::from_weights(shape, options.into(), weights, file.ground.iterations)
        .map_err(|refusal| refusal.to_string())
}

/// The names of a base layer's inputs.
fn features(model: &ModelVersion, base: &File) -> Result<Vec<String>> {
    serde_json::from_str(&base.layout).map_err(|error| Error::Artifact {
        key: model.blob_key.clone(),
        detail: format!("the names of its inputs: {error}"),
    })
}

impl Engine {
    /// A version of a user's adapter as a tar; without a number the one that is served.
    ///
    /// # Errors
    /// As [`export_adapter`].
    pub async fn export_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: Option<i64>,
    ) -> Result<Vec<u8>> {
        let stores = (&*self.store, &*self.blobs);
        let file = export_adapter(stores, user, name, version).await?;
        Ok(file.to_tar().map_err(AdapterError::Unfit)?)
    }

    /// Takes an adapter in from a tar, as a version that is served: whichever was, or only in place of `served`.
    ///
    /// # Errors
    /// As [`import_adapter`], and [`AdapterError::Conflict`] if another version is served.
    pub async fn import_adapter(
        self: &Arc<Self>,
        (user, name): (&UserId, &AdapterName),
        tar: &[u8],
        served: Option<i64>,
    ) -> Result<AdapterHandled> {
        let file = Portable::from_tar(tar).map_err(AdapterError::Unfit)?;
        let stores = (&*self.store, &*self.blobs);
        let options = &self.options.adapters;
        let new = import_adapter(stores, (user, name), &file, options).await?;
        self.handle_adapters(user, AdapterCommand::save(new, served, options)).await
    }
}

impl AdapterCommand {
    /// Saves and serves a version: whichever was served, or only in place of `served`.
    pub fn save(new: NewAdapter, served: Option<i64>, options: &options::Adapters) -> Self {
        let parent = served.map_or(Parent::Any, |served| Parent::Served(Some(served)));
        Self::Save { new, parent, keep: options.keep_versions }
    }
}
