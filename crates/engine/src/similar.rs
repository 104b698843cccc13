//! Titles like a title: by the factors of those who engaged with both, by who engaged with one around the other, and by
//! what their texts say.

use sona_domain::{ContentId, RecommendationType, SimilarTitle, Source};

use crate::Engine;
use crate::candidates::content::Alike;
use crate::candidates::{Candidates, Dense};
use crate::error::{Error, Result};
use crate::fuse::{Ensemble, Fused};
use crate::gate;
use crate::live::counts::Counts;
use crate::options::Fusion;
use crate::recommend::MAX_LIMIT;
use crate::snapshot::Snapshot;

/// Candidates kept beyond the limit, as in a recommendation.
const SPARE: usize = 20;

/// Titles with few viewers are alike by chance; so many viewers are added to both sides.
const SHRINK: f32 = 10.0;

/// What a source says that has nothing.
const ABSENT: &str = "it knows nothing of this title and another one";

impl Engine {
    /// The titles most like `id`, most alike first; only titles that may be shown now. Empty if nobody has
    /// engaged with it and its text has no vector yet.
    pub fn similar(&self, id: &ContentId, limit: usize) -> Result<Vec<SimilarTitle>> {
        let now = self.clock.now();
        let unknown = || Error::UnknownContent(id.clone());
        let row = self.catalogue.row(id).ok_or_else(unknown)?;
        let view = self.catalogue.view(now);
        view.get(row).ok_or_else(unknown)?;
        let mut allowed = view.available().clone();
        allowed.remove(row);

        let limit = limit.clamp(1, MAX_LIMIT);
        let per_source = self.options.fusion.candidates_per_source.max(limit + SPARE);
        let dense = |source, scores| Dense::new(source, scores, &allowed, per_source, ABSENT);
        let snapshot = self.snapshot.load_full();
        let vectors = self.vectors();
        let sources: [Box<dyn Candidates>; 3] = [
            Box::new(dense(Source::Collaborative, cosines(&snapshot, row))),
            Box::new(dense(Source::Sequence, co_engagement(&self.counts(), row))),
            Box::new(Alike::new(&vectors, row, (&allowed, per_source), ABSENT)),
        ];
        let fusion =
            Fusion { content: self.options.content.similar_weight, ..self.options.fusion.clone() };
        let ensemble = Ensemble::new(sources, &allowed, &fusion, limit + SPARE);
        let mut list = ensemble.list(limit + SPARE);
        gate::recheck(self, (&*view, None), self.clock.now(), &mut list, |(row, _)| *row);
        let present = |item: Fused| {
            let content = view.get(item.row)?;
            Some(SimilarTitle {
                content_id: content.content_id.clone(),
                title: content.title.clone(),
                year: content.year,
                score: item.score,
                recommendation_type: match item.sources.as_slice() {
                    [one] => one.source.into(),
                    _ => RecommendationType::Hybrid,
                },
                sources: item.sources,
            })
        };
        let items = list.into_iter().take(limit).map(|item| ensemble.explain(item));
        Ok(items.filter_map(present).collect())
    }
}

/// Cosine of every row's factors with those of `row`.
fn cosines(snapshot: &Snapshot, row: u32) -> Vec<f32> {
    let Some(factors) = snapshot.factors(row) else { return Vec::new() };
    let mut scores = Vec::new();
    snapshot.score(factors, &mut scores);
    for (score, norm) in scores.iter_mut().zip(snapshot.norms()) {
        *score = if *norm > 0.0 { *score / norm } else { 0.0 };
    }
    scores
}

/// How often each title was engaged with around `row`, either way, for what its viewers would make one expect.
fn co_engagement(counts: &Counts, row: u32) -> Vec<f32> {
    let mut scores = vec![0.0; counts.viewers.viewers().len()];
    if row as usize >= counts.transitions.items() {
        return scores;
    }
    for (other, count) in counts.transitions.neighbours(row) {
        let both_ways = count + counts.transitions.count(other, row);
        let viewers = counts.viewers.of(other) as f32;
        scores[other as usize] = both_ways / (viewers + SHRINK).sqrt();
    }
    scores
}
