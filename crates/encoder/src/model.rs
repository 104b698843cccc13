//! A text encoder's graph: which inputs it wants, which of its outputs is a text's vector.

use std::path::Path;

use crate::error::{Error, Result};
use crate::graph::{Feed, Graph, Tensor};
use crate::learn::TOKENIZER_KEY;
use crate::pool;
use crate::tokenize::{Batch, Tokenizer};

/// Outputs that are a text's vector whatever else there is, the most telling name first.
const POOLED: [&str; 4] = ["sentence_embedding", "embeddings", "embedding", "text_embeds"];

/// Outputs that are tokens' states, the most telling name first.
const STATES: [&str; 2] = ["token_embeddings", "last_hidden_state"];

/// A loaded graph.
pub(crate) struct Model {
    graph: Graph,
    feeds: Vec<Feed>,
    output: usize,
    shape: Shape,
    width: usize,
}

/// What the output is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `[batch, width]`: the model has pooled.
    Pooled,
    /// `[batch, tokens, width]`: to be pooled here.
    States,
}

/// A text's vector, or in words why there is none.
pub(crate) type Vector = std::result::Result<Vec<f32>, &'static str>;

impl Model {
    /// Reads an ONNX file; `tokenizer` is whom it must understand, `library` who runs it if not this process.
    pub(crate) fn open(path: &Path, tokenizer: &Tokenizer, library: Option<&Path>) -> Result<Self> {
        let file = path.display().to_string();
        Self::new(Graph::open(path, library)?, &file, tokenizer)
    }

    /// The same from the file's bytes, run in the process.
    pub(crate) fn load(bytes: Vec<u8>, tokenizer: &Tokenizer) -> Result<Self> {
        let file = "the model";
        Self::new(Graph::load(bytes, file)?, file, tokenizer)
    }

    /// The same of a learned encoder, whose file holds its tokenizer.
    pub(crate) fn learned(
        bytes: Vec<u8>,
        tokenizer: impl FnOnce(&[u8], &str) -> Result<Tokenizer>,
    ) -> Result<(Self, Tokenizer)> {
        let file = "the learned model";
        let graph = Graph::learned(bytes, file)?;
        let json = graph.metadata(TOKENIZER_KEY).ok_or_else(|| Error::Model {
            file: file.to_owned(),
            detail: "it does not hold its tokenizer".to_owned(),
        })?;
        let tokenizer = tokenizer(json.as_bytes(), file)?;
        Ok((Self::new(graph, file, &tokenizer)?, tokenizer))
    }

    fn new(graph: Graph, file: &str, tokenizer: &Tokenizer) -> Result<Self> {
        let feeds = feeds(&graph, file)?;
        let batch = tokenizer.probe();
        let shapes = graph.probe(&feeds, &batch).map_err(|detail| Error::Mismatch {
            model: file.to_owned(),
            tokenizer: tokenizer.file().to_owned(),
            detail,
        })?;
        let found = Outputs { each: graph.outputs().into_iter().zip(shapes).collect() };
        let Some((output, shape, width)) = found.choose(batch.length) else {
            return Err(Error::Output { file: file.to_owned(), found: found.to_string() });
        };
        Ok(Self { graph, feeds, output, shape, width })
    }

    /// The length of every vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Does some work that runs batch after batch.
    pub(crate) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.graph.enter(work)
    }

    /// One vector a text; an error in words if the graph fails.
    pub(crate) fn run(&self, batch: &Batch) -> std::result::Result<Vec<Vector>, String> {
        let dimensions = if self.shape == Shape::Pooled { 2 } else { 3 };
        let Tensor { shape, values } =
            self.graph.run(&self.feeds, batch, (self.output, dimensions))?;
        match self.shape {
            Shape::Pooled => {
                check(&shape, &[batch.rows, self.width])?;
                Ok(values.chunks_exact(self.width).map(|row| pool::unit(row.to_vec())).collect())
            }
            Shape::States => {
                check(&shape, &[batch.rows, batch.length, self.width])?;
                let texts = values.chunks_exact(batch.length * self.width);
                let masks = batch.mask.chunks_exact(batch.length);
                Ok(texts
                    .zip(masks)
                    .map(|(states, mask)| pool::unit(pool::mean(states, mask)))
                    .collect())
            }
        }
    }
}

fn check(shape: &[usize], expected: &[usize]) -> std::result::Result<(), String> {
    if shape == expected {
        Ok(())
    } else {
        Err(format!("its output is {shape:?}, not {expected:?}"))
    }
}

/// What the graph's inputs are fed with, each known by its name.
fn feeds(graph: &Graph, file: &str) -> Result<Vec<Feed>> {
    let each = graph.inputs().into_iter().map(|name| match name.as_str() {
        "input_ids" => Ok(Feed::Ids),
        "attention_mask" => Ok(Feed::Mask),
        "token_type_ids" => Ok(Feed::Types),
        _ => Err(Error::Input { file: file.to_owned(), input: name }),
    });
    each.collect()
}

/// What a graph gave for one text.
struct Outputs {
    /// Names, and shapes of those that are float32.
    each: Vec<(String, Option<Vec<usize>>)>,
}

impl Outputs {
    /// Place, kind and width of the text's vector, after a run of one text with `tokens` tokens. A pooled output counts
    /// first where its name says that it is one: what a model calls its pooler's output is often untrained.
    fn choose(&self, tokens: usize) -> Option<(usize, Shape, usize)> {
        let with = |shape: Shape, name: Option<&str>| {
            self.each.iter().enumerate().find_map(|(at, (found, dimensions))| {
                let width = match (shape, dimensions.as_deref()?) {
                    (Shape::Pooled, [1, width]) => *width,
                    (Shape::States, [1, length, width]) if *length == tokens => *width,
                    _ => return None,
                };
                (width > 0 && name.is_none_or(|name| name == found)).then_some((at, shape, width))
            })
        };
        let named = |shape, names: &[&str]| names.iter().find_map(|name| with(shape, Some(name)));
        named(Shape::Pooled, &POOLED)
            .or_else(|| named(Shape::States, &STATES))
            .or_else(|| with(Shape::States, None))
            .or_else(|| with(Shape::Pooled, None))
    }
}

impl std::fmt::Display for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.each.iter().map(|(name, shape)| match shape {
            Some(shape) => format!("{name} {shape:?}"),
            None => format!("{name} (something else)"),
        });
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests;
