//! In the process, by `rten`.

use std::path::Path;

use rten::{NodeId, Value, ValueOrView, ValueView};

use super::{Feed, Ran, Tensor};
use crate::tokenize::Batch;

/// A loaded graph.
pub(crate) struct Graph(rten::Model);

impl Graph {
    pub(super) fn open(path: &Path) -> Ran<Self> {
        rten::Model::load_file(path).map(Self).map_err(|error| error.to_string())
    }

    pub(super) fn load(bytes: Vec<u8>) -> Ran<Self> {
        rten::Model::load(bytes).map(Self).map_err(|error| error.to_string())
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.0.metadata().get(key)
    }

    pub(super) fn inputs(&self) -> Vec<String> {
        self.names(self.0.input_ids())
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.names(self.0.output_ids())
    }

    fn names(&self, ids: &[NodeId]) -> Vec<String> {
        let nodes = ids.iter().map(|id| self.0.node_info(*id));
        nodes.map(|node| node.and_then(|n| n.name()).unwrap_or_default().to_owned()).collect()
    }

    pub(super) fn probe(&self, feeds: &[Feed], batch: &Batch) -> Ran<Vec<Option<Vec<usize>>>> {
        let outputs = self.0.run(self.feed(feeds, batch), self.0.output_ids(), None);
        let outputs = outputs.map_err(|error| error.to_string())?;
        let shape = |value: &Value| {
            let tensor = |dimensions| tensor(value.clone(), dimensions);
            Some(tensor(2).or_else(|_| tensor(3)).ok()?.shape)
        };
        Ok(outputs.iter().map(shape).collect())
    }

    pub(super) fn run(
        &self,
        feeds: &[Feed],
        batch: &Batch,
        (at, dimensions): (usize, usize),
    ) -> Ran<Tensor> {
        let output = self.0.output_ids()[at];
        let [value] = self
            .0
            .run_n(self.feed(feeds, batch), [output], None)
            .map_err(|error| error.to_string())?;
        tensor(value, dimensions)
    }

    fn feed<'b>(&self, feeds: &[Feed], batch: &'b Batch) -> Vec<(NodeId, ValueOrView<'b>)> {
        let each = self.0.input_ids().iter().zip(feeds).map(|(id, feed)| {
            let values = ValueView::from_shape([batch.rows, batch.length], feed.of(batch))
                .expect("a batch's parts have a value for every row and token");
            (*id, values.into())
        });
        each.collect()
    }
}

/// Does some work on the threads that run graphs.
pub(super) fn enter<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rten::thread_pool().run(work)
}

/// Float32 numbers of two or three dimensions; others are no text's vector.
fn tensor(value: Value, dimensions: usize) -> Ran<Tensor> {
    if dimensions == 2 {
        let (shape, values) = value.into_shape_vec::<f32, 2>().map_err(|e| e.to_string())?;
        return Ok(Tensor { shape: shape.to_vec(), values });
    }
    let (shape, values) = value.into_shape_vec::<f32, 3>().map_err(|e| e.to_string())?;
    Ok(Tensor { shape: shape.to_vec(), values })
}
