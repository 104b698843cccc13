//! One list from many sources: every candidate gets every source's score, weighted; the weights of the
//! sources present sum to 1.

use std::collections::{HashMap, HashSet};

use sona_domain::{Source, SourceScore, SourceStatus};
use sona_numeric::rows::RowSet;

use crate::candidates::Candidates;
use crate::options::Fusion;

/// One candidate with its fused score.
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    pub(crate) row: u32,
    /// Sum of the contributions, 0..=1.
    pub(crate) score: f32,
    /// What the sources say, strongest contribution first.
    pub(crate) sources: Vec<SourceScore>,
}

/// The best candidates, best first (ties in the order of the sources), and how each source took part.
pub(crate) fn fuse(
    sources: &[&dyn Candidates],
    allowed: &RowSet,
    options: &Fusion,
    limit: usize,
) -> (Vec<Fused>, Vec<SourceStatus>) {
    let best: Vec<_> =
        sources.iter().map(|s| s.best(allowed, options.candidates_per_source.max(limit))).collect();
    let weights = weights(sources, &best, options);
    let mut met = HashSet::new();
    let rows = best.iter().flatten().copied().filter(|row| met.insert(*row));
    let mut fused: Vec<_> = rows.map(|row| score(row, sources, &weights)).collect();
    // Stable: equal scores stay in the order in which the sources brought them.
    fused.sort_by(|a, b| b.score.total_cmp(&a.score));
    fused.truncate(limit);
    let statuses = sources.iter().zip(&best).map(|(source, best)| SourceStatus {
        source: source.source(),
        candidates: best.len() as u32,
        weight: weights.get(&source.source()).copied().unwrap_or(0.0),
        absent: best.is_empty().then(|| source.absent().to_owned()),
    });
    (fused, statuses.collect())
}

/// The configured weights of the sources that brought something, scaled to sum to 1.
fn weights(
    sources: &[&dyn Candidates],
    best: &[Vec<u32>],
    options: &Fusion,
) -> HashMap<Source, f32> {
    let present: Vec<_> = sources
        .iter()
        .zip(best)
        .filter(|(_, best)| !best.is_empty())
        .map(|(source, _)| (source.source(), options.weight(source.source())))
        .collect();
    let sum: f32 = present.iter().map(|(_, weight)| weight).sum();
    let count = present.len() as f32;
    present
        .into_iter()
        // If only sources of weight 0 are left they share the answer: an empty list helps nobody.
        .map(|(source, weight)| (source, if sum > 0.0 { weight / sum } else { count.recip() }))
        .collect()
}

fn score(row: u32, sources: &[&dyn Candidates], weights: &HashMap<Source, f32>) -> Fused {
    let mut parts: Vec<_> = sources
        .iter()
        .filter_map(|source| {
            let weight = weights.get(&source.source()).copied()?;
            let score = source.score(row);
            (score > 0.0).then(|| SourceScore {
                source: source.source(),
                score,
                weight,
                contribution: score * weight,
            })
        })
        .collect();
    let score = parts.iter().map(|part| part.contribution).sum();
    parts.sort_by(|a, b| b.contribution.total_cmp(&a.contribution).then(a.source.cmp(&b.source)));
    Fused { row, score, sources: parts }
}
