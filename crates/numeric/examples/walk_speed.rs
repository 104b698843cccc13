//! Times walks over a large graph of titles, attributes and viewers.
//!
//! `cargo run --release -p sona-numeric --example walk_speed -- [EDGES] [ITEMS] [QUERIES] [BUDGET]`
//!
//! By default 50 million edges over 100,000 titles. Genres, people and themes have as many titles as a law of 1/rank gives
//! them; viewers have 50 titles each, drawn by the same law, so that the most popular titles have hundreds of thousands
//! of viewers and the first genre a third of the catalogue. A query begins at 50 titles drawn like a viewer's. The
//! time of a query is that of its scores and of the paths to the ten best titles; everything comes from a fixed seed.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads the clock and its size")]

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_numeric::walk::{Edge, Graph, Layer, Options};
use sona_numeric::{RowSet, top_k};
use std::error::Error;
use std::time::Instant;

/// Titles of a viewer, and of a query.
const TITLES: usize = 50;

/// Kinds of attributes: weight, hubs, and how many a title has.
const ATTRIBUTES: [(f32, usize, usize); 4] =
    [(0.21, 30, 3), (0.15, 200_000, 10), (0.12, 20_000, 1), (0.12, 2_000, 5)];

/// Weight of the layer of viewers.
const VIEWERS: f32 = 0.4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| {
        arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>())
    };
    let (edges, items, queries) = (number(0, 50_000_000)?, number(1, 100_000)?, number(2, 2_000)?);
    let options = Options { budget: number(3, Options::default().budget)?, ..Options::default() };
    let mut random = SmallRng::seed_from_u64(7);
    let start = Instant::now();
    let mut layers = Vec::new();
    for (weight, hubs, each) in ATTRIBUTES {
        let rows = (0..items as u32).map(|item| (item, distinct(hubs, each, &mut random)));
        let edges = rows.flat_map(|(item, hubs)| hubs.into_iter().map(move |hub| (item, hub)));
        layers.push((weight, layer(items, hubs, edges)?));
    }
    let attributes: usize = layers.iter().map(|(_, layer)| layer.edges()).sum();
    let viewers = edges.saturating_sub(attributes) / TITLES;
    let rows = (0..viewers as u32).map(|viewer| (viewer, distinct(items, TITLES, &mut random)));
    let seen = rows.flat_map(|(viewer, items)| items.into_iter().map(move |item| (item, viewer)));
    layers.push((VIEWERS, layer(items, viewers, seen)?));
    let graph = Graph::new(items, layers);
    println!(
        "{} edges, {items} titles, {viewers} viewers: built in {:.1} s, {} MB resident",
        graph.edges(),
        start.elapsed().as_secs_f64(),
        resident_megabytes()
    );
    println!("{options:?}, {TITLES} seeds");
    walk(&graph, queries, &options, &mut random);
    Ok(())
}

fn walk(graph: &Graph, queries: usize, options: &Options, random: &mut SmallRng) {
    let (mut scoring, mut whole) = (Vec::new(), Vec::new());
    let mut scores = Vec::new();
    let mut paths = 0;
    for _ in 0..queries {
        let seeds = distinct(graph.items(), TITLES, random);
        let mut allowed = RowSet::full(graph.items());
        for &seed in &seeds {
            allowed.remove(seed);
        }
        let seeds: Vec<_> = seeds.into_iter().map(|seed| (seed, 1.0)).collect();
        let start = Instant::now();
        let walk = graph.walk(&seeds, options);
        walk.score(&mut scores);
        let best = top_k(&scores, &allowed, 100, 0.0);
        scoring.push(start.elapsed().as_secs_f64() * 1e3);
        for (row, _) in best.iter().take(10) {
            paths += walk.paths(*row).len();
        }
        whole.push(start.elapsed().as_secs_f64() * 1e3);
    }
    for (name, times) in [("scores", &mut scoring), ("scores and paths", &mut whole)] {
        times.sort_by(f64::total_cmp);
        let at = |per_mille: usize| times[(times.len() * per_mille / 1000).min(times.len() - 1)];
        println!(
            "{name:<17} p10 {:.3}  p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  most {:.3} ms",
            at(100),
            at(500),
            at(900),
            at(990),
            at(999),
            at(1000)
        );
    }
    println!("{:.1} paths to each of the ten best titles", paths as f64 / (queries * 10) as f64);
}

/// `count` different numbers below `below`, the lower the likelier.
fn distinct(below: usize, count: usize, random: &mut SmallRng) -> Vec<u32> {
    let mut drawn: Vec<u32> = Vec::with_capacity(count);
    while drawn.len() < count {
        let rank = (below as f64 + 1.0).powf(random.random::<f64>()) as u32 - 1;
        if (rank as usize) < below && !drawn.contains(&rank) {
            drawn.push(rank);
        }
    }
    drawn
}

fn layer(
    items: usize,
    hubs: usize,
    pairs: impl Iterator<Item = (u32, u32)>,
) -> Result<Layer, Box<dyn Error>> {
    // A strength that is the same from run to run and differs from edge to edge.
    let strength = |item: u32, hub: u32| {
        let mixed = (item ^ hub.rotate_left(16)).wrapping_mul(0x9E37_79B9) >> 24;
        (mixed + 1) as f32 / 256.0
    };
    let edges: Vec<Edge> =
        pairs.map(|(item, hub)| Edge { item, hub, strength: strength(item, hub) }).collect();
    Ok(Layer::new(items, hubs, &edges)?)
}

/// 0 where there is no `/proc`.
fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() >> 10
}
