//! Chooses the factorisation's defaults on a file of ratings.
//!
//! `cargo run --release -p sona-numeric --example tune_als -- demo/events.csv [--grid]`
//!
//! The file has a header and lines `user,item,rating 0..10,timestamp`. Per user in order of time, the last
//! event is dropped unseen, the one before it is what a list must contain, everything earlier is what is
//! trained on. Printed is the mean NDCG@10 over all items the user has not seen, of the defaults and
//! what lies around them (or a coarse grid), beside the sequence counts and the popularity of the 14 days before each target.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a program on its own reads files and the clock")]

use rayon::prelude::*;
use sona_numeric::{Interactions, Projection, RowSet, Transitions, als, metrics, sequence, top_k};
use std::collections::HashMap;
use std::error::Error;
use std::ops::ControlFlow;

const FORTNIGHT_SECONDS: i64 = 14 * 24 * 3600;

/// One user's training events and the item that should come next.
struct Case {
    history: Vec<(u32, f32)>,
    target: u32,
    time: i64,
}

struct World {
    items: usize,
    cases: Vec<Case>,
    /// Time and item of every event but each user's last.
    log: Vec<(i64, u32)>,
    /// Distinct viewers per item in training.
    popularity: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: tune_als EVENTS.csv [--grid]")?;
    let world = World::read(&std::fs::read_to_string(path)?)?;
    println!("{} users, {} items", world.cases.len(), world.items);
    println!("recent  {:.4}", world.mean(|case, scores| world.score_recent(case, scores)));
    let sequences: Vec<Vec<u32>> =
        world.cases.iter().map(|case| case.history.iter().map(|pair| pair.0).collect()).collect();
    for (name, options) in sequence_variants() {
        let transitions = Transitions::from_sequences(world.items, &sequences, &options);
        let ndcg = world.mean(|case, scores| {
            let recent: Vec<u32> = case.history.iter().rev().map(|pair| pair.0).collect();
            transitions.score(&recent, &world.popularity, &options, scores);
        });
        println!("sequence  {ndcg:.4}  {name}");
    }
    let rows: Vec<Vec<(u32, f32)>> = world.cases.iter().map(|case| case.history.clone()).collect();
    let interactions = Interactions::from_rows(world.items, rows)?;
    println!(
        "als  NDCG@10 mean, least, most over seeds | alpha0  lambda  nu  alpha  factors  iterations"
    );
    for options in around(&als::Options::default()) {
        world.als(&interactions, &options, 3)?;
    }
    if std::env::args().nth(2).as_deref() == Some("--grid") {
        for options in grid() {
            world.als(&interactions, &options, 1)?;
        }
    }
    Ok(())
}

fn grid() -> Vec<als::Options> {
    let mut all = Vec::new();
    for unobserved_weight in [0.02, 0.05, 0.1, 0.2, 0.5, 1.0] {
        for regularization in [0.003, 0.01, 0.03, 0.1, 0.3, 1.0] {
            for confidence_alpha in [0.5, 1.0, 3.0] {
                all.push(als::Options {
                    unobserved_weight,
                    regularization,
                    confidence_alpha,
                    ..als::Options::default()
                });
            }
        }
    }
    all
}

/// One value changed at a time.
fn around(middle: &als::Options) -> Vec<als::Options> {
    let mut all = vec![middle.clone()];
    for times in [0.5, 0.7, 1.4, 2.0] {
        all.push(als::Options { regularization: middle.regularization * times, ..middle.clone() });
        all.push(als::Options {
            unobserved_weight: middle.unobserved_weight * times,
            ..middle.clone()
        });
        all.push(als::Options {
            confidence_alpha: middle.confidence_alpha * times,
            ..middle.clone()
        });
    }
    for factors in [16, 32, 128] {
        all.push(als::Options { factors, ..middle.clone() });
    }
    for iterations in [5, 8, 12, 15] {
        all.push(als::Options { iterations, ..middle.clone() });
    }
    // Rows weigh about 300 here: less growth with weight needs a larger λ for the same middle.
    for (exponent, times) in [(0.75, 4.0), (0.5, 17.0), (0.5, 8.0)] {
        let regularization = middle.regularization * times;
        all.push(als::Options {
            regularization_exponent: exponent,
            regularization,
            ..middle.clone()
        });
    }
    all
}

fn sequence_variants() -> Vec<(&'static str, sequence::Options)> {
    let base = sequence::Options::default();
    vec![
        ("defaults", base.clone()),
        ("window 10", sequence::Options { window: 10, ..base.clone() }),
        ("window 40", sequence::Options { window: 40, ..base.clone() }),
        (
            "history 20, decay .8",
            sequence::Options { history: 20, history_decay: 0.8, ..base.clone() },
        ),
        (
            "source exponent .2",
            sequence::Options { source_popularity_exponent: 0.2, ..base.clone() },
        ),
        (
            "source exponent .7",
            sequence::Options { source_popularity_exponent: 0.7, ..base.clone() },
        ),
        (
            "target exponent 0",
            sequence::Options { target_popularity_exponent: 0.0, ..base.clone() },
        ),
        (
            "target exponent .3",
            sequence::Options { target_popularity_exponent: 0.3, ..base.clone() },
        ),
        ("backward 0", sequence::Options { backward: 0.0, ..base.clone() }),
        ("backward .5", sequence::Options { backward: 0.5, ..base.clone() }),
        ("distance exponent 1", sequence::Options { distance_exponent: 1.0, ..base }),
    ]
}

/// Engagement of a rating 0..10: half of it in whole stars, one star .4 up to five stars .7.
fn engagement(rating: f32) -> f32 {
    let stars = (rating / 2.0).round().clamp(1.0, 5.0);
    0.4 + 0.3 * (stars - 1.0) / 4.0
}

impl World {
    fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut item_rows: HashMap<&str, u32> = HashMap::new();
        let mut users: HashMap<&str, Vec<(i64, u32, f32)>> = HashMap::new();
        for line in text.lines().skip(1) {
            let mut fields = line.trim().split(',');
            let mut field = || fields.next().ok_or("a line with less than four fields");
            let (user, item, rating, time) = (field()?, field()?, field()?, field()?);
            let next = item_rows.len() as u32;
            let item = *item_rows.entry(item).or_insert(next);
            let event = (time.parse()?, item, engagement(rating.parse()?));
            users.entry(user).or_default().push(event);
        }
        let mut users: Vec<_> = users.into_iter().collect();
        users.sort_unstable_by_key(|user| user.0);
        let items = item_rows.len();
        let mut world = Self { items, cases: vec![], log: vec![], popularity: vec![0; items] };
        for (_, mut events) in users {
            events.sort_by_key(|event| event.0);
            events.pop();
            world.log.extend(events.iter().map(|event| (event.0, event.1)));
            let Some((time, target, _)) = events.pop().filter(|_| events.len() > 1) else {
                continue;
            };
            let history: Vec<(u32, f32)> = events.iter().map(|event| (event.1, event.2)).collect();
            for &(item, _) in &history {
                world.popularity[item as usize] += 1;
            }
            world.cases.push(Case { history, target, time });
        }
        world.log.sort_unstable();
        Ok(world)
    }

    /// Mean NDCG@10 of what `score` writes, among items the user has not seen.
    fn mean(&self, score: impl Fn(&Case, &mut [f32]) + Sync) -> f64 {
        let each: Vec<f64> = self
            .cases
            .par_iter()
            .map(|case| {
                let mut scores = vec![0.0; self.items];
                score(case, &mut scores);
                let mut allowed = RowSet::full(self.items);
                for &(item, _) in &case.history {
                    allowed.remove(item);
                }
                let best = top_k(&scores, &allowed, 10, f32::NEG_INFINITY);
                let ranked: Vec<u32> = best.into_iter().map(|(row, _)| row).collect();
                metrics::ndcg(&ranked, &[case.target], 10)
            })
            .collect();
        each.iter().sum::<f64>() / each.len() as f64
    }

    fn score_recent(&self, case: &Case, scores: &mut [f32]) {
        let from = self.log.partition_point(|event| event.0 < case.time - FORTNIGHT_SECONDS);
        let to = self.log.partition_point(|event| event.0 < case.time);
        for &(_, item) in &self.log[from..to] {
            scores[item as usize] += 1.0;
        }
    }

    /// Fits with each of the first seeds, prints a line, returns the mean.
    fn als(
        &self,
        interactions: &Interactions,
        options: &als::Options,
        seeds: u64,
    ) -> Result<f64, als::Error> {
        let mut each = Vec::new();
        for seed in 1..=seeds {
            each.push(self.als_once(interactions, &als::Options { seed, ..options.clone() })?);
        }
        each.sort_by(f64::total_cmp);
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        println!(
            "als  {mean:.4}  {:.4}  {:.4} | {}  {}  {}  {}  {}  {}",
            each[0],
            each[each.len() - 1],
            options.unobserved_weight,
            options.regularization,
            options.regularization_exponent,
            options.confidence_alpha,
            options.factors,
            options.iterations
        );
        Ok(mean)
    }

    fn als_once(
        &self,
        interactions: &Interactions,
        options: &als::Options,
    ) -> Result<f64, als::Error> {
        let model = als::fit(interactions, options, &mut |_| ControlFlow::Continue(()))?;
        let projection = Projection::new(&model.items, options);
        Ok(self.mean(|case, scores| {
            let mut out = Vec::new();
            model.items.times(&projection.project(&model.items, &case.history), &mut out);
            scores.copy_from_slice(&out);
        }))
    }
}
