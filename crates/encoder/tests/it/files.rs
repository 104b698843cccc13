//! Files that are missing or wrong.

use std::path::Path;

use sona_encoder::{Encoder, Error, Options};

use crate::{films, small};

fn check(model: &Path, tokenizer: &Path, says: &[&str]) {
    let error = Encoder::open(model, tokenizer, &Options::default()).expect_err("unusable");
    let error = error.to_string();
    assert!(says.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn a_missing_or_wrong_file_is_named_and_told_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let learned = sona_encoder::learn::learn(&films()[..50], None, &small()).expect("learned");
    fs_err::write(at("model.onnx"), &learned.model).expect("written");
    fs_err::write(at("tokenizer.json"), &learned.tokenizer).expect("written");
    fs_err::write(at("text.txt"), "neither").expect("written");
    fs_err::write(at("half.onnx"), &learned.model[..learned.model.len() / 2]).expect("written");

    check(&at("none.onnx"), &at("tokenizer.json"), &["none.onnx"]);
    check(&at("model.onnx"), &at("none.json"), &["none.json"]);
    check(&at("text.txt"), &at("tokenizer.json"), &["text.txt", "export the model to ONNX"]);
    check(&at("half.onnx"), &at("tokenizer.json"), &["half.onnx"]);
    check(&at("model.onnx"), &at("text.txt"), &["text.txt", "give the tokenizer.json"]);
    Encoder::open(&at("model.onnx"), &at("tokenizer.json"), &Options::default()).expect("usable");
    let options = Options { onnxruntime: Some(at("none.so")), ..Options::default() };
    let error = Encoder::open(&at("model.onnx"), &at("tokenizer.json"), &options);
    let error = error.expect_err("there is no such library").to_string();
    assert!(error.contains("none.so"), "{error}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let learn =
        |texts: &[String]| sona_encoder::learn::learn(texts, None, &small()).expect("learned");
    let (few, many) = (learn(&films()[..20]), learn(&films()[..200]));
    let mixed = Encoder::from_bytes(few.model, &many.tokenizer, &Options::default());
    assert!(matches!(mixed, Err(Error::Mismatch { .. })), "{mixed:?}");
}
