//! Times what requests, events and trainings are made of.
//!
//! `cargo bench -p sona-numeric [-- NAME]` prints the time of each and how it differs from the last run.
//! Sizes are those of a mid-sized catalogue: 10,000 items, 64 factors.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_numeric::{
    Interactions, Matrix, Projection, RowSet, Scores, Transitions, als, dot, listwise, lora, mmr,
    online, rank, sequence, top_k,
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

/// Queries of 50 candidates with 40 features, one value in 20 missing, the best by a product of two worth something.
fn queries(count: usize) -> (Matrix, Vec<u32>, Vec<f32>) {
    let mut random = SmallRng::seed_from_u64(5);
    let (mut values, mut gains) = (Vec::new(), Vec::new());
    for _ in 0..count * 50 {
        let x: Vec<f32> = (0..40).map(|_| random.random_range(-1.0..1.0)).collect();
        gains.push(if x[0] * x[1] + 0.3 * x[2] > 0.7 { 1.0 } else { 0.0 });
        values.extend(
            x.into_iter().map(
                |value| {
                    if random.random_range(0..20) == 0 { f32::NAN } else { value }
                },
            ),
        );
    }
    (Matrix::from_vec(values, 40), vec![50; count], gains)
}

/// A learned order: its fit, and what a request asks of it.
fn ranking(c: &mut Criterion) {
    let (features, sizes, gains) = queries(1_000);
    let queries =
        rank::Queries { features: &features, sizes: &sizes, gains: &gains, weights: None };
    let fit = |trees| {
        let options = rank::Options { trees, ..rank::Options::default() };
        rank::fit(&queries, None, &options, &mut |_| ControlFlow::Continue(()))
    };
    let model = fit(120).expect("sound queries").model;
    let rows = |count: usize| Matrix::from_vec(features.as_slice()[..count * 40].to_vec(), 40);
    let mut group = c.benchmark_group("rank");
    let (candidates, mut scores) = (rows(200), Vec::new());
    group.bench_function("score_rows, 200 x 40, 120 trees", |b| {
        b.iter(|| model.score_rows(black_box(&candidates), &mut scores));
    });
    let (served, mut contributions) = (rows(20), Vec::new());
    group.bench_function("attribute_rows, 20 x 40, 120 trees", |b| {
        b.iter(|| model.attribute_rows(black_box(&served), &mut contributions));
    });
    group.sample_size(10);
    group.bench_function("fit, 1,000 x 50 x 40, 10 trees", |b| b.iter(|| fit(black_box(10))));
    group.finish();
}

/// A user's adapter of rank 8 in two contexts: by event (150 candidates besides the chosen one), and by request (500).
fn adapters(c: &mut Criterion) {
    let (inputs, rank, candidates) = (37, 8, 151);
    let base = lora::Base::from_matrix(Matrix::from_vec(floats(rank * inputs), inputs));
    let base = base.expect("finite");
    let features = floats(500 * inputs);
    let (mut z, context) = (Vec::new(), [1.0, 0.3]);
    base.project(&features, &mut z);
    for value in &mut z {
        *value *= 50.0;
    }
    let offsets = floats(candidates);
    let list = listwise::List {
        features: &z[..candidates * rank],
        offsets: &offsets,
        chosen: 0,
        weight: 1.0,
    };
    let mut state = online::State::new(rank, 2, online::Options { ridge: 1.0, forgetting: 1.0 });
    let mut scratch = listwise::Scratch::default();
    let mut group = c.benchmark_group("lora");
    group.bench_function("statistics, 151 x 8", |b| {
        b.iter(|| state.lesson(black_box(list), &context, &mut scratch));
    });
    let lesson = state.lesson(list, &context, &mut scratch).expect("finite");
    group.bench_function("add a lesson, 16 x 16", |b| b.iter(|| state.learn(black_box(&lesson))));
    group.bench_function("solve, 16 x 16", |b| b.iter(|| black_box(&mut state).solve()));
    let fresh = lora::Adapter::new(rank, 2, lora::Options::default());
    let opinion = lora::Opinion::Positive;
    let choice = lora::Choice { list, context: &context, opinion };
    group.bench_function("learn from an event, all of it", |b| {
        // From one state: of a choice that is repeated for ever there is less and less to learn.
        let learn = |mut adapter: lora::Adapter| adapter.learn(black_box(choice), &mut scratch);
        b.iter_batched(|| fresh.clone(), learn, BatchSize::SmallInput);
    });
    let mut adapter = fresh.clone();
    for _ in 0..10 {
        adapter.learn(choice, &mut scratch).expect("finite");
    }
    let mut logits = vec![0.0; 500];
    group.bench_function("adjust, 500 x 8", |b| {
        b.iter(|| adapter.adjust(black_box(&z), &context, &mut logits));
    });
    let mut projected = Vec::new();
    group.bench_function("project, 500 x 37", |b| {
        b.iter(|| base.project(black_box(&features), &mut projected));
    });
    group.finish();
}

/// A list that does not repeat itself, of random vectors, whose similarities prune least.
fn diversity(c: &mut Criterion) {
    let relevance: Vec<f32> = (0..500_u16).map(|at| 1.0 - f32::from(at) / 500.0).collect();
    let attributes: Vec<[u32; 3]> =
        (0..500).map(|at| [at % 7, 10 + at % 13, 30 + at % 40]).collect();
    let mut group = c.benchmark_group("mmr");
    for width in [64, 512] {
        let vectors = Matrix::from_vec(floats(500 * width), width);
        for (lambda, cap) in [(0.7, Some(8)), (0.0, None)] {
            let options = mmr::Options { lambda, limit: 50, cap };
            let caps = if cap.is_some() { ", caps" } else { "" };
            group.bench_function(format!("50 of 500 x {width}, lambda {lambda}{caps}"), |b| {
                b.iter(|| {
                    let vector = |at| Some(vectors.row(at));
                    mmr::select(black_box(&relevance), vector, |at| &attributes[at], &options)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(kernels, vectors, projection, transitions, training, ranking, adapters, diversity);
criterion_main!(kernels);
