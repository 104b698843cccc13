//! Texts to token ids, and token ids to padded batches.

mod plain;

use rayon::prelude::*;
use tokenizers::TruncationParams;

use crate::error::{Error, Result};

/// Fewer texts than this are not worth another thread.
const FEW: usize = 16;

/// Names of the token that fills up a batch, where the tokenizer's padding does not say.
const PADDING: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];

/// A `tokenizer.json`.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    pad: i32,
    file: String,
    /// A learned encoder's, which can be read faster.
    learned: bool,
}

/// One text's tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    ids: Vec<i32>,
    types: Vec<i32>,
}

/// Texts of one run, row-major, each row filled up to the longest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Texts.
    pub(crate) rows: usize,
    /// Tokens of the longest text.
    pub(crate) length: usize,
    /// `[rows, length]`: token ids.
    pub(crate) ids: Vec<i32>,
    /// `[rows, length]`: 1 for a token, 0 for what fills up.
    pub(crate) mask: Vec<i32>,
    /// `[rows, length]`: which part of a text a token belongs to.
    pub(crate) types: Vec<i32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Its own padding is set aside: batches are filled up here and only as far as needed.
    pub(crate) fn read(json: &[u8], file: &str, max_tokens: usize) -> Result<Self> {
        let unusable = |detail: String| Error::Tokenizer { file: file.to_owned(), detail };
        let mut inner =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| unusable(error.to_string()))?;
        let named = PADDING.iter().find_map(|name| inner.token_to_id(name));
        let pad = inner.get_padding().map(|padding| padding.pad_id).or(named).unwrap_or(0);
        inner.with_padding(None);
        if inner.get_truncation().is_none() {
            let special = tokenizers::PostProcessor::added_tokens;
            let special = inner.get_post_processor().map_or(0, |added| special(added, false));
            let limit = TruncationParams {
                max_length: max_tokens.max(special + 1),
                ..TruncationParams::default()
            };
            inner.with_truncation(Some(limit)).map_err(|error| unusable(error.to_string()))?;
        }
        Ok(Self { inner, pad: pad as i32, file: file.to_owned(), learned: false })
    }

    /// The same of a learned encoder.
    pub(crate) fn learned(json: &[u8], file: &str, max_tokens: usize) -> Result<Self> {
        Ok(Self { learned: true, ..Self::read(json, file, max_tokens)? })
    }

    /// The name of the file, for messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Each text's tokens, cut off at the limit.
    pub(crate) fn tokens<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Tokens>> {
        let tokens = |text: &T| {
            let text = text.as_ref();
            let tokens = if self.learned && text.is_ascii() {
                plain::tokens(&self.inner, text)
            } else {
                self.inner.encode_fast(text, true).map(Tokens::from)
            };
            tokens.map_err(|error| Error::Run(error.to_string()))
        };
        if texts.len() < FEW {
            texts.iter().map(tokens).collect()
        } else {
            texts.par_iter().with_min_len(FEW / 2).map(tokens).collect()
        }
    }

    /// One batch of texts.
    pub(crate) fn pad<'t>(
        &self,
        texts: impl ExactSizeIterator<Item = &'t Tokens> + Clone,
    ) -> Batch {
        let length = texts.clone().map(Tokens::len).max().unwrap_or(0);
        let rows = texts.len();
        let room = || Vec::with_capacity(rows * length);
        let mut batch = Batch { rows, length, ids: room(), mask: room(), types: room() };
        for (text, end) in texts.zip((1..).map(|row| row * length)) {
            batch.ids.extend(&text.ids);
            batch.types.extend(&text.types);
            batch.mask.resize(batch.ids.len(), 1);
            batch.ids.resize(end, self.pad);
            batch.types.resize(end, 0);
            batch.mask.resize(end, 0);
        }
        batch
    }

    /// Two tokens: the first and the last there are. A model that takes these takes all.
    pub(crate) fn probe(&self) -> Batch {
        let ids = self.inner.get_vocab(true).into_values();
        let (first, last) =
            ids.fold((u32::MAX, 0), |(first, last), id| (first.min(id), last.max(id)));
        let ids = vec![first.min(last) as i32, last as i32];
        Batch { rows: 1, length: 2, ids, mask: vec![1; 2], types: vec![0; 2] }
    }
}

impl From<tokenizers::Encoding> for Tokens {
    fn from(encoding: tokenizers::Encoding) -> Self {
        let signed = |ids: &[u32]| ids.iter().map(|id| *id as i32).collect();
        Self { ids: signed(encoding.get_ids()), types: signed(encoding.get_type_ids()) }
    }
}

impl Tokens {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
