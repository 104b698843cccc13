//! Encoders through their public face, and beside the programs others run them with.

mod files;
mod learned;
mod peers;

use sona_encoder::learn::{Learned, Options, learn};
use sona_encoder::{Encoder, Options as EncoderOptions};

/// The shipped films as texts: title, genres, people and keywords.
fn films() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/items.jsonl");
    let lines = fs_err::read_to_string(file).expect("the demo ships with the product");
    let film = |line: &str| {
        let film: serde_json::Value = serde_json::from_str(line).expect("JSON Lines");
        let list = |key: &str| {
            let items = film[key].as_array().into_iter().flatten();
            items.filter_map(|item| item.as_str()).collect::<Vec<_>>().join(", ")
        };
        let title = film["title"].as_str().expect("every film has a title");
        let [genres, directors, cast, keywords] =
            ["genres", "directors", "cast", "keywords"].map(list);
        format!("{title}. {genres}. {directors}. {cast}. {keywords}")
    };
    lines.lines().map(film).collect()
}

/// Small enough to be learned in a moment.
fn small() -> Options {
    Options { width: 64, words: 2000, pieces: 1000, ..Options::default() }
}

fn open(learned: &Learned) -> Encoder {
    Encoder::learned(learned.model.clone(), &EncoderOptions::default())
        .expect("what was learned can be used")
}

fn learned(texts: &[String], options: &Options) -> Encoder {
    open(&learn(texts, None, options).expect("learned"))
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
