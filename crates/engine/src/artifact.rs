//! A model file: ALS item factors together with the counts of the same log prefix.
//!
//! The file is safetensors. Tensors: `item_factors` f32 `[items, factors]`; `viewers` u32 `[items]`;
//! `transition_offsets` u64 `[items + 1]`, `transition_items` u32 and `transition_counts` f32 (CSR rows);
//! `item_ids` u8 (a JSON list of strings, in row order). Since format 2 a file may also hold what is near each title:
//! `near_offsets` u64 `[items + 1]`, `near_items` u32 and `near_weights` f32 (CSR rows), `near_factors` f32 `[items, k]`
//! and `near_degrees` f32 `[items]`. Since format 3 it may hold an embedding of width w with its `a` attributes:
//! `embedding_own_inputs` and `embedding_own_outputs` f32 `[items, w]`, `embedding_shared_inputs` and
//! `embedding_shared_outputs` f32 `[a, w]`, `embedding_bias` f32 `[items]`, `embedding_rarity` f32 `[a]` and
//! `embedding_attributes` u8 (a JSON list of names, in row order). The header's one metadata key `sona` is a JSON
//! object with `format` (this layout's version), `through` (the log cursor), the ALS `options`, `near_low_pass_weight` and `embedding`. Rows
//! are sorted by id, so equal data, options and seed give equal bytes.

use std::collections::HashMap;

use bytes::Bytes;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sona_domain::{ContentId, Cursor};
use sona_numeric::matrix::Matrix;
use sona_numeric::sequence::Transitions;
use sona_numeric::{als, item_item};

mod embedding;

pub use embedding::Embedding;

/// The layout this version writes. It reads this one and all earlier ones.
pub const FORMAT: u32 = 3;

/// A model file's content.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Row to id, sorted.
    pub items: Vec<ContentId>,
    /// Item factors; a row of zeros was not trained.
    pub factors: Matrix,
    /// Distinct viewers by row.
    pub viewers: Vec<u32>,
    /// Which titles follow which.
    pub transitions: Transitions,
    /// What is near each title.
    pub item_item: Option<item_item::Model>,
    /// What comes next by what titles are and what follows what.
    pub embedding: Option<Embedding>,
    /// The ALS options it was trained with.
    pub options: als::Options,
    /// The last event it has seen.
    pub through: Cursor,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    through: i64,
    #[serde(with = "Fitted")]
    options: als::Options,
    /// There if what is near each title is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    near_low_pass_weight: Option<f32>,
    /// There if the embedding is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedding: Option<embedding::Header>,
}

/// The ALS options as the file names them.
#[derive(Serialize, Deserialize)]
#[serde(remote = "als::Options")]
struct Fitted {
    factors: usize,
    unobserved_weight: f32,
    regularization: f32,
    regularization_exponent: f32,
    confidence_alpha: f32,
    iterations: usize,
    seed: u64,
}

impl Artifact {
    /// The file's bytes.
    pub fn encode(&self) -> Result<Bytes, String> {
        let (offsets, neighbours, counts) = self.transitions.to_csr();
        let ids = serde_json::to_vec(&self.items).map_err(|e| e.to_string())?;
        let near = self.item_item.as_ref().map(item_item::Model::to_parts);
        let embedding = self.embedding.as_ref().map(embedding::write).transpose()?;
        let (described, embedding) = embedding.unzip();
        let header = Header {
            format: FORMAT,
            through: self.through.0,
            options: self.options.clone(),
            near_low_pass_weight: near.as_ref().map(|near| near.low_pass_weight),
            embedding: described,
        };
        let header = serde_json::to_string(&header).map_err(|e| e.to_string())?;
        let n = self.items.len();
        let mut tensors = vec![
            (
                "item_factors",
                Dtype::F32,
                vec![n, self.factors.width()],
                le(self.factors.as_slice(), f32::to_le_bytes),
            ),
            ("item_ids", Dtype::U8, vec![ids.len()], ids),
            ("transition_counts", Dtype::F32, vec![counts.len()], le(&counts, f32::to_le_bytes)),
            (
                "transition_items",
                Dtype::U32,
                vec![neighbours.len()],
                le(&neighbours, u32::to_le_bytes),
            ),
            ("transition_offsets", Dtype::U64, vec![offsets.len()], le(&offsets, u64::to_le_bytes)),
            ("viewers", Dtype::U32, vec![n], le(&self.viewers, u32::to_le_bytes)),
        ];
        tensors.extend(near.iter().flat_map(near_tensors));
        tensors.extend(embedding.into_iter().flatten());
        let views: Result<Vec<_>, _> = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
            })
            .collect();
        let metadata = HashMap::from([("sona".to_owned(), header)]);
        let file = safetensors::serialize(views.map_err(|e| e.to_string())?, Some(metadata));
        file.map(Bytes::from).map_err(|e| e.to_string())
    }

    /// Reads a file, checked against the checksum it was registered with.
    pub fn decode(bytes: &[u8], sha256: &str) -> Result<Self, String> {
        let found = checksum(bytes);
        if found != sha256 {
            return Err(format!("its SHA-256 is {found}, registered was {sha256}"));
        }
        let header = read_header(bytes)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let items: Vec<ContentId> =
            serde_json::from_slice(tensor(&tensors, "item_ids", Dtype::U8)?.data())
                .map_err(|e| format!("item_ids: {e}"))?;
        let factors = tensor(&tensors, "item_factors", Dtype::F32)?;
        let &[rows, width] = factors.shape() else {
            return Err("item_factors is not a matrix".to_owned());
        };
        let values = from_le(factors.data(), f32::from_le_bytes);
        let viewers = from_le(tensor(&tensors, "viewers", Dtype::U32)?.data(), u32::from_le_bytes);
        if rows != items.len() || viewers.len() != items.len() || width == 0 {
            return Err("item_ids, item_factors and viewers differ in length".to_owned());
        }
        if !values.iter().all(|v| v.is_finite()) {
            return Err("item_factors holds a value that is not finite".to_owned());
        }
        let transitions = Transitions::from_csr(
            &from_le(
                tensor(&tensors, "transition_offsets", Dtype::U64)?.data(),
                u64::from_le_bytes,
            ),
            &from_le(tensor(&tensors, "transition_items", Dtype::U32)?.data(), u32::from_le_bytes),
            &from_le(tensor(&tensors, "transition_counts", Dtype::F32)?.data(), f32::from_le_bytes),
        )
        .map_err(|e| format!("transitions: {e}"))?;
        if transitions.items() != items.len() {
            return Err("the transitions and item_ids differ in length".to_owned());
        }
        let embedding = header.embedding.as_ref();
        let embedding = embedding.map(|header| embedding::read(&tensors, header, rows));
        Ok(Self {
            items,
            factors: Matrix::from_vec(values, width),
            viewers,
            transitions,
            item_item: read_near(&tensors, header.near_low_pass_weight, rows)?,
            embedding: embedding.transpose()?,
            options: header.options,
            through: Cursor(header.through),
        })
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let halves = |byte: u8| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| halves(*byte)).collect()
}

fn read_header(bytes: &[u8]) -> Result<Header, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get("sona"))
        .ok_or("it has no sona header")?;
    let header: Header = serde_json::from_str(text).map_err(|e| format!("header: {e}"))?;
    if !(1..=FORMAT).contains(&header.format) {
        return Err(format!(
            "format {} is not one of the formats 1 to {FORMAT} read here",
            header.format
        ));
    }
    Ok(header)
}

/// A tensor to be written: its name, type, shape and bytes.
type Written = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn near_tensors(near: &item_item::Parts) -> [Written; 5] {
    let (n, k) = (near.degrees.len(), near.factors.width());
    let pairs = vec![near.neighbours.len()];
    [
        ("near_degrees", Dtype::F32, vec![n], le(&near.degrees, f32::to_le_bytes)),
        ("near_factors", Dtype::F32, vec![n, k], le(near.factors.as_slice(), f32::to_le_bytes)),
        ("near_items", Dtype::U32, pairs.clone(), le(&near.neighbours, u32::to_le_bytes)),
        ("near_offsets", Dtype::U64, vec![n + 1], le(&near.starts, u64::to_le_bytes)),
        ("near_weights", Dtype::F32, pairs, le(&near.weights, f32::to_le_bytes)),
    ]
}

fn read_near(
    tensors: &SafeTensors<'_>,
    low_pass_weight: Option<f32>,
    items: usize,
) -> Result<Option<item_item::Model>, String> {
    let Some(low_pass_weight) = low_pass_weight else { return Ok(None) };
    let factors = tensor(tensors, "near_factors", Dtype::F32)?;
    let &[rows, width] = factors.shape() else {
        return Err("near_factors is not a matrix".to_owned());
    };
    if rows != items {
        return Err("near_factors and item_ids differ in length".to_owned());
    }
    let factors = match width {
        0 => Matrix::zeros(rows, 0),
        _ => Matrix::from_vec(from_le(factors.data(), f32::from_le_bytes), width),
    };
    let floats = |name| {
        Ok::<_, String>(from_le(tensor(tensors, name, Dtype::F32)?.data(), f32::from_le_bytes))
    };
    let offsets = tensor(tensors, "near_offsets", Dtype::U64)?;
    let neighbours = tensor(tensors, "near_items", Dtype::U32)?;
    let parts = item_item::Parts {
        starts: from_le(offsets.data(), u64::from_le_bytes),
        neighbours: from_le(neighbours.data(), u32::from_le_bytes),
        weights: floats("near_weights")?,
        factors,
        degrees: floats("near_degrees")?,
        low_pass_weight,
    };
    item_item::Model::from_parts(parts).map(Some).map_err(|e: &str| format!("near: {e}"))
}

fn tensor<'t>(
    tensors: &SafeTensors<'t>,
    name: &str,
    dtype: Dtype,
) -> Result<TensorView<'t>, String> {
    let tensor = tensors.tensor(name).map_err(|e| format!("{name}: {e}"))?;
    if tensor.dtype() == dtype {
        Ok(tensor)
    } else {
        Err(format!("{name} is {:?}, not {dtype:?}", tensor.dtype()))
    }
}

fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

fn from_le<T, const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}
