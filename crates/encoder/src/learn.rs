//! An encoder learned from a catalogue's own texts, for those who have configured none.
//!
//! It is latent semantic analysis (Deerwester et al., *Indexing by Latent Semantic Analysis*, 1990) whose space is turned
//! towards what users engage with, written as one row per token, so that a text is the mean of its tokens' rows:
//!
//! ```text
//! x_i  tokens of text i, each weighing idf = ln((n + 1) / df), at length 1
//! X ≈ U Σ Vᵀ                 the leading singular vectors of all texts
//! z_i = Vᵀ x_i               a text in that space
//! B = argmin Σ c_i ‖y_i − Bᵀ z_i‖² + λ‖B‖²      from there to the titles' factors y_i, c_i by how much is known of them
//! M² = (1 − e)·I + e·BBᵀ      each term scaled so that e is the factors' share
//! row of token t = idf_t · (M V_t + ρ r_t)
//! ```
//!
//! `r_t` is a pseudo-random direction of the token's own (Kanerva et al., *Random indexing*, 2000): it keeps apart what the
//! singular vectors do not, and is all there is of a token that no text held. Tokens are words, lower-cased and in
//! Unicode's compatibility form; a word that is not in the vocabulary is split into pieces of words that are, and a
//! character that is in none into its bytes. Pieces learn from all words they are part of. Every text therefore has a
//! vector, and none is zero.

mod corpus;
mod graph;
mod table;
pub(crate) mod vocabulary;

pub(crate) use graph::{INPUTS, OUTPUT, TABLE, nodes};

use std::fmt;

use sona_numeric::{Matrix, ridge, svd};

/// How an encoder is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Length of the vectors.
    pub width: usize,
    /// Words in the vocabulary at most, those of the most texts.
    pub words: usize,
    /// Pieces of words in the vocabulary at most, besides single characters.
    pub pieces: usize,
    /// Tokens of a text that count; what follows is cut off, when learning and ever after.
    pub max_tokens: usize,
    /// What the pieces of a word weigh beside the word when their rows are learned, ≥ 0.
    pub piece_weight: f32,
    /// `e`: the factors' share of similarity, 0..=1.
    pub engagement_share: f32,
    /// `ρ`: the length of a token's own direction, > 0.
    pub own_direction: f32,
    /// Seed of the own directions and of the singular vectors' start.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 512,
            words: 24_000,
            pieces: 8_000,
            max_tokens: 256,
            piece_weight: 0.3,
            engagement_share: 0.5,
            own_direction: 0.1,
            seed: 1,
        }
    }
}

/// What texts should be near besides each other: vectors of the same titles from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'t> {
    /// One row a text; a row of zeros where nothing is known.
    pub vectors: &'t Matrix,
    /// How much each row is worth, such as the number of users it was learned from, ≥ 0.
    pub evidence: &'t [f32],
}

/// An encoder: two files that also other programs read.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// An ONNX graph: `input_ids` and `attention_mask`, int64 `[batch, sequence]`, to `embeddings`, f32 `[batch, width]`.
    pub model: Vec<u8>,
    /// Its `tokenizer.json`; the graph holds it too, as metadata under `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// What was learned.
    pub report: Report,
}

/// What was learned, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Texts with a token.
    pub texts: usize,
    /// Words in the vocabulary.
    pub words: usize,
    /// Tokens in all: words, pieces, characters, bytes and special ones.
    pub tokens: usize,
    /// Singular vectors.
    pub components: usize,
    /// Share of the texts' squares that the singular vectors hold, 0..=1.
    pub explained: f64,
    /// Share of the targets' squares expected to be explained for titles not seen; absent without targets.
    pub engagement_explained: Option<f64>,
}

/// Why nothing was learned.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// No text has a token.
    NoText,
    /// The targets do not have a row, or not a number, for each text.
    Targets,
    /// A number of the options is out of its range.
    Options(&'static str),
    /// The singular vectors could not be found.
    Svd(svd::Error),
    /// The regression failed.
    Ridge(ridge::Error),
    /// The tokenizer could not be made.
    Tokenizer(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoText => write!(f, "no title has a text"),
            Self::Targets => write!(f, "there must be one vector and one count for each text"),
            Self::Options(problem) => write!(f, "{problem}"),
            Self::Svd(error) => write!(f, "{error}"),
            Self::Ridge(error) => write!(f, "{error}"),
            Self::Tokenizer(error) => write!(f, "the tokenizer could not be made: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The metadata key under which the graph holds its tokenizer.
pub const TOKENIZER_KEY: &str = "tokenizer.json";

/// Learns an encoder from one text a title. The same input and options give the same bytes on a machine, whatever the number
/// of threads.
///
/// # Errors
/// See [`Error`].
pub fn learn<T: AsRef<str> + Sync>(
    texts: &[T],
    targets: Option<Targets<'_>>,
    options: &Options,
) -> Result<Learned, Error> {
    check(texts.len(), targets, options)?;
    let vocabulary = vocabulary::learn(texts, options)?;
    let corpus = corpus::read(texts, &vocabulary, options)?;
    let table::Table { rows, components, explained, engagement_explained } =
        table::learn(&corpus, &vocabulary, targets, options)?;
    let tokenizer = vocabulary.to_json()?;
    let model = graph::encode(&rows, &[(TOKENIZER_KEY, &tokenizer)]);
    let report = Report {
        texts: corpus.texts,
        words: vocabulary.words(),
        tokens: rows.rows(),
        components,
        explained,
        engagement_explained,
    };
    Ok(Learned { model, tokenizer: tokenizer.into_bytes(), report })
}

fn check(texts: usize, targets: Option<Targets<'_>>, options: &Options) -> Result<(), Error> {
    if let Some(Targets { vectors, evidence }) = targets {
        let sound = |count: &f32| count.is_finite() && *count >= 0.0;
        if vectors.rows() != texts || evidence.len() != texts || !evidence.iter().all(sound) {
            return Err(Error::Targets);
        }
        if !vectors.as_slice().iter().all(|value| value.is_finite()) {
            return Err(Error::Targets);
        }
    }
    let ranges = [
        (options.width > 0, "width must be at least 1"),
        (options.max_tokens > 1, "max_tokens must be at least 2"),
        ((0.0..=1.0).contains(&options.engagement_share), "engagement_share must be 0 to 1"),
        ((0.0..1e6).contains(&options.piece_weight), "piece_weight must be at least 0"),
        (options.own_direction > 0.0, "own_direction must be above 0"),
    ];
    match ranges.iter().find(|(holds, _)| !holds) {
        Some((_, problem)) => Err(Error::Options(problem)),
        None => Ok(()),
    }
}
