//! Running an ONNX graph: the one place that knows what runs it.

#[cfg(feature = "ort")]
mod onnxruntime;
mod rten;
mod table;

use std::path::Path;

use crate::error::{Error, Result};
use crate::learn;
use crate::tokenize::Batch;

/// A loaded graph.
pub(crate) enum Graph {
    /// Run in the process, without a library.
    Rten(Box<rten::Graph>),
    /// A learned encoder's.
    Table(table::Graph),
    /// Run by ONNX Runtime, whose library was found when the process asked for it.
    #[cfg(feature = "ort")]
    OnnxRuntime(onnxruntime::Graph),
}

/// What an input is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Tokens by number.
    Ids,
    /// 1 for a token, 0 for what fills up.
    Mask,
    /// Which of two texts a token is of: there is one.
    Types,
}

/// Float32 numbers of any dimensions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<f32>,
}

/// Why a graph was not run, in words.
pub(crate) type Ran<T> = std::result::Result<T, String>;

impl Graph {
    /// Reads an ONNX file, to be run by ONNX Runtime where its `library` is given.
    pub(crate) fn open(path: &Path, library: Option<&Path>) -> Result<Self> {
        // Its error names the file.
        drop(fs_err::File::open(path)?);
        let unusable = |detail| Error::Model { file: path.display().to_string(), detail };
        match library {
            None => Ok(Self::Rten(Box::new(rten::Graph::open(path).map_err(unusable)?))),
            Some(library) => Self::open_elsewhere(path, library),
        }
    }

    #[cfg(feature = "ort")]
    fn open_elsewhere(path: &Path, library: &Path) -> Result<Self> {
        Ok(Self::OnnxRuntime(onnxruntime::Graph::open(path, library)?))
    }

    #[cfg(not(feature = "ort"))]
    fn open_elsewhere(_: &Path, library: &Path) -> Result<Self> {
        Err(Error::Library {
            library: library.display().to_string(),
            detail: "this binary was built without the cargo feature `ort`".to_owned(),
        })
    }

    /// The same from the file's bytes, run in the process.
    pub(crate) fn load(bytes: Vec<u8>, file: &str) -> Result<Self> {
        let graph = rten::Graph::load(bytes);
        let graph = graph.map_err(|detail| Error::Model { file: file.to_owned(), detail })?;
        Ok(Self::Rten(Box::new(graph)))
    }

    /// The same of a learned encoder.
    pub(crate) fn learned(bytes: Vec<u8>, file: &str) -> Result<Self> {
        match table::Graph::read(&bytes) {
            Some(graph) => Ok(Self::Table(graph)),
            None => Self::load(bytes, file),
        }
    }

    /// Does some work that runs the graph again and again: threads that it needs are entered once.
    pub(crate) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Rten(_) => rten::enter(work),
            Self::Table(_) => work(),
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(_) => work(),
        }
    }

    /// What the file says under `key` besides the graph.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        match self {
            Self::Rten(graph) => graph.metadata(key),
            Self::Table(graph) => graph.metadata(key),
            // Nothing is read from there but what was made here, which is run in the process.
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(_) => None,
        }
    }

    /// The inputs' names, in order.
    pub(crate) fn inputs(&self) -> Vec<String> {
        match self {
            Self::Rten(graph) => graph.inputs(),
            Self::Table(_) => learn::INPUTS.map(str::to_owned).to_vec(),
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(graph) => graph.inputs(),
        }
    }

    /// The outputs' names, in order.
    pub(crate) fn outputs(&self) -> Vec<String> {
        match self {
            Self::Rten(graph) => graph.outputs(),
            Self::Table(_) => vec![learn::OUTPUT.to_owned()],
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(graph) => graph.outputs(),
        }
    }

    /// Runs the graph, `feeds` for its inputs in order, and answers the shapes of its outputs, `None` of one that is not
    /// float32.
    pub(crate) fn probe(&self, feeds: &[Feed], batch: &Batch) -> Ran<Vec<Option<Vec<usize>>>> {
        match self {
            Self::Rten(graph) => graph.probe(feeds, batch),
            Self::Table(graph) => Ok(vec![Some(graph.run(batch)?.shape)]),
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(graph) => graph.probe(feeds, batch),
        }
    }

    /// Runs the graph and answers its output `at`, which is of `dimensions`, 2 or 3.
    pub(crate) fn run(
        &self,
        feeds: &[Feed],
        batch: &Batch,
        (at, dimensions): (usize, usize),
    ) -> Ran<Tensor> {
        match self {
            Self::Rten(graph) => graph.run(feeds, batch, (at, dimensions)),
            Self::Table(graph) => graph.run(batch),
            #[cfg(feature = "ort")]
            Self::OnnxRuntime(graph) => graph.run(feeds, batch, at),
        }
    }
}

impl Feed {
    /// The numbers of a batch, rows×length.
    fn of(self, batch: &Batch) -> &[i32] {
        match self {
            Self::Ids => &batch.ids,
            Self::Mask => &batch.mask,
            Self::Types => &batch.types,
        }
    }
}
