//! Graphs as exporters write them, small enough to know the right vector.

use prost::Message;
use serde_json::json;

use crate::onnx::{
    Dimension, FLOAT, GraphProto, INT64, IR_VERSION, ModelProto, NodeProto, OPSET,
    OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::{Encoder, Error, Options};

/// Rows of the tokens `[PAD]`, `a`, `b`, `c`: what fills up would be seen if it were pooled.
const TABLE: [f32; 8] = [900.0, 900.0, 1.0, 0.0, 0.0, 1.0, -1.0, 0.0];

/// A tokenizer of single words that fills up to 16 tokens, as many published ones do.
fn words(vocabulary: &[&str]) -> Vec<u8> {
    let ids: serde_json::Map<_, _> =
        vocabulary.iter().zip(0..).map(|(word, id)| ((*word).to_owned(), json!(id))).collect();
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
        "decoder": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "truncation": null,
        "padding": {
            "strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"
        },
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "[PAD]"}
    })
    .to_string()
    .into_bytes()
}

fn graph(nodes: Vec<NodeProto>, inputs: &[&str], outputs: &[(&str, i32, usize)]) -> Vec<u8> {
    let any = |n: usize| (0..n).map(|i| Dimension::DimParam(format!("any_{i}"))).collect();
    let graph = GraphProto {
        name: "test".to_owned(),
        node: nodes,
        initializer: vec![
            TensorProto::floats("table", &[4, 2], &TABLE),
            TensorProto::integers("over_tokens", &[1], &[1]),
        ],
        input: inputs.iter().map(|name| ValueInfoProto::new(name, INT64, any(2))).collect(),
        output: outputs
            .iter()
            .map(|(name, kind, rank)| ValueInfoProto::new(name, *kind, any(*rank)))
            .collect(),
    };
    ModelProto {
        ir_version: IR_VERSION,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

fn states(name: &str) -> NodeProto {
    NodeProto::new("Gather", &["table", "input_ids"], name).with("axis", 0)
}

fn sum_of(states: &str, name: &str) -> NodeProto {
    NodeProto::new("ReduceSum", &[states, "over_tokens"], name).with("keepdims", 0)
}

fn encoder(model: Vec<u8>) -> Result<Encoder, Error> {
    Encoder::from_bytes(model, &words(&["[PAD]", "a", "b", "c"]), &Options::default())
}

fn check(encoder: &Encoder, text: &str, expect: [f32; 2]) {
    let vector = encoder.encode(&[text]).expect("encoded").remove(0);
    for (value, expect) in vector.iter().zip(expect) {
        assert!((value - expect).abs() < 1e-6, "{text:?}: {vector:?}");
    }
}

#[test]
fn states_are_pooled_over_the_mask() {
    let model = graph(
        vec![states("last_hidden_state")],
        &["input_ids"],
        &[("last_hidden_state", FLOAT, 3)],
    );
    let encoder = encoder(model).expect("usable");
    assert_eq!(encoder.width(), 2);
    check(&encoder, "a", [1.0, 0.0]);
    check(&encoder, "a a a b", [0.948_683_3, 0.316_227_77]);
    // Together with a longer text, the same.
    let both = encoder.encode(&["a", "a b b b a b b"]).expect("encoded");
    assert_eq!(both[0], [1.0, 0.0]);
}

#[test]
fn the_mask_reaches_the_graph() {
    let nodes = vec![
        states("tokens"),
        NodeProto::new("Cast", &["attention_mask"], "mask").with("to", i64::from(FLOAT)),
        NodeProto::new("Unsqueeze", &["mask", "last"], "weights"),
        NodeProto::new("Mul", &["tokens", "weights"], "kept"),
        sum_of("kept", "sentence_embedding"),
    ];
    let mut model = ModelProto::decode(&*graph(
        nodes,
        &["input_ids", "attention_mask"],
        &[("sentence_embedding", FLOAT, 2)],
    ))
    .expect("just written");
    let graph = model.graph.as_mut().expect("it has one");
    graph.initializer.push(TensorProto::integers("last", &[1], &[2]));
    let encoder = encoder(model.encode_to_vec()).expect("usable");
    assert_eq!(encoder.encode(&["a", "b b b b b"]).expect("encoded"), [[1.0, 0.0], [0.0, 1.0]]);
}

#[test]
fn states_count_before_an_unnamed_pooler_and_a_named_vector_before_states() {
    let first = NodeProto::new("ReduceMax", &["last_hidden_state", "over_tokens"], "pooler_output")
        .with("keepdims", 0);
    let outputs = [("pooler_output", FLOAT, 2), ("last_hidden_state", FLOAT, 3)];
    let model = graph(vec![states("last_hidden_state"), first], &["input_ids"], &outputs);
    check(&encoder(model).expect("usable"), "a a a b", [0.948_683_3, 0.316_227_77]);

    let named = NodeProto::new("ReduceMax", &["last_hidden_state", "over_tokens"], "embeddings")
        .with("keepdims", 0);
    let outputs = [("last_hidden_state", FLOAT, 3), ("embeddings", FLOAT, 2)];
    let model = graph(vec![states("last_hidden_state"), named], &["input_ids"], &outputs);
    let half = 0.5_f32.sqrt();
    check(&encoder(model).expect("usable"), "a a a b", [half, half]);
}

#[test]
fn parts_of_a_text_are_given_where_they_are_wanted() {
    let nodes = vec![
        states("tokens"),
        NodeProto::new("Cast", &["token_type_ids"], "types").with("to", i64::from(FLOAT)),
        NodeProto::new("Unsqueeze", &["types", "last"], "wide"),
        NodeProto::new("Add", &["tokens", "wide"], "token_embeddings"),
    ];
    let inputs = ["input_ids", "token_type_ids"];
    let written = graph(nodes, &inputs, &[("token_embeddings", FLOAT, 3)]);
    let mut model = ModelProto::decode(&*written).expect("just written");
    let graph = model.graph.as_mut().expect("it has one");
    graph.initializer.push(TensorProto::integers("last", &[1], &[2]));
    check(&encoder(model.encode_to_vec()).expect("usable"), "b", [0.0, 1.0]);
}

#[test]
fn what_cannot_be_a_vector_is_refused_and_named() {
    let picture = graph(vec![states("out")], &["input_ids", "pixel_values"], &[("out", FLOAT, 3)]);
    let error = encoder(picture).expect_err("not a text model").to_string();
    assert!(error.contains("\"pixel_values\""), "{error}");

    let scalar = NodeProto::new("Identity", &["input_ids"], "labels");
    let error = encoder(graph(vec![scalar], &["input_ids"], &[("labels", INT64, 2)]));
    let error = error.expect_err("no vector").to_string();
    assert!(error.contains("labels (something else)"), "{error}");
}

#[test]
fn another_models_tokenizer_is_refused() {
    let model = graph(vec![states("states")], &["input_ids"], &[("states", FLOAT, 3)]);
    let larger = words(&["[PAD]", "a", "b", "c", "d"]);
    let error = Encoder::from_bytes(model, &larger, &Options::default());
    assert!(matches!(error, Err(Error::Mismatch { .. })), "{error:?}");
}

#[test]
fn no_text_ever_gets_a_vector_of_zeros() {
    let model = graph(vec![states("states")], &["input_ids"], &[("states", FLOAT, 3)]);
    let encoder = encoder(model).expect("usable");
    // "a" and "c" cancel out; an empty text has no token at all, as this tokenizer adds none.
    for (text, says) in [("a c", "zero"), ("", "no token")] {
        let error = encoder.encode(&["a", text]).expect_err("no vector").to_string();
        assert!(error.contains(says) && error.contains(&format!("{text:?}")), "{error}");
    }
}

#[test]
fn a_long_text_is_cut_off() {
    let model = graph(vec![states("states")], &["input_ids"], &[("states", FLOAT, 3)]);
    let options = Options { max_tokens: 3, ..Options::default() };
    let encoder = Encoder::from_bytes(model, &words(&["[PAD]", "a", "b", "c"]), &options);
    check(&encoder.expect("usable"), "a a a b b b b b b b b b", [1.0, 0.0]);
}
