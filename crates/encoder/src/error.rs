//! What can go wrong, named after what the caller can do about it.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no encoder, or no vector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read; the message names it.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// The file is no ONNX model that can be run here.
    #[error(
        "{file}: not a usable ONNX model: {detail}; export the model to ONNX with float32 weights"
    )]
    Model {
        /// Which file.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// ONNX Runtime cannot be had.
    #[error(
        "{library}: ONNX Runtime cannot be loaded: {detail}; give the path of libonnxruntime, or leave it out to run the \
         model without"
    )]
    Library {
        /// Which library.
        library: String,
        /// What is wrong.
        detail: String,
    },
    /// The file is no tokenizer.
    #[error(
        "{file}: not a usable tokenizer: {detail}; give the tokenizer.json that belongs to the model"
    )]
    Tokenizer {
        /// Which file.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// The graph wants an input that a text has not.
    #[error(
        "{file}: the model wants the input {input:?}, but a text gives input_ids, attention_mask and token_type_ids; \
         export it for feature extraction"
    )]
    Input {
        /// Which file.
        file: String,
        /// The input.
        input: String,
    },
    /// The graph has no output that could be a text's vector.
    #[error(
        "{file}: the model's outputs are {found}, none of them float32 [batch, width] or [batch, tokens, width]; \
         export it for feature extraction"
    )]
    Output {
        /// Which file.
        file: String,
        /// Names and shapes of the outputs.
        found: String,
    },
    /// The tokenizer names tokens the model does not have.
    #[error(
        "{model} cannot be run with the tokens of {tokenizer}: {detail}; give the tokenizer.json that belongs to the model"
    )]
    Mismatch {
        /// The model's file.
        model: String,
        /// The tokenizer's file.
        tokenizer: String,
        /// What happened.
        detail: String,
    },
    /// The model failed on a text.
    #[error("the encoder failed: {0}")]
    Run(String),
    /// The model's answer for a text is zero or not finite.
    #[error("the encoder has no vector for {text:?}: its output is {problem}")]
    NoVector {
        /// The beginning of the text.
        text: String,
        /// Zero, or not finite.
        problem: &'static str,
    },
}
