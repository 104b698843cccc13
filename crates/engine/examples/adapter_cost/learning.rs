//! Learning, and a file's way to an adapter and back, on one thread.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::hint::black_box;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_formats::adapters::{Learned, UserWeights};
use sona_numeric::listwise::{List, Scratch};
use sona_numeric::lora::{Adapter, Choice, Opinion, Options};

use super::measure::cpu;

/// As an adapter is by default.
pub(crate) const RANK: usize = 8;
pub(crate) const CONTEXTS: usize = 2;

const EVENTS: usize = 50;
/// The head of a list, of which adapters learn.
const CANDIDATES: usize = 50;
const ROUNDS: usize = 2_000;

pub(crate) fn run() {
    let trained = per_round(train);
    println!(
        "learning from {EVENTS} choices between {CANDIDATES} titles, rank {RANK}: {trained:.1} us of CPU time"
    );
    for (name, bytes) in [("adapter", small()), ("40 KB", large())] {
        let weights = UserWeights::decode(&bytes).expect("whole");
        let decoded = per_round(|_| {
            black_box(UserWeights::decode(black_box(&bytes)).expect("whole"));
        });
        let encoded = per_round(|_| {
            black_box(black_box(&weights).encode().expect("sound"));
        });
        println!(
            "{name}, {} bytes: decoded in {decoded:.2} us, encoded in {encoded:.2} us of CPU time",
            bytes.len()
        );
    }
}

/// The processor time of one call, in microseconds.
fn per_round(mut work: impl FnMut(usize)) -> f64 {
    let before = cpu();
    (0..ROUNDS).for_each(&mut work);
    (cpu() - before) / ROUNDS as f64
}

/// Fifty different choices; told once.
fn train(round: usize) {
    thread_local! {
        static CHOICES: Vec<(Vec<f32>, Vec<f32>)> = choices();
    }
    CHOICES.with(|choices| {
        let mut adapter = Adapter::new(RANK, CONTEXTS, Options::default());
        let mut scratch = Scratch::default();
        for (at, (features, offsets)) in choices.iter().enumerate() {
            let chosen = (round + at) % CANDIDATES;
            let list = List { features, offsets, chosen, weight: 1.0 };
            let choice = Choice { list, context: &[1.0, 0.3], opinion: Opinion::Positive };
            adapter.learn(choice, &mut scratch).expect("finite");
        }
        black_box(adapter);
    });
}

fn choices() -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut random = SmallRng::seed_from_u64(1);
    let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
    (0..EVENTS).map(|_| (numbers(CANDIDATES * RANK), numbers(CANDIDATES))).collect()
}

/// A file of an adapter as it is by default.
pub(crate) fn small() -> Vec<u8> {
    adapter(0, 12)
}

/// A user's adapter that has learned from so many choices.
pub(crate) fn adapter(user: usize, iterations: u64) -> Vec<u8> {
    let n = RANK * CONTEXTS;
    let mut random = SmallRng::seed_from_u64(user as u64);
    let solution: Vec<f64> = (0..n).map(|_| random.random_range(-0.1..0.1)).collect();
    let learned = Learned::Lists {
        right: solution.iter().map(|b| 10.0 * b).collect(),
        solution,
        precision: (0..n)
            .flat_map(|row| (0..=row).map(move |at| 9.0 * f64::from(at == row)))
            .collect(),
        gain: 0.5,
        unsolved: 0,
    };
    file(RANK, CONTEXTS, iterations, learned)
}

/// A file of as many bytes as those of other products have: what others are measured with.
pub(crate) fn large() -> Vec<u8> {
    let (rank, outputs) = (13, 768);
    let rows = (0..rank * outputs).map(|at| (at as f32).sin()).collect();
    file(rank, outputs, 5, Learned::Gradient { rows })
}

fn file(rank: usize, outputs: usize, iterations: u64, learned: Learned) -> Vec<u8> {
    let weights = UserWeights { base_version: 1, rank, outputs, scale: 4.0, iterations, learned };
    weights.encode().expect("sound")
}
