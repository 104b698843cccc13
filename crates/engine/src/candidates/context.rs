//! Titles that fit the device and mood of the request, the popular ones first.

use std::collections::HashMap;

use sona_domain::{RequestContext, Source};
use sona_numeric::rows::RowSet;

use super::Candidates;
use super::popular::Popular;
use crate::catalogue::View;
use crate::live::counts::Counts;

/// The most popular titles looked at; a request never walks the whole of a large catalogue.
const LOOKED_AT: usize = 2_000;

/// The context source for one request.
pub(crate) struct Context {
    scores: HashMap<u32, f32>,
    best: Vec<(u32, f32)>,
    absent: &'static str,
}

impl Context {
    /// Scores the popular allowed titles: half popularity, half fit; what does not fit at all scores 0.
    pub(crate) fn new(
        context: &RequestContext,
        view: &View,
        counts: &Counts,
        allowed: &RowSet,
        limit: usize,
    ) -> Self {
        if context.is_empty() {
            return Self {
                scores: HashMap::new(),
                best: Vec::new(),
                absent: "the request has no context",
            };
        }
        let popular = Popular::new(counts);
        let mut scored: Vec<(u32, f32)> = counts
            .popular()
            .filter(|row| allowed.contains(*row))
            .take(LOOKED_AT)
            .filter_map(|row| {
                let fit = fit(context, view, row);
                (fit > 0.0).then(|| (row, 0.5 * popular.score(row) + 0.5 * fit))
            })
            .collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(limit);
        Self {
            scores: scored.iter().copied().collect(),
            best: scored,
            absent: "nothing popular fits the request's context",
        }
    }
}

/// How well a title fits everything the request names: the mean of the parts, 0 if one part does not fit.
fn fit(context: &RequestContext, view: &View, row: u32) -> f32 {
    let Some(content) = view.get(row) else { return 0.0 };
    let device = context.device_type.map(|device| device.fit(content.runtime_minutes));
    let mood = context.mood.map(|mood| mood.fit(&content.moods, &content.genres));
    match (device, mood) {
        (Some(device), Some(mood)) if device > 0.0 && mood > 0.0 => f32::midpoint(device, mood),
        (Some(_), Some(_)) => 0.0,
        (one, other) => one.or(other).unwrap_or(0.0),
    }
}

impl Candidates for Context {
    fn source(&self) -> Source {
        Source::Context
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        self.best.iter().take(limit).copied().collect()
    }

    fn score(&self, row: u32) -> f32 {
        self.scores.get(&row).copied().unwrap_or(0.0)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}
