//! Times what requests, events and trainings are made of.
//!
//! `cargo bench -p sona-numeric [-- NAME]` prints the time of each and how it differs from the last run.
//! Sizes are those of a mid-sized catalogue: 10,000 items, 64 factors.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_numeric::{
    Interactions, Matrix, Projection, RowSet, Scores, Transitions, als, dot, sequence, top_k,
};
use std::hint::black_box;
use std::ops::ControlFlow;

const ITEMS: usize = 10_000;
const FACTORS: usize = 64;

fn floats(count: usize) -> Vec<f32> {
    let mut random = SmallRng::seed_from_u64(count as u64);
    (0..count).map(|_| random.random_range(-0.1..0.1)).collect()
}

/// Rows drawn so that the lowest are the most popular.
fn popular_rows(count: usize, seed: u64) -> Vec<u32> {
    let mut random = SmallRng::seed_from_u64(seed);
    (0..count).map(|_| (ITEMS as f32).powf(random.random::<f32>()) as u32 - 1).collect()
}

/// A user's distinct items with weights.
fn history(length: usize, seed: u64) -> Vec<(u32, f32)> {
    let mut rows = popular_rows(length, seed);
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().map(|row| (row, 0.5)).collect()
}

/// What a request does with the factors.
fn vectors(c: &mut Criterion) {
    let items = Matrix::from_vec(floats(ITEMS * FACTORS), FACTORS);
    let user = floats(FACTORS);
    let mut group = c.benchmark_group("vectors");
    group.bench_function("dot, 64", |b| b.iter(|| dot(black_box(items.row(7)), black_box(&user))));
    group.throughput(Throughput::Elements(ITEMS as u64));
    let mut scores = Vec::new();
    group.bench_function("times, 10,000 x 64", |b| b.iter(|| items.times(&user, &mut scores)));
    let allowed = RowSet::full(ITEMS);
    group.bench_function("top_k, 100 of 10,000", |b| {
        b.iter(|| top_k(black_box(&scores), &allowed, 100, f32::NEG_INFINITY));
    });
    group.finish();
}

/// The fold-in of a user, and what is worked out once for a model.
fn projection(c: &mut Criterion) {
    let items = Matrix::from_vec(floats(ITEMS * FACTORS), FACTORS);
    let options = als::Options::default();
    let projection = Projection::new(&items, &options);
    let mut group = c.benchmark_group("projection");
    group.bench_function("new (Gram matrix), 10,000 x 64", |b| {
        b.iter(|| Projection::new(black_box(&items), &options));
    });
    for length in [5, 50, 500] {
        let history = history(length, 3);
        let name = format!("project, {} titles", history.len());
        group.bench_function(name, |b| b.iter(|| projection.project(&items, black_box(&history))));
    }
    group.finish();
}

/// The counts of neighbours: by event, by request, and by training.
fn transitions(c: &mut Criterion) {
    let options = sequence::Options::default();
    let sequences: Vec<_> = (0..5_000).map(|user| popular_rows(40, user)).collect();
    let counted = Transitions::from_sequences(ITEMS, &sequences, &options);
    let before = popular_rows(20, 99);
    let popularity = sequence::Popularity::new(vec![50; ITEMS], &options);
    let mut group = c.benchmark_group("transitions");
    let mut live = counted.clone();
    let mut next = (0_u32..ITEMS as u32).cycle();
    group.bench_function("observe, after 20", |b| {
        b.iter(|| live.observe(&before, next.next().unwrap_or_default(), &options));
    });
    let mut scores = Scores::default();
    group.bench_function("score, 10 titles", |b| {
        b.iter(|| {
            let sources = options.source_weights(black_box(&before), &popularity);
            counted.score(&sources, &popularity, &mut scores);
        });
    });
    group.throughput(Throughput::Elements(sequences.iter().map(Vec::len).sum::<usize>() as u64));
    group.bench_function("from_sequences, 5,000 x 40", |b| {
        b.iter(|| Transitions::from_sequences(ITEMS, black_box(&sequences), &options));
    });
    group.finish();
}

/// One pass of a training.
fn training(c: &mut Criterion) {
    let rows = (0..5_000).map(|user| history(60, user));
    let interactions = Interactions::from_rows(ITEMS, rows).expect("distinct items in range");
    let options = als::Options { iterations: 1, ..als::Options::default() };
    let mut group = c.benchmark_group("als");
    group.sample_size(10).throughput(Throughput::Elements(interactions.len() as u64));
    group.bench_function("one pass, 5,000 x 10,000, 64 factors", |b| {
        b.iter_batched(
            || interactions.clone(),
            |interactions| als::fit(&interactions, &options, &mut |_| ControlFlow::Continue(())),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(kernels, vectors, projection, transitions, training);
criterion_main!(kernels);
