//! The graph of a learned encoder, known by its operators: it is a mean of rows of a table, and is worked out as that. A
//! runtime for any graph takes longer to begin than this takes as a whole.

use prost::Message;
use sona_numeric::Matrix;

use super::{Ran, Tensor};
use crate::learn;
use crate::onnx::{FLOAT, ModelProto};
use crate::tokenize::Batch;

/// The table, and what else the file says.
pub(crate) struct Graph {
    /// A row per token.
    table: Matrix,
    notes: Vec<(String, String)>,
}

impl Graph {
    /// The table of a learned encoder's file; `None` if its graph is another one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let model = ModelProto::decode(bytes).ok()?;
        let graph = model.graph.filter(|graph| graph.node == learn::nodes())?;
        let table = graph.initializer.into_iter().find(|tensor| tensor.name == learn::TABLE)?;
        let [rows, width] = *table.dims.as_slice() else { return None };
        let (rows, width) = (usize::try_from(rows).ok()?, usize::try_from(width).ok()?);
        let whole = Some(table.raw_data.len()) == rows.checked_mul(width)?.checked_mul(4);
        if table.data_type != FLOAT || width == 0 || !whole {
            return None;
        }
        let (values, _) = table.raw_data.as_chunks::<4>();
        let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let notes = model.metadata_props.into_iter().map(|note| (note.key, note.value)).collect();
        Some(Self { table: Matrix::from_vec(values, width), notes })
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.notes.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The length of a vector.
    pub(super) fn width(&self) -> usize {
        self.table.width()
    }

    /// The mean of each text's rows, `[rows, width]`.
    pub(super) fn run(&self, batch: &Batch) -> Ran<Tensor> {
        let width = self.width();
        let mut values = vec![0.0; batch.rows * width];
        let length = batch.length.max(1);
        let texts = batch.ids.chunks_exact(length).zip(batch.mask.chunks_exact(length));
        for ((ids, mask), mean) in texts.zip(values.chunks_exact_mut(width)) {
            let tokens = ids.iter().zip(mask).filter(|(_, mask)| **mask != 0);
            let mut count = 0.0;
            for (id, _) in tokens {
                let row = usize::try_from(*id).ok().filter(|row| *row < self.table.rows());
                let row = row.ok_or_else(|| format!("there is no token {id}"))?;
                for (sum, value) in mean.iter_mut().zip(self.table.row(row)) {
                    *sum += value;
                }
                count += 1.0;
            }
            for sum in mean {
                *sum /= count;
            }
        }
        Ok(Tensor { shape: vec![batch.rows, width], values })
    }
}
