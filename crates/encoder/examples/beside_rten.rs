//! An encoder beside a plain run of its graph on the same tensors, in turn.
//!
//! `cargo run --release -p sona-encoder --example beside_rten -- FOLDER [ROUNDS]`
//!
//! FOLDER holds `model.onnx` with the inputs of BERT, and `tokenizer.json`. Ours takes texts and gives vectors, so it
//! tokenizes, fills up, pools and brings to length 1 besides; the plain run gets the tensors made and gives what the
//! graph gives. Printed is processor time, the median over rounds and its ratio.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::path::Path;

use rten::{Model, NodeId, Value};
use sona_encoder::{Encoder, Options};
use tokenizers::{PaddingParams, Tokenizer};

/// As the tokenizer's errors can be sent between threads, so must what holds them.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Inputs = Vec<(NodeId, Value)>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of model.onnx and tokenizer.json")?;
    let rounds: usize = arguments.next().map_or(Ok(21), |text| text.parse())?;
    let at = |name: &str| Path::new(&folder).join(name);
    let encoder = Encoder::open(&at("model.onnx"), &at("tokenizer.json"), &Options::default())?;
    let model = Model::load_file(at("model.onnx"))?;
    let mut tokenizer = Tokenizer::from_file(at("tokenizer.json"))?;
    tokenizer.with_padding(Some(PaddingParams::default()));
    for batch in [1, 32] {
        let texts: Vec<_> = (0..batch).map(text).collect();
        let inputs = tensors(&model, &tokenizer, &texts)?;
        let runs = (64 / batch).max(2);
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            plain.push(cpu_seconds_of(runs, || {
                let inputs = inputs.iter().map(|(id, value)| (*id, value.as_view().into()));
                model.run(inputs.collect(), model.output_ids(), None).map(drop)
            })?);
            ours.push(cpu_seconds_of(runs, || encoder.encode(&texts).map(drop))?);
        }
        let mut ratios: Vec<f64> = ours.iter().zip(&plain).map(|(a, b)| a / b).collect();
        let each = |seconds: &mut Vec<f64>| median(seconds) / (runs * batch) as f64 * 1e3;
        println!(
            "batch {batch:>2}: ours {:.3} ms a text, plain {:.3} ms, ratio {:.3} (median of {rounds} rounds)",
            each(&mut ours),
            each(&mut plain),
            median(&mut ratios)
        );
    }
    Ok(())
}

/// Twenty words, others for every number.
fn text(number: usize) -> String {
    const WORDS: [&str; 13] = [
        "a",
        "young",
        "detective",
        "follows",
        "her",
        "brother",
        "through",
        "an",
        "old",
        "city",
        "while",
        "winter",
        "comes",
    ];
    (0..20).map(|at| WORDS[(number * 7 + at * 5) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn tensors(model: &Model, tokenizer: &Tokenizer, texts: &[String]) -> Result<Inputs, Failure> {
    let encodings = tokenizer.encode_batch(texts.to_vec(), true)?;
    let input = |name: &str, values: fn(&tokenizers::Encoding) -> &[u32]| {
        let data: Vec<i32> = encodings.iter().flat_map(values).map(|value| *value as i32).collect();
        let value = Value::from_shape([texts.len(), data.len() / texts.len()], data)?;
        Ok::<_, Failure>((model.node_id(name)?, value))
    };
    Ok(vec![
        input("input_ids", tokenizers::Encoding::get_ids)?,
        input("attention_mask", tokenizers::Encoding::get_attention_mask)?,
        input("token_type_ids", tokenizers::Encoding::get_type_ids)?,
    ])
}

fn cpu_seconds_of<E>(runs: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let start = cpu_seconds();
    for _ in 0..runs {
        work()?;
    }
    Ok(cpu_seconds() - start)
}

/// Processor time of this process's threads so far, in seconds.
fn cpu_seconds() -> f64 {
    let threads = fs_err::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let stat = fs_err::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
