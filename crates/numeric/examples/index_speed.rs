//! Times the search for the nearest vectors, and counts how many of them are found.
//!
//! `cargo run --release -p sona-numeric --example index_speed -- [ROWS] [WIDTH] [QUERIES] [RATINGS.csv]`
//!
//! Without a file, ROWS vectors are made from a fixed seed: combinations of a few directions and some noise, as
//! embeddings are. A file holds lines that begin with `user,item,rating`; the vectors are then the factors of its items,
//! fitted by ALS, and ROWS says nothing. Every query is answered by each contender before the next query: a plain scan
//! of 32-bit numbers and the index; over all rows, over a tenth and over a hundredth of them.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads files and the clock")]

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_numeric::{Index, Interactions, Matrix, RowSet, als, top_k};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

const K: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| {
        arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>())
    };
    let (rows, width, queries) = (number(0, 100_000)?, number(1, 512)?, number(2, 200)?);
    let (vectors, questions) = if let Some(path) = arguments.get(3) {
        factors(&std::fs::read_to_string(path)?, width, queries)?
    } else {
        let mut random = SmallRng::seed_from_u64(7);
        let directions = normal(64, width, &mut random);
        let vectors = combined(&directions, rows, &mut random);
        (vectors, combined(&directions, queries, &mut random))
    };
    let contenders = Contenders::new(vectors)?;
    let rows = contenders.vectors.rows();
    let (all, mut tenth, mut hundredth) =
        (RowSet::full(rows), RowSet::new(rows), RowSet::new(rows));
    let mut random = SmallRng::seed_from_u64(9);
    for row in 0..rows as u32 {
        match random.random_range(0..100) {
            0 => tenth.insert(row) && hundredth.insert(row),
            1..10 => tenth.insert(row),
            _ => false,
        };
    }
    for (name, allowed) in [("all", &all), ("10 %", &tenth), ("1 %", &hundredth)] {
        println!("\nthe {K} nearest of {name} ({} rows):", allowed.count());
        contenders.race(&questions, allowed)?;
    }
    Ok(())
}

struct Contenders {
    vectors: Matrix,
    index: Index,
}

impl Contenders {
    fn new(mut vectors: Matrix) -> Result<Self, Box<dyn Error>> {
        let (rows, width) = (vectors.rows(), vectors.width());
        println!("{rows} vectors of {width}");
        let mut index = Index::new(width);
        let start = Instant::now();
        for row in 0..rows {
            index.upsert(row as u32, vectors.row(row))?;
        }
        println!("index: {:.2} s", start.elapsed().as_secs_f64());
        for row in 0..rows as u32 {
            let unit = index.vector(row).ok_or("every row has a vector")?;
            vectors.row_mut(row as usize).copy_from_slice(unit);
        }
        Ok(Self { vectors, index })
    }

    fn race(&self, questions: &Matrix, allowed: &RowSet) -> Result<(), Box<dyn Error>> {
        let names = ["plain scan", "index"];
        let mut times = [const { Vec::new() }; 2];
        let (mut hits, mut answers, mut wanted) = ([0; 2], [0; 2], 0);
        for question in (0..questions.rows()).map(|at| unit(questions.row(at))) {
            let question = question.as_slice();
            let mut timed = |at: usize, answer: &dyn Fn() -> Result<Vec<u32>, Box<dyn Error>>| {
                let start = Instant::now();
                let found = answer();
                times[at].push(start.elapsed().as_secs_f64() * 1e3);
                found
            };
            let plain = timed(0, &|| Ok(self.scan(question, allowed)))?;
            let index = timed(1, &|| {
                let found = self.index.search(question, K, allowed)?;
                Ok(found.into_iter().map(|(row, _)| row).collect())
            })?;
            let right: HashSet<&u32> = plain.iter().collect();
            wanted += plain.len();
            for (at, found) in [&plain, &index].into_iter().enumerate() {
                answers[at] += found.len();
                hits[at] += found.iter().filter(|row| right.contains(row)).count();
            }
        }
        for times in &mut times {
            times.sort_by(f64::total_cmp);
        }
        let middle = |times: &[f64]| times[times.len() / 2];
        for (at, name) in names.into_iter().enumerate() {
            let (times, scan) = (&times[at], middle(&times[0]));
            println!(
                "  {name:<11} p10 {:>7.3} ms  p50 {:>7.3} ms  p99 {:>7.3} ms  {:>6.2} of the scan  {} answers  recall {:.4}",
                times[times.len() / 10],
                middle(times),
                times[times.len() * 99 / 100],
                middle(times) / scan,
                answers[at],
                hits[at] as f64 / wanted as f64,
            );
        }
        Ok(())
    }

    /// Every allowed vector by its product with the question.
    fn scan(&self, question: &[f32], allowed: &RowSet) -> Vec<u32> {
        let mut scores = vec![f32::NEG_INFINITY; self.vectors.rows()];
        for row in allowed.iter() {
            scores[row as usize] = sona_numeric::dot(question, self.vectors.row(row as usize));
        }
        let best = top_k(&scores, allowed, K, f32::NEG_INFINITY);
        best.into_iter().map(|(row, _)| row).collect()
    }
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = sona_numeric::dot(vector, vector).sqrt();
    vector.iter().map(|value| value / length).collect()
}

/// Numbers that are about normally distributed.
fn normal(rows: usize, width: usize, random: &mut SmallRng) -> Matrix {
    let mut one = || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
    Matrix::from_vec((0..rows * width).map(|_| one()).collect(), width)
}

/// Each row a few of the directions, and some noise.
fn combined(directions: &Matrix, rows: usize, random: &mut SmallRng) -> Matrix {
    let width = directions.width();
    let mut all = Matrix::zeros(rows, width);
    for row in 0..rows {
        for _ in 0..6 {
            let (of, weight) =
                (random.random_range(0..directions.rows()), random.random_range(0.2_f32..1.0));
            for (value, part) in all.row_mut(row).iter_mut().zip(directions.row(of)) {
                *value += weight * part;
            }
        }
        for value in all.row_mut(row) {
            *value += random.random_range(-1.0..1.0);
        }
    }
    all
}

/// The factors of items, and of as many users as there are to be questions.
fn factors(text: &str, width: usize, queries: usize) -> Result<(Matrix, Matrix), Box<dyn Error>> {
    let (mut users, mut items) = (HashMap::new(), HashMap::new());
    let mut rows: Vec<Vec<(u32, f32)>> = Vec::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let (Some(user), Some(item)) = (cells.next(), cells.next()) else { continue };
        let (next_user, next_item) = (users.len(), items.len() as u32);
        let user = *users.entry(user).or_insert(next_user);
        if user == rows.len() {
            rows.push(Vec::new());
        }
        rows[user].push((*items.entry(item).or_insert(next_item), 1.0));
    }
    let interactions = Interactions::from_rows(items.len(), rows)?;
    let options = als::Options { factors: width, iterations: 8, ..als::Options::default() };
    let model = als::fit(&interactions, &options, &mut |_| ControlFlow::Continue(()))?;
    let questions = model.users.as_slice()[..queries.min(users.len()) * width].to_vec();
    Ok((model.items, Matrix::from_vec(questions, width)))
}
