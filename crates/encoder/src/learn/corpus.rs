//! The texts as a sparse matrix of tokens, weighted by how rare they are.

use rayon::prelude::*;
use sona_numeric::Interactions;

use super::vocabulary::{BYTES, Vocabulary};
use super::{Error, Options};

/// Texts×tokens.
pub(super) struct Corpus {
    /// `x_i`: a text's tokens, `idf` times how often each is in it, at length 1. A text without tokens is an empty row.
    pub(super) rows: Interactions,
    /// `ln((n + 1) / df)` of every token; of one that no text has, that of one text.
    pub(super) idf: Vec<f32>,
    /// Texts with tokens.
    pub(super) texts: usize,
}

/// Reads `texts` with the tokens of `vocabulary`.
pub(super) fn read<T: AsRef<str> + Sync>(
    texts: &[T],
    vocabulary: &Vocabulary,
    options: &Options,
) -> Result<Corpus, Error> {
    let pieces = vocabulary.pieces()?;
    let count = |text: &T| -> Result<Vec<(u32, f32)>, Error> {
        let mut tokens = Vec::new();
        for token in vocabulary.tokens(text.as_ref())? {
            tokens.push((token, 1.0));
            if options.piece_weight > 0.0 {
                let pieces = pieces.get(&token).into_iter().flatten();
                tokens.extend(pieces.map(|piece| (*piece, options.piece_weight)));
            }
        }
        Ok(summed(tokens))
    };
    let mut rows: Vec<_> = texts.par_iter().map(count).collect::<Result<_, _>>()?;
    let texts = rows.iter().filter(|row| !row.is_empty()).count();
    if texts == 0 {
        return Err(Error::NoText);
    }
    let mut frequency = vec![0_u32; vocabulary.len()];
    for (token, _) in rows.iter().flatten() {
        frequency[*token as usize] += 1;
    }
    let idf = |texts_with: &u32| ((texts + 1) as f32 / (*texts_with).max(1) as f32).ln();
    let idf: Vec<f32> = frequency.iter().map(idf).collect();
    for row in &mut rows {
        for (token, weight) in row.iter_mut() {
            *weight *= idf[*token as usize];
        }
        let length = row.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        for (_, weight) in row.iter_mut() {
            *weight /= length;
        }
    }
    let rows = Interactions::from_rows(vocabulary.len(), rows)
        .expect("tokens are below their number, each once, and idf is above 0");
    Ok(Corpus { rows, idf, texts })
}

/// Equal tokens as one, special ones left out, in order of id.
fn summed(mut tokens: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    tokens.retain(|(token, _)| *token >= BYTES);
    tokens.sort_unstable_by_key(|(token, _)| *token);
    let mut summed: Vec<(u32, f32)> = Vec::with_capacity(tokens.len());
    for (token, weight) in tokens {
        match summed.last_mut() {
            Some((last, sum)) if *last == token => *sum += weight,
            _ => summed.push((token, weight)),
        }
    }
    summed
}
