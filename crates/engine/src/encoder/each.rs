//! Texts to vectors where one text without a vector is no reason to have none of the others.

use sona_encoder::{Encoder, Error, Result};

/// One vector of length 1 a text, in their order; `None` for a text of which the encoder makes none. All at once, or one
/// by one if there is such a text among them.
pub(crate) fn encode_each<T: AsRef<str> + Sync>(
    encoder: &Encoder,
    texts: &[T],
) -> Result<Vec<Option<Vec<f32>>>> {
    match encoder.encode(texts) {
        Ok(vectors) => Ok(vectors.into_iter().map(Some).collect()),
        Err(Error::NoVector { .. }) if texts.len() > 1 => {
            let one = |text: &T| encode_each(encoder, std::slice::from_ref(text));
            Ok(texts.iter().map(one).collect::<Result<Vec<_>>>()?.concat())
        }
        Err(Error::NoVector { text, problem }) => {
            tracing::warn!(text, problem, "a title has no vector");
            Ok(vec![None])
        }
        Err(error) => Err(error),
    }
}
