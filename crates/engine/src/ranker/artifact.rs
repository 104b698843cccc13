//! A ranker's file.
//!
//! The file is safetensors. Tensors: `weights` f64 `[features]`; of the shared layer `precision` f64 `[n, n]`, `right` and
//! `solution` f64 `[n]` with n = features × moments; where there are trees, `tree_starts`, `tree_features`, `tree_children` and
//! `tree_covers` u32, `tree_thresholds` f32, `tree_missing_left` u8 and `tree_values` f64 ([`sona_numeric::rank::Parts`]), and
//! `tree_weights` f64 `[features]`, what every feature weighs beside them. The header's one metadata key `sona` is a JSON object with `format`
//! (this layout's version), the `features` by name, the `genres` among them, the layer's `forgetting` and `ridge`, how
//! many `lessons` it rests on, and the trees' `share` and width.
//!
//! Format 2 has no `tree_weights` but `weights_share` beside `share`, what the `weights` are multiplied with.

use std::collections::HashMap;

use bytes::Bytes;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sona_numeric::online::{self, Parts};
use sona_numeric::rank;

use super::Ranker;
use super::features::Layout;
use super::moment::MOMENT;
use super::trees::{self, Trees};
use crate::artifact::checksum;

/// The layout this version writes.
const FORMAT: u32 = 3;

/// The oldest layout it reads.
const OLDEST: u32 = 2;

/// The part of the header all layouts have.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    features: Vec<String>,
    genres: Vec<String>,
    forgetting: f64,
    ridge: f64,
    lessons: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trees: Option<TreesHeader>,
}

#[derive(Serialize, Deserialize)]
struct TreesHeader {
    /// Until format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_share: Option<f64>,
    share: f64,
    width: usize,
}

/// The file's bytes.
pub(crate) fn encode(ranker: &Ranker) -> Result<Bytes, String> {
    let Parts { precision, right, solution, lessons } = ranker.layer.to_parts();
    let options = ranker.layer.options();
    let header = Header {
        format: FORMAT,
        features: ranker.layout.names().to_vec(),
        genres: ranker.layout.genres().to_vec(),
        forgetting: options.forgetting,
        ridge: options.ridge,
        lessons,
        trees: ranker.trees.as_ref().map(|trees| TreesHeader {
            weights_share: None,
            share: trees.share,
            width: trees.model.width(),
        }),
    };
    let n = right.len();
    let mut tensors = vec![
        ("precision", Dtype::F64, vec![n, n], le(&precision, f64::to_le_bytes)),
        ("right", Dtype::F64, vec![n], le(&right, f64::to_le_bytes)),
        ("solution", Dtype::F64, vec![n], le(&solution, f64::to_le_bytes)),
        ("weights", Dtype::F64, vec![ranker.weights.len()], le(&ranker.weights, f64::to_le_bytes)),
    ];
    tensors.extend(ranker.trees.iter().flat_map(tree_tensors));
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let header = serde_json::to_string(&header).map_err(|e| e.to_string())?;
    let metadata = HashMap::from([("sona".to_owned(), header)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())?;
    Ok(file.into())
}

type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn tree_tensors(trees: &Trees) -> Vec<Tensor> {
    let parts = trees.model.to_parts();
    let nodes = parts.features.len();
    let numbers = |values: &[u32]| le(values, u32::to_le_bytes);
    vec![
        ("tree_starts", Dtype::U32, vec![parts.starts.len()], numbers(&parts.starts)),
        ("tree_features", Dtype::U32, vec![nodes], numbers(&parts.features)),
        ("tree_children", Dtype::U32, vec![nodes], numbers(&parts.children)),
        ("tree_covers", Dtype::U32, vec![nodes], numbers(&parts.covers)),
        ("tree_thresholds", Dtype::F32, vec![nodes], le(&parts.thresholds, f32::to_le_bytes)),
        ("tree_missing_left", Dtype::U8, vec![nodes], parts.missing_left),
        ("tree_values", Dtype::F64, vec![nodes], le(&parts.values, f64::to_le_bytes)),
        (
            "tree_weights",
            Dtype::F64,
            vec![trees.weights.len()],
            le(&trees.weights, f64::to_le_bytes),
        ),
    ]
}

fn read_trees(
    tensors: &SafeTensors<'_>,
    header: &TreesHeader,
    of_all: &[f64],
) -> Result<Trees, String> {
    let numbers = |name| values(tensors, name, Dtype::U32, u32::from_le_bytes);
    let parts = rank::Parts {
        width: header.width,
        starts: numbers("tree_starts")?,
        features: numbers("tree_features")?,
        children: numbers("tree_children")?,
        covers: numbers("tree_covers")?,
        thresholds: values(tensors, "tree_thresholds", Dtype::F32, f32::from_le_bytes)?,
        missing_left: values(tensors, "tree_missing_left", Dtype::U8, u8::from_le_bytes)?,
        values: values(tensors, "tree_values", Dtype::F64, f64::from_le_bytes)?,
    };
    let weights = match header.weights_share {
        Some(share) => of_all.iter().map(|weight| share * weight).collect(),
        None => self::numbers(tensors, "tree_weights")?,
    };
    if weights.len() != of_all.len() || !weights.iter().all(|weight| weight.is_finite()) {
        return Err("the weights beside the trees are not one finite number a feature".to_owned());
    }
    if !header.share.is_finite() {
        return Err("the trees' share is not finite".to_owned());
    }
    let model = rank::Model::from_parts(&parts).map_err(|error| format!("the trees: {error}"))?;
    Ok(Trees { model, weights, share: header.share })
}

fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

/// Reads a file, checked against the checksum it was registered with.
pub(crate) fn decode(bytes: &[u8], sha256: &str) -> Result<Ranker, String> {
    let found = checksum(bytes);
    if found != sha256 {
        return Err(format!("its SHA-256 is {found}, registered was {sha256}"));
    }
    let header = read_header(bytes)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let layout = Layout::new(header.genres);
    if layout.names() != header.features {
        return Err("its features are not those of this version; train the ranker again".to_owned());
    }
    let weights = numbers(&tensors, "weights")?;
    if weights.len() != layout.width() || !weights.iter().all(|weight| weight.is_finite()) {
        return Err("weights are not one finite number a feature".to_owned());
    }
    let parts = Parts {
        precision: numbers(&tensors, "precision")?,
        right: numbers(&tensors, "right")?,
        solution: numbers(&tensors, "solution")?,
        lessons: header.lessons,
    };
    let options = online::Options { ridge: header.ridge, forgetting: header.forgetting };
    let layer = online::State::from_parts((layout.width(), MOMENT), options, parts);
    let layer = layer.map_err(|error| format!("the shared layer: {error}"))?;
    let width = trees::width(layout.width());
    let trees = header.trees.map(|trees| read_trees(&tensors, &trees, &weights)).transpose()?;
    if trees.as_ref().is_some_and(|trees| trees.model.width() != width) {
        return Err("the trees ask for other features than there are".to_owned());
    }
    Ok(Ranker { trees, layer, ..Ranker::new(layout, weights) })
}

fn read_header(bytes: &[u8]) -> Result<Header, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = metadata.metadata().as_ref().and_then(|map| map.get("sona"));
    let text = text.ok_or("it has no metadata of Sona's")?;
    // First of all: what else is in it depends on it.
    let Format { format } = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if !(OLDEST..=FORMAT).contains(&format) {
        return Err(format!(
            "it is of format {format}, this version reads {OLDEST} to {FORMAT}; train the ranker again"
        ));
    }
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, String> {
    values(tensors, name, Dtype::F64, f64::from_le_bytes)
}

fn values<T, const N: usize>(
    tensors: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    value: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let tensor = tensors.tensor(name).map_err(|e| format!("{name}: {e}"))?;
    if tensor.dtype() != dtype {
        return Err(format!("{name} is {:?}, not {dtype:?}", tensor.dtype()));
    }
    Ok(tensor.data().as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect())
}

#[cfg(test)]
mod tests;
