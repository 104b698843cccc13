//! How long the learned encoder takes, and learning it: `cargo bench -p sona-encoder`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sona_encoder::learn::{Learned, Options, learn};
use sona_encoder::{Encoder, Options as EncoderOptions};

const WORDS: usize = 20;

/// The shipped films, their facts as they stand in the file.
fn films() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/items.jsonl");
    let text = fs_err::read_to_string(file).expect("the demo ships with the product");
    text.lines().map(str::to_owned).collect()
}

/// Texts of twenty words.
fn short(films: &[String]) -> Vec<String> {
    let words = |film: &String| {
        let words = film.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.skip(5).take(WORDS).collect::<Vec<_>>().join(" ")
    };
    films.iter().map(words).collect()
}

fn encoding(c: &mut Criterion) {
    let films = films();
    let Learned { model, .. } = learn(&films, None, &Options::default()).expect("learned");
    let encoder = Encoder::learned(model, &EncoderOptions::default()).expect("usable");
    let texts = short(&films);
    let mut group = c.benchmark_group("encode, 20 words");
    let mut next = texts.iter().cycle();
    group.bench_function("one text", |b| {
        b.iter(|| encoder.encode(black_box(std::slice::from_ref(next.next().expect("cycle")))));
    });
    for count in [32, 1024] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} texts"), |b| {
            b.iter(|| encoder.encode(black_box(&texts[..count])));
        });
    }
    group.finish();
}

fn learning(c: &mut Criterion) {
    let films = films();
    let mut group = c.benchmark_group("learn");
    group.sample_size(10);
    group.bench_function("1,689 films", |b| {
        b.iter(|| learn(black_box(&films), None, &Options::default()));
    });
    group.finish();
}

criterion_group!(encode, encoding, learning);
criterion_main!(encode);
