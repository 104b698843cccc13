//! The embedding in a model file.

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sona_numeric::embedding::{Model, Parts};
use sona_numeric::matrix::Matrix;

use super::{Written, from_le, le, tensor};

/// An embedding and what its attributes are called.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The model; its items are the file's.
    pub model: Model,
    /// The names of its attributes, as `kind:word`.
    pub attributes: Vec<String>,
}

/// What the header says of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    width: usize,
    history: usize,
    history_decay: f32,
    newcomer_bias: f32,
}

/// The header and the tensors.
pub(super) fn write(embedding: &Embedding) -> Result<(Header, Vec<Written>), String> {
    let Parts {
        own_inputs,
        own_outputs,
        shared_inputs,
        shared_outputs,
        bias,
        rarity,
        newcomer_bias,
        history,
        history_decay,
    } = embedding.model.to_parts();
    let width = own_inputs.width();
    let names = serde_json::to_vec(&embedding.attributes).map_err(|e| e.to_string())?;
    let floats = |name, shape, values: &[f32]| -> Written {
        (name, Dtype::F32, shape, le(values, f32::to_le_bytes))
    };
    let matrix = |name, rows, matrix: &Matrix| floats(name, vec![rows, width], matrix.as_slice());
    let (n, attributes) = (bias.len(), rarity.len());
    let tensors = vec![
        ("embedding_attributes", Dtype::U8, vec![names.len()], names),
        floats("embedding_bias", vec![n], &bias),
        matrix("embedding_own_inputs", n, &own_inputs),
        matrix("embedding_own_outputs", n, &own_outputs),
        floats("embedding_rarity", vec![attributes], &rarity),
        matrix("embedding_shared_inputs", attributes, &shared_inputs),
        matrix("embedding_shared_outputs", attributes, &shared_outputs),
    ];
    Ok((Header { width, history, history_decay, newcomer_bias }, tensors))
}

/// Reads what [`write()`] wrote, of `items` items.
pub(super) fn read(
    tensors: &SafeTensors<'_>,
    header: &Header,
    items: usize,
) -> Result<Embedding, String> {
    let floats = |name| {
        Ok::<_, String>(from_le(tensor(tensors, name, Dtype::F32)?.data(), f32::from_le_bytes))
    };
    let matrix = |name: &str| {
        let found = tensor(tensors, name, Dtype::F32)?;
        match *found.shape() {
            [_, width] if width == header.width && width > 0 => {
                Ok(Matrix::from_vec(from_le(found.data(), f32::from_le_bytes), width))
            }
            _ => Err(format!("{name} is not a matrix of width {}", header.width)),
        }
    };
    let names = tensor(tensors, "embedding_attributes", Dtype::U8)?;
    let attributes: Vec<String> = serde_json::from_slice(names.data())
        .map_err(|error| format!("embedding_attributes: {error}"))?;
    let parts = Parts {
        own_inputs: matrix("embedding_own_inputs")?,
        own_outputs: matrix("embedding_own_outputs")?,
        shared_inputs: matrix("embedding_shared_inputs")?,
        shared_outputs: matrix("embedding_shared_outputs")?,
        bias: floats("embedding_bias")?,
        rarity: floats("embedding_rarity")?,
        newcomer_bias: header.newcomer_bias,
        history: header.history,
        history_decay: header.history_decay,
    };
    let model = Model::from_parts(parts).map_err(|error| format!("embedding: {error}"))?;
    if model.items() != items || model.attributes() != attributes.len() {
        return Err("the embedding and its items or attributes differ in length".to_owned());
    }
    Ok(Embedding { model, attributes })
}
