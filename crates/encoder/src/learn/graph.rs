//! The learned encoder as an ONNX graph: the mean of the tokens' rows of a table, at length 1.
//!
//! ```text
//! tokens = Gather(table, input_ids)                [batch, sequence, width]
//! shares = attention_mask / Σ attention_mask        [batch, sequence]
//! mean   = shares · tokens                          [batch, width]
//! embeddings = mean / ‖mean‖                        [batch, width]
//! ```
//!
//! The mean is a product of matrices: runtimes are quicker with it than with a sum over the middle of three dimensions.

use prost::Message;
use sona_numeric::Matrix;

use crate::onnx::{
    Dimension, FLOAT, GraphProto, INT64, IR_VERSION, ModelProto, NodeProto, OPSET,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};

/// The name of the table.
pub(crate) const TABLE: &str = "table";

/// The names of what the graph is given.
pub(crate) const INPUTS: [&str; 2] = ["input_ids", "attention_mask"];

/// The name of what it gives.
pub(crate) const OUTPUT: &str = "embeddings";

/// The file's bytes. `table` has a row per token; `notes` are kept as the model's metadata.
pub(super) fn encode(table: &Matrix, notes: &[(&str, &str)]) -> Vec<u8> {
    let named = |name: &str| Dimension::DimParam(name.to_owned());
    let tokens = || vec![named("batch"), named("sequence")];
    let width = Dimension::DimValue(table.width() as i64);
    let graph = GraphProto {
        name: "text_encoder".to_owned(),
        node: nodes(),
        initializer: vec![
            TensorProto::floats(TABLE, &[table.rows(), table.width()], table.as_slice()),
            TensorProto::integers("second", &[1], &[1]),
        ],
        input: vec![
            ValueInfoProto::new(INPUTS[0], INT64, tokens()),
            ValueInfoProto::new(INPUTS[1], INT64, tokens()),
        ],
        output: vec![ValueInfoProto::new(OUTPUT, FLOAT, vec![named("batch"), width])],
    };
    let note = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "sona".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: notes.iter().map(note).collect(),
    };
    model.encode_to_vec()
}

/// Its operators.
pub(crate) fn nodes() -> Vec<NodeProto> {
    vec![
        NodeProto::new("Gather", &[TABLE, INPUTS[0]], "tokens").with("axis", 0),
        NodeProto::new("Cast", &[INPUTS[1]], "mask").with("to", i64::from(FLOAT)),
        NodeProto::new("ReduceSum", &["mask", "second"], "count").with("keepdims", 1),
        NodeProto::new("Div", &["mask", "count"], "shares"),
        NodeProto::new("Unsqueeze", &["shares", "second"], "share_rows"),
        NodeProto::new("MatMul", &["share_rows", "tokens"], "mean_rows"),
        NodeProto::new("Squeeze", &["mean_rows", "second"], "mean"),
        NodeProto::new("ReduceL2", &["mean", "second"], "length").with("keepdims", 1),
        NodeProto::new("Div", &["mean", "length"], OUTPUT),
    ]
}
