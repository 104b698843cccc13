//! Times the factorisation on a large power-law matrix.
//!
//! `cargo run --release -p sona-numeric --example als_speed -- [FACTORS] [ITERATIONS] [FILE.csr [FACTORS.f32]]`
//!
//! Without a file, 50,000 users × 10,000 items × about 5 million pairs are made from a fixed seed. A file
//! holds `CSR1`, then little-endian u64 rows, columns, entries, row pointers, u32 columns, f32 values; a
//! value `v` is read as confidence `10·v` beside 1 for unobserved pairs. The loss is printed per unit of
//! confidence, as other libraries do; times and processor time count from the start of the fit. The last
//! file takes the factors in the end: little-endian f32, users first.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads files and the clock")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sona_numeric::{Interactions, als};
use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| {
        arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>())
    };
    let interactions = match arguments.get(2) {
        Some(path) => read(&std::fs::read(path)?)?,
        None => generate()?,
    };
    let options = als::Options {
        factors: number(0, 64)?,
        iterations: number(1, 10)?,
        unobserved_weight: 1.0,
        regularization: 0.01,
        regularization_exponent: 0.0,
        confidence_alpha: 10.0,
        seed: 1,
    };
    let (users, items, pairs) = (interactions.users(), interactions.items(), interactions.len());
    println!("{users} users, {items} items, {pairs} pairs, {} factors", options.factors);
    let gains: f64 = (0..users)
        .flat_map(|user| interactions.row(user).1)
        .map(|&weight| f64::from(weight) * f64::from(options.confidence_alpha))
        .sum();
    let confidence = users as f64 * items as f64 + gains;
    let (start, cpu_at_start) = (Instant::now(), cpu_seconds());
    let mut last = start;
    let model = als::fit(&interactions, &options, &mut |iteration| {
        let (took, total) = (last.elapsed().as_secs_f64(), start.elapsed().as_secs_f64());
        last = Instant::now();
        let loss = iteration.loss / confidence;
        let cpu = cpu_seconds() - cpu_at_start;
        println!(
            "{:>3}  loss {loss:.6}  {took:.3} s  total {total:.2} s  cpu {cpu:.2} s",
            iteration.index
        );
        ControlFlow::Continue(())
    })?;
    if let Some(path) = arguments.get(3) {
        let values = model.users.as_slice().iter().chain(model.items.as_slice());
        std::fs::write(path, values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    }
    Ok(())
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

/// Popularity by Zipf's law, activity by an exponential of a uniform; 60 % of a user's pairs from the
/// taste of one of 64 groups, so that there is something to learn.
fn generate() -> Result<Interactions, Box<dyn Error>> {
    const USERS: u32 = 50_000;
    const ITEMS: u32 = 10_000;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut zipf = |shift: u32| {
        let rank = ((ITEMS as f32).powf(random.random::<f32>()) - 1.0) as u32;
        ((rank + shift) % ITEMS, random.random_range(1..4) as f32)
    };
    let rows = (0..USERS).map(|user| {
        let quota =
            20 + 6 * (1.0 / (0.003 + f64::from(user % 1000) / 1000.0)) as u32 + 2 * (user % 70);
        let taste = (user % 64) * 151;
        let mut row: Vec<(u32, f32)> =
            (0..quota * 2).map(|at| zipf(if at % 5 < 3 { taste } else { 0 })).collect();
        row.sort_unstable_by_key(|&(item, _)| item);
        row.dedup_by_key(|&mut (item, _)| item);
        row
    });
    Ok(Interactions::from_rows(ITEMS as usize, rows.collect::<Vec<_>>())?)
}

fn read(bytes: &[u8]) -> Result<Interactions, Box<dyn Error>> {
    let body = bytes.strip_prefix(b"CSR1").ok_or("not a CSR1 file")?;
    let (words, _) = body.as_chunks::<8>();
    let word =
        |at: usize| words.get(at).map(|&word| u64::from_le_bytes(word) as usize).ok_or("cut short");
    let (rows, columns, entries) = (word(0)?, word(1)?, word(2)?);
    let (cells, _) = body[8 * (4 + rows)..].as_chunks::<4>();
    let (indices, values) = cells.split_at_checked(entries).ok_or("cut short")?;
    let starts = (0..=rows).map(|row| word(3 + row)).collect::<Result<Vec<_>, _>>()?;
    if starts.is_empty() || starts.windows(2).any(|w| w[1] < w[0]) || starts[rows] > entries {
        return Err("row pointers out of order".into());
    }
    // Ours is α0 + α·w; a confidence of 10·v therefore is a weight of v − α0/α.
    let weight = |at: usize| f32::from_le_bytes(values[at]) - 0.1;
    let pair = |at: usize| (u32::from_le_bytes(indices[at]), weight(at));
    let lists = starts.windows(2).map(|w| (w[0]..w[1]).map(pair).collect());
    Ok(Interactions::from_rows(columns, lists)?)
}
