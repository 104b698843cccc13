//! Lists that do not repeat themselves: of titles about as good, those unlike the ones before them
//! ([`sona_numeric::mmr`]).

use std::collections::HashMap;

use sona_domain::{Content, RoleType};
use sona_numeric::mmr;

use crate::candidates::Question;
use crate::options::{Capped, Diversity};

/// One that was chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) row: u32,
    /// As it came.
    pub(crate) relevance: f32,
    /// What its score is lowered by for being like those before it.
    pub(crate) penalty: f32,
}

/// Chooses `limit` of `pool`, whose relevance lies in 0..=1, best first.
pub(crate) fn diversify(
    question: &Question<'_>,
    pool: &[(u32, f32)],
    options: &Diversity,
    limit: usize,
) -> Vec<Chosen> {
    let cap = (options.cap > 0).then_some(options.cap);
    if options.lambda >= 1.0 && cap.is_none() {
        let chosen = |(row, relevance): &(u32, f32)| Chosen {
            row: *row,
            relevance: *relevance,
            penalty: 0.0,
        };
        return pool.iter().take(limit).map(chosen).collect();
    }
    let relevance: Vec<f32> = pool.iter().map(|(_, relevance)| *relevance).collect();
    let space = Space::of(question, pool);
    let names = cap.map_or_else(Vec::new, |_| attributes(question, pool, options.capped));
    let attributes = |at: usize| names.get(at).map_or(&[][..], Vec::as_slice);
    let mmr_options = mmr::Options { lambda: options.lambda, limit, cap };
    let vector = |at: usize| space.vector(pool[at].0);
    let selected = mmr::select(&relevance, vector, attributes, &mmr_options);
    // As a part of the relevance, which counts `lambda`.
    let scale = options.lambda.max(f32::MIN_POSITIVE).recip();
    let chosen = selected.into_iter().map(|mmr::Selected { index, penalty }| Chosen {
        row: pool[index].0,
        relevance: pool[index].1,
        penalty: penalty * scale,
    });
    chosen.collect()
}

/// How unlike the titles of a list are: the mean of 1 − cosine over all pairs; `None` if no two have a vector.
pub(crate) fn distance(question: &Question<'_>, rows: &[(u32, f32)]) -> Option<f32> {
    let space = Space::of(question, rows);
    let vectors: Vec<_> = rows.iter().map(|(row, _)| space.vector(*row)).collect();
    mmr::intra_list_distance(&vectors).map(|distance| distance as f32)
}

/// Where titles are compared: by their texts if most have a vector of theirs, else by who engaged with them.
struct Space<'q> {
    question: &'q Question<'q>,
    by_text: bool,
}

impl<'q> Space<'q> {
    fn of(question: &'q Question<'q>, rows: &[(u32, f32)]) -> Self {
        let texts = rows.iter().filter(|(row, _)| question.vectors.get(*row).is_some()).count();
        Self { question, by_text: 2 * texts > rows.len() }
    }

    fn vector(&self, row: u32) -> Option<&'q [f32]> {
        if self.by_text {
            self.question.vectors.get(row)
        } else {
            self.question.snapshot.factors(row)
        }
    }
}

/// What the cap counts of every title, as numbers.
fn attributes(question: &Question<'_>, pool: &[(u32, f32)], capped: Capped) -> Vec<Vec<u32>> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let of = |(row, _): &(u32, f32)| {
        let names = question.view.get(*row).map_or_else(Vec::new, |content| names(content, capped));
        let number = |name| {
            let next = numbers.len() as u32;
            *numbers.entry(name).or_insert(next)
        };
        let mut numbers: Vec<u32> = names.into_iter().map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    pool.iter().map(of).collect()
}

fn names(content: &Content, capped: Capped) -> Vec<&str> {
    let people = |role| {
        let credits = content.credits.iter().filter(move |credit| credit.role_type == role);
        credits.map(|credit| credit.person_name.as_str()).collect()
    };
    match capped {
        Capped::Genre => content.genres.iter().map(String::as_str).collect(),
        Capped::Theme => content.themes.iter().map(String::as_str).collect(),
        Capped::Director => people(RoleType::Director),
        Capped::Actor => people(RoleType::Actor),
    }
}
