//! Vectors of a data set's items from what its catalogue says of them: by the configured encoder, or by one that is learned
//! as a serving process learns it, from the whole catalogue's texts and the factors of the fitted side.

use sha2::{Digest, Sha256};
use sona_encoder::Encoder;
use sona_encoder::learn::Targets;
use sona_numeric::Matrix;

use super::Result;
use super::data::{Data, Described};
use crate::encoder::{chosen, encode_each, encoder_options, learn_encoder, open_files};
use crate::options::TextEncoder;
use crate::snapshot::Snapshot;
use crate::vectors::Vectors;

/// Texts encoded together; each of them pays for at most so many others without a vector.
const BATCH: usize = 1000;

/// Whether an encoder has to be learned.
pub(super) fn is_learned(options: &TextEncoder) -> bool {
    options.model.is_empty()
}

/// A vector of every item that is in the catalogue. A learned encoder hears of the items' factors in `model`, each as much
/// as it has `viewers`.
pub(super) fn vectors(
    data: &Data,
    model: &Snapshot,
    viewers: &[u32],
    options: &TextEncoder,
) -> Result<Vectors> {
    let encoder = if is_learned(options) {
        learned(data, model, viewers, options)?
    } else {
        open_files(options)?
    };
    let mut vectors = Vectors::new("evaluated".to_owned(), encoder.width());
    let items: Vec<_> =
        data.texts.iter().filter_map(|text| Some((text.row?, text.text.as_str()))).collect();
    for batch in items.chunks(BATCH) {
        let texts: Vec<_> = batch.iter().map(|(_, text)| *text).collect();
        for ((row, text), vector) in batch.iter().zip(encode_each(&encoder, &texts)?) {
            if let Some(vector) = vector {
                vectors.put(*row, &vector, Sha256::digest(text).into());
            }
        }
    }
    Ok(vectors)
}

fn learned(
    data: &Data,
    model: &Snapshot,
    viewers: &[u32],
    options: &TextEncoder,
) -> Result<Encoder> {
    let all: Vec<&Described> = data.texts.iter().collect();
    let chosen = chosen(all, options.learn_texts, |text| text.id.as_str());
    let texts: Vec<_> = chosen.iter().map(|text| text.text.as_str()).collect();
    let factors = |text: &Described| model.factors(text.row?);
    let width = chosen.iter().find_map(|text| factors(text)).map_or(1, <[f32]>::len);
    let mut vectors = Matrix::zeros(chosen.len(), width);
    let mut evidence = vec![0.0; chosen.len()];
    for (at, text) in chosen.iter().enumerate() {
        if let (Some(row), Some(factors)) = (text.row, factors(text)) {
            vectors.row_mut(at).copy_from_slice(factors);
            evidence[at] = viewers[row as usize] as f32;
        }
    }
    let learned = learn_encoder(&texts, Some(Targets { vectors: &vectors, evidence: &evidence }))?;
    Ok(Encoder::learned(learned.model, &encoder_options(options))?)
}
