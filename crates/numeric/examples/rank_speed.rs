//! Times the fit of a ranker, its scores and its attributions, on made queries.
//!
//! `cargo run --release -p sona-numeric --example rank_speed -- [QUERIES] [CANDIDATES] [FEATURES] [FOLDER]`
//!
//! Of three queries made one is held out. A candidate's gain depends on products of its features, so that a linear order does not find
//! it; one in twenty features is missing. With a folder the queries are written there for other programs: little-endian
//! `train.features.f32`, `train.gains.f32`, `test.features.f32`, `test.gains.f32`, row after row. `RAYON_NUM_THREADS` bounds
//! the threads.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads files and the clock")]

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_numeric::{Matrix, rank};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// Candidates and features of one request that is scored.
const REQUEST: (usize, usize) = (200, 40);

/// Candidates of a request that are explained.
const SERVED: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| {
        arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>())
    };
    let (queries, candidates, features) = (number(0, 22_000)?, number(1, 50)?, number(2, 20)?);
    let train = made(queries, candidates, features, 1);
    let test = made(queries / 2, candidates, features, 2);
    if let Some(folder) = arguments.get(3) {
        train.write(Path::new(folder), "train")?;
        test.write(Path::new(folder), "test")?;
    }
    println!("{queries} queries of {candidates} candidates, {features} features");
    let options = rank::Options::default();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let fit = rank::fit(&train.queries(), None, &options, &mut |_| ControlFlow::Continue(()))?;
    let took = start.elapsed().as_secs_f64();
    let last = fit.iterations.last().map_or(0.0, |iteration| iteration.ndcg);
    println!("fit {took:.3} s, cpu {:.3} s, train NDCG@10 {last:.5}", cpu_seconds() - cpu);
    println!("test NDCG@10 {:.5}", test.ndcg(&fit.model));
    requests()
}

/// Times what a request asks of a model of the default size.
fn requests() -> Result<(), Box<dyn Error>> {
    let (candidates, features) = REQUEST;
    let train = made(2_000, 30, features, 3);
    let options = rank::Options::default();
    let fit = rank::fit(&train.queries(), None, &options, &mut |_| ControlFlow::Continue(()))?;
    let asked = made(1, candidates, features, 4).features;
    let (mut scores, mut contributions) = (Vec::new(), Vec::new());
    let score = best_of(300, || fit.model.score_rows(&asked, &mut scores));
    let one_by_one = best_of(100, || {
        scores.clear();
        scores.extend((0..candidates).map(|row| fit.model.score(asked.row(row))));
    });
    let served = Matrix::from_vec(asked.as_slice()[..SERVED * features].to_vec(), features);
    let attribute = best_of(100, || fit.model.attribute_rows(&served, &mut contributions));
    println!("{candidates} candidates, {features} features, {} trees:", fit.model.trees());
    println!("  score_rows {score:.0} us, score one by one {one_by_one:.0} us");
    println!("  attribute_rows, {SERVED} of them, {attribute:.0} us");
    Ok(())
}

/// The least microseconds of `rounds`.
fn best_of(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut time = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..rounds).map(|_| time()).fold(f64::INFINITY, f64::min)
}

/// Queries with candidates whose gains are known.
struct Made {
    features: Matrix,
    sizes: Vec<u32>,
    gains: Vec<f32>,
}

fn made(queries: usize, candidates: usize, features: usize, seed: u64) -> Made {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(queries * candidates * features);
    let mut gains = Vec::with_capacity(queries * candidates);
    for _ in 0..queries * candidates {
        let x: Vec<f32> = (0..features).map(|_| random.random_range(-1.0..1.0)).collect();
        let at = |feature: usize| x[feature % features];
        let noise = random.random_range(-1.0..1.0_f32) + random.random_range(-1.0..1.0);
        let worth =
            2.0 * at(0) * at(1) + at(2).abs() + 0.5 * at(3) - at(4).max(at(5)) + 0.7 * noise;
        gains.push(if worth > 2.2 {
            3.0
        } else if worth > 1.6 {
            1.0
        } else {
            0.0
        });
        values.extend(
            x.into_iter().map(
                |value| {
                    if random.random_range(0..20) == 0 { f32::NAN } else { value }
                },
            ),
        );
    }
    let features = Matrix::from_vec(values, features);
    Made { features, sizes: vec![candidates as u32; queries], gains }
}

impl Made {
    fn queries(&self) -> rank::Queries<'_> {
        rank::Queries {
            features: &self.features,
            sizes: &self.sizes,
            gains: &self.gains,
            weights: None,
        }
    }

    fn write(&self, folder: &Path, name: &str) -> std::io::Result<()> {
        let bytes = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let features = bytes(self.features.as_slice());
        std::fs::write(folder.join(format!("{name}.features.f32")), features)?;
        std::fs::write(folder.join(format!("{name}.gains.f32")), bytes(&self.gains))
    }

    /// Mean NDCG at 10 of the order a model makes, over the queries that have a gain.
    fn ndcg(&self, model: &rank::Model) -> f64 {
        let mut scores = Vec::new();
        model.score_rows(&self.features, &mut scores);
        let size = self.sizes[0] as usize;
        let queries = self.gains.chunks_exact(size).zip(scores.chunks_exact(size));
        let of = |(gains, scores): (&[f32], &[f64])| {
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            let mut ideal = gains.to_vec();
            ideal.sort_by(|a, b| b.total_cmp(a));
            let best = dcg(ideal.into_iter());
            (best > 0.0).then(|| dcg(order.into_iter().map(|at| gains[at])) / best)
        };
        let found: Vec<f64> = queries.filter_map(of).collect();
        found.iter().sum::<f64>() / found.len() as f64
    }
}

fn dcg(gains: impl Iterator<Item = f32>) -> f64 {
    let first = gains.take(rank::NDCG_AT).enumerate();
    first.map(|(place, gain)| f64::from(gain) / (place as f64 + 2.0).log2()).sum()
}

/// Processor time of all threads so far; 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    /// Ticks of `/proc/PID/stat` in a second, on every Linux.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th word behind it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
