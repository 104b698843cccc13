//! An ONNX graph: which inputs it wants, which of its outputs is a text's vector, and running it.

use std::path::Path;

use rten::{NodeId, Value, ValueOrView, ValueView};

use crate::error::{Error, Result};
use crate::learn::TOKENIZER_KEY;
use crate::pool;
use crate::tokenize::{Batch, Tokenizer};

/// Outputs that are a text's vector whatever else there is, the most telling name first.
const POOLED: [&str; 4] = ["sentence_embedding", "embeddings", "embedding", "text_embeds"];

/// Outputs that are tokens' states, the most telling name first.
const STATES: [&str; 2] = ["token_embeddings", "last_hidden_state"];

/// A loaded graph.
pub(crate) struct Model {
    graph: rten::Model,
    inputs: Vec<(NodeId, Feed)>,
    output: NodeId,
    shape: Shape,
    width: usize,
}

/// What an input is fed with.
#[derive(Clone, Copy)]
enum Feed {
    Ids,
    Mask,
    Types,
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
    /// Reads an ONNX file; `tokenizer` is whom it must understand.
    pub(crate) fn open(path: &Path, tokenizer: &Tokenizer) -> Result<Self> {
        // Its error names the file.
        drop(fs_err::File::open(path)?);
        let file = path.display().to_string();
        Self::new(loaded(rten::Model::load_file(path), &file)?, &file, tokenizer)
    }

    /// The same from the file's bytes.
    pub(crate) fn load(bytes: Vec<u8>, tokenizer: &Tokenizer) -> Result<Self> {
        let file = "the model";
        Self::new(loaded(rten::Model::load(bytes), file)?, file, tokenizer)
    }

    /// The same of a learned encoder, whose file holds its tokenizer.
    pub(crate) fn learned(
        bytes: Vec<u8>,
        tokenizer: impl FnOnce(&[u8], &str) -> Result<Tokenizer>,
    ) -> Result<(Self, Tokenizer)> {
        let file = "the learned model";
        let graph = loaded(rten::Model::load(bytes), file)?;
        let json = graph.metadata().get(TOKENIZER_KEY).ok_or_else(|| Error::Model {
            file: file.to_owned(),
            detail: "it does not hold its tokenizer".to_owned(),
        })?;
        let tokenizer = tokenizer(json.as_bytes(), file)?;
        Ok((Self::new(graph, file, &tokenizer)?, tokenizer))
    }

    fn new(graph: rten::Model, file: &str, tokenizer: &Tokenizer) -> Result<Self> {
        let inputs = inputs(&graph, file)?;
        let batch = tokenizer.probe();
        let outputs = graph.run(feed(&inputs, &batch), graph.output_ids(), None);
        let outputs = outputs.map_err(|error| Error::Mismatch {
            model: file.to_owned(),
            tokenizer: tokenizer.file().to_owned(),
            detail: error.to_string(),
        })?;
        let found = Outputs::of(&graph, &outputs);
        let Some((at, shape, width)) = found.choose(batch.length) else {
            return Err(Error::Output { file: file.to_owned(), found: found.to_string() });
        };
        let output = graph.output_ids()[at];
        Ok(Self { graph, inputs, output, shape, width })
    }

    /// The length of every vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// One vector a text; an error in words if the graph fails.
    pub(crate) fn run(&self, batch: &Batch) -> std::result::Result<Vec<Vector>, String> {
        let [value] = self
            .graph
            .run_n(feed(&self.inputs, batch), [self.output], None)
            .map_err(|error| error.to_string())?;
        match self.shape {
            Shape::Pooled => {
                let ([rows, width], values) =
                    value.into_shape_vec::<f32, 2>().map_err(|error| error.to_string())?;
                check(&[rows, width], &[batch.rows, self.width])?;
                Ok(values.chunks_exact(width).map(|row| pool::unit(row.to_vec())).collect())
            }
            Shape::States => {
                let (shape, values) =
                    value.into_shape_vec::<f32, 3>().map_err(|error| error.to_string())?;
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

fn loaded(
    loaded: std::result::Result<rten::Model, rten::LoadError>,
    file: &str,
) -> Result<rten::Model> {
    loaded.map_err(|error| Error::Model { file: file.to_owned(), detail: error.to_string() })
}

/// The graph's inputs, each known by its name.
fn inputs(graph: &rten::Model, file: &str) -> Result<Vec<(NodeId, Feed)>> {
    let each = graph.input_ids().iter().map(|id| {
        let name = graph.node_info(*id).and_then(|node| node.name()).unwrap_or_default();
        let feed = match name {
            "input_ids" => Feed::Ids,
            "attention_mask" => Feed::Mask,
            "token_type_ids" => Feed::Types,
            other => {
                return Err(Error::Input { file: file.to_owned(), input: other.to_owned() });
            }
        };
        Ok((*id, feed))
    });
    each.collect()
}

fn feed<'b>(inputs: &[(NodeId, Feed)], batch: &'b Batch) -> Vec<(NodeId, ValueOrView<'b>)> {
    let view = |values: &'b [i32]| {
        ValueView::from_shape([batch.rows, batch.length], values)
            .expect("a batch's parts have a value for every row and token")
    };
    let each = inputs.iter().map(|(id, feed)| {
        let values = match feed {
            Feed::Ids => &batch.ids,
            Feed::Mask => &batch.mask,
            Feed::Types => &batch.types,
        };
        (*id, view(values).into())
    });
    each.collect()
}

/// What a graph gave for one text.
struct Outputs<'g> {
    /// Names, and shapes of those that are float32 with two or three dimensions.
    each: Vec<(&'g str, Option<Vec<usize>>)>,
}

impl<'g> Outputs<'g> {
    fn of(graph: &'g rten::Model, values: &[Value]) -> Self {
        let names = graph.output_ids().iter().map(|id| graph.node_info(*id));
        let names = names.map(|node| node.and_then(|node| node.name()).unwrap_or_default());
        let shapes = values.iter().map(shape);
        Self { each: names.zip(shapes).collect() }
    }

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
                (width > 0 && name.is_none_or(|name| name == *found)).then_some((at, shape, width))
            })
        };
        let named = |shape, names: &[&str]| names.iter().find_map(|name| with(shape, Some(name)));
        named(Shape::Pooled, &POOLED)
            .or_else(|| named(Shape::States, &STATES))
            .or_else(|| with(Shape::States, None))
            .or_else(|| with(Shape::Pooled, None))
    }
}

impl std::fmt::Display for Outputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.each.iter().map(|(name, shape)| match shape {
            Some(shape) => format!("{name} {shape:?}"),
            None => format!("{name} (something else)"),
        });
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}

fn shape(value: &Value) -> Option<Vec<usize>> {
    let pooled = value.clone().into_shape_vec::<f32, 2>().map(|(shape, _)| shape.to_vec());
    let states = || value.clone().into_shape_vec::<f32, 3>().map(|(shape, _)| shape.to_vec());
    pooled.or_else(|_| states()).ok()
}

#[cfg(test)]
mod tests;
