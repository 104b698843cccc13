//! The same texts by onnxruntime and by transformers' tokenizer.

use std::path::{Path, PathBuf};
use std::process::Command;

use sona_encoder::learn::{Options, learn};
use sona_encoder::{Encoder, Options as EncoderOptions};

use crate::{films, open};

/// The folder of the Python environment, the peers' model beside it; `None` outside of `scripts/test`.
fn peers() -> Option<PathBuf> {
    let found = std::env::var_os("TEST_ENCODER_PEERS").map(PathBuf::from);
    let needed = std::env::var_os("CI").is_some();
    assert!(found.is_some() || !needed, "TEST_ENCODER_PEERS is not set; use scripts/test");
    found
}

/// Compares `encoder` with the peers on `texts`; the folder holds its two files.
fn compare(peers: &Path, folder: &Path, encoder: &Encoder, texts: &[String]) {
    let vectors = encoder.encode(texts).expect("encoded");
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    fs_err::write(folder.join("vectors.f32"), bytes).expect("written");
    let list = serde_json::to_string(texts).expect("strings");
    fs_err::write(folder.join("texts.json"), list).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/encoder/compare.py");
    let python = peers.join("venv/bin/python");
    let ran = Command::new(python).arg(script).arg(folder).output().expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let found: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(found["texts"], texts.len());
    assert_eq!(found["width"], encoder.width());
    let worst = found["worst_cosine"].as_f64().expect("a number");
    assert!(worst >= 0.9999, "{worst}");
}

/// A thousand films, and what else people write.
fn texts() -> Vec<String> {
    let mut texts: Vec<_> = films().into_iter().take(1000).collect();
    let long = "A very long overview of very many words. ".repeat(100);
    let strange = [
        "",
        "!!!",
        "千と千尋の神隠し",
        "Ünïcödé  ﬁlm",
        "🎬",
        "\u{1f}\u{200b}x",
        "<s> <pad>",
        &long,
    ];
    texts.extend(strange.map(str::to_owned));
    texts
}

#[test]
fn the_learned_encoder_is_reproduced() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { width: 512, words: 6000, pieces: 2000, ..Options::default() };
    let learned = learn(&films(), None, &options).expect("learned");
    fs_err::write(folder.path().join("model.onnx"), &learned.model).expect("written");
    fs_err::write(folder.path().join("tokenizer.json"), &learned.tokenizer).expect("written");
    compare(&peers, folder.path(), &open(&learned), &texts());
}

#[test]
fn a_published_model_is_reproduced() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["model.onnx", "tokenizer.json"] {
        fs_err::copy(peers.join("minilm").join(file), folder.path().join(file)).expect("copied");
    }
    let encoder = published(folder.path(), &EncoderOptions::default());
    assert_eq!(encoder.width(), 384);
    compare(&peers, folder.path(), &encoder, &texts());
}

/// The encoder of the two files in `folder`.
fn published(folder: &Path, options: &EncoderOptions) -> Encoder {
    let (model, tokenizer) = (folder.join("model.onnx"), folder.join("tokenizer.json"));
    Encoder::open(&model, &tokenizer, options).expect("a published model is usable")
}

#[cfg(feature = "ort")]
#[test]
fn onnxruntime_runs_a_published_model() {
    let Some(peers) = peers() else { return };
    let library = find(&peers.join("venv"), "libonnxruntime.so").expect("it is in the environment");
    let options = EncoderOptions { onnxruntime: Some(library), ..EncoderOptions::default() };
    let (folder, mut texts) = (peers.join("minilm"), texts());
    texts.drain(..950);
    let elsewhere = published(&folder, &options).encode(&texts).expect("encoded");
    let here = published(&folder, &EncoderOptions::default()).encode(&texts).expect("encoded");
    for ((a, b), text) in elsewhere.iter().zip(&here).zip(&texts) {
        let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.9999, "{cosine} {text:?}");
    }
}

/// A file below `folder` whose name begins so.
#[cfg(feature = "ort")]
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs_err::read_dir(folder).ok()?.filter_map(Result::ok);
    let mut folders = Vec::new();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(name) {
            return Some(entry.path());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    folders.iter().find_map(|folder| find(folder, name))
}
