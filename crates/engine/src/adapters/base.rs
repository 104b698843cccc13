//! The base layer: the directions in which users differ most from each other.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sona_domain::ModelVersion;
use sona_formats::adapters::BaseLayer as File;
use sona_numeric::listwise::Scratch;
use sona_numeric::lora::{Adapter, Base, BaseFit, Evidence};
use sona_numeric::matrix::Matrix;
use sona_store::Blobs;

use super::resident::CONTEXTS;
use crate::artifact::checksum;
use crate::error::{self, Error};
use crate::options;
use crate::ranker::Ranker;
use crate::ranker::features::{About, Layout};
use crate::ranker::fit::{based, teach};
use crate::ranker::replay::Choice;

/// The name of the base layer's model.
pub const BASE_LAYER_NAME: &str = "base-layer";

/// With fewer users it is not known in what users differ.
const LEAST_USERS: usize = 20;

/// A base layer in use.
#[derive(Debug)]
pub(crate) struct BaseLayer {
    pub(crate) version: i64,
    pub(crate) base: Base,
    /// The names of its inputs.
    inputs: Vec<String>,
    /// An adapter on it that has learned nothing.
    fresh: OnceLock<Arc<Adapter>>,
}

impl BaseLayer {
    /// The one of a file.
    ///
    /// # Errors
    /// In words, if it is damaged.
    pub(crate) fn of_file(version: i64, file: File) -> Result<Self, String> {
        let File { layout, rank, inputs, rows, .. } = file;
        let names: Vec<String> = serde_json::from_str(&layout).map_err(|e| e.to_string())?;
        if names.len() != inputs || rows.len() != rank * inputs {
            return Err("its inputs are not as many as their names".to_owned());
        }
        let base = Base::from_matrix(Matrix::from_vec(rows, inputs)).map_err(|e| e.to_string())?;
        Ok(Self { version, base, inputs: names, fresh: OnceLock::new() })
    }

    /// An adapter on it that has learned nothing.
    pub(super) fn fresh(&self, options: &options::Adapters) -> Arc<Adapter> {
        let new = || Arc::new(Adapter::new(self.base.rank(), CONTEXTS, options.into()));
        self.fresh.get_or_init(new).clone()
    }

    /// Whether these features are its inputs.
    pub(crate) fn is_for(&self, layout: &Layout) -> bool {
        self.inputs == layout.names()
    }
}

/// The file of a registered base layer.
///
/// # Errors
/// If it cannot be read, is missing, or is not what was registered.
pub(super) async fn read_file(blobs: &dyn Blobs, model: &ModelVersion) -> error::Result<File> {
    let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
    let bytes = blobs.get(&model.blob_key).await?;
    let bytes = bytes.ok_or_else(|| unusable("the file is missing".to_owned()))?;
    if checksum(&bytes) != model.sha256 {
        return Err(unusable("it is not what was registered".to_owned()));
    }
    File::decode(&bytes).map_err(unusable)
}

/// Finds the base layer of what a ranker does not foresee in `choices`, which are in the order of time; the bytes of its
/// file, or `None` if there are too few users to tell.
pub(crate) fn fit_base(ranker: &Ranker, choices: &[Choice], rank: usize) -> Option<Vec<u8>> {
    let users = gather(ranker, choices);
    if users.len() < LEAST_USERS {
        return None;
    }
    let found = find(&ranker.layout, &users, rank);
    let base = found.inspect_err(|error| tracing::warn!(%error, "no base layer is made")).ok()?;
    let rows = base.as_matrix();
    let file = File {
        layout: serde_json::to_string(&ranker.layout.names()).ok()?,
        rank: rows.rows(),
        inputs: rows.width(),
        users: users.len() as u64,
        rows: (0..rows.rows()).flat_map(|row| rows.row(row)).copied().collect(),
    };
    file.encode().inspect_err(|error| tracing::warn!(error, "no base layer is made")).ok()
}

/// What each user's choices say that the ranker and its layer, as it learned meanwhile, did not foresee.
fn gather(ranker: &Ranker, choices: &[Choice]) -> BTreeMap<u64, Evidence> {
    let width = ranker.weights.len();
    let (mut layer, mut scratch) = (ranker.fresh_layer(), Scratch::default());
    let mut users: BTreeMap<u64, Evidence> = BTreeMap::new();
    for based in based(ranker, choices) {
        let offsets = based.offsets_with(&layer.weights(&based.choice.moment));
        if let Some(head) = based.choice.head(&offsets) {
            let evidence = users.entry(based.choice.who).or_insert_with(|| Evidence::new(width));
            if let Err(error) = evidence.add(head.list(based.choice.weight), &mut scratch) {
                tracing::debug!(%error, "a choice is left out of the base layer");
            }
        }
        teach(&mut layer, &based, &mut scratch);
    }
    users
}

fn find(
    layout: &Layout,
    users: &BTreeMap<u64, Evidence>,
    rank: usize,
) -> Result<Base, sona_numeric::lora::base::Error> {
    let ridge: Vec<f64> = layout.about().map(prior).collect();
    let mut fit = BaseFit::new(&ridge)?;
    for evidence in users.values() {
        fit.add(evidence)?;
    }
    fit.finish(rank)
}

/// How strong the pull of a user's own weight towards 0 is: what a few choices say is mostly chance.
fn prior(about: About) -> f64 {
    match about {
        About::Source(_) => 30.0,
        About::Year => 100.0,
        About::Genre => 300.0,
    }
}
