//! Texts to vectors of length 1.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::tokenize::{Tokenizer, Tokens};

/// Characters of a text that an error shows.
const SHOWN: usize = 60;

/// How texts are encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Texts run together, at least 1.
    pub batch: usize,
    /// Tokens of a text, special ones included, where the tokenizer sets no limit; what follows is cut off.
    pub max_tokens: usize,
    /// The library of ONNX Runtime that runs models opened from files; `None`: this process does. Needs the cargo feature
    /// `ort`.
    pub onnxruntime: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: 32, max_tokens: 256, onnxruntime: None }
    }
}

/// A model with its tokenizer. It is never written to: any number of threads encode side by side.
pub struct Encoder {
    tokenizer: Tokenizer,
    model: Model,
    batch: usize,
}

impl Encoder {
    /// Opens an ONNX file (with its external data beside it, if it has some) and a `tokenizer.json`, and runs the model
    /// once to see that they belong together.
    ///
    /// # Errors
    /// If a file is missing or unusable, or one does not belong to the other; the message names it and says what to do.
    pub fn open(model: &Path, tokenizer: &Path, options: &Options) -> Result<Self> {
        let words = Tokenizer::read(
            &fs_err::read(tokenizer)?,
            &tokenizer.display().to_string(),
            options.max_tokens,
        )?;
        let model = Model::open(model, &words, options.onnxruntime.as_deref())?;
        Ok(Self { tokenizer: words, model, batch: options.batch.max(1) })
    }

    /// The same from the files' bytes.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn from_bytes(model: Vec<u8>, tokenizer: &[u8], options: &Options) -> Result<Self> {
        let words = Tokenizer::read(tokenizer, "the tokenizer", options.max_tokens)?;
        let model = Model::load(model, &words)?;
        Ok(Self { tokenizer: words, model, batch: options.batch.max(1) })
    }

    /// Opens a learned encoder from the bytes of its model, which hold its tokenizer.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn learned(model: Vec<u8>, options: &Options) -> Result<Self> {
        let words = |json: &[u8], file: &str| Tokenizer::learned(json, file, options.max_tokens);
        let (model, tokenizer) = Model::learned(model, words)?;
        Ok(Self { tokenizer, model, batch: options.batch.max(1) })
    }

    /// The length of every vector.
    pub fn width(&self) -> usize {
        self.model.width()
    }

    /// One vector of length 1 a text, in their order. A text longer than the tokenizer's limit is cut off, never refused. An
    /// empty text gets what the model makes of the tokenizer's special tokens alone.
    ///
    /// # Errors
    /// If there is no vector for a text: the tokenizer makes no token of it, or the model's output is zero or not finite.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        let tokens = self.tokenizer.tokens(texts)?;
        let without = |at: usize, problem| {
            let text = texts[at].as_ref().chars().take(SHOWN).collect();
            Error::NoVector { text, problem }
        };
        if let Some(at) = tokens.iter().position(Tokens::is_empty) {
            return Err(without(at, "it has no token"));
        }
        // Texts of about the same length go together, so that little is padded.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| tokens[*at].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        let run = || -> Result<()> {
            for places in order.chunks(self.batch) {
                let batch = self.tokenizer.pad(places.iter().map(|at| &tokens[*at]));
                let encoded = self.model.run(&batch).map_err(Error::Run)?;
                for (at, vector) in places.iter().zip(encoded) {
                    vectors[*at] = vector.map_err(|problem| without(*at, problem))?;
                }
            }
            Ok(())
        };
        self.model.enter(run)?;
        Ok(vectors)
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("width", &self.width()).finish_non_exhaustive()
    }
}
