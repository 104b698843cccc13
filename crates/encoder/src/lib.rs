//! Text to vectors: the only crate that knows ONNX and tokenizers.
//!
//! An [`Encoder`] is an ONNX model with its `tokenizer.json`. Any sentence-transformer exported to ONNX will do; where there
//! is none, [`learn`] makes one from a catalogue's own texts and, if there is one, from a model of who watched what. What
//! it deliberately does not do: download models, keep vectors, or search them.
//!
//! ```text
//! texts ─▶ tokenize (padded batches, attention mask) ─▶ model (ONNX) ─▶ pool (mean over the mask, length 1) ─▶ vectors
//! texts, targets ─▶ learn: vocabulary ─▶ table (SVD, ridge) ─▶ graph (ONNX) + tokenizer.json
//! ```

mod encoder;
mod error;
mod graph;
pub mod learn;
mod model;
mod onnx;
mod pool;
mod tokenize;

pub use encoder::{Encoder, Options};
pub use error::{Error, Result};
